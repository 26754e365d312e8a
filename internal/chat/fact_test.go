package chat_test

import (
	"context"
	"errors"
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// lostAnswer loses the answers to commits, as a network does.
type lostAnswer struct{ *store.Store }

func (s lostAnswer) InTx(ctx context.Context, fn func(tx *ent.Tx) error) error {
	if err := s.Store.InTx(ctx, fn); err != nil {
		return err
	}
	return errors.New("the answer is lost")
}

// Facts carry the rows that were committed, and none when nobody knows whether they were.
func TestFactsCarryRows(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		id := b.ask(t, u, nil, "one").Conversation.ID
		unsure := b.service(t, chat.Config{}, lostAnswer{b.store})
		facts := b.bus.Subscribe(fact.OfConversation(id))
		defer facts.Close()
		for _, service := range []*chat.Service{b.Service, unsure} {
			sure := service == b.Service
			in := chat.SendInput{ConversationID: &id, Content: "two", Wait: true}
			if _, err := service.SendMessage(u.ctx, u.id, in); (err == nil) != sure {
				t.Fatalf("send: %v", err)
			}
			_, err := service.UpdateConversation(u.ctx, u.id, id, chat.ConversationPatch{Name: ptr("x")})
			if (err == nil) != sure {
				t.Fatalf("update: %v", err)
			}
			eventually(t, "the reply to end", func() bool {
				rows := b.line(t, u, id)
				return rows[len(rows)-1].FinishedAt != nil
			})
			seen := 0
			for len(facts.Facts()) > 0 {
				f := <-facts.Facts()
				conversation := f.Conversation != nil && f.Conversation.ID == id && f.Conversation.UserID == u.id
				message := f.Message != nil && f.Message.ID == f.MessageID && f.Message.UserID == u.id
				var carries bool
				switch f.Kind {
				case fact.ConversationUpdated:
					if f.MessageID != "" {
						continue // By the end of a reply, whose commit is another one.
					}
					carries = conversation
				case fact.MessageAdded:
					carries = message
				default:
					continue
				}
				seen++
				if carries != sure {
					t.Errorf("a commit that is certain (%t) gave a fact of kind %d with its row: %t", sure, f.Kind, carries)
				}
			}
			if seen != 4 {
				t.Errorf("got %d facts, want two of the conversation and two of messages", seen)
			}
		}
	})
}

// A conversation's version grows though the clock goes back.
func TestVersionsGrow(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), chat.Config{})
	u := b.user(t)
	c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
	if err != nil {
		t.Fatal(err)
	}
	late := b.service(t, chat.Config{}, skewed{b.store})
	for range 3 {
		next, err := late.UpdateConversation(u.ctx, u.id, c.ID, chat.ConversationPatch{Pinned: ptr(true)})
		if err != nil {
			t.Fatal(err)
		}
		if !next.UpdatedAt.After(c.UpdatedAt) {
			t.Errorf("got version %v after %v", next.UpdatedAt, c.UpdatedAt)
		}
		c = next
	}
}

// heardBy calls back on each fact, as a listener on another processor would hear it.
type heardBy struct {
	fact.Bus
	hear func(f fact.Fact)
}

func (b heardBy) Publish(f fact.Fact) {
	b.hear(f)
	b.Bus.Publish(f)
}

// TestFoundWhenHeardOf is that whoever hears of a reply finds it in this process, without a
// look at the database.
func TestFoundWhenHeardOf(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		away, cancel := context.WithCancel(u.ctx)
		cancel() // Whoever asks the database gets an error.
		heard := 0
		service := b.serviceOn(t, chat.Config{}, b.store, heardBy{b.bus, func(f fact.Fact) {
			if f.Kind != fact.MessageAdded || f.Message.Role != message.RoleASSISTANT {
				return
			}
			heard++
			w, err := b.engine.Follow(away, u.id, f.Message)
			if err != nil {
				t.Errorf("the reply is not found in memory: %v", err)
				return
			}
			w.Close()
		}})
		if _, err := service.SendMessage(u.ctx, u.id, chat.SendInput{Content: "one", Wait: true}); err != nil {
			t.Fatal(err)
		}
		if heard != 1 {
			t.Errorf("heard of %d replies, want 1", heard)
		}
	})
}

// A deletion whose answer was lost is told all the same: feeds look whether it is true.
func TestDoubtfulDeletionIsTold(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		sent := b.ask(t, u, nil, "one")
		facts := b.bus.Subscribe(fact.OfConversation(sent.Conversation.ID))
		defer facts.Close()
		unsure := b.service(t, chat.Config{}, lostAnswer{b.store})
		if _, err := unsure.DeleteMessage(u.ctx, u.id, sent.Reply.ID); err == nil {
			t.Fatal("the deletion is certain")
		}
		told := make(map[fact.Kind]bool)
		for len(facts.Facts()) > 0 {
			f := <-facts.Facts()
			told[f.Kind] = true
			if f.Conversation != nil {
				t.Errorf("a fact of kind %d carries a row", f.Kind)
			}
		}
		if !told[fact.LineChanged] || !told[fact.ConversationUpdated] {
			t.Errorf("told are the kinds %v, want another line and the conversation", told)
		}
	})
}
