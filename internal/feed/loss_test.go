package feed_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"parley/ent"
	"parley/internal/bus"
	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/feed"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// flood publishes more facts than a listener may lag behind. What comes after them is
// lost to feeds that are not read meanwhile.
func (b *bundle) flood(u person, conversation pid.ID) {
	for range 500 {
		b.bus.Publish(fact.Fact{Kind: fact.ConversationUpdated, UserID: u.id, ConversationID: conversation})
	}
}

// Whatever was lost, a feed notices and begins anew; where nothing was, it does not.
func TestMissedFacts(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		r := b.ask(t, u, nil, "one")
		id := r.Conversation.ID
		extra := b.ask(t, u, nil, "to be deleted")
		for what, lose := range map[string]func(){
			"a message": func() { b.ask(t, u, &id, "two") },
			"a conversation": func() {
				if _, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{}); err != nil {
					t.Error(err)
				}
			},
			"a deletion": func() {
				if err := b.DeleteConversation(u.ctx, u.id, extra.Conversation.ID); err != nil {
					t.Error(err)
				}
			},
			"nothing": func() {},
		} {
			sidebar, open := b.feeds.List(u.id), b.conversationFeed(t, u, id)
			next(t, u, sidebar)
			next(t, u, open)
			b.flood(u, id)
			lose()
			opens := map[string]*feed.Feed{"viewer": sidebar}
			switch what {
			case "a message": // The list learns of it by the updates that were not lost.
				opens = map[string]*feed.Feed{"conversation": open}
			case "nothing":
				opens = nil
			}
			for name, f := range opens {
				var got []string
				for len(got) == 0 || got[len(got)-1] != "opened" {
					got = append(got, describe(next(t, u, f)))
					if len(got) > 500 {
						t.Fatalf("%s: got no new opening after %s was lost", name, what)
					}
				}
			}
			// And both go on from there, without what was lost and without a new opening.
			if _, err := b.UpdateConversation(u.ctx, u.id, id,
				chat.ConversationPatch{Name: ptr("after " + what)}); err != nil {
				t.Fatal(err)
			}
			for name, f := range map[string]*feed.Feed{"viewer": sidebar, "conversation": open} {
				for {
					e := next(t, u, f)
					if describe(e) != "updated" {
						t.Fatalf("%s: got %s after %s was lost and noticed", name, describe(e), what)
					}
					if e.Conversation.Name == "after "+what {
						break
					}
				}
			}
			sidebar.Close()
			open.Close()
		}
	})
}

// What was made and deleted unheard is in no window. The client may have seen it meanwhile,
// by a query of its own, and is told to look again.
func TestMissedLife(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		id := b.ask(t, u, nil, "one").Conversation.ID
		cfg := chat.Config{WaitLimit: time.Second, MaxRunning: 1, MaxReplies: 1, MaxBacklog: time.Hour,
			MaxMessageBytes: 1 << 10, MaxSystemBytes: 1 << 10, MaxPromptBytes: 1 << 20}
		unheard, err := chat.New(cfg, b.store, b.engine, b.catalog, bus.NewLocal(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		live := func(s *chat.Service) {
			c, err := s.CreateConversation(u.ctx, u.id, chat.NewConversation{})
			if err == nil {
				err = s.DeleteConversation(u.ctx, u.id, c.ID)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		live(unheard) // Before anybody listens.
		sidebar := b.feeds.List(u.id)
		t.Cleanup(sidebar.Close)
		next(t, u, sidebar)
		live(b.Service)
		until(t, u, sidebar, "deleted")
		live(unheard)
		b.flood(u, id)
		until(t, u, sidebar, "opened")
	})
}

// Facts that come in another order are told as they come; a gap that stays makes the
// feed begin anew, though it knows the latest message.
func TestFactsOutOfOrder(t *testing.T) {
	t.Parallel()
	s := storetest.Postgres(t)
	here, elsewhere := setup(t, s, chat.Config{}), setup(t, s, chat.Config{}) // Without a bus between them.
	u := here.user(t)
	id := here.ask(t, u, nil, "one").Conversation.ID
	f := here.conversationFeed(t, u, id)
	next(t, u, f)
	added := func(m *ent.Message) {
		here.bus.Publish(fact.Fact{Kind: fact.MessageAdded, UserID: u.id, ConversationID: id, MessageID: m.ID})
	}
	two := elsewhere.ask(t, u, &id, "two")
	here.bus.Publish(fact.Fact{Kind: fact.ReplyStarted, UserID: u.id, ConversationID: id, MessageID: two.Reply.ID})
	here.bus.Publish(fact.Fact{Kind: fact.ConversationUpdated, UserID: u.id, ConversationID: id})
	added(two.UserMessage)
	added(two.Reply) // A second time.
	added(two.UserMessage)
	list, _ := until(t, u, f, "added USER")
	if !slices.Contains(list, "added ASSISTANT") || !slices.Contains(list, "updated") ||
		slices.Contains(list, "opened") {
		t.Errorf("got %q, want each told as it comes", list)
	}
	elsewhere.ask(t, u, &id, "lost")
	four := elsewhere.ask(t, u, &id, "four")
	added(four.UserMessage)
	added(four.Reply)
	here.bus.Publish(fact.Fact{Kind: fact.ConversationUpdated, UserID: u.id, ConversationID: id})
	list, _ = until(t, u, f, "opened")
	for _, e := range []string{"added ASSISTANT", "added USER"} { // Of the last pair, and none of the one before again.
		if n := len(slices.DeleteFunc(slices.Clone(list), func(x string) bool { return x != e })); n != 1 {
			t.Errorf("got %q, want one %q", list, e)
		}
	}
}

// A running reply goes on where it was when a feed begins anew.
func TestMissedFactsInMidReply(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		live := b.running(t, u, nil, "half ")
		id := live.Conversation.ID
		open := b.conversationFeed(t, u, id)
		until(t, u, open, "snapshot")
		b.flood(u, id)
		b.send(t, u, chat.SendInput{ConversationID: &id, Content: "next", OnBusy: chat.Queue})
		list, _ := until(t, u, open, "opened")
		if slices.Contains(list, "snapshot") {
			t.Errorf("got %q, want the running reply to go on where it was", list)
		}
		if _, err := b.StopReply(u.ctx, u.id, live.Reply.ID); err != nil {
			t.Fatal(err)
		}
		until(t, u, open, "finished STOPPED")
		until(t, u, open, "finished COMPLETED") // Of the queued one, which was lost.
	})
}

// lostAnswer loses the answers to commits, as a network does.
type lostAnswer struct {
	*store.Store
	lose atomic.Bool
}

func (s *lostAnswer) InTx(ctx context.Context, fn func(tx *ent.Tx) error) error {
	err := s.Store.InTx(ctx, fn)
	if err == nil && s.lose.Load() {
		return errors.New("the answer is lost")
	}
	return err
}

// What was stored though nobody knows is told all the same.
func TestFeedsAfterALostAnswer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := setup(t, s, chat.Config{})
		u := b.user(t)
		id := b.ask(t, u, nil, "one").Conversation.ID
		lossy := &lostAnswer{Store: s}
		service := b.service(t, chat.Config{}, lossy)
		f, sidebar := b.conversationFeed(t, u, id), b.feeds.List(u.id)
		t.Cleanup(sidebar.Close)
		next(t, u, f)
		next(t, u, sidebar)
		lossy.lose.Store(true)
		in := chat.SendInput{ConversationID: &id, Content: "two", ClientKey: ptr("key-of-two")}
		if _, err := service.SendMessage(u.ctx, u.id, in); err == nil {
			t.Fatal("the send was answered")
		}
		list, text := until(t, u, f, "finished COMPLETED")
		if !slices.Contains(list, "added USER") || !slices.Contains(list, "added ASSISTANT") ||
			text != "You said: two" {
			t.Errorf("got %q with %q", list, text)
		}
		if err := service.DeleteConversation(u.ctx, u.id, id); err == nil {
			t.Fatal("the deletion was answered")
		}
		until(t, u, f, "deleted")
		until(t, u, sidebar, "deleted")
		lossy.lose.Store(false)
		if _, err := service.SendMessage(u.ctx, u.id, in); err == nil {
			t.Error("a repeat after the deletion makes it anew")
		} else if !refusal.Is(err, refusal.CodeNotFound) {
			t.Errorf("got %v, want NOT_FOUND", err)
		}
	})
}

// A deletion that never was is not told.
func TestFeedsLookBeforeTheyTell(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		id := b.ask(t, u, nil, "one").Conversation.ID
		f, sidebar := b.conversationFeed(t, u, id), b.feeds.List(u.id)
		t.Cleanup(sidebar.Close)
		next(t, u, f)
		next(t, u, sidebar)
		b.bus.Publish(fact.Fact{Kind: fact.ConversationDeleted, UserID: u.id, ConversationID: id})
		b.rename(t, u, id, "new")
		for name, f := range map[string]*feed.Feed{"conversation": f, "list": sidebar} {
			if e := next(t, u, f); describe(e) != "updated" {
				t.Errorf("%s: got %s", name, describe(e))
			}
		}
	})
}
