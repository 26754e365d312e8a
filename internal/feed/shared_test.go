package feed_test

import (
	"context"
	"sync"
	"testing"

	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/feed"
	"parley/internal/store/storetest"
)

// However many feeds of a user hear a fact at once, its row is read once.
func TestManyFeedsReadOnce(t *testing.T) {
	t.Parallel()
	s, c := storetest.Count(storetest.Postgres(t))
	here, elsewhere := setup(t, s, chat.Config{}), setup(t, s, chat.Config{}) // Without a bus between them.
	u := here.user(t)
	id := here.ask(t, u, nil, "one").Conversation.ID
	var feeds []*feed.Feed
	for range 50 {
		list := here.feeds.List(u.id)
		t.Cleanup(list.Close)
		feeds = append(feeds, here.conversationFeed(t, u, id), list)
	}
	for _, f := range feeds {
		until(t, u, f, "opened")
	}
	ctx := deadline(t, u.ctx)
	for range 5 {
		elsewhere.rename(t, u, id, "new")
		got := cost(c, func() {
			here.bus.Publish(fact.Fact{Kind: fact.ConversationUpdated, UserID: u.id, ConversationID: id})
			var all sync.WaitGroup
			for _, f := range feeds {
				all.Go(func() {
					for kind := feed.Kind(0); kind != feed.ConversationUpdated; {
						e, err := f.Next(ctx)
						if err != nil {
							t.Error(err)
							return
						}
						kind = e.Kind
					}
				})
			}
			all.Wait()
		})
		if got != 1 {
			t.Errorf("%d feeds take %d statements for one fact", len(feeds), got)
		}
	}
}

// A reader that goes away, or whose read fails, takes nobody with it.
func TestSharedReadsDoNotShareFailures(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	here, elsewhere := setup(t, s, chat.Config{}), setup(t, s, chat.Config{})
	u := here.user(t)
	id := here.ask(t, u, nil, "one").Conversation.ID
	gone, stays := here.conversationFeed(t, u, id), here.conversationFeed(t, u, id)
	until(t, u, gone, "opened")
	until(t, u, stays, "opened")
	elsewhere.rename(t, u, id, "new")
	here.bus.Publish(fact.Fact{Kind: fact.ConversationUpdated, UserID: u.id, ConversationID: id})
	ended, cancel := context.WithCancel(u.ctx)
	cancel()
	if _, err := gone.Next(ended); err == nil {
		t.Error("a reader that has gone gets an event")
	}
	until(t, u, stays, "updated")
}
