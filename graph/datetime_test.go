package graph_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
)

var (
	anyInstant  = regexp.MustCompile(`"[0-9]{4}-[0-9]{2}-[0-9]{2}T[^"]*"`)
	threeDigits = regexp.MustCompile(`^"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"$`)
)

// Every instant has three digits of a second, as the linked scalar says: in answers, in
// events, and in what comes with an error.
func TestInstantsHaveThreeDigits(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		seen := 0
		check := func(what, raw string) {
			t.Helper()
			for _, got := range anyInstant.FindAllString(raw, -1) {
				seen++
				if !threeDigits.MatchString(got) {
					t.Errorf("%s: got %s, want three digits of a second", what, got)
				}
			}
		}
		ada := b.signUp("ada")
		c := b.conversation(ada, vars{"model": modelPieces})
		sub := b.subscribe(ada, `subscription { viewerEvents { __typename
			... on ConversationUpdated { conversation { createdAt updatedAt lastMessageAt archivedAt } } } }`, nil)
		sub.event(t) // Ready.
		running, model := b.start(ada, c)
		check("an event", sub.event(t).raw)
		busy := b.post(ada, sendDocument, vars{"input": vars{"conversationId": c, "content": "more"}})
		if busy.code() != "CONVERSATION_BUSY" {
			t.Fatalf("got %s, want CONVERSATION_BUSY", busy.raw)
		}
		check("an error", busy.raw)
		model.finish(t, nil)
		sub.event(t)
		b.ask(ada, updateDocument, vars{"input": vars{"conversationId": c, "archived": true}})
		check("an answer", b.ask(ada, `query($c: ID!, $m: ID!) { viewer { createdAt }
			conversation: node(id: $c) { ... on Conversation { createdAt updatedAt lastMessageAt archivedAt } }
			message: node(id: $m) { ... on Message { createdAt finishedAt } } }`,
			vars{"c": c, "m": running.reply}).raw)
		if seen != 3+1+7 {
			t.Errorf("saw %d instants, want 11", seen)
		}
	})
}

// What changes at once is told apart by its time all the same, and paged through without loss.
func TestChangesWithinAMillisecond(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		c := b.conversation(ada, vars{})
		last := ""
		for n := range 20 {
			now := fmt.Sprint(b.ask(ada, `mutation($input: UpdateConversationInput!) { updateConversation(input: $input) {
				conversation { updatedAt } } }`, vars{"input": vars{"conversationId": c, "pinned": n%2 == 0}}).
				at("updateConversation.conversation.updatedAt"))
			if now <= last {
				t.Fatalf("change %d: got %s after %s, want later", n, now, last)
			}
			last = now
		}
		made := []string{string(c)}
		for range 20 {
			made = append(made, string(b.conversation(ada, vars{})))
		}
		var listed []string
		var after any
		for range made {
			a := b.ask(ada, `query($after: String) { conversations(first: 1, after: $after) {
				nodes { id } pageInfo { endCursor } } }`, vars{"after": after})
			listed = append(listed, fmt.Sprint(a.at("conversations.nodes.0.id")))
			after = a.at("conversations.pageInfo.endCursor")
		}
		slices.Sort(made)
		slices.Sort(listed)
		if !slices.Equal(listed, made) {
			t.Errorf("got %v page by page, want %v", listed, made)
		}
	})
}
