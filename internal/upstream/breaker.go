package upstream

import (
	"sync"
	"time"
)

const (
	breakerConsecutive = 5                // failures in a row that open the breaker
	breakerSample      = 20               // calls that a failure rate needs to count
	breakerWindow      = 30 * time.Second // over which the rate is taken
	breakerPause       = 10 * time.Second // from opening to the next probe
)

// outcome is what one call says about the health of the model server.
type outcome int

const (
	// neutral: the call ended for reasons of our own, such as a stop.
	neutral outcome = iota
	// healthy: the server answered, be it with a refusal.
	healthy
	// failing: the server cannot be reached, answers 5xx, hangs or talks nonsense.
	failing
)

// breaker stops calls to a model server that keeps failing, so that users hear
// of it at once and the server is left alone. It is safe for concurrent use.
type breaker struct {
	off bool // it never opens; set before it is used

	mu sync.Mutex // guards the fields below
	// consecutive counts failures since the last sign of health.
	consecutive int
	calls       window
	failures    window
	open        bool
	// probeAt is when an open breaker lets the next call through, whether the last one has
	// ended or not: a server may be silent for minutes and well.
	probeAt time.Time
}

// allow reports whether a call may be made. Each allowed call must be followed by one record. A
// probe that turns out to be healthy before its end is an ordinary call from then on.
func (b *breaker) allow(now time.Time) (probe, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return false, true
	}
	if now.Before(b.probeAt) {
		return false, false
	}
	b.probeAt = now.Add(breakerPause)
	return true, true
}

// record takes the outcome of an allowed call. It reports whether the breaker
// has just opened or closed.
func (b *breaker) record(now time.Time, probe bool, o outcome) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case o == neutral:
		if probe {
			b.probeAt = now // It has not found out anything: the next call does.
		}
		return false
	case b.open && !probe:
		// A call that began before the breaker opened; only probes decide now.
		return false
	case o == healthy:
		changed = b.open
		b.open = false
		b.consecutive = 0
		if changed {
			b.calls, b.failures = window{}, window{}
		}
		b.calls.add(now, breakerWindow)
		return changed
	}
	if b.off {
		return false
	}
	b.consecutive++
	b.calls.add(now, breakerWindow)
	b.failures.add(now, breakerWindow)
	calls, failures := b.calls.sum(now, breakerWindow), b.failures.sum(now, breakerWindow)
	if b.open || b.consecutive >= breakerConsecutive || calls >= breakerSample && failures*2 > calls {
		changed = !b.open
		b.open = true
		b.probeAt = now.Add(breakerPause)
	}
	return changed
}

// windowSlots is how finely a window forgets.
const windowSlots = 30

// window counts events over a sliding span of time, in constant space.
type window struct {
	slots [windowSlots]struct {
		start int64 // index of the slot on the time line
		count int
	}
}

func (w *window) add(now time.Time, span time.Duration) {
	index := now.UnixNano() / int64(span/windowSlots)
	slot := &w.slots[index%windowSlots]
	if slot.start != index {
		slot.start, slot.count = index, 0
	}
	slot.count++
}

func (w *window) sum(now time.Time, span time.Duration) int {
	index := now.UnixNano() / int64(span/windowSlots)
	total := 0
	for _, slot := range w.slots {
		if slot.start > index-windowSlots && slot.start <= index {
			total += slot.count
		}
	}
	return total
}
