package main

import (
	"context"
	"runtime/metrics"
	"time"
)

// What a burst has taken the Go runtime keeps, since it collects no garbage while nobody
// makes any, and gives back what is free at its leisure. So it is told when a burst is over.
const (
	tideEvery = 5 * time.Second
	// tideHigh is how much has to be allocated between two looks to be worth it.
	tideHigh = 16 << 20
	// tideLow is the part of the most that is little: the burst is over then.
	tideLow = 1.0 / 8
	// tideRest is how many looks pass between two times: load that comes and goes would
	// be collected each time.
	tideRest = 4
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

// giveBackMemory calls giveBack, which collects garbage and returns all that is free to the
// system, when a burst is over, until ctx ends. It stops nobody for longer than any
// collection does.
func giveBackMemory(ctx context.Context, every time.Duration, giveBack func()) {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var t tide
	for {
		metrics.Read(sample)
		if sample[0].Value.Kind() != metrics.KindUint64 {
			return // A Go that does not count it.
		}
		if t.over(sample[0].Value.Uint64()) {
			giveBack()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
