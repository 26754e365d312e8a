package chat

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/tally"
)

func mustEnter(t *testing.T, c *crowd, id pid.ID) func() {
	t.Helper()
	leave, err := c.enter(t.Context(), id, crowdPatience)
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

func TestCrowdTakesTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(2, new(tally.Counter))
		first, second := mustEnter(t, c, "a"), mustEnter(t, c, "a")
		var order []int
		for n := range 3 {
			go func() {
				leave := mustEnter(t, c, "a")
				order = append(order, n)
				leave()
			}()
			synctest.Wait()
		}
		gone, cancel := context.WithCancelCause(t.Context())
		why := errors.New("gone")
		cancel(why)
		if _, err := c.enter(gone, "a", crowdPatience); !errors.Is(err, why) {
			t.Errorf("got %v, want the cause of the context's end", err)
		}
		mustEnter(t, c, "b")() // Nobody else waits.
		if len(order) > 0 {
			t.Errorf("%v went before their turn", order)
		}
		first()
		synctest.Wait()
		if len(order) != 3 || order[0] != 0 || order[1] != 1 || order[2] != 2 {
			t.Errorf("got the order %v, want that of coming", order)
		}
		second()
		if len(c.users) != 0 {
			t.Errorf("%d users are kept, want none", len(c.users))
		}
	})
}

func TestCrowdHasBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(1, new(tally.Counter))
		leave := mustEnter(t, c, "a")
		refused := make(chan error, maxCrowd)
		for range maxCrowd {
			go func() {
				_, err := c.enter(t.Context(), "a", crowdPatience)
				refused <- err
			}()
		}
		synctest.Wait()
		began := time.Now()
		if _, err := c.enter(t.Context(), "a", crowdPatience); !refusal.Is(err, refusal.CodeRateLimited) ||
			time.Since(began) > 0 {
			t.Errorf("got %v after %v, want RATE_LIMITED at once", err, time.Since(began))
		}
		for range maxCrowd {
			if err := <-refused; !refusal.Is(err, refusal.CodeRateLimited) || time.Since(began) != crowdPatience {
				t.Fatalf("got %v after %v, want RATE_LIMITED after %v", err, time.Since(began), crowdPatience)
			}
		}
		leave()
		mustEnter(t, c, "a")()
	})
}

// Whoever would wait for longer than is right is refused at once, and it passes: one that need
// not wait is always let in, and tells how long a write takes by now.
func TestCrowdRefusesBeforeTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(1, new(tally.Counter))
		write := func(d time.Duration) {
			leave := mustEnter(t, c, "b")
			time.Sleep(d)
			leave()
		}
		for range 4 * crowdMemory {
			write(300 * time.Millisecond)
		}
		leave := mustEnter(t, c, "a")
		second := make(chan func())
		go func() { second <- mustEnter(t, c, "a") }()
		synctest.Wait()
		began := time.Now()
		if _, err := c.enter(t.Context(), "a", 500*time.Millisecond); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v, want ErrBusy: two are before it", err)
		}
		if waited := time.Since(began); waited > 0 {
			t.Errorf("it waited %v, want it refused at once", waited)
		}
		leave()
		(<-second)()
		for range 4 * crowdMemory {
			write(time.Millisecond)
		}
		leave = mustEnter(t, c, "a")
		go func() { mustEnter(t, c, "a")() }()
		synctest.Wait()
		go leave()
		third, err := c.enter(t.Context(), "a", 500*time.Millisecond)
		if err != nil {
			t.Fatalf("got %v after quick writes, want its turn", err)
		}
		third()
	})
}

func TestCrowdRemembersWhoSentTooMuch(t *testing.T) {
	t.Parallel()
	c, now := newCrowd(1, new(tally.Counter)), time.Now()
	c.refuse("a", now, time.Minute)
	if got := c.refusedFor("a", now.Add(59*time.Second)); got != time.Second {
		t.Errorf("got %v, want what is left of the minute", got)
	}
	if got := c.refusedFor("a", now.Add(time.Minute)); got != 0 || len(c.refused) != 0 {
		t.Errorf("got %v and %d remembered, want it to be over", got, len(c.refused))
	}
	for range 2 * maxRefused {
		c.refuse(pid.New(pid.User), now, time.Minute)
	}
	if len(c.refused) > maxRefused {
		t.Errorf("%d users are remembered, want at most %d", len(c.refused), maxRefused)
	}
}
