package bus

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Lossy makes a bus worse than NATS is, for tests of whole processes: some facts,
// pieces and answers that arrive are dropped, delivered twice, or delivered late,
// behind others. Only binaries built with the tag failpoints can set it. The zero
// value does nothing.
type Lossy struct {
	Drop, Duplicate, Reorder int // Percent.
	Seed                     uint64
}

// reorderDelay is long enough for the next pieces of a stream to overtake.
const reorderDelay = 30 * time.Millisecond

// shim is a Lossy at work. A nil one delivers everything.
type shim struct {
	Lossy
	mu sync.Mutex
	// random is guarded by mu.
	random *rand.Rand
}

func newShim(l Lossy) *shim {
	if l.Drop == 0 && l.Duplicate == 0 && l.Reorder == 0 {
		return nil
	}
	return &shim{Lossy: l, random: rand.New(rand.NewPCG(l.Seed, l.Seed))}
}

// pass calls deliver once, twice, later, or never.
func (s *shim) pass(deliver func()) {
	if s == nil {
		deliver()
		return
	}
	if s.chance(s.Drop) {
		return
	}
	if s.chance(s.Duplicate) {
		deliver()
	}
	if s.chance(s.Reorder) {
		time.AfterFunc(reorderDelay, deliver)
		return
	}
	deliver()
}

func (s *shim) chance(percent int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(100) < percent
}
