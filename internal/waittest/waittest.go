// Package waittest waits in tests. A test waits for an event, never for time; how long it
// waits matters only when it fails, and then it must not be the machine that has failed it.
// Where a time is promised, only that counts in which the test got to run.
//
// Its one invariant: a wait that has begun ends by what it waits for, or by its limit.
package waittest

import (
	"context"
	"testing"
	"time"
)

// Limit is how long to wait for what must happen, where no time is promised: far longer
// than the busiest machine takes.
const Limit = 2 * time.Minute

// beat is how often a wait looks, and what it counts time in.
const beat = 5 * time.Millisecond

// Until polls until ok, and ends the test when that takes longer than Limit.
func Until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	Within(tb, Limit, what, ok)
}

// Within is Until for what is promised sooner. A machine that does much else and lets the
// test run late, gets it more time in the same measure.
func Within(tb testing.TB, limit time.Duration, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	// A ticker drops what nobody takes in time.
	for beats := limit / beat; !ok(); beats-- {
		if beats <= 0 {
			tb.Fatalf("waited %v in vain: %s", limit, what)
		}
		<-tick.C
	}
}

// Context is context.WithTimeout for a promised time, counted as Within does. The caller
// calls stop.
func Context(parent context.Context, limit time.Duration) (ctx context.Context, stop context.CancelFunc) {
	ctx, end := context.WithCancelCause(parent)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for range limit / beat {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		end(context.DeadlineExceeded)
	}()
	return ctx, func() {
		end(context.Canceled)
		<-stopped
	}
}
