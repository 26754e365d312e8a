package chat_test

import (
	"fmt"
	"sync"
	"testing"

	"parley/ent"
	"parley/internal/chat"
	"parley/internal/refusal"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// Who has sent too much is told so without a lock or a transaction, and a known client key
// is answered all the same.
func TestStatementsOfARefusedSend(t *testing.T) {
	t.Parallel()
	cfg := chat.Config{SendsPerMinute: 1}
	each(t, cfg, func(t *testing.T, b *bundle) {
		s, counter := storetest.Count(b.store)
		counted := b.service(t, cfg, s)
		u := b.user(t)
		known := chat.SendInput{Content: "first", ClientKey: ptr("key-00001")}
		first := b.send(t, u, known)
		try := func(in chat.SendInput) func() {
			return func() {
				_, err := counted.SendMessage(u.ctx, u.id, in)
				refused(t, err, refusal.CodeRateLimited)
			}
		}
		try(chat.SendInput{Content: "the one that finds out"})()
		for _, x := range []struct {
			what       string
			do         func()
			statements int
		}{
			{"without a key", try(chat.SendInput{Content: "more"}), 0},
			{"into a conversation", try(chat.SendInput{Content: "more", ConversationID: &first.Conversation.ID}), 0},
			{"with a key", try(chat.SendInput{Content: "more", ClientKey: ptr("key-00002")}), 1},
			{"again", func() {
				again, err := counted.SendMessage(u.ctx, u.id, known)
				if err != nil {
					t.Fatal(err)
				}
				samePair(t, first, again)
			}, 3},
		} {
			if statements, commits := counter.Cost(x.do); statements != x.statements || commits != 0 {
				t.Errorf("%s: %d statements and %d commits, want %d and none", x.what, statements, commits,
					x.statements)
			}
		}
	})
}

// However much one user sends at once, the database gets little of it at a time, and
// another user is not behind the rest.
func TestOneUserHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	const many = 60
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		held, letGo := make(chan struct{}), make(chan struct{})
		var sends sync.WaitGroup
		sends.Go(func() {
			err := b.store.InTx(t.Context(), func(tx *ent.Tx) error {
				err := b.store.Lock(t.Context(), tx, string(u.id)) // On SQLite it is the writer that is held.
				close(held)
				<-letGo
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		<-held
		errs := make([]error, many)
		for i := range many {
			sends.Go(func() {
				_, errs[i] = b.SendMessage(u.ctx, u.id, chat.SendInput{Content: fmt.Sprint("message ", i)})
			})
		}
		eventually(t, "the others to wait in the process", func() bool {
			inside, waiting := b.Crowd(u.id)
			return inside == b.store.AtOnce() && waiting >= many/2
		})
		if b.store.Dialect() == "postgres" {
			b.send(t, other, chat.SendInput{Content: "not behind them"})
		}
		close(letGo)
		sends.Wait()
		for _, err := range errs {
			// On a slow machine the lock, or the turn, may come too late.
			if err != nil && !store.IsUnavailable(err) && !refusal.Is(err, refusal.CodeRateLimited) {
				t.Error(err)
			}
		}
		if inside, waiting := b.Crowd(u.id); inside+waiting > 0 {
			t.Errorf("%d are inside and %d wait, want none", inside, waiting)
		}
	})
}
