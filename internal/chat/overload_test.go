package chat_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/ent"
	"parley/internal/chat"
	"parley/internal/refusal"
	"parley/internal/store/storetest"
	"parley/internal/upstream/upstreamtest"
)

// A process that runs as many replies as it may takes no more, until one has ended.
func TestOverloadedByReplies(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{MaxReplies: 1}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		running := b.running(t, u, nil, "half ")
		send := func() error {
			_, err := b.SendMessage(other.ctx, other.id, chat.SendInput{Content: "x", ClientKey: ptr("overload-1")})
			return err
		}
		b.unchanged(t, refusal.CodeOverloaded, send)
		refused, _ := refusal.As(send())
		if refused.RetryAfter < time.Second || refused.RetryAfter > 3*time.Second {
			t.Errorf("got retryAfter %v, want a moment", refused.RetryAfter)
		}
		if _, err := b.StopReply(u.ctx, u.id, running.Reply.ID); err != nil {
			t.Fatal(err)
		}
		b.final(t, u, running.Reply.ID)
		eventually(t, "its place", func() bool { return b.engine.Running() == 0 })
		if err := send(); err != nil {
			t.Errorf("afterwards, with the same key: %v", err)
		}
		m := b.Meters()
		refusals := m.Overload.Of("replies").Count()
		if counted := m.Sends.Of("overloaded").Count(); refusals < 2 || refusals != counted ||
			m.Sends.Of("accepted").Count() != 2 {
			t.Errorf("%d refusals, %d sends OVERLOADED and %d accepted are counted, want at least 2 twice, and 2",
				refusals, counted, m.Sends.Of("accepted").Count())
		}
	})
}

// A process that is behind with what it has to write takes no more.
func TestOverloadedByBacklog(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), chat.Config{})
	u := b.user(t)
	entered, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { // Holds the only writer.
		_ = b.store.InTx(u.ctx, func(*ent.Tx) error { close(entered); <-release; return nil })
	})
	<-entered
	all.Go(func() {
		if _, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: "waits"}); err != nil {
			t.Errorf("the one that waits: %v", err)
		}
	})
	for b.store.Backlog() == 0 {
		if t.Context().Err() != nil {
			t.Fatal("nothing waits")
		}
	}
	busy := b.service(t, chat.Config{MaxBacklog: 1}, b.store)
	_, err := busy.SendMessage(u.ctx, u.id, chat.SendInput{Content: "refused"})
	if !refusal.Is(err, refusal.CodeOverloaded) {
		t.Errorf("got %v, want OVERLOADED", err)
	}
	close(release)
	all.Wait()
	// The engine writes now and then, for which this one has no patience at all.
	eventually(t, "a send that is taken", func() bool {
		_, err := busy.SendMessage(u.ctx, u.id, chat.SendInput{Content: "taken"})
		if err != nil && !refusal.Is(err, refusal.CodeOverloaded) {
			t.Fatal(err)
		}
		return err == nil
	})
}

// A burst does not pass the limit together: those that are only about to run count.
func TestBurstAtTheLimit(t *testing.T) {
	t.Parallel()
	const most, burst = 3, 30
	each(t, chat.Config{MaxReplies: most}, func(t *testing.T, b *bundle) {
		b.upstream.Always(upstreamtest.Hang)
		before := b.counts(t)
		people := make([]person, burst)
		for i := range people {
			people[i] = b.user(t)
		}
		var taken, refused atomic.Int64
		var all sync.WaitGroup
		for _, u := range people {
			all.Go(func() {
				_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: "x"})
				switch {
				case err == nil:
					taken.Add(1)
				case refusal.Is(err, refusal.CodeOverloaded):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if taken.Load() != most || refused.Load() != burst-most || b.engine.Running() != most {
			t.Errorf("%d taken, %d refused, %d running, want %d of %d taken", taken.Load(), refused.Load(),
				b.engine.Running(), most, burst)
		}
		if n := b.counts(t)["sends"] - before["sends"]; n != most {
			t.Errorf("%d sends are stored, want %d", n, most)
		}
	})
}

// A send that comes to nothing, or only waits behind another reply, keeps no place.
func TestNoPlaceIsKept(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		running := b.running(t, u, nil, "half ")
		b.unchanged(t, refusal.CodeConversationBusy, func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &running.Conversation.ID, Content: "x"})
			return err
		})
		b.send(t, u, chat.SendInput{ConversationID: &running.Conversation.ID, Content: "x", OnBusy: chat.Queue})
		if n := b.engine.Running(); n != 1 {
			t.Errorf("%d places are taken, want that of the running reply", n)
		}
	})
}

// A send whose turn comes too late is refused, and nothing of it is written.
func TestOverloadedWhileItWaits(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), chat.Config{MaxBacklog: 10 * time.Millisecond})
	u := b.user(t)
	before := b.counts(t)
	entered, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { // Holds the only writer.
		_ = b.store.InTx(u.ctx, func(*ent.Tx) error { close(entered); <-release; return nil })
	})
	<-entered
	_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: "x"})
	extras := refused(t, err, refusal.CodeOverloaded)
	if extras["retryAfter"] == nil {
		t.Errorf("got %v, want retryAfter", extras)
	}
	close(release)
	all.Wait()
	if diff := cmp.Diff(before, b.counts(t)); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
	if n := b.engine.Running(); n != 0 {
		t.Errorf("%d places are taken, want none", n)
	}
}

// busyStore has no connection to spare.
type busyStore struct{ chat.Store }

func (busyStore) Idle() bool { return false }

// Nothing is looked up for a refusal where that would have to wait. A key that may be known is
// then told to come back, and not that a limit of its user keeps its message out.
func TestRefusalsDoNotWait(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		b.upstream.Next(upstreamtest.Hang)
		in := chat.SendInput{Content: "hello", ClientKey: ptr("key-00001")}
		b.send(t, u, in)
		busy := b.service(t, chat.Config{MaxReplies: 1}, busyStore{b.store})
		_, err := busy.SendMessage(u.ctx, u.id, in)
		refused(t, err, refusal.CodeOverloaded)
		full := b.service(t, chat.Config{BytesPerUser: 1}, busyStore{b.store})
		_, err = full.SendMessage(u.ctx, u.id, in)
		refused(t, err, refusal.CodeOverloaded)
		_, err = full.SendMessage(u.ctx, u.id, chat.SendInput{Content: "without a key"})
		refused(t, err, refusal.CodeQuotaExceeded)
	})
}
