// Package tally counts what happens, in memory and without a lock, for whoever asks how much
// there was. It knows neither what it counts nor who reads it: the rooms count, and package
// metrics gives the numbers names.
//
// Its one invariant: counting costs a few atomic additions, allocates nothing and waits for
// nobody, and no name comes in from outside, so that what is counted takes the same memory
// for ever.
package tally

import (
	"slices"
	"sync/atomic"
	"time"
)

// Other is the name under which everything counts that has none of its own.
const Other = "other"

// Counter only grows. The zero value is ready. It is safe for concurrent use.
type Counter struct{ n atomic.Uint64 }

// Inc adds one.
func (c *Counter) Inc() { c.n.Add(1) }

// Add adds n.
func (c *Counter) Add(n int) {
	if n > 0 {
		c.n.Add(uint64(n))
	}
}

// Count returns how much there was.
func (c *Counter) Count() uint64 { return c.n.Load() }

// Gauge goes up and down. The zero value is ready. It is safe for concurrent use.
type Gauge struct{ n atomic.Int64 }

// Add adds n, which may be negative.
func (g *Gauge) Add(n int) { g.n.Add(int64(n)) }

// Value returns what it stands at.
func (g *Gauge) Value() int64 { return g.n.Load() }

// Set is one of a kind for each of some names that are known beforehand, and one for all
// others. It is safe for concurrent use, as far as its members are.
type Set[T any] struct {
	names   []string
	members map[string]*T
	other   *T
}

// NewSet returns a set that has made called for each name and once for Other.
func NewSet[T any](made func() *T, names ...string) *Set[T] {
	s := &Set[T]{members: make(map[string]*T)}
	for _, name := range slices.Concat(names, []string{Other}) {
		if s.members[name] == nil {
			s.members[name] = made()
			s.names = append(s.names, name)
		}
	}
	s.other = s.members[Other]
	return s
}

// Counters is a Set of counters.
type Counters = Set[Counter]

// NewCounters returns counters with these names, and Other.
func NewCounters(names ...string) *Counters {
	return NewSet(func() *Counter { return new(Counter) }, names...)
}

// Of returns the member of this name, and that of Other for a name that is not known.
func (s *Set[T]) Of(name string) *T {
	if m := s.members[name]; m != nil {
		return m
	}
	return s.other
}

// Each calls visit with each name and its member, always in the same order.
func (s *Set[T]) Each(visit func(name string, member *T)) {
	for _, name := range s.names {
		visit(name, s.members[name])
	}
}

// Histogram counts values by how large they are. It is safe for concurrent use.
type Histogram struct {
	bounds []float64
	counts []atomic.Uint64 // One for each bound, and one for what lies beyond.
	// sum is of all values, in billionths, so that it is one addition.
	sum atomic.Int64
}

// NewHistogram returns one that tells values apart by these bounds, which rise.
func NewHistogram(bounds ...float64) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// The bounds of durations, in seconds: of what the database does, and of what models do.
var (
	quick = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	long  = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
)

// NewQuick returns a histogram for durations of milliseconds to seconds.
func NewQuick() *Histogram { return NewHistogram(quick...) }

// NewLong returns a histogram for durations of parts of a second to minutes.
func NewLong() *Histogram { return NewHistogram(long...) }

// billion is the part of one in which sums are kept.
const billion = 1e9

// Observe counts a value.
func (h *Histogram) Observe(v float64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(v * billion))
}

// Took counts a duration, in seconds.
func (h *Histogram) Took(d time.Duration) { h.Observe(d.Seconds()) }

// Since counts how long it is since a moment.
func (h *Histogram) Since(began time.Time) { h.Took(time.Since(began)) }

// Shot is what a histogram held at one moment.
type Shot struct {
	// Count is how many values there were, and Sum what they are together.
	Count uint64
	Sum   float64
	// Buckets says of each bound how many values were not larger.
	Buckets map[float64]uint64
}

// Shot returns what the histogram holds now.
func (h *Histogram) Shot() Shot {
	s := Shot{Sum: float64(h.sum.Load()) / billion, Buckets: make(map[float64]uint64, len(h.bounds))}
	for i := range h.counts {
		s.Count += h.counts[i].Load()
		if i < len(h.bounds) {
			s.Buckets[h.bounds[i]] = s.Count
		}
	}
	return s
}
