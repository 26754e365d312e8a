package reply_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/bus"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/reply/replytest"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// A second Start is refused, and the replies of the first go on.
func TestStartTwice(t *testing.T) {
	t.Parallel()
	ch := make(chan string)
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, pieces(ch))
	row := b.start("hi")
	ch <- "before "
	if err := b.engine.Start(t.Context()); !errors.Is(err, reply.ErrStarted) {
		t.Fatalf("the second Start: %v, want ErrStarted", err)
	}
	ch <- "after"
	close(ch)
	b.wants(row.ID, message.StatusCOMPLETED, "before after", "")
	if n := b.leases(); n != 1 {
		t.Errorf("%d leases, want one", n)
	}
	stopNow(b.engine)
	if n := b.leases(); n != 0 {
		t.Errorf("%d leases are left after Stop", n)
	}
	if err := b.engine.Start(t.Context()); !errors.Is(err, reply.ErrStarted) {
		t.Errorf("Start after Stop: %v, want ErrStarted", err)
	}
	if n := b.leases(); n != 0 {
		t.Errorf("Start after Stop has taken %d leases", n)
	}
}

func (b *bundle) leases() int {
	b.t.Helper()
	return b.store.Client().Replica.Query().CountX(viewer.AsSweep(b.t.Context()))
}

// An engine that is stopped first is never started, and takes no replies at any time.
func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, silent)
	stopNow(b.engine)
	e := reply.New(replytest.Config(reply.Config{}), b.store, silent, bus.NewLocal(), nil,
		slog.New(slog.DiscardHandler))
	row := &ent.Message{ID: pid.New(pid.Message), UserID: b.user}
	if _, err := e.Prepare(t.Context(), row); !errors.Is(err, reply.ErrStopping) {
		t.Errorf("Prepare before Start: %v, want ErrStopping", err)
	}
	stopNow(e)
	stopNow(e)
	if err := e.Start(t.Context()); !errors.Is(err, reply.ErrStarted) {
		t.Errorf("Start after Stop: %v, want ErrStarted", err)
	}
	if _, err := e.Prepare(t.Context(), row); !errors.Is(err, reply.ErrStopping) {
		t.Errorf("Prepare: %v, want ErrStopping", err)
	}
}

// Start that failed leaves nothing behind and may be tried again.
func TestStartAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, say("at last"))
	stopNow(b.engine)
	b.engine = reply.New(replytest.Config(reply.Config{}), b.store, say("at last"), b.bus, nil,
		slog.New(slog.DiscardHandler))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.engine.Start(gone); err == nil || errors.Is(err, reply.ErrStarted) {
		t.Fatalf("Start without a database: %v, want its error", err)
	}
	if err := b.engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer stopNow(b.engine)
	b.wants(b.start("hi").ID, message.StatusCOMPLETED, "at last", "")
}

// Every call of Stop returns when all has ended, and one without patience hurries the
// others.
func TestStopAtTheSameTime(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, hang("so far"))
	row := b.start("hi")
	w := b.watch(row.ID, nil)
	until(t, "text arrives", func() bool { return rebuild(t, "", w.seen()) == "so far" })
	var stopping sync.WaitGroup
	for range 3 {
		stopping.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			b.engine.Stop(ctx)
			if n := b.leases(); n != 0 {
				t.Errorf("Stop returns with %d leases left", n)
			}
		})
	}
	stopNow(b.engine)
	stopping.Wait()
	if m := b.row(row.ID); m.Owner != nil || m.Content != "so far" {
		t.Errorf("released as %+v", m)
	}
}
