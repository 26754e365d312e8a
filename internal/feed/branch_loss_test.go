package feed_test

import (
	"testing"

	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/store/storetest"
)

// What another replica does with the line, of which nothing is heard but that something is
// new, makes the feed begin anew: it never goes on as if the line had grown.
func TestLineChangesThatAreLost(t *testing.T) {
	t.Parallel()
	s := storetest.Postgres(t)
	here, elsewhere := setup(t, s, chat.Config{}), setup(t, s, chat.Config{}) // Without a bus between them.
	u := here.user(t)
	first := here.ask(t, u, nil, "one")
	id := first.Conversation.ID
	here.ask(t, u, &id, "two")
	f := here.conversationFeed(t, u, id)
	next(t, u, f)
	again := chat.Again{MessageID: first.Reply.ID, Wait: true}
	for _, x := range []struct {
		what string
		do   func() error
	}{
		{"a regeneration", func() error { _, err := elsewhere.RegenerateReply(u.ctx, u.id, again); return err }},
		{"a choice", func() error {
			_, _, err := elsewhere.SelectBranch(u.ctx, u.id, first.Reply.ID, nil)
			return err
		}},
		{"an edit", func() error {
			_, err := elsewhere.EditMessage(u.ctx, u.id, chat.Again{MessageID: first.UserMessage.ID, Wait: true}, "uno")
			return err
		}},
		{"a choice of the first", func() error {
			_, _, err := elsewhere.SelectBranch(u.ctx, u.id, first.UserMessage.ID, nil)
			return err
		}},
		{"a correction", func() error {
			_, err := elsewhere.UpdateMessage(u.ctx, u.id, first.UserMessage.ID, "ein")
			return err
		}},
		{"a deletion", func() error { _, err := elsewhere.DeleteMessage(u.ctx, u.id, first.Reply.ID); return err }},
	} {
		if err := x.do(); err != nil {
			t.Fatalf("%s: %v", x.what, err)
		}
		here.bus.Publish(fact.Fact{Kind: fact.ConversationUpdated, UserID: u.id, ConversationID: id})
		if list, _ := until(t, u, f, "opened"); len(list) > 3 {
			t.Errorf("%s: got %q, want the feed to begin anew", x.what, list)
		}
	}
}
