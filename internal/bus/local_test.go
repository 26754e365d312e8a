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
	"parley/internal/fact"
	"parley/internal/pid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backlog is how many facts a listener may lag behind.
const backlog = 32

func factOf(kind fact.Kind, user, conversation, message string) fact.Fact {
	return fact.Fact{Kind: kind, UserID: pid.ID(user), ConversationID: pid.ID(conversation),
		MessageID: pid.ID(message)}
}

// take returns the facts that wait, without waiting itself.
func take(s fact.Subscription) []fact.Fact {
	var facts []fact.Fact
	for {
		select {
		case f := <-s.Facts():
			facts = append(facts, *f)
		default:
			return facts
		}
	}
}

func missed(s fact.Subscription) bool {
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
	s := b.Subscribe(fact.OfConversation("c"))
	defer s.Close()
	for i := range backlog {
		b.Publish(factOf(fact.MessageAdded, "u", "c", fmt.Sprint(i)))
	}
	facts := take(s)
	if len(facts) != backlog || missed(s) {
		t.Fatalf("got %d facts, want %d and none missed", len(facts), backlog)
	}
	for i, f := range facts {
		if f != factOf(fact.MessageAdded, "u", "c", fmt.Sprint(i)) {
			t.Fatalf("fact %d is %+v", i, f)
		}
	}
}

// Each fact reaches its topics, every listener of them once, and nobody else.
func TestFanOut(t *testing.T) {
	t.Parallel()
	b := bus.NewLocal()
	topics := map[string]fact.Topic{
		"user": fact.OfUser("u"), "conversation": fact.OfConversation("c"), "control": fact.Control,
		"other user": fact.OfUser("v"), "other conversation": fact.OfConversation("d"),
		"confused": fact.OfConversation("u"), // An id of the wrong kind is another topic.
	}
	subs := make(map[string][2]fact.Subscription)
	for name, topic := range topics {
		subs[name] = [2]fact.Subscription{b.Subscribe(topic), b.Subscribe(topic)}
	}
	if n := b.Listeners(); n != 2*len(topics) {
		t.Fatalf("%d listeners, want %d", n, 2*len(topics))
	}
	for kind, want := range map[fact.Kind][]string{
		fact.ConversationCreated: {"user"},
		fact.ConversationUpdated: {"user", "conversation"},
		fact.ConversationDeleted: {"user", "conversation", "control"},
		fact.MessageAdded:        {"conversation"},
		fact.ReplyStarted:        {"conversation"},
		fact.ReplyFinished:       {"conversation"},
		fact.StopRequested:       {"control"},
		fact.AccessRevoked:       {"control"},
		fact.ReplyReleased:       {"control"},
		fact.Kind(0):             {},
		fact.Kind(200):           {},
	} {
		f := factOf(kind, "u", "c", "m")
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
		slow, quick := b.Subscribe(fact.OfUser("u")), b.Subscribe(fact.OfUser("u"))
		defer slow.Close()
		defer quick.Close()
		const n = 10 * backlog
		start := time.Now()
		for i := range n {
			b.Publish(factOf(fact.ConversationCreated, "u", fmt.Sprint(i), "")) // Would hang the bubble if it blocked.
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
		b.Publish(factOf(fact.ConversationCreated, "u", "after", ""))
		if got := take(slow); len(got) != 1 || missed(slow) {
			t.Errorf("afterwards it got %d facts, want 1 and none missed", len(got))
		}
		for range backlog + 1 {
			b.Publish(factOf(fact.ConversationCreated, "u", "x", ""))
		}
		if !missed(slow) {
			t.Error("the second loss was not told")
		}
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	b := bus.NewLocal()
	s, other := b.Subscribe(fact.Control), b.Subscribe(fact.Control)
	b.Publish(factOf(fact.StopRequested, "", "", "before"))
	s.Close()
	s.Close()
	b.Publish(factOf(fact.StopRequested, "", "", "after"))
	if got := take(s); len(got) != 1 || got[0].MessageID != "before" {
		t.Errorf("got %+v, want what came before the close", got)
	}
	if got := take(other); len(got) != 2 {
		t.Errorf("the other one got %+v, want both", got)
	}
	other.Close()
	// A second close must not take a later listener's place away.
	later := b.Subscribe(fact.Control)
	s.Close()
	other.Close()
	b.Publish(factOf(fact.StopRequested, "", "", "later"))
	if got := take(later); len(got) != 1 {
		t.Errorf("the later one got %+v, want one", got)
	}
	later.Close()
	b.Publish(factOf(fact.StopRequested, "", "", "nobody"))
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
		var subs []fact.Subscription
		for i := range listeners {
			subs = append(subs, b.Subscribe([]fact.Topic{fact.Control, fact.OfUser("u"),
				fact.OfConversation("c")}[i%3]))
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
			s := b.Subscribe(fact.OfUser("u"))
			defer s.Close()
			ready <- struct{}{}
			last := make(map[pid.ID]int)
			got, told := 0, false
			hear := func(f fact.Fact) {
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
					hear(*f)
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
				b.Publish(factOf(fact.ConversationCreated, "u", fmt.Sprint(p), fmt.Sprint(i+1)))
			}
		})
	}
	for range 4 {
		all.Go(func() { // Others come and go meanwhile.
			for i := range 500 {
				s := b.Subscribe([]fact.Topic{fact.OfUser("u"), fact.Control, fact.OfConversation("c")}[i%3])
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
