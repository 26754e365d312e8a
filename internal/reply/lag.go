package reply

import (
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// lag finds out whether this process is behind with the replies that it has. It looks at two
// things: how long goroutines wait for a processor, through several of which each token
// goes, and how long a checkpoint takes.
type lag struct {
	// limit is how old what waits may become.
	limit time.Duration
	// saving is when the checkpoint under way began, in nanoseconds; 0: there is none.
	saving atomic.Int64

	// The fields below are used by one goroutine at a time.
	samples [1]metrics.Sample
	counts  []uint64
	began   time.Time
}

const (
	// lagHops is into how many waits for a processor the limit is divided. A send and a token
	// pass several goroutines each, one after the other.
	lagHops = 6
	// lagQuantile of all these waits have to be short enough. Of the others many are the
	// machine's, which has stopped a thread of ours: fewer replies would not make them fewer.
	lagQuantile = 0.9
	// lagFew is how many waits have to be seen before they mean anything. The runtime counts
	// every eighth.
	lagFew = 100
	// lagUntil is the longest time over which they are looked at.
	lagUntil = time.Second
)

func newLag(limit time.Duration) *lag {
	l := &lag{limit: limit}
	l.samples[0].Name = "/sched/latencies:seconds"
	return l
}

// begin notes that a checkpoint begins, and end that it is over.
func (l *lag) begin(now time.Time) { l.saving.Store(now.UnixNano()) }

func (l *lag) end() { l.saving.Store(0) }

// behind reports whether this process is behind, and whether enough was seen since the last
// call that was.
func (l *lag) behind(now time.Time) (behind, seen bool) {
	if at := l.saving.Load(); at != 0 && now.Sub(time.Unix(0, at)) > l.limit {
		return true, true
	}
	metrics.Read(l.samples[:])
	if l.samples[0].Value.Kind() != metrics.KindFloat64Histogram {
		return false, true // A Go that does not count it.
	}
	h := l.samples[0].Value.Float64Histogram()
	passed := now.Sub(l.began)
	if l.counts == nil || passed > lagUntil {
		l.counts, l.began = append(l.counts[:0], h.Counts...), now
		return false, true
	}
	var all, late uint64
	for i, n := range h.Counts {
		n -= l.counts[i]
		all += n
		if h.Buckets[i] >= (l.limit / lagHops).Seconds() {
			late += n
		}
	}
	if all < lagFew {
		return false, false
	}
	l.began = now
	copy(l.counts, h.Counts)
	return float64(late) > (1-lagQuantile)*float64(all), true
}
