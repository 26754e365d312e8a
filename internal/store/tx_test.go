package store_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/waittest"
)

func TestInTx(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		rename := func(tx *ent.Tx, name string) error {
			return tx.User.UpdateOneID(u.id).SetName(name).Exec(u.ctx)
		}
		wantName := func(want string) {
			t.Helper()
			if got := s.Client().User.GetX(u.ctx, u.id).Name; got != want {
				t.Errorf("got name %q, want %q", got, want)
			}
		}
		if err := s.InTx(u.ctx, func(tx *ent.Tx) error { return rename(tx, "committed") }); err != nil {
			t.Fatal(err)
		}
		wantName("committed")

		failure := errors.New("failure")
		err := s.InTx(u.ctx, func(tx *ent.Tx) error {
			if err := rename(tx, "failed"); err != nil {
				t.Error(err)
			}
			return fmt.Errorf("wrapped: %w", failure)
		})
		if !errors.Is(err, failure) {
			t.Errorf("got error %v, want the one of fn", err)
		}
		wantName("committed")

		func() {
			defer func() {
				if got := recover(); got != "boom" {
					t.Errorf("got panic %v, want boom to go on upwards", got)
				}
			}()
			_ = s.InTx(u.ctx, func(tx *ent.Tx) error {
				if err := rename(tx, "panicked"); err != nil {
					t.Error(err)
				}
				panic("boom")
			})
		}()
		wantName("committed")

		ctx, cancel := context.WithCancel(u.ctx)
		err = s.InTx(ctx, func(tx *ent.Tx) error {
			if err := rename(tx, "cancelled"); err != nil {
				t.Error(err)
			}
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("commit after the end of the context: got %v, want context.Canceled", err)
		}
		wantName("committed")
		if err := s.InTx(ctx, func(*ent.Tx) error { t.Error("fn ran without a context"); return nil }); !errors.Is(err,
			context.Canceled) {
			t.Errorf("begin after the end of the context: got %v, want context.Canceled", err)
		}
		// Nothing of all this holds the only writer.
		if err := s.InTx(u.ctx, func(tx *ent.Tx) error { return rename(tx, "last") }); err != nil {
			t.Fatal(err)
		}
		wantName("last")
	})
}

func TestEntitiesOfATransactionUnwrap(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		var c *ent.Conversation
		err := s.InTx(u.ctx, func(tx *ent.Tx) error {
			var err error
			c, err = tx.Conversation.Create().SetUserID(u.id).SetHeadID("x").Save(u.ctx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if owner, err := c.Unwrap().QueryUser().Only(u.ctx); err != nil || owner.ID != u.id {
			t.Errorf("got owner %v, %v, want a query after the commit to work", owner, err)
		}
	})
}

// Readers and writers at once: nobody is told that the database is busy.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		l := makeLine(t, s, u)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				// Reads first and writes then, which is what fails without BEGIN IMMEDIATE.
				err := s.InTx(u.ctx, func(tx *ent.Tx) error {
					if _, err := tx.Message.Query().Count(u.ctx); err != nil {
						return err
					}
					return tx.Message.Create().SetConversationID(l.id).SetUserID(u.id).SetIndex(i).
						SetRole(message.RoleUSER).Exec(u.ctx)
				})
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
				}
				if _, err := s.Client().Message.Query().Count(u.ctx); err != nil {
					t.Errorf("reader %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if n := l.count(u.ctx); n != 50 {
			t.Errorf("got %d messages, want 50", n)
		}
	})
}

// A reader sees what was committed before it began, beside an open writer.
func TestReadersDoNotWait(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		err := s.InTx(u.ctx, func(tx *ent.Tx) error {
			if err := tx.User.UpdateOneID(u.id).SetName("new").Exec(u.ctx); err != nil {
				return err
			}
			got, err := s.Client().User.Get(deadline(t, u.ctx), u.id)
			if err == nil && got.Name != "" {
				t.Errorf("got name %q of an open transaction, want the old one", got.Name)
			}
			return err
		})
		if err != nil {
			t.Errorf("read beside a writer: %v", err)
		}
		if got := s.Client().User.GetX(u.ctx, u.id).Name; got != "new" {
			t.Errorf("got name %q after the commit, want new", got)
		}
	})
}

func TestLockSerialises(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		c := makeLine(t, s, u)
		const writers, rounds = 8, 10
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range rounds {
					err := s.InTx(u.ctx, func(tx *ent.Tx) error {
						if err := s.Lock(u.ctx, tx, "counter ä\x01"); err != nil {
							return err
						}
						row := tx.Conversation.Query().Where(conversation.ID(c.id)).OnlyX(u.ctx)
						n, _ := strconv.Atoi(row.Name) // Empty at first, which is 0.
						return tx.Conversation.UpdateOne(row).SetName(fmt.Sprint(n + 1)).Exec(u.ctx)
					})
					if err != nil {
						t.Errorf("read, change and write: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if got, want := s.Client().Conversation.GetX(u.ctx, c.id).Name, fmt.Sprint(writers*rounds); got != want {
			t.Errorf("got a counter of %s, want %s", got, want)
		}
	})
}

func TestLockIsPerKeyAndEndsWithTheTransaction(t *testing.T) {
	t.Parallel()
	s := storetest.Postgres(t) // On SQLite the only writer is the lock.
	u := makeUser(t, s, "a@example.com")
	err := s.InTx(u.ctx, func(tx *ent.Tx) error {
		if err := s.Lock(u.ctx, tx, "one"); err != nil {
			return err
		}
		if err := s.Lock(u.ctx, tx, "one"); err != nil {
			return fmt.Errorf("the same lock twice: %w", err)
		}
		err := s.InTx(u.ctx, func(other *ent.Tx) error { return s.Lock(u.ctx, other, "two") })
		if err != nil {
			return fmt.Errorf("another key: %w", err)
		}
		began := time.Now()
		err = s.InTx(u.ctx, func(other *ent.Tx) error { return s.Lock(u.ctx, other, "one") })
		if err == nil || time.Since(began) > waittest.Limit {
			t.Errorf("got %v after %v for a held lock, want an error after the lock's time-out", err, time.Since(began))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	err = s.InTx(u.ctx, func(tx *ent.Tx) error { return s.Lock(u.ctx, tx, "one") })
	if err != nil {
		t.Errorf("after the end of its transaction: %v, want the lock to be free", err)
	}
}

func TestClocks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		check := func(name string, now func() (time.Time, error)) {
			t.Helper()
			var last time.Time
			for range 20 {
				got, err := now()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got.Location() != time.UTC || !got.Equal(got.Truncate(time.Microsecond)) {
					t.Errorf("%s: got %v, want UTC in microseconds", name, got)
				}
				if got.Before(last) {
					t.Errorf("%s: got %v after %v, want it not to go back", name, got, last)
				}
				if d := time.Since(got).Abs(); d > time.Minute {
					t.Errorf("%s: got %v, %v away from this machine's clock", name, got, d)
				}
				last = got
			}
		}
		check("Now", func() (time.Time, error) { return s.Now(t.Context()) })
		err := s.InTx(u.ctx, func(tx *ent.Tx) error {
			var first time.Time
			check("NowTx", func() (time.Time, error) {
				now, err := s.NowTx(u.ctx, tx)
				if first.IsZero() {
					first = now
				}
				return now, err
			})
			if now, err := s.NowTx(u.ctx, tx); err != nil || !now.After(first) {
				t.Errorf("got %v, %v within a transaction, want the clock to go on after %v", now, err, first)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A transaction that needs a second connection for the clock stands still as soon
// as there are as many of them as connections.
func TestNowTxNeedsNoConnection(t *testing.T) {
	t.Parallel()
	cfg := storetest.PostgresConfig(t)
	cfg.MaxConns = 1
	s := openStore(t, cfg)
	u := makeUser(t, s, "a@example.com")
	ctx := deadline(t, u.ctx)
	err := s.InTx(ctx, func(tx *ent.Tx) error {
		_, err := s.NowTx(ctx, tx)
		return err
	})
	if err != nil {
		t.Errorf("clock of a transaction on the only connection: %v", err)
	}
}
