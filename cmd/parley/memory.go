package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What a burst has taken the Go runtime keeps, since it collects no garbage while nobody
// makes any, and gives back what is free at its leisure. So it is told when a burst is over.
const (
	tideLooks = 5 // Seconds.
	// tideHigh is how much has to be allocated between two looks to be worth it.
	tideHigh = 16 << 20
	// tideLow is the part of the most that is little: the burst is over then.
	tideLow = 1.0 / 8
	// tideRest is how many looks pass between two times: load that comes and goes would
	// be collected each time.
	tideRest = 4
	// tideStart is the look at which the start is over, which takes more than a server at rest.
	tideStart = 1
)

// tide sees how much is allocated, and when a flood of it is over.
type tide struct {
	last uint64 // Allocated in all, at the last look.
	most uint64 // Between two looks since the last flood was over.
	rest int
}

// over takes how much has been allocated in all, and reports, once for each flood, that it is
// over.
func (t *tide) over(allocated uint64) bool {
	now := allocated - t.last
	t.last = allocated
	t.most = max(t.most, now)
	t.rest = max(0, t.rest-1)
	if t.most < tideHigh || float64(now) > tideLow*float64(t.most) || t.rest > 0 {
		return false
	}
	t.most, t.rest = 0, tideRest
	return true
}

// Collections are as frequent as the heap is small: at a live heap of 10 MB the collector took
// 15 % of the processor under load. So while much is allocated there is room for some garbage,
// in any case. Go's own room, as much again as is live, is more than that from a heap of 24 MB
// on; one that is up to twice as large is read quickly enough to do with less. A large one that
// is read often gets what Go gives.
const (
	gcEvery = time.Second
	// gcBusy is how much has to be allocated in a second.
	gcBusy = 8 << 20
	// gcRoom is how much garbage there may be beside a heap of any size.
	gcRoom = 24 << 20
	// gcUsual is the percentage of what is live that Go allows; gcLeast and gcMost are bounds.
	gcUsual = 100
	gcLeast = 50
	gcMost  = 400
)

// gcPercent returns how much garbage there may be, in percent of what is live: objects, and what
// the collector has to read beside them.
func gcPercent(live, allocated uint64) int {
	switch live = max(live, 1); {
	case allocated >= gcBusy && live <= 2*gcRoom:
		return int(min(gcRoom*100/live, gcMost))
	case allocated < gcBusy && live > gcRoom:
		return gcLeast // A collection in several seconds.
	}
	return gcUsual
}

// memory is what the process does about its memory. The fields are functions of the runtime,
// so that time can be tried out without it.
type memory struct {
	// every is how long it is between two looks.
	every time.Duration
	// giveBack collects garbage and returns all that is free to the system. It stops nobody for
	// longer than any collection does.
	giveBack func()
	// setPercent is nil when the operator has set GOGC, or a limit.
	setPercent func(percent int) int
	// started is called once, when the start is over.
	started func()
}

// newMemory returns what a server does.
func newMemory() *memory {
	m := &memory{every: gcEvery, giveBack: giveBack, setPercent: debug.SetGCPercent, started: letGoOfBinary}
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		m.setPercent = nil
	}
	return m
}

// giveBack collects garbage and returns to the system what is free. Twice, since what pools keep
// survives one collection.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}

// keep looks at what is allocated until ctx ends.
func (m *memory) keep(ctx context.Context) {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	tick := time.NewTicker(m.every)
	defer tick.Stop()
	var t tide
	var last uint64
	percent := gcUsual
	for n := 0; ; n++ {
		metrics.Read(samples)
		var counts [4]uint64
		for i, sample := range samples {
			if sample.Value.Kind() != metrics.KindUint64 {
				return // A Go that does not count it.
			}
			counts[i] = sample.Value.Uint64()
		}
		allocated, live := counts[0], counts[1]+counts[2]+counts[3]
		if want := gcPercent(live, allocated-last); m.setPercent != nil && differs(want, percent) {
			percent = want
			m.setPercent(percent)
		}
		last = allocated
		if flood := n%tideLooks == 0 && t.over(allocated); flood || n == tideStart {
			m.giveBack()
		}
		if n == tideStart && m.started != nil {
			m.started()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// differs reports whether a change is worth it: all goroutines are stopped for a moment.
func differs(want, percent int) bool {
	return want != percent && (want == gcUsual || percent == gcUsual || max(want, percent) > min(want, percent)*5/4)
}
