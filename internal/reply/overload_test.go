package reply_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/replica"
	"parley/internal/fact"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// hold keeps n transactions open until the returned function is called. They are urgent, as
// others leave some connections free.
func hold(t *testing.T, s *store.Store, n int) (letGo func()) {
	t.Helper()
	var held, done sync.WaitGroup
	over := make(chan struct{})
	for range n {
		held.Add(1)
		done.Go(func() {
			err := s.InTx(s.Urgent(t.Context()), func(*ent.Tx) error {
				held.Done()
				<-over
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	held.Wait()
	letGo = sync.OnceFunc(func() { close(over); done.Wait() })
	t.Cleanup(letGo)
	return letGo
}

// leaseEnds returns when the lease of the engine ends; zero when there is none: a sweep
// removes those that are long over, and the next renewal enters it again.
func (b *bundle) leaseEnds(s *store.Store) time.Time {
	b.t.Helper()
	row, err := s.Client().Replica.Query().Where(replica.ID(b.engine.ID())).Only(viewer.AsSweep(b.t.Context()))
	if ent.IsNotFound(err) {
		return time.Time{}
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return row.LeaseExpiresAt
}

// counting is a model that says what comes over a channel, and how often it was called.
func counting(ch <-chan string) (up script, calls *atomic.Int32) {
	calls = &atomic.Int32{}
	return func(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
		calls.Add(1)
		return pieces(ch)(ctx, req, out)
	}, calls
}

// goesOn fails the test unless the reply is the one that was begun, and ends well.
func (b *bundle) goesOn(row *ent.Message, calls *atomic.Int32) {
	b.t.Helper()
	m := b.wants(row.ID, message.StatusCOMPLETED, "one two", "")
	if m.Attempt != 1 || m.Crashes != 0 || calls.Load() != 1 {
		b.t.Errorf("attempt %d after %d crashes and %d calls of the model, want one of each and no crash", m.Attempt,
			m.Crashes, calls.Load())
	}
}

// A writer that is held for much longer than the lease stops no reply of the only replica
// there can be, keeps it from taking no new one, and has none begun twice: neither one that
// goes on, nor one that ends meanwhile.
func TestLateLeaseOfTheSoleReplica(t *testing.T) {
	t.Parallel()
	const length = 200 * time.Millisecond
	s := storetest.SQLite(t)
	ch := make(chan string)
	up, calls := counting(ch)
	b := newBundle(t, s, reply.Config{SoleReplica: true, Lease: length, Checkpoint: 20 * time.Millisecond}, up)
	row := b.start("hi")
	letGo := hold(t, s, 1)
	ch <- "one "
	late := b.leaseEnds(s)
	until(t, "the lease is long over", func() bool { return time.Since(late) > 4*length })
	if ends := b.leaseEnds(s); !ends.Equal(late) {
		t.Fatalf("the lease was renewed to %v beside the writer", ends)
	}
	ch <- "two"
	close(ch)
	until(t, "the end waits for the writer", func() bool { return time.Since(late) > 8*length })
	next, err := b.engine.Prepare(t.Context(), &ent.Message{ID: "another", UserID: b.user})
	if err != nil {
		t.Errorf("Prepare gives %v, want it to take replies", err)
	}
	next.Discard()
	letGo()
	b.goesOn(row, calls)
	until(t, "the lease is renewed", func() bool { return b.leaseEnds(s).After(late.Add(8 * length)) })
}

// A replica whose connections are all taken keeps its lease, and its replies.
func TestLeaseWithAFullPool(t *testing.T) {
	t.Parallel()
	const length = 6 * time.Second // The third of it is longer than a busy machine pauses.
	cfg := storetest.PostgresConfig(t)
	cfg.MaxConns = 3
	s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	other, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	ch := make(chan string)
	up, calls := counting(ch)
	b := newBundle(t, s, reply.Config{Lease: length}, up)
	row := b.start("hi")
	ch <- "one "
	letGo := hold(t, s, cfg.MaxConns)
	first := b.leaseEnds(other)
	until(t, "the lease is renewed for longer than its length", func() bool {
		return b.leaseEnds(other).After(first.Add(length))
	})
	next, err := b.engine.Prepare(t.Context(), &ent.Message{ID: "another", UserID: b.user})
	if err != nil {
		t.Errorf("Prepare gives %v, want it to take replies", err)
	}
	next.Discard()
	letGo()
	ch <- "two"
	close(ch)
	b.goesOn(row, calls)
}

// waitingEnd is a database that is away when a reply ends, for longer than one try.
type waitingEnd struct {
	*store.Store
	tries atomic.Int32
}

func (s *waitingEnd) End(ctx context.Context, tx *ent.Tx, end reply.End) (reply.Ended, error) {
	if s.tries.Add(1) < 5 {
		return reply.Ended{}, errBroken
	}
	return s.Store.End(ctx, tx, end)
}

// The end of a reply is written when that can be done at last.
func TestEndIsTriedAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ch := make(chan string)
		up, calls := counting(ch)
		b := newBundle(t, s, reply.Config{}, say("unused"))
		b.useStore(&waitingEnd{Store: s}, reply.Config{}, up)
		row := b.start("hi")
		ch <- "one two"
		close(ch)
		b.goesOn(row, calls)
	})
}

// A queued reply starts as the row that the database has.
func TestSuccessorIsItsRow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		calls := make(chan chan string)
		up := script(func(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
			return pieces(<-calls)(ctx, req, out)
		})
		b := newBundle(t, s, reply.Config{}, up)
		b.start("hi")
		next := b.queued("two")
		facts := b.bus.Subscribe(fact.OfConversation(b.conv))
		defer facts.Close()
		said := make(chan string)
		close(said)
		calls <- said
		running := make(chan string)
		defer close(running)
		calls <- running // The second one runs until it has been looked at.
		for {
			select {
			case f := <-facts.Facts():
				if f.Kind != fact.ReplyStarted || f.MessageID != next.ID {
					continue
				}
				if diff := cmp.Diff(b.row(next.ID), f.Message, cmpopts.IgnoreUnexported(ent.Message{},
					ent.MessageEdges{})); diff != "" {
					t.Errorf("what is told differs from the row (-row +told):\n%s", diff)
				}
				return
			case <-time.After(deadline):
				t.Fatal("nobody tells that the next reply starts")
			}
		}
	})
}
