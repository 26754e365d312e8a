package reply_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// queued adds a pair whose reply waits.
func (b *bundle) queued(question string) *ent.Message {
	b.t.Helper()
	return b.ask(question, nil, func(m *ent.MessageCreate) {
		m.SetStatus(message.StatusQUEUED).SetAttempt(0).SetNillableStartedAt(nil)
	})
}

// A reply that ends while its replica shuts down hands the next one to another
// replica, which takes it up as if it were new.
func TestShutdownHandsTheQueueOn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ch := make(chan string)
		b := newBundle(t, s, reply.Config{}, pieces(ch))
		b.start("hi")
		next, last := b.queued("two"), b.queued("three")
		control := b.bus.Subscribe(fact.Control)
		defer control.Close()
		stopped := make(chan struct{})
		engine := b.engine
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), deadline)
			defer cancel()
			engine.Stop(ctx)
			close(stopped)
		}()
		until(t, "it takes no more replies", func() bool {
			run, err := engine.Prepare(t.Context(), &ent.Message{ID: pid.New(pid.Message), UserID: b.user})
			if run != nil {
				run.Discard()
			}
			return errors.Is(err, reply.ErrStopping)
		})
		ch <- "whole"
		close(ch)
		<-stopped
		m := b.row(next.ID)
		if m.Status != message.StatusSTREAMING || m.Owner != nil || m.Attempt != 0 || m.StartedAt == nil {
			t.Errorf("the next reply is %v, want it ready for any replica", m)
		}
		select {
		case f := <-control.Facts():
			if f.Kind != fact.ReplyReleased || f.MessageID != next.ID {
				t.Errorf("got %+v, want the others told", f)
			}
		default:
			t.Error("the others are not told")
		}
		b.use(reply.Config{}, say("elsewhere"))
		for _, id := range []pid.ID{next.ID, last.ID} {
			if m := b.wants(id, message.StatusCOMPLETED, "elsewhere", ""); m.Attempt != 1 || m.Crashes != 0 {
				t.Errorf("got attempt %d after %d crashes, want the first", m.Attempt, m.Crashes)
			}
		}
	})
}

// However a takeover ends the reply, the one behind it starts, once.
func TestTakeoverStartsTheQueue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var calls atomic.Int32
		up := script(func(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
			calls.Add(1)
			return reply.Result{FinishReason: reply.FinishStop}, out.Append(reply.Content, "next")
		})
		b := newBundle(t, s, reply.Config{}, up)
		stopNow(b.engine)
		row := b.ask("hi", dead(), func(m *ent.MessageCreate) { m.SetContent("so far") })
		next, last := b.queued("two"), b.queued("three")
		cfg := reply.Config{InterruptOnCrash: true}
		b.use(cfg, up)
		b.use(cfg, up) // Two that would like to.
		b.wants(row.ID, message.StatusINTERRUPTED, "so far", reply.CodeRestarted)
		b.wants(next.ID, message.StatusCOMPLETED, "next", "")
		b.wants(last.ID, message.StatusCOMPLETED, "next", "")
		if n := calls.Load(); n != 2 {
			t.Errorf("%d calls of the model, want one for each queued reply", n)
		}
	})
}

// A queued reply that nothing runs before would wait for ever; the sweep finds it.
func TestForgottenReply(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, say("at last"))
		row, last := b.queued("one"), b.queued("two")
		b.wants(row.ID, message.StatusCOMPLETED, "at last", "")
		b.wants(last.ID, message.StatusCOMPLETED, "at last", "")
	})
}

// A viewer of a queued reply sees it wait, start and end, wherever it runs.
func TestViewerOfAQueuedReply(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ch := make(chan string)
		b := newBundle(t, s, reply.Config{}, pieces(ch))
		b.start("hi")
		next := b.queued("two")
		here := b.watch(next.ID, nil)
		first := b.engine
		b.use(reply.Config{}, say("never asked"))
		there := b.watch(next.ID, nil)
		for _, w := range []*watch{here, there} {
			until(t, "the waiting reply is seen", func() bool { return len(w.seen()) == 1 })
			if u := w.seen()[0]; u.Kind != reply.Snapshot || u.State().Status != message.StatusQUEUED {
				t.Errorf("first comes %+v", u)
			}
		}
		waited := make(chan *ent.Message, 1)
		go func() {
			m, err := first.Wait(b.ctx, b.user, next.ID, deadline)
			if err != nil {
				t.Error(err)
			}
			waited <- m
		}()
		ch <- "whole"
		close(ch)
		for name, w := range map[string]*watch{"here": here, "there": there} {
			updates := w.wait(t)
			if got := rebuild(t, "", updates); got != "" {
				t.Errorf("%s: ends with %q, want an empty reply", name, got)
			}
			last := updates[len(updates)-1]
			if last.Kind != reply.Finished || last.State().Status != message.StatusCOMPLETED ||
				last.State().Attempt != 1 {
				t.Errorf("%s: last comes %+v", name, last)
			}
			if updates[1].Kind != reply.Snapshot {
				t.Errorf("%s: the start is told by %+v, want a snapshot", name, updates[1])
			}
		}
		if m := <-waited; m.Status != message.StatusCOMPLETED {
			t.Errorf("a wait for the queued reply ended with %v", m)
		}
	})
}

// brokenLease is a database that does not renew leases for a while.
type brokenLease struct {
	*store.Store
	broken atomic.Bool
}

func (s *brokenLease) KeepLease(
	ctx context.Context, replica pid.ID, address, keys string, length time.Duration,
) error {
	if s.broken.Load() {
		return errBroken
	}
	return s.Store.KeepLease(ctx, replica, address, keys, length)
}

// A replica that cannot renew its lease takes no new replies. Those that run go on until
// somebody claims them, which is when the lease is over.
func TestLeaseInDoubt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ended := make(chan error, 10)
		b := newBundle(t, s, reply.Config{Lease: 3 * time.Second}, say("the other"))
		lease := &brokenLease{Store: s}
		b.useStore(lease, reply.Config{Lease: 3 * time.Second},
			script(func(ctx context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
				_ = out.Append(reply.Content, "so far")
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return reply.Result{}, context.Cause(ctx)
			}))
		row := b.start("hi")
		w := b.watch(row.ID, nil)
		until(t, "text arrives", func() bool { return rebuild(t, "", w.seen()) == "so far" })
		lease.broken.Store(true)
		probe := &ent.Message{ID: "another", UserID: b.user}
		until(t, "it is in doubt", func() bool {
			a, err := b.engine.Prepare(t.Context(), probe)
			a.Discard()
			return errors.Is(err, reply.ErrNoLease)
		})
		select {
		case err := <-ended:
			if m := b.row(row.ID); m.Attempt == 1 {
				t.Errorf("ended with %v before anybody has claimed it: %v", err, m)
			}
		default:
		}
		if m := b.wants(row.ID, message.StatusCOMPLETED, "the other", ""); m.Attempt != 2 {
			t.Errorf("attempt %d, want that of the other replica", m.Attempt)
		}
		select {
		case <-ended:
		case <-time.After(deadline):
			t.Fatal("the first owner goes on without a lease")
		}
		lease.broken.Store(false)
		until(t, "it takes replies again", func() bool {
			a, err := b.engine.Prepare(t.Context(), probe)
			a.Discard()
			return err == nil
		})
	})
}

// A send whose commit failed may be there all the same. It starts then, and is not
// taken for a crash.
func TestUncertainCommit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{InterruptOnCrash: true}, say("there"))
		owner := b.engine.ID()
		row := b.ask("hi", &owner)
		run, err := b.engine.Prepare(t.Context(), row)
		if err != nil {
			t.Fatal(err)
		}
		run.Discard()
		if m := b.wants(row.ID, message.StatusCOMPLETED, "there", ""); m.Crashes != 0 || m.Attempt != 1 {
			t.Errorf("attempt %d after %d crashes, want the one that never ran", m.Attempt, m.Crashes)
		}
	})
}
