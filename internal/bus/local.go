// Package bus carries facts between the rooms of one replica, and, later,
// between replicas. It owns delivery only: what a fact means is decided by who
// publishes and who listens.
//
// Its one invariant: publishing never blocks, however slow a listener is.
package bus

import (
	"sync"

	"parley/internal/event"
)

// backlog is how many facts one listener may lag behind. Facts are a few ids
// each; a listener this far behind reads the database again instead.
const backlog = 64

// Local is an event.Bus within one process. The zero value is not usable; call
// NewLocal. It is safe for concurrent use and starts no goroutine.
type Local struct {
	mu sync.Mutex
	// listeners is guarded by mu.
	listeners map[event.Topic]map[*subscription]struct{}
}

// NewLocal returns a bus with no listeners.
func NewLocal() *Local {
	return &Local{listeners: make(map[event.Topic]map[*subscription]struct{})}
}

// Publish implements event.Bus. A listener whose backlog is full loses the fact
// and gets a signal on Missed.
func (b *Local) Publish(f event.Fact) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range f.Topics() {
		for s := range b.listeners[t] {
			select {
			case s.facts <- f:
			default:
				select {
				case s.missed <- struct{}{}:
				default: // Already signalled and not yet read: one signal covers both.
				}
			}
		}
	}
}

// Subscribe implements event.Bus.
func (b *Local) Subscribe(t event.Topic) event.Subscription {
	s := &subscription{
		bus:    b,
		topic:  t,
		facts:  make(chan event.Fact, backlog),
		missed: make(chan struct{}, 1),
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listeners[t] == nil {
		b.listeners[t] = make(map[*subscription]struct{})
	}
	b.listeners[t][s] = struct{}{}
	return s
}

// Listeners returns how many subscriptions are open, for tests and metrics.
func (b *Local) Listeners() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, set := range b.listeners {
		n += len(set)
	}
	return n
}

type subscription struct {
	bus    *Local
	topic  event.Topic
	facts  chan event.Fact
	missed chan struct{}
}

func (s *subscription) Facts() <-chan event.Fact { return s.facts }

func (s *subscription) Missed() <-chan struct{} { return s.missed }

func (s *subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	set := s.bus.listeners[s.topic]
	delete(set, s)
	if len(set) == 0 {
		delete(s.bus.listeners, s.topic)
	}
}
