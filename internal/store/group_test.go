package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"parley/ent"
	"parley/ent/user"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// Transactions that wait at the same time stand and fall by themselves: an error, a panic
// and the end of a context undo one of them and nothing of the others.
func TestTransactionsAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := viewer.AsAdmin(t.Context())
		make1 := func(ctx context.Context, tx *ent.Tx, i int) error {
			return tx.User.Create().SetEmail(fmt.Sprintf("%d@example.com", i)).Exec(ctx)
		}
		failure := errors.New("failure")
		entered, release := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() { // Holds SQLite's writer until the others wait.
			err := s.InTx(ctx, func(tx *ent.Tx) error {
				close(entered)
				<-release
				return make1(ctx, tx, 0)
			})
			if err != nil {
				t.Errorf("the first: %v", err)
			}
		})
		<-entered
		const n = 40
		var started sync.WaitGroup
		for i := 1; i <= n; i++ {
			started.Add(1)
			all.Go(func() {
				started.Done()
				switch i % 4 {
				case 0:
					err := s.InTx(ctx, func(tx *ent.Tx) error {
						return errors.Join(make1(ctx, tx, i), failure)
					})
					if !errors.Is(err, failure) {
						t.Errorf("%d: got %v, want its own failure", i, err)
					}
				case 1:
					defer func() {
						if p := recover(); p != fmt.Sprint("boom ", i) {
							t.Errorf("%d: got the panic %v, want its own", i, p)
						}
					}()
					_ = s.InTx(ctx, func(tx *ent.Tx) error {
						if err := make1(ctx, tx, i); err != nil {
							t.Errorf("%d: %v", i, err)
						}
						panic(fmt.Sprint("boom ", i))
					})
				case 2:
					own, cancel := context.WithCancel(ctx)
					err := s.InTx(own, func(tx *ent.Tx) error {
						err := make1(own, tx, i)
						cancel()
						return err
					})
					if !errors.Is(err, context.Canceled) {
						t.Errorf("%d: got %v, want context.Canceled", i, err)
					}
				default:
					if err := s.InTx(ctx, func(tx *ent.Tx) error { return make1(ctx, tx, i) }); err != nil {
						t.Errorf("%d: %v", i, err)
					}
				}
			})
		}
		started.Wait()
		close(release)
		all.Wait()
		emails := s.Client().User.Query().Order(user.ByID()).Select(user.FieldEmail).StringsX(ctx)
		if len(emails) != 1+n/4 {
			t.Errorf("got %d users, %q, want the %d whose transactions went well", len(emails), emails, 1+n/4)
		}
		// A constraint that is broken is one transaction's own trouble.
		if err := s.InTx(ctx, func(tx *ent.Tx) error { return make1(ctx, tx, 0) }); !ent.IsConstraintError(err) {
			t.Errorf("got %v, want a broken constraint", err)
		}
		if err := s.InTx(ctx, func(tx *ent.Tx) error { return make1(ctx, tx, n+1) }); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// Transactions that wait for SQLite's writer share a commit.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	ctx := viewer.AsAdmin(t.Context())
	entered, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_ = s.InTx(ctx, func(*ent.Tx) error { close(entered); <-release; return nil })
	})
	<-entered
	const n = 20
	made := 0 // Used by one transaction after the other.
	for i := range n {
		all.Go(func() {
			err := s.InTx(ctx, func(tx *ent.Tx) error {
				if made++; made == n {
					inside, outside := tx.User.Query().CountX(ctx), s.Client().User.Query().CountX(ctx)
					if inside != n-1 || outside != 0 {
						t.Errorf("the last sees %d users, others %d, want %d and no commit before", inside, outside,
							n-1)
					}
				}
				return tx.User.Create().SetEmail(fmt.Sprintf("%d@example.com", i)).Exec(ctx)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	s.AwaitWaiting(t.Context(), n)
	close(release)
	all.Wait()
	if got := s.Client().User.Query().CountX(ctx); got != n {
		t.Errorf("got %d users, want %d", got, n)
	}
}

// What is urgent goes before what waits longer.
func TestUrgentWritesGoFirst(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	ctx := viewer.AsAdmin(t.Context())
	entered, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_ = s.InTx(ctx, func(*ent.Tx) error { close(entered); <-release; return nil })
	})
	<-entered
	var order []string
	note := func(ctx context.Context, name string, waiting int) {
		all.Go(func() {
			if err := s.InTx(ctx, func(*ent.Tx) error { order = append(order, name); return nil }); err != nil {
				t.Error(err)
			}
		})
		s.AwaitWaiting(t.Context(), waiting)
	}
	note(ctx, "send", 1)
	note(s.Urgent(ctx), "end", 2)
	if s.Backlog() <= 0 {
		t.Error("nothing waits, want the send")
	}
	close(release)
	all.Wait()
	if len(order) != 2 || order[0] != "end" {
		t.Errorf("got the order %q, want the end first", order)
	}
	if s.Backlog() != 0 {
		t.Error("something waits still")
	}
}

// When whoever runs a group does not come to its end, nobody in it is told that its own is
// stored, and the writer is free again.
func TestGroupBreaksOff(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	ctx := viewer.AsAdmin(t.Context())
	entered, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_ = s.InTx(ctx, func(*ent.Tx) error { close(entered); <-release; return nil })
	})
	<-entered
	all.Go(func() {
		_ = s.InTx(ctx, func(*ent.Tx) error { runtime.Goexit(); return nil })
	})
	s.AwaitWaiting(t.Context(), 1)
	all.Go(func() {
		err := s.InTx(ctx, func(tx *ent.Tx) error { return tx.User.Create().SetEmail("a@example.com").Exec(ctx) })
		if err == nil {
			t.Error("a transaction in a group that broke off went well, want an error")
		}
	})
	s.AwaitWaiting(t.Context(), 2)
	close(release)
	all.Wait()
	if n := s.Client().User.Query().CountX(ctx); n != 0 {
		t.Errorf("got %d users, want none", n)
	}
	err := s.InTx(ctx, func(tx *ent.Tx) error { return tx.User.Create().SetEmail("a@example.com").Exec(ctx) })
	if err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A commit that SQLite refuses leaves its transaction open: it is ended, and the connection
// goes on.
func TestCommitThatFails(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	ctx := viewer.AsAdmin(t.Context())
	err := s.InTx(ctx, func(tx *ent.Tx) error {
		_, err := tx.ExecContext(ctx, "PRAGMA defer_foreign_keys = ON")
		if err == nil {
			_, err = tx.ExecContext(ctx, `INSERT INTO sends
  (id, user_id, payload_hash, conversation_id, user_message_id, reply_id, created_at)
  VALUES ('snd_1', 'usr_nobody', '', 'conv_none', 'msg_none', 'msg_none', 0)`)
		}
		if err != nil {
			t.Errorf("before the commit: %v", err)
		}
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
		t.Fatalf("got %v, want a constraint that the commit found", err)
	}
	if err := s.InTx(ctx, func(tx *ent.Tx) error {
		return tx.User.Create().SetEmail("a@example.com").Exec(ctx)
	}); err != nil {
		t.Errorf("the next one: %v", err)
	}
	if n := s.Client().User.Query().CountX(ctx); n != 1 {
		t.Errorf("got %d users, want 1", n)
	}
}
