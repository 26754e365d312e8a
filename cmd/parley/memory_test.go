package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// A flood of allocations is over once, when it is, and not again soon.
func TestTide(t *testing.T) {
	t.Parallel()
	var flow tide
	var allocated uint64
	look := func(mebibytes uint64) bool {
		allocated += mebibytes << 20
		return flow.over(allocated)
	}
	for i, step := range []struct {
		allocated uint64
		over      bool
	}{
		{1, false}, {2, false}, {0, false}, // Too little to care.
		{40, false}, {100, false}, {13, false}, {12, true}, // An eighth of the most.
		{1, false}, {0, false}, // It is over already.
	} {
		if got := look(step.allocated); got != step.over {
			t.Errorf("step %d, %d MB: got %v, want %v", i, step.allocated, got, step.over)
		}
	}
	look(100)
	times := 0
	for range tideRest {
		if look(0) {
			times++
		}
	}
	if times != 1 {
		t.Errorf("the next one was over %d times, want once, after a rest", times)
	}
}

// What a burst leaves goes back to the system: as counted by the runtime, nothing is kept
// beside what is in use.
func TestMemoryIsGivenBack(t *testing.T) { // Not parallel: others allocate.
	var kept [][]byte
	for range 256 {
		kept = append(kept, make([]byte, 1<<20))
	}
	runtime.KeepAlive(kept)
	kept = nil
	before := idle()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		times := 0
		m := &memory{every: gcEvery, giveBack: func() { times++; debug.FreeOSMemory() }}
		go m.keep(ctx)
		time.Sleep(5 * tideLooks * gcEvery) // Of the bubble.
		synctest.Wait()
		cancel()
		synctest.Wait()
		if times != 2 {
			t.Errorf("memory was given back %d times, want after the start and after the burst", times)
		}
	})
	if after := idle(); after > 32<<20 {
		t.Errorf("%d MB are free and kept, before it were %d MB, want next to none", after>>20, before>>20)
	}
}

// idle is how much is free and not given back.
func idle() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapIdle - m.HeapReleased
}

// While much is allocated a heap that is quickly read gets room for garbage, and a large one
// what Go gives. At rest a small one gets that, and a large one less.
func TestGCPercent(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	for _, tt := range []struct {
		live, allocated uint64
		want            int
	}{
		{10 * mb, 0, 100}, {10 * mb, 7 * mb, 100}, {10 * mb, 9 * mb, 240}, {0, 9 * mb, 400}, {3 * mb, 9 * mb, 400},
		{24 * mb, 900 * mb, 100}, {48 * mb, 900 * mb, 50}, {49 * mb, 900 * mb, 100}, {200 * mb, 900 * mb, 100},
		{23 * mb, 1 * mb, 100}, {25 * mb, 1 * mb, 50}, {200 * mb, 0, 50},
	} {
		if got := gcPercent(tt.live, tt.allocated); got != tt.want {
			t.Errorf("%d MB live, %d MB allocated: got %d, want %d", tt.live/mb, tt.allocated/mb, got, tt.want)
		}
	}
	for _, tt := range []struct {
		want, percent int
		differs       bool
	}{{100, 100, false}, {240, 100, true}, {100, 240, true}, {240, 220, false}, {300, 220, true}, {220, 300, true}} {
		if got := differs(tt.want, tt.percent); got != tt.differs {
			t.Errorf("from %d to %d: got %v, want %v", tt.percent, tt.want, got, tt.differs)
		}
	}
}
