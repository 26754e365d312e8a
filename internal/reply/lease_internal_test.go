package reply

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// timeline notes when things happen.
type timeline struct {
	began time.Time
	mu    sync.Mutex
	// list and at are guarded by mu.
	list []string
	at   []time.Duration
}

func (l *timeline) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, what)
	l.at = append(l.at, time.Since(l.began))
}

func (l *timeline) noted() ([]string, []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list), slices.Clone(l.at)
}

// A lease of 30 s is renewed every 10, tried again after 2 when that fails, in doubt after
// 20, and good again with the first renewal behind that.
func TestLeaseInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := &timeline{began: time.Now()}
		var broken atomic.Bool
		l := &lease{length: 30 * time.Second, log: slog.New(slog.DiscardHandler)}
		l.renew = func(context.Context) error {
			if broken.Load() {
				return errors.New("no database")
			}
			now.note("renewed")
			return nil
		}
		l.running = func() int { now.note("doubted"); return 1 }
		l.back = func() { now.note("back") }
		ctx, cancel := context.WithCancel(t.Context())
		go l.keep(ctx)
		time.Sleep(25 * time.Second) // Renewed at 10 and 20.
		synctest.Wait()
		broken.Store(true)
		time.Sleep(14 * time.Second) // Tried at 30, 32, 34, 36, 38: doubt begins at 40.
		synctest.Wait()
		if err := l.check(); err != nil {
			t.Errorf("in doubt before two thirds have passed: %v", err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if err := l.check(); !errors.Is(err, ErrNoLease) {
			t.Errorf("after two thirds: %v, want ErrNoLease", err)
		}
		broken.Store(false)
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if err := l.check(); err != nil {
			t.Errorf("after a renewal: %v", err)
		}
		cancel()
		synctest.Wait()
		time.Sleep(time.Minute)
		want := []string{"renewed", "renewed", "doubted", "renewed", "back", "renewed"}
		at := []time.Duration{10, 20, 40, 42, 42, 52}
		for i := range at {
			at[i] *= time.Second
		}
		if got, when := now.noted(); !slices.Equal(got, want) || !slices.Equal(when, at) {
			t.Errorf("got %v at %v, want %v at %v", got, when, want, at)
		}
	})
}

// A renewal that hangs leaves room for another try.
func TestLeaseDoesNotWaitForOneRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		l := &lease{length: 30 * time.Second, log: slog.New(slog.DiscardHandler)}
		l.renew = func(ctx context.Context) error { tries.Add(1); <-ctx.Done(); return ctx.Err() }
		l.running = func() int { return 0 }
		ctx, cancel := context.WithCancel(t.Context())
		go l.keep(ctx)
		time.Sleep(20 * time.Second)
		if n := tries.Load(); n < 2 {
			t.Errorf("tried %d times before the lease is in doubt", n)
		}
		cancel()
		synctest.Wait()
	})
}

// An alarm that goes off in the moment of a renewal means nothing.
func TestLeaseIsNotDoubtedWhenJustRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lease{length: 30 * time.Second, log: slog.New(slog.DiscardHandler)}
		l.running = func() int { t.Error("a fresh lease is doubted"); return 1 }
		if l.renewed(time.Now()) {
			t.Error("the lease was in doubt before")
		}
		l.doubted(t.Context())
		if err := l.check(); err != nil {
			t.Errorf("got %v, want a lease", err)
		}
		time.Sleep(20 * time.Second) // Of the bubble.
		doubted := 0
		l.running = func() int { doubted++; return 1 }
		l.doubted(t.Context())
		l.doubted(t.Context())
		if l.check() == nil || doubted != 1 {
			t.Errorf("after two thirds of its length: doubted %d times, want once", doubted)
		}
	})
}
