package bus_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"parley/internal/bus"
	"parley/internal/event"
	"parley/internal/pid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backlog is how many facts a listener may lag behind.
const backlog = 64

func fact(kind event.Kind, user, conversation, message string) event.Fact {
	return event.Fact{Kind: kind, UserID: pid.ID(user), ConversationID: pid.ID(conversation),
		MessageID: pid.ID(message)}
}

// take returns the facts that wait, without waiting itself.
func take(s event.Subscription) []event.Fact {
	var facts []event.Fact
	for {
		select {
		case f := <-s.Facts():
			facts = append(facts, f)
		default:
			return facts
		}
	}
}

func missed(s event.Subscription) bool {
	select {
	case <-s.Missed():
		return true
	default:
		return false
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	b := bus.NewLocal()
	s := b.Subscribe(event.OfConversation("c"))
	defer s.Close()
	for i := range backlog {
		b.Publish(fact(event.MessageAdded, "u", "c", fmt.Sprint(i)))
	}
	facts := take(s)
	if len(facts) != backlog || missed(s) {
		t.Fatalf("got %d facts, want %d and none missed", len(facts), backlog)
	}
	for i, f := range facts {
		if f != fact(event.MessageAdded, "u", "c", fmt.Sprint(i)) {
			t.Fatalf("fact %d is %+v", i, f)
		}
	}
}

// Each fact reaches its topics, every listener of them once, and nobody else.
func TestFanOut(t *testing.T) {
	t.Parallel()
	b := bus.NewLocal()
	topics := map[string]event.Topic{
		"user": event.OfUser("u"), "conversation": event.OfConversation("c"), "control": event.Control,
		"other user": event.OfUser("v"), "other conversation": event.OfConversation("d"),
		"confused": event.OfConversation("u"), // An id of the wrong kind is another topic.
	}
	subs := make(map[string][2]event.Subscription)
	for name, topic := range topics {
		subs[name] = [2]event.Subscription{b.Subscribe(topic), b.Subscribe(topic)}
	}
	if n := b.Listeners(); n != 2*len(topics) {
		t.Fatalf("%d listeners, want %d", n, 2*len(topics))
	}
	for kind, want := range map[event.Kind][]string{
		event.ConversationCreated: {"user"},
		event.ConversationUpdated: {"user", "conversation"},
		event.ConversationDeleted: {"user", "conversation", "control"},
		event.MessageAdded:        {"conversation"},
		event.ReplyStarted:        {"conversation"},
		event.ReplyFinished:       {"conversation"},
		event.StopRequested:       {"control"},
		event.AccessRevoked:       {"control"},
		event.ReplyReleased:       {"control"},
		event.Kind(0):             {},
		event.Kind(200):           {},
	} {
		f := fact(kind, "u", "c", "m")
		b.Publish(f)
		expected := make(map[string]bool)
		for _, name := range want {
			expected[name] = true
		}
		for name, pair := range subs {
			for _, s := range pair {
				got := take(s)
				if expected[name] && (len(got) != 1 || got[0] != f) || !expected[name] && len(got) > 0 {
					t.Errorf("kind %d at %s: got %+v, expected it: %t", kind, name, got, expected[name])
				}
			}
		}
	}
	for _, pair := range subs {
		pair[0].Close()
		pair[1].Close()
	}
	if n := b.Listeners(); n != 0 {
		t.Errorf("%d listeners are left", n)
	}
}

// A listener that does not listen loses facts, is told so once, and costs nobody
// else anything.
func TestSlowListener(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bus.NewLocal()
		slow, quick := b.Subscribe(event.OfUser("u")), b.Subscribe(event.OfUser("u"))
		defer slow.Close()
		defer quick.Close()
		const n = 10 * backlog
		start := time.Now()
		for i := range n {
			b.Publish(fact(event.ConversationCreated, "u", fmt.Sprint(i), "")) // Would hang the bubble if it blocked.
			if got := take(quick); len(got) != 1 {
				t.Fatalf("the quick one got %d facts, want 1", len(got))
			}
		}
		if passed := time.Since(start); passed != 0 {
			t.Errorf("publishing took %v of fake time: it has waited", passed)
		}
		if missed(quick) {
			t.Error("the quick one has missed something")
		}
		if !missed(slow) {
			t.Error("the slow one was not told")
		}
		if missed(slow) {
			t.Error("the slow one was told twice")
		}
		facts := take(slow)
		if len(facts) != backlog || facts[0].ConversationID != "0" {
			t.Errorf("the slow one holds %d facts from %+v, want the first %d", len(facts), facts[0], backlog)
		}
		// It is told again when it loses again, and takes part again.
		b.Publish(fact(event.ConversationCreated, "u", "after", ""))
		if got := take(slow); len(got) != 1 || missed(slow) {
			t.Errorf("afterwards it got %d facts, want 1 and none missed", len(got))
		}
		for range backlog + 1 {
			b.Publish(fact(event.ConversationCreated, "u", "x", ""))
		}
		if !missed(slow) {
			t.Error("the second loss was not told")
		}
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	b := bus.NewLocal()
	s, other := b.Subscribe(event.Control), b.Subscribe(event.Control)
	b.Publish(fact(event.StopRequested, "", "", "before"))
	s.Close()
	s.Close()
	b.Publish(fact(event.StopRequested, "", "", "after"))
	if got := take(s); len(got) != 1 || got[0].MessageID != "before" {
		t.Errorf("got %+v, want what came before the close", got)
	}
	if got := take(other); len(got) != 2 {
		t.Errorf("the other one got %+v, want both", got)
	}
	other.Close()
	// A second close must not take a later listener's place away.
	later := b.Subscribe(event.Control)
	s.Close()
	other.Close()
	b.Publish(fact(event.StopRequested, "", "", "later"))
	if got := take(later); len(got) != 1 {
		t.Errorf("the later one got %+v, want one", got)
	}
	later.Close()
	b.Publish(fact(event.StopRequested, "", "", "nobody"))
	if n := b.Listeners(); n != 0 {
		t.Errorf("%d listeners are left", n)
	}
}

// Every listener doubts once in each interval, and not all in the same instant.
func TestDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bus.NewLocal()
		const listeners = 100
		var subs []event.Subscription
		for i := range listeners {
			subs = append(subs, b.Subscribe([]event.Topic{event.Control, event.OfUser("u"),
				event.OfConversation("c")}[i%3]))
		}
		ctx, cancel := context.WithCancel(t.Context())
		interval := 5 * time.Second
		var hurry atomic.Bool
		go b.Doubt(ctx, func() time.Duration {
			if hurry.Load() {
				return interval / 5
			}
			return interval
		})
		count := func() int {
			synctest.Wait()
			n := 0
			for _, s := range subs {
				if missed(s) {
					n++
				}
			}
			return n
		}
		for range 3 {
			for part := range 5 {
				time.Sleep(interval / 5)
				if n := count(); n != listeners/5 {
					t.Errorf("%d of %d listeners were told in part %d of the interval, want %d", n, listeners, part,
						listeners/5)
				}
			}
		}
		for _, s := range subs[1:] {
			s.Close()
		}
		hurry.Store(true)
		time.Sleep(interval / 5 * 2) // Longer than the turn under way and a whole round.
		if !missed(subs[0]) {
			t.Error("the last listener was not told any more")
		}
		if n := count(); n != 0 {
			t.Errorf("%d closed listeners were told", n)
		}
		subs[0].Close()
		cancel()
	})
}

// Everything at once: no fact comes twice or in another order, and every fact a
// listener did not get it was told of.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	b := bus.NewLocal()
	const publishers, listeners, facts = 4, 8, 2000
	var all, publishing sync.WaitGroup
	done := make(chan struct{})
	ready := make(chan struct{}, listeners)
	for range listeners {
		all.Go(func() {
			s := b.Subscribe(event.OfUser("u"))
			defer s.Close()
			ready <- struct{}{}
			last := make(map[pid.ID]int)
			got, told := 0, false
			hear := func(f event.Fact) {
				var i int
				if _, err := fmt.Sscan(string(f.MessageID), &i); err != nil || i <= last[f.ConversationID] {
					t.Errorf("fact %s of %s after %d", f.MessageID, f.ConversationID, last[f.ConversationID])
				}
				last[f.ConversationID] = i
				got++
			}
			for {
				select {
				case f := <-s.Facts():
					hear(f)
				case <-s.Missed():
					told = true
				case <-done:
					for _, f := range take(s) {
						hear(f)
					}
					told = missed(s) || told
					if got > publishers*facts || got < publishers*facts && !told {
						t.Errorf("got %d of %d facts, told of a loss: %t", got, publishers*facts, told)
					}
					return
				}
			}
		})
	}
	for range listeners {
		<-ready
	}
	for p := range publishers {
		publishing.Go(func() {
			for i := range facts {
				b.Publish(fact(event.ConversationCreated, "u", fmt.Sprint(p), fmt.Sprint(i+1)))
			}
		})
	}
	for range 4 {
		all.Go(func() { // Others come and go meanwhile.
			for i := range 500 {
				s := b.Subscribe([]event.Topic{event.OfUser("u"), event.Control, event.OfConversation("c")}[i%3])
				take(s)
				missed(s)
				s.Close()
				if i%2 == 0 {
					s.Close()
				}
			}
		})
	}
	publishing.Wait()
	close(done)
	all.Wait()
	if n := b.Listeners(); n != 0 {
		t.Errorf("%d listeners are left", n)
	}
}
