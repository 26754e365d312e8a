package graph_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/fact"
	"parley/internal/pid"
)

const (
	conversationDocument = `subscription($id: ID!) { conversationEvents(conversationId: $id) { __typename
		... on ConversationSnapshot { conversation { id name headId } runningReply { id content } }
		... on ConversationUpdated { conversation { id name headId pinned } }
		... on ConversationDeleted { conversationId }
		... on MessageAdded { message { id role status index parent { id } } }
		... on MessageSnapshot { message { id status attempt content reasoning } cursor }
		... on MessageDelta { message { id status attempt content reasoning } offset text cursor }
		... on MessageReasoningDelta { message { id status attempt content reasoning } offset text cursor }
		... on MessageFinished { message { id status attempt content reasoning error { code } } } } }`
	viewerDocument = `subscription { viewerEvents { __typename
		... on ViewerReady { viewer { id } }
		... on ConversationCreated { conversation { id name } }
		... on ConversationUpdated { conversation { id name pinned lastMessageAt } }
		... on ConversationDeleted { conversationId } } }`
	updateDocument = `mutation($input: UpdateConversationInput!) { updateConversation(input: $input) { conversation {
		id name nameSource model systemPrompt pinned archivedAt parameters { temperature maxTokens stop seed responseFormat { type name schema strict } } } } }`
	deleteDocument = `mutation($id: ID!) { deleteConversation(input: {conversationId: $id}) { conversationId } }`
)

// wantEvents takes events and compares them by "type id", with the ids named.
func wantEvents(t *testing.T, sub *subscriber, field string, names map[pid.ID]string, want ...string) []answer {
	t.Helper()
	var events []answer
	for _, w := range want {
		e := sub.event(t)
		got := fmt.Sprint(e.at(field + ".__typename"))
		for _, path := range []string{".conversation.id", ".conversationId", ".message.id"} {
			if id, ok := e.at(field + path).(string); ok {
				got += " " + names[pid.ID(id)]
			}
		}
		if got != w {
			t.Fatalf("got the event %q (%s), want %q", got, e.raw, w)
		}
		events = append(events, e)
	}
	return events
}

func TestViewerEvents(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada, bob := b.signUp("ada"), b.signUp("bob")
		names := map[pid.ID]string{}
		sub, other := b.subscribe(ada, viewerDocument, nil), b.subscribe(bob, viewerDocument, nil)
		if got := sub.event(t); got.at("viewerEvents.__typename") != "ViewerReady" ||
			got.id("viewerEvents.viewer.id") != ada.id {
			t.Fatalf("got %s, want ViewerReady first", got.raw)
		}
		other.event(t)

		made := b.conversation(ada, vars{"name": "made"})
		names[made] = "made"
		wantEvents(t, sub, "viewerEvents", names, "ConversationCreated made")
		s := b.send(ada, "", "Hello there", vars{"wait": true})
		names[s.conversation] = "sent"
		e := wantEvents(t, sub, "viewerEvents", names, "ConversationCreated sent")
		if got := e[0].at("viewerEvents.conversation.name"); got != "Hello there" {
			t.Errorf("the new conversation is named %v", got)
		}
		wantEvents(t, sub, "viewerEvents", names, "ConversationUpdated sent") // The reply has ended.
		b.send(ada, made, "more", vars{"wait": true})
		wantEvents(t, sub, "viewerEvents", names, "ConversationUpdated made", "ConversationUpdated made")
		b.ask(ada, updateDocument, vars{"input": vars{"conversationId": made, "name": "renamed", "pinned": true}})
		e = wantEvents(t, sub, "viewerEvents", names, "ConversationUpdated made")
		if got := e[0].at("viewerEvents.conversation"); at(got, "name") != "renamed" || at(got, "pinned") != true {
			t.Errorf("after renaming: got %v", got)
		}
		b.ask(ada, deleteDocument, vars{"id": made})
		wantEvents(t, sub, "viewerEvents", names, "ConversationDeleted made")
		// What was refused makes no event.
		b.wantCode(ada, "BAD_USER_INPUT", updateDocument,
			vars{"input": vars{"conversationId": s.conversation, "name": strings.Repeat("x", 300)}})
		b.wantCode(bob, "NOT_FOUND", deleteDocument, vars{"id": s.conversation})
		b.ask(ada, deleteDocument, vars{"id": s.conversation})
		wantEvents(t, sub, "viewerEvents", names, "ConversationDeleted sent")

		// Bob heard of none of it.
		own := b.conversation(bob, vars{})
		names[own] = "bob's"
		wantEvents(t, other, "viewerEvents", names, "ConversationCreated bob's")
	})
}

func TestConversationEvents(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		c := b.conversation(ada, vars{"name": "made", "model": modelPieces})
		names := map[pid.ID]string{c: "made"}
		sub := b.subscribe(ada, conversationDocument, vars{"id": c})
		const field = "conversationEvents"
		first := wantEvents(t, sub, field, names, "ConversationSnapshot made")
		if first[0].at(field+".runningReply") != nil {
			t.Errorf("got %s, want no running reply", first[0].raw)
		}

		s, model := b.start(ada, c)
		names[s.user], names[s.reply] = "question", "reply"
		e := wantEvents(t, sub, field, names, "ConversationUpdated made", "MessageAdded question", "MessageAdded reply",
			"MessageSnapshot reply")
		if e[0].id(field+".conversation.headId") != s.reply || e[1].at(field+".message.role") != "USER" ||
			e[2].id(field+".message.parent.id") != s.user || e[2].at(field+".message.index") != float64(2) {
			t.Errorf("got %s %s %s", e[0].raw, e[1].raw, e[2].raw)
		}
		var now screen
		now.apply(t, e[3].at(field))
		model.write(t, piece{"hm", true})
		now.apply(t, wantEvents(t, sub, field, names, "MessageReasoningDelta reply")[0].at(field))
		model.say(t, "Good 😀")
		now.apply(t, wantEvents(t, sub, field, names, "MessageDelta reply")[0].at(field))

		// One that comes later is told of the running reply, and then its events.
		late := b.subscribe(ada, conversationDocument, vars{"id": c})
		e = wantEvents(t, late, field, names, "ConversationSnapshot made", "MessageSnapshot reply")
		if e[0].id(field+".runningReply.id") != s.reply {
			t.Errorf("got %s, want the running reply", e[0].raw)
		}
		var lateNow screen
		lateNow.apply(t, e[1].at(field))

		b.ask(ada, updateDocument, vars{"input": vars{"conversationId": c, "name": "renamed"}})
		wantEvents(t, sub, field, names, "ConversationUpdated made")
		wantEvents(t, late, field, names, "ConversationUpdated made")
		model.say(t, " day")
		now.apply(t, wantEvents(t, sub, field, names, "MessageDelta reply")[0].at(field))
		lateNow.apply(t, wantEvents(t, late, field, names, "MessageDelta reply")[0].at(field))
		model.finish(t, nil)
		now.apply(t, wantEvents(t, sub, field, names, "MessageFinished reply")[0].at(field))
		lateNow.apply(t, wantEvents(t, late, field, names, "MessageFinished reply")[0].at(field))
		wantEvents(t, sub, field, names, "ConversationUpdated made") // Nothing runs there now.
		if now.text() != "Good 😀 day" || lateNow.text() != now.text() || now.status != "COMPLETED" {
			t.Errorf("got %q and %q, %s", now.text(), lateNow.text(), now.status)
		}
		if content, _, status := b.stored(ada, s.reply); content != now.text() || status != "COMPLETED" {
			t.Errorf("after MessageFinished a query shows %q, %s", content, status)
		}
		late.cancel()

		// A second reply is followed too; deletion ends it, the conversation and the
		// subscription, in this order.
		s, model = b.start(ada, c)
		names[s.user], names[s.reply] = "question 2", "reply 2"
		wantEvents(t, sub, field, names, "ConversationUpdated made", "MessageAdded question 2", "MessageAdded reply 2",
			"MessageSnapshot reply 2")
		model.say(t, "cut")
		wantEvents(t, sub, field, names, "MessageDelta reply 2")
		b.ask(ada, deleteDocument, vars{"id": c})
		e = wantEvents(t, sub, field, names, "MessageFinished reply 2", "ConversationDeleted made")
		if m := e[0].at(field + ".message"); at(m, "status") != "STOPPED" || at(m, "error.code") != "DELETED" ||
			at(m, "content") != "cut" {
			t.Errorf("got %s, want STOPPED with DELETED and the text", e[0].raw)
		}
		sub.wantCompleted(t)
		if a := b.ask(ada, `query($id: ID!) { node(id: $id) { id } }`, vars{"id": s.reply}); a.at("node") != nil {
			t.Errorf("got %s, want no row after the deletion", a.raw)
		}
	})
}

// A message's own subscription ends too when its conversation is deleted.
func TestDeletedUnderASubscriber(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	s, model := b.start(ada, "")
	sub := b.follow(ada, s.reply, "")
	model.say(t, "cut 漢")
	b.ask(ada, deleteDocument, vars{"id": s.conversation})
	var now screen
	now.toEnd(t, sub)
	if now.status != "STOPPED" || now.text() != "cut 漢" {
		t.Errorf("got %s %q, want STOPPED with the text", now.status, now.text())
	}
	// Of a conversation without a reply, too.
	c := b.conversation(ada, vars{})
	sub = b.subscribe(ada, conversationDocument, vars{"id": c})
	sub.event(t)
	b.ask(ada, deleteDocument, vars{"id": c})
	wantEvents(t, sub, "conversationEvents", map[pid.ID]string{c: "made"}, "ConversationDeleted made")
	sub.wantCompleted(t)
}

// A subscriber that falls behind ends with the latest state, by its events or by
// being told to look anew.
func TestMissedEvents(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	c := b.conversation(ada, vars{"name": "0"})
	viewer, conversation := b.subscribe(ada, viewerDocument, nil), b.subscribe(ada, conversationDocument, vars{"id": c})
	viewer.event(t)
	conversation.event(t)
	const n = 200 // More than a listener may lag behind.
	for i := 1; i <= n; i++ {
		b.ask(ada, updateDocument, vars{"input": vars{"conversationId": c, "name": fmt.Sprint(i)}})
	}
	for _, s := range []struct {
		sub   *subscriber
		field string
		anew  string
	}{{viewer, "viewerEvents", "ViewerReady"}, {conversation, "conversationEvents", "ConversationSnapshot"}} {
		for events := 0; ; events++ {
			if events > n {
				t.Fatalf("%s: %d events for %d changes", s.field, events, n)
			}
			e := s.sub.event(t)
			if e.at(s.field+".__typename") == s.anew || e.at(s.field+".conversation.name") == fmt.Sprint(n) {
				break
			}
		}
	}
}

// Many feeds and conversations at once: every feed tells the truth, in order.
func TestFeedsAtOnce(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			c := b.conversation(ada, vars{"name": fmt.Sprint("c", i)})
			sub := b.subscribe(ada, conversationDocument, vars{"id": c})
			sub.event(t)
			s := b.send(ada, c, fmt.Sprint("hello from ", i), nil)
			var now screen
			order := []string{}
			for !now.finished {
				e := sub.event(t)
				kind := fmt.Sprint(e.at("conversationEvents.__typename"))
				order = append(order, kind)
				if strings.HasPrefix(kind, "Message") && kind != "MessageAdded" {
					if e.id("conversationEvents.message.id") != s.reply {
						t.Errorf("an event of another reply: %s", e.raw)
					}
					now.apply(t, e.at("conversationEvents"))
				}
			}
			if want := fmt.Sprint("You said: hello from ", i); now.text() != want {
				t.Errorf("got %q, want %q", now.text(), want)
			}
			if head := strings.Join(order[:3], " "); head != "ConversationUpdated MessageAdded MessageAdded" {
				t.Errorf("the events began with %s", head)
			}
			sub.cancel()
		})
	}
	all.Wait()
}

// Nothing listens any more when the subscribers have gone.
func TestUnsubscribing(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	s, model := b.start(ada, "")
	baseline := b.bus.Listeners()
	for i := range 30 {
		subs := []*subscriber{
			b.subscribe(ada, viewerDocument, nil),
			b.subscribe(ada, conversationDocument, vars{"id": s.conversation}),
			b.follow(ada, s.reply, ""),
		}
		for j, sub := range subs {
			if (i+j)%2 == 0 { // Half of them go before the first event.
				sub.event(t)
			}
			if i%3 == 0 {
				model.say(t, "x")
			}
			sub.cancel()
		}
	}
	eventually(t, "no listener is left", func() bool { return b.bus.Listeners() == baseline })
	model.say(t, " still here")
	model.finish(t, nil)
	var now screen
	now.toEnd(t, b.follow(ada, s.reply, ""))
	if !strings.HasSuffix(now.text(), " still here") || now.status != "COMPLETED" {
		t.Errorf("the reply ended as %s with %q", now.status, now.text())
	}
}

// The end of the session ends its subscriptions, not those of others.
func TestSignOutEndsSubscriptions(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	identity, err := b.authenticate(b.t.Context(), ada.token)
	if err != nil {
		t.Fatal(err)
	}
	defer identity.End()
	ctx := identity.Context
	b.ask(ada, `mutation { signOut { signedOut } }`, nil)
	select {
	case <-ctx.Done():
	case <-t.Context().Done():
		t.Fatal("the context of the session did not end")
	}
	if context.Cause(ctx) == nil {
		t.Error("no cause")
	}
	b.wantCode(ada, "UNAUTHENTICATED", `{ conversations { totalCount } }`, nil)
	b.wantCode(ada, "UNAUTHENTICATED", `{ viewer { id } }`, nil)
}

// What a feed heard while the database did not answer is not lost: it begins anew.
func TestFeedsBeginAnewAfterAFault(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	conversation := b.conversation(ada, vars{})
	list := b.subscribe(ada, viewerDocument, nil)
	open := b.subscribe(ada, conversationDocument, vars{"id": conversation})
	list.event(t)
	open.event(t)
	failed := make(chan struct{}, 100)
	b.faults.on(func() error {
		failed <- struct{}{}
		return errors.New("the database is away")
	})
	b.bus.Publish(createdFact(ada.id, conversation))
	b.bus.Publish(fact.Fact{Kind: fact.ConversationUpdated, UserID: ada.id, ConversationID: conversation})
	ofList, ofConversation := list.ahead(t), open.ahead(t)
	for range 2 { // Both have tried, and lost what they had heard.
		select {
		case <-failed:
		case <-time.After(patience):
			t.Fatal("a feed has not looked")
		}
	}
	b.faults.off()
	if a := ofList(); !strings.Contains(a.raw, "ViewerReady") {
		t.Errorf("the list goes on with %s, want ViewerReady again", a.raw)
	}
	if a := ofConversation(); !strings.Contains(a.raw, "ConversationSnapshot") {
		t.Errorf("the conversation goes on with %s, want ConversationSnapshot again", a.raw)
	}
}

// Arguments that make no sense are the fault of their own field.
func TestBadPageHarmsNoOther(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	conversation := b.conversation(ada, vars{"systemPrompt": "Be brief"})
	a := b.post(ada, `query($id: ID!) {
		bad: conversation(id: $id) { messages(after: "zz") { nodes { content } } }
		good: conversation(id: $id) { messages(first: 1) { nodes { content } } } }`, vars{"id": conversation})
	if !strings.Contains(a.raw, `"good":{"messages":{"nodes":[{"content":"Be brief"}]}}`) || len(a.Errors) != 1 {
		t.Errorf("got %s, want one error, and the other field's messages", a.raw)
	}
}
