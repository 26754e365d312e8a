package tally_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/tally"
)

func TestSetIsBounded(t *testing.T) {
	t.Parallel()
	c := tally.NewCounters("a", "b", "a")
	for _, name := range []string{"a", "hostile\"} 1\n", "", "b", "a", tally.Other} {
		c.Of(name).Inc()
	}
	got := make(map[string]uint64)
	c.Each(func(name string, n *tally.Counter) { got[name] = n.Count() })
	if diff := cmp.Diff(map[string]uint64{"a": 2, "b": 1, "other": 3}, got); diff != "" {
		t.Errorf("unexpected counts (-want +got):\n%s", diff)
	}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	h := tally.NewHistogram(1, 2)
	for _, v := range []float64{0.5, 1, 1.5, 2, 3} {
		h.Observe(v)
	}
	want := tally.Shot{Count: 5, Sum: 8, Buckets: map[float64]uint64{1: 2, 2: 4}}
	if diff := cmp.Diff(want, h.Shot()); diff != "" {
		t.Errorf("unexpected shot (-want +got):\n%s", diff)
	}
}

// TestCountsAll is for the race detector too.
func TestCountsAll(t *testing.T) {
	t.Parallel()
	const each, tasks = 1000, 4
	var c tally.Counter
	var g tally.Gauge
	h := tally.NewQuick()
	var wg sync.WaitGroup
	for range tasks {
		wg.Go(func() {
			for range each {
				c.Inc()
				c.Add(2)
				g.Add(1)
				g.Add(-1)
				h.Observe(0.001)
			}
		})
	}
	wg.Wait()
	if c.Count() != 3*each*tasks || g.Value() != 0 || h.Shot().Count != each*tasks {
		t.Errorf("got %d, %d and %d, want %d, 0 and %d", c.Count(), g.Value(), h.Shot().Count, 3*each*tasks, each*tasks)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	set := tally.NewCounters("a", "b")
	h := tally.NewLong()
	name := "neither"
	if n := testing.AllocsPerRun(100, func() {
		set.Of(name).Inc()
		h.Observe(2)
	}); n != 0 {
		t.Errorf("counting allocates %v times, want never", n)
	}
}
