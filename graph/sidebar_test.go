package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"parley/internal/pid"
)

const sidebarDocument = `subscription { viewerEvents { __typename
	... on ConversationCreated { conversation { id } edge { cursor node { id runningReply { id status } } } }
	... on ConversationUpdated {
		conversation { id updatedAt runningReply { id status } queuedReplies { id status parent { id } } }
		edge { cursor node { id name } } } } }`

// A list shows what runs and what waits by its own feed, and knows where to put it.
func TestTheListShowsReplies(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		sub := b.subscribe(ada, sidebarDocument, nil)
		sub.event(t)
		c := b.conversation(ada, vars{"model": modelPieces})
		if e := sub.event(t); e.id("viewerEvents.edge.node.id") != c ||
			e.at("viewerEvents.edge.cursor") != b.cursorOf(ada) {
			t.Errorf("got %s, want the edge that the list has", e.raw)
		}
		names := map[pid.ID]string{}
		last := ""
		want := func(after, running string, queued ...string) {
			t.Helper()
			e := sub.event(t)
			now := e.at("viewerEvents.conversation")
			got := []string{}
			if id, ok := at(now, "runningReply.id").(string); ok {
				got = append(got, fmt.Sprint(names[pid.ID(id)], " ", at(now, "runningReply.status")))
			}
			list, _ := at(now, "queuedReplies").([]any)
			for _, m := range list {
				got = append(got, fmt.Sprint(names[pid.ID(at(m, "id").(string))], " ", at(m, "status")))
			}
			wanted := []string{}
			if running != "" {
				wanted = append(wanted, running+" STREAMING")
			}
			for _, q := range queued {
				wanted = append(wanted, q+" QUEUED")
			}
			if fmt.Sprint(got) != fmt.Sprint(wanted) {
				t.Fatalf("after %s: got %v (%s), want %v", after, got, e.raw, wanted)
			}
			if e.id("viewerEvents.edge.node.id") != c || e.at("viewerEvents.edge.cursor") != b.cursorOf(ada) {
				t.Errorf("after %s: got the edge %v, want the list's", after, e.at("viewerEvents.edge"))
			}
			if version := fmt.Sprint(at(now, "updatedAt")); version == last {
				t.Errorf("after %s: the version is still %s", after, version)
			} else {
				last = version
			}
		}
		queue := func(name string) sent {
			s := b.send(ada, c, name, vars{"onBusy": "QUEUE"})
			names[s.reply] = name
			return s
		}

		s, model := b.start(ada, c)
		names[s.reply] = "first"
		want("a send", "first")
		second := queue("second")
		want("a send that waits", "first", "second")
		queue("third")
		want("another one", "first", "second", "third")
		b.ask(ada, `mutation($id: ID!) { stopReply(input: {messageId: $id}) { message { status } } }`,
			vars{"id": second.reply})
		want("a cancellation", "first", "third")
		model.finish(t, nil)
		want("the end of the first", "third")
		b.pieces.call(t).finish(t, nil)
		want("the end of the last", "")
	})
}

// cursorOf returns the first cursor of a user's list.
func (b *bundle) cursorOf(p person) any {
	return b.ask(p, `{ conversations(first: 1) { edges { cursor } } }`, nil).at("conversations.edges.0.cursor")
}

// Who has sent a message knows it by its key, in the answer, in the feed and in every list.
func TestMessagesHaveTheirClientKey(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		c := b.conversation(ada, vars{})
		sub := b.subscribe(ada, `subscription($id: ID!) { conversationEvents(conversationId: $id) { __typename
			... on MessageAdded { message { clientKey } edge { cursor node { id role clientKey } } } } }`, vars{"id": c})
		for range 2 { // What is repeated has the key that it had.
			a := b.ask(ada, `mutation($input: SendMessageInput!) { sendMessage(input: $input) {
				userMessage { clientKey } reply { clientKey } } }`,
				vars{"input": vars{"conversationId": c, "content": "keyed", "clientKey": "key-0001", "wait": true}})
			if a.at("sendMessage.userMessage.clientKey") != "key-0001" || a.at("sendMessage.reply.clientKey") != nil {
				t.Errorf("got %s", a.raw)
			}
		}
		b.send(ada, c, "without", vars{"wait": true})
		list := b.ask(ada, `query($id: ID!) { conversation(id: $id) { messages { edges {
			cursor node { id role clientKey } } } } }`, vars{"id": c})
		var added []any
		for len(added) < 4 {
			if e := sub.event(t); e.at("conversationEvents.__typename") == "MessageAdded" {
				if e.at("conversationEvents.message.clientKey") != e.at("conversationEvents.edge.node.clientKey") {
					t.Errorf("got %s, want the same message twice", e.raw)
				}
				added = append(added, e.at("conversationEvents.edge"))
			}
		}
		if got, want := fmt.Sprint(added), fmt.Sprint(list.at("conversation.messages.edges")); got != want {
			t.Errorf("the feed added %s, the list has %s", got, want)
		}
		if got := list.raw; strings.Count(got, `"clientKey":"key-0001"`) != 1 ||
			strings.Count(got, `"clientKey":null`) != 3 {
			t.Errorf("got %s, want one key and three without", got)
		}
	})
}

// A token that was sent and is not valid is told by the field that asks who is there, and by
// each that needs somebody; what signs in does not mind it.
func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	tokens := b.ask(ada, `mutation { signIn(input: {email: "ada@example.org", password: "`+password+`"}) {
		refreshToken } }`, nil)
	if a := b.ask(nobody, `{ viewer { id } }`, nil); a.raw != `{"data":{"viewer":null}}` {
		t.Errorf("without a token: got %s, want null", a.raw)
	}
	stale := person{token: "garbage"}
	for _, document := range []string{`{ viewer { id } }`, `{ models { name } }`, `{ conversations { totalCount } }`,
		`mutation { signOut { signedOut } }`} {
		b.wantCode(stale, "UNAUTHENTICATED", document, nil)
	}
	b.ask(stale, `mutation { signUp(input: {email: "new@example.org", password: "`+password+`"}) { accessToken } }`, nil)
	b.ask(stale, `mutation { signIn(input: {email: "ada@example.org", password: "`+password+`"}) { accessToken } }`, nil)
	b.ask(stale, `mutation($token: String!) { refreshSession(input: {refreshToken: $token}) { accessToken } }`,
		vars{"token": tokens.at("signIn.refreshToken")})
}

// Who goes on in an archived conversation takes it out of the archive: else it would go on
// where no list shows it.
func TestAnArchivedConversationComesBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		c := b.conversation(ada, vars{"model": modelPieces})
		s, model := b.start(ada, c)
		const key = "key-of-the-queued"
		archive := func() {
			t.Helper()
			if at := b.ask(ada, updateDocument, vars{"input": vars{"conversationId": c, "archived": true}}).
				at("updateConversation.conversation.archivedAt"); at == nil {
				t.Fatal("not archived")
			}
		}
		lists := func() string {
			a := b.ask(ada, `{ active: conversations { nodes { id } totalCount }
				archived: conversations(archived: true) { nodes { id } totalCount } }`, nil)
			return fmt.Sprint(a.at("active.totalCount"), a.at("archived.totalCount"))
		}
		archive()
		if got := lists(); got != "0 1" {
			t.Fatalf("archived: got %s in the lists, want 0 1", got)
		}
		sub := b.subscribe(ada, `subscription { viewerEvents { __typename
			... on ConversationUpdated { conversation { id archivedAt } edge { node { id } } } } }`, nil)
		sub.event(t) // Ready.

		model.finish(t, nil) // The end of a reply is no new message.
		if e := sub.event(t); e.at("viewerEvents.conversation.archivedAt") == nil {
			t.Errorf("got %s at the end of the reply, want it still archived", e.raw)
		}
		queued := b.send(ada, c, "more", vars{"onBusy": "QUEUE", "clientKey": key})
		if e := sub.event(t); e.id("viewerEvents.conversation.id") != c ||
			e.at("viewerEvents.conversation.archivedAt") != nil {
			t.Errorf("got %s after the send, want that it is not archived", e.raw)
		}
		if got := lists(); got != "1 0" {
			t.Errorf("after a send: got %s in the lists, want 1 0", got)
		}
		again := b.pieces.call(t)
		archive()
		sub.event(t)
		if repeat := b.send(ada, c, "more", vars{"onBusy": "QUEUE", "clientKey": key}); repeat != queued {
			t.Errorf("got %v for the same key, want %v", repeat, queued)
		}
		if got := lists(); got != "0 1" {
			t.Errorf("after a repeat: got %s in the lists, want 0 1: nothing was sent", got)
		}
		waiting := b.send(ada, c, "third", vars{"onBusy": "QUEUE"})
		if got := lists(); got != "1 0" || waiting.reply == s.reply {
			t.Errorf("after a send that waits: got %s in the lists, want 1 0", got)
		}
		again.finish(t, nil)
		b.pieces.call(t).finish(t, nil)
	})
}
