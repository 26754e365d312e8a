package feed_test

import (
	"testing"

	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/feed"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/upstream/upstreamtest"
	"parley/internal/viewer"
)

// cost returns how many statements something takes.
func cost(c *storetest.Counter, do func()) int {
	statements, _ := c.Cost(do)
	return statements
}

// ended waits for the end of a reply without a statement of its user's.
func (b *bundle) ended(t *testing.T, id pid.ID) {
	t.Helper()
	sweep := viewer.AsSweep(t.Context())
	eventually(t, "the end of the reply", func() bool {
		m, err := b.store.Client().Message.Query().Where(message.ID(id)).Only(sweep)
		return err == nil && reply.IsFinal(m.Status)
	})
}

// life is all that happens to a conversation from its making to its deletion. It returns
// how many statements that takes while so many feeds of each kind follow it to the end.
func (b *bundle) life(t *testing.T, c *storetest.Counter, feeds int) (n int) {
	t.Helper()
	u := b.user(t)
	lists, open := make([]*feed.Feed, feeds), make([]*feed.Feed, feeds)
	all := func(list []*feed.Feed, last string) {
		for _, f := range list {
			until(t, u, f, last)
		}
	}
	for i := range lists {
		lists[i] = b.feeds.List(u.id)
		t.Cleanup(lists[i].Close)
	}
	all(lists, "opened")
	var id pid.ID
	n += cost(c, func() {
		made, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		id = made.ID
		all(lists, "created")
	})
	for i := range open {
		open[i] = b.conversationFeed(t, u, id)
	}
	all(open, "opened")
	n += cost(c, func() {
		pieces := make(chan string)
		b.upstream.Next(upstreamtest.Pieces(pieces))
		r := b.send(t, u, chat.SendInput{ConversationID: &id, Content: "hello"})
		all(open, "snapshot")
		pieces <- "text"
		all(open, "delta")
		close(pieces)
		all(open, "finished COMPLETED")
		b.ended(t, r.Reply.ID)
		all(lists, "updated")
	})
	n += cost(c, func() {
		b.rename(t, u, id, "new")
		all(open, "updated")
		all(lists, "updated")
	})
	n += cost(c, func() {
		if err := b.DeleteConversation(u.ctx, u.id, id); err != nil {
			t.Fatal(err)
		}
		all(open, "deleted")
		all(lists, "deleted")
	})
	return n
}

// What is done in this process costs its feeds no statement, however many they are.
func TestLocalFeedsReadNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		s, c := storetest.Count(s)
		b := setup(t, s, chat.Config{})
		alone, followed := b.life(t, c, 0), b.life(t, c, 5)
		if alone == 0 || followed != alone {
			t.Errorf("a conversation's life takes %d statements alone, %d with five feeds of each kind", alone, followed)
		}
	})
}

// What it costs to open a feed.
func TestOpeningFeeds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		s, c := storetest.Count(s)
		b := setup(t, s, chat.Config{})
		u := b.user(t)
		idle, running := b.ask(t, u, nil, "one").Conversation.ID, b.running(t, u, nil, "half ").Conversation.ID
		for _, x := range []struct {
			what string
			open func() *feed.Feed
			last string
			want int
		}{
			{"an idle conversation: it, its unfinished replies, its head",
				func() *feed.Feed { return b.conversationFeed(t, u, idle) }, "opened", 3},
			{"a conversation whose head is running here: it, its unfinished replies",
				func() *feed.Feed { return b.conversationFeed(t, u, running) }, "snapshot", 2},
			{"a short list: its latest changes, the last deletion",
				func() *feed.Feed { return b.feeds.List(u.id) }, "opened", 2},
		} {
			got := cost(c, func() {
				f := x.open()
				defer f.Close()
				until(t, u, f, x.last)
			})
			if got != x.want {
				t.Errorf("%s: %d statements, want %d", x.what, got, x.want)
			}
		}
		for range 20 {
			if _, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{}); err != nil {
				t.Fatal(err)
			}
		}
		got := cost(c, func() {
			f := b.feeds.List(u.id)
			defer f.Close()
			next(t, u, f)
		})
		if got != 3 {
			t.Errorf("a long list: %d statements, want its latest changes, its length and the last deletion", got)
		}
	})
}

// A fact from another replica costs one look-up, however many feeds hear it.
func TestHintsAreLookedUpOnce(t *testing.T) {
	t.Parallel()
	s, c := storetest.Count(storetest.Postgres(t))
	here, elsewhere := setup(t, s, chat.Config{}), setup(t, s, chat.Config{}) // Without a bus between them.
	u := here.user(t)
	id := here.ask(t, u, nil, "one").Conversation.ID
	open, list := here.conversationFeed(t, u, id), here.feeds.List(u.id)
	t.Cleanup(list.Close)
	next(t, u, open)
	next(t, u, list)
	two := elsewhere.ask(t, u, &id, "two")
	hear := func(kind fact.Kind, messageID pid.ID, want int, told map[*feed.Feed]string) {
		t.Helper()
		got := cost(c, func() {
			here.bus.Publish(fact.Fact{Kind: kind, UserID: u.id, ConversationID: id, MessageID: messageID})
			for f, last := range told {
				until(t, u, f, last)
			}
		})
		if got != want {
			t.Errorf("fact of kind %d: %d statements, want %d", kind, got, want)
		}
	}
	hear(fact.ConversationUpdated, "", 1, map[*feed.Feed]string{open: "updated", list: "updated"})
	hear(fact.MessageAdded, two.UserMessage.ID, 1, map[*feed.Feed]string{open: "added USER"})
	// Watching a reply that does not run here is three reads of the engine's: when the
	// watch begins, and, of one that is final, for its text and for its end.
	hear(fact.MessageAdded, two.Reply.ID, 1+3, map[*feed.Feed]string{open: "finished COMPLETED"})
	if err := elsewhere.DeleteConversation(u.ctx, u.id, id); err != nil {
		t.Fatal(err)
	}
	// The end of a reply is told where it is watched: nothing is looked up.
	here.bus.Publish(fact.Fact{Kind: fact.ReplyFinished, UserID: u.id, ConversationID: id, MessageID: two.Reply.ID})
	hear(fact.ConversationDeleted, "", 1, map[*feed.Feed]string{open: "deleted", list: "deleted"})
}
