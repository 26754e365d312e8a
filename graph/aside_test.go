package graph_test

import (
	"net/http"
	"testing"

	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/upstream/upstreamtest"
)

const (
	nameDocument = `mutation($id: ID!) { regenerateName(input: {conversationId: $id}) {
		conversation { id name nameSource } } }`
	sumUpDocument = `mutation($id: ID!) { summarizeConversation(input: {conversationId: $id}) {
		summary { id content model reachesTo { index } } } }`
	dropDocument = `mutation($id: ID!) { deleteSummary(input: {summaryId: $id}) { summaryId } }`
	listDocument = `subscription { viewerEvents { __typename
		... on ConversationUpdated { conversation { id name nameSource updatedAt } } } }`
)

// A name that a model gives comes with the answer, and with an event on other devices.
func TestRegenerateName(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		b := setup(t, db, options{asides: reply.Asides{TitleModel: modelServer}})
		ada := b.signUp("ada")
		c := b.talk(ada, 1)
		sub := b.subscribe(ada, listDocument, nil)
		sub.event(t)
		b.ask(ada, updateDocument, vars{"input": vars{"conversationId": c.conversation, "name": "mine"}})
		b.model.Always(upstreamtest.Reply("Tides at sea"))
		answered := b.ask(ada, nameDocument, vars{"id": c.conversation}).at("regenerateName.conversation")
		var told any
		for at(told, "name") != "Tides at sea" { // It got a name beside its first reply, too.
			told = sub.event(t).at("viewerEvents.conversation")
		}
		for from, got := range map[string]any{"the answer": answered, "the event": told} {
			if at(got, "name") != "Tides at sea" || at(got, "nameSource") != "AUTO" ||
				at(got, "id") != string(c.conversation) {
				t.Errorf("%s: got %v", from, got)
			}
		}
		b.model.Always(upstreamtest.Fail(http.StatusInternalServerError, "down"))
		b.wantCode(ada, "MODEL_UNAVAILABLE", nameDocument, vars{"id": c.conversation})
		b.model.Always(upstreamtest.Reply("Tides at sea"))
		for range 4 {
			b.ask(ada, nameDocument, vars{"id": c.conversation})
		}
		a := b.wantCode(ada, "RATE_LIMITED", nameDocument, vars{"id": c.conversation})
		if wait, ok := a.Errors[0].Extensions["retryAfter"].(float64); !ok || wait < 1 {
			t.Errorf("got %s, want it said when", a.raw)
		}
	})
}

// A server without a model for names says so, beside the field.
func TestRegenerateNameWithoutAModel(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	a := b.wantCode(ada, "BAD_USER_INPUT", nameDocument, vars{"id": b.talk(ada, 1).conversation})
	if at(a.Errors[0].Extensions["fields"], "conversationId") == nil {
		t.Errorf("got %s, want the field", a.raw)
	}
}

// A summary is made, found by its id, told to other devices, and thrown away, once.
func TestSummaries(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		c := b.talk(ada, 1)
		if a := b.ask(ada, sumUpDocument, vars{"id": c.conversation}); a.at("summarizeConversation.summary") != nil {
			t.Errorf("one turn is summed up: %s", a.raw)
		}
		for range 9 {
			b.send(ada, c.conversation, "hello", vars{"wait": true})
		}
		sub := b.subscribe(ada, listDocument, nil)
		sub.event(t)
		updated := func(after string) {
			t.Helper()
			now := b.ask(ada, `query($id: ID!) { conversation(id: $id) { updatedAt } }`, vars{"id": c.conversation}).
				at("conversation.updatedAt")
			for sub.event(t).at("viewerEvents.conversation.updatedAt") != now {
				t.Logf("an event before that of %s", after)
			}
		}
		b.model.Next(upstreamtest.Fail(http.StatusInternalServerError, "down"))
		b.wantCode(ada, "MODEL_UNAVAILABLE", sumUpDocument, vars{"id": c.conversation})
		b.model.Next(upstreamtest.Reply("They said hello ten times."))
		a := b.ask(ada, sumUpDocument, vars{"id": c.conversation})
		id := a.id("summarizeConversation.summary.id")
		if !id.Is(pid.Summary) || a.at("summarizeConversation.summary.content") != "They said hello ten times." ||
			a.at("summarizeConversation.summary.model") != modelServer ||
			a.at("summarizeConversation.summary.reachesTo.index") == nil {
			t.Errorf("got %s", a.raw)
		}
		updated("the summary")
		find := func() any {
			return b.ask(ada, `query($id: ID!) { node(id: $id) { ... on Summary { content } } }`, vars{"id": id}).
				at("node.content")
		}
		if got := find(); got != "They said hello ten times." {
			t.Errorf("the summary by its id: %v", got)
		}
		if a := b.ask(ada, dropDocument, vars{"id": id}); a.id("deleteSummary.summaryId") != id {
			t.Errorf("got %s", a.raw)
		}
		updated("its end")
		b.wantCode(ada, "NOT_FOUND", dropDocument, vars{"id": id})
		if got := find(); got != nil {
			t.Errorf("a summary that was thrown away: %v", got)
		}
	})
}
