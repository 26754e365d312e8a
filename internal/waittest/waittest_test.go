package waittest_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/waittest"
)

// failing is a test that is asked to fail.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(string, ...any) {
	f.failed = true
	runtime.Goexit()
}

// within waits in a goroutine of its own, and reports whether the test would have failed.
func within(limit time.Duration, ok func() bool) (failed bool) {
	f := &failing{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		waittest.Within(f, limit, "it", ok)
	}()
	<-done
	return f.failed
}

func TestWithin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if within(time.Second, func() bool { return time.Since(began) >= 900*time.Millisecond }) {
			t.Error("what came in time failed")
		}
		began = time.Now()
		if !within(time.Second, func() bool { return false }) {
			t.Error("what never came did not fail")
		}
		if took := time.Since(began); took < time.Second || took > 1100*time.Millisecond {
			t.Errorf("it failed after %v, want a second", took)
		}
		// A machine on which each look comes ten times too late.
		began = time.Now()
		if within(time.Second, func() bool {
			time.Sleep(50 * time.Millisecond)
			return time.Since(began) >= 4*time.Second
		}) {
			t.Error("the machine was slow, and the test failed")
		}
	})
}

func TestContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, stop := waittest.Context(t.Context(), time.Second)
		defer stop()
		<-ctx.Done()
		if took := time.Since(began); took < time.Second || took > 1100*time.Millisecond ||
			!errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			t.Errorf("it ended after %v by %v, want a second and a deadline", took, context.Cause(ctx))
		}
	})
}
