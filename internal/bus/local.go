// Package bus carries facts between the rooms of one replica, and facts and the
// text of running replies between replicas. It owns delivery only: what a fact
// means is decided by who publishes and who listens.
//
// Its one invariant: publishing never blocks, however slow a listener or the
// network is.
//
// What is where:
//
//	local.go     listeners of this process, and doubt
//	nats.go      NATS: the connection as others see it
//	trust.go     whether it is the right one
//	link.go      the goroutine that owns the connection, and what is listened to
//	wire.go      questions, answers and pieces of replies
//	codec.go     the bytes of all that travels
//	subject.go   where it travels
//	lossy.go     a worse bus, for tests
package bus

import (
	"context"
	"sync"
	"time"

	"parley/internal/fact"
	"parley/internal/tally"
)

// How many facts one listener may lag behind. All listeners share a fact, so that one with
// nothing to hear costs a quarter of a kilobyte; a listener this far behind reads the
// database again instead. Those of Control are few, and hear of everything.
const (
	backlog        = 32
	controlBacklog = 64
)

// doubtShares is into how many parts the listeners are divided, so that they do
// not all read the database in the same instant.
const doubtShares = 20

// Local is an fact.Bus within one process. The zero value is not usable; call
// NewLocal. It is safe for concurrent use and starts no goroutine.
type Local struct {
	mu sync.Mutex
	// listeners, shares and joined are guarded by mu. Every listener is in both
	// maps.
	listeners map[fact.Topic]map[*subscription]struct{}
	shares    [doubtShares]map[*subscription]struct{}
	joined    int
	// heard, when set, is told with mu held that a topic got its first listener or
	// lost its last one.
	heard func(t fact.Topic, heard bool)
	// gaps counts what was lost, by where.
	gaps *tally.Counters
}

// NewLocal returns a bus with no listeners.
func NewLocal() *Local {
	b := &Local{listeners: make(map[fact.Topic]map[*subscription]struct{}),
		gaps: tally.NewCounters(gapListener, gapHeard, gapSent, gapPieceHeard, gapPieceSent, gapLetter)}
	for i := range b.shares {
		b.shares[i] = make(map[*subscription]struct{})
	}
	return b
}

// Publish implements fact.Bus. A listener whose backlog is full loses the fact
// and gets a signal on Missed.
func (b *Local) Publish(f fact.Fact) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range f.Topics() {
		b.deliver(t, &f)
	}
}

// deliver hands the fact to the listeners of one topic. mu is held.
func (b *Local) deliver(t fact.Topic, f *fact.Fact) {
	for s := range b.listeners[t] {
		select {
		case s.facts <- f:
		default:
			b.gaps.Of(gapListener).Inc()
			s.miss()
		}
	}
}

// Where something is lost.
const (
	gapListener   = "listener"
	gapHeard      = "fact_heard"
	gapSent       = "fact_sent"
	gapPieceHeard = "piece_heard"
	gapPieceSent  = "piece_sent"
	gapLetter     = "letter"
)

// Gaps counts what was lost on the way, by where. Whoever missed it reads the database.
func (b *Local) Gaps() *tally.Counters { return b.gaps }

// Subscribe implements fact.Bus.
func (b *Local) Subscribe(t fact.Topic) fact.Subscription {
	room := backlog
	if t == fact.Control {
		room = controlBacklog
	}
	s := &subscription{
		bus:    b,
		topic:  t,
		facts:  make(chan *fact.Fact, room),
		missed: make(chan struct{}, 1),
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.share = b.joined % doubtShares
	b.joined++
	b.shares[s.share][s] = struct{}{}
	set := b.listeners[t]
	if set == nil {
		set = make(map[*subscription]struct{})
		b.listeners[t] = set
		if b.heard != nil {
			b.heard(t, true)
		}
	}
	set[s] = struct{}{}
	return s
}

// Doubt signals Missed to every listener once in each interval until ctx ends:
// where losses can go unnoticed, listeners compare with the database from time to
// time. They take turns, spread evenly over the interval, which is asked for anew
// before each turn. Run it once at a time.
func (b *Local) Doubt(ctx context.Context, interval func() time.Duration) {
	turn := time.NewTimer(interval() / doubtShares)
	defer turn.Stop()
	for share := 0; ; share = (share + 1) % doubtShares {
		select {
		case <-ctx.Done():
			return
		case <-turn.C:
		}
		b.doubtShare(share)
		turn.Reset(interval() / doubtShares)
	}
}

func (b *Local) doubtShare(share int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.shares[share] {
		s.miss()
	}
}

// doubtTopic signals Missed to the listeners of one topic.
func (b *Local) doubtTopic(t fact.Topic) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.listeners[t] {
		s.miss()
	}
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
	topic  fact.Topic
	share  int
	facts  chan *fact.Fact
	missed chan struct{}
}

// miss signals Missed. One signal that is not read yet covers all.
func (s *subscription) miss() {
	select {
	case s.missed <- struct{}{}:
	default:
	}
}

func (s *subscription) Facts() <-chan *fact.Fact { return s.facts }

func (s *subscription) Missed() <-chan struct{} { return s.missed }

func (s *subscription) Close() {
	b := s.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.shares[s.share], s)
	set, ok := b.listeners[s.topic]
	if !ok {
		return // Closed before, and so were all others of the topic.
	}
	delete(set, s)
	if len(set) > 0 {
		return
	}
	delete(b.listeners, s.topic)
	if b.heard != nil {
		b.heard(s.topic, false)
	}
}
