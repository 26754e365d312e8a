package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/chat"
)

// Those who wait go on class by class, and in their order within one.
func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1, 0)
		if mine, err := turns.enter(t.Context(), ordinary, nil); !mine || err != nil {
			t.Fatalf("got %v, %v, want the turn", mine, err)
		}
		var order []string
		enter := func(name string, c class) {
			go func() {
				if mine, err := turns.enter(t.Context(), c, nil); !mine || err != nil {
					t.Errorf("%s: got %v, %v, want the turn", name, mine, err)
				}
				order = append(order, name) // One at a time is let in.
				turns.leave()
			}()
			synctest.Wait()
		}
		enter("first send", ordinary)
		enter("second send", ordinary)
		enter("checkpoint", background)
		enter("renewal", urgent)
		gone, cancel := context.WithCancelCause(t.Context())
		left := make(chan error)
		go func() {
			_, err := turns.enter(gone, urgent, nil)
			left <- err
		}()
		synctest.Wait()
		cancel(errors.New("gone"))
		if err := <-left; err == nil || err.Error() != "gone" {
			t.Errorf("got %v, want the cause of the end", err)
		}
		time.Sleep(time.Second) // Of the bubble.
		if got := turns.backlog(time.Now()); got != time.Second {
			t.Errorf("the oldest send waits for %v, want a second", got)
		}
		turns.leave()
		synctest.Wait()
		if want := []string{"renewal", "checkpoint", "first send", "second send"}; !slices.Equal(order, want) {
			t.Errorf("got the order %q, want %q", order, want)
		}
		if turns.busy != 0 || turns.backlog(time.Now()) != 0 {
			t.Errorf("%d turns are taken, want none", turns.busy)
		}
	})
}

// Whoever goes first takes the jobs of the others with it, up to one that only its owner
// can do.
func TestTurnsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1, 0)
		if _, err := turns.enter(t.Context(), ordinary, nil); err != nil {
			t.Fatal(err)
		}
		var jobs []*job
		results := make(chan bool, 10)
		wait := func(c class, j *job) {
			if j != nil {
				jobs = append(jobs, j)
			}
			go func() {
				mine, err := turns.enter(t.Context(), c, j)
				if err != nil {
					t.Error(err)
				}
				results <- mine
			}()
			synctest.Wait()
		}
		for range 3 {
			wait(ordinary, &job{done: make(chan struct{})})
		}
		wait(ordinary, nil)
		wait(ordinary, &job{done: make(chan struct{})})
		wait(urgent, &job{done: make(chan struct{})})
		if got := turns.share(2); !slices.Equal(got, []*job{jobs[4], jobs[0]}) {
			t.Fatalf("got %d jobs, want the urgent one and the first of the others", len(got))
		}
		if got := turns.share(10); !slices.Equal(got, jobs[1:3]) {
			t.Fatalf("got %d jobs, want those before the one that nobody else can do", len(got))
		}
		for _, j := range []*job{jobs[4], jobs[0], jobs[1], jobs[2]} {
			close(j.done)
		}
		for range 4 {
			if <-results {
				t.Error("a turn was given to one whose job was done")
			}
		}
		turns.leave()
		if !<-results {
			t.Error("the next one got no turn")
		}
		turns.leave()
		if !<-results {
			t.Error("the last one got no turn")
		}
		turns.leave()
		if turns.busy != 0 {
			t.Errorf("%d turns are taken, want none", turns.busy)
		}
	})
}

// What is urgent finds room where others wait, up to the spare, and lets nobody else in.
func TestTurnsSpare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1, 1)
		for _, c := range []class{ordinary, urgent} {
			if mine, err := turns.enter(t.Context(), c, nil); !mine || err != nil {
				t.Fatalf("class %d: got %v, %v, want a turn", c, mine, err)
			}
		}
		var order []string
		enter := func(name string, c class) {
			go func() {
				if _, err := turns.enter(t.Context(), c, nil); err != nil {
					t.Error(err)
				}
				order = append(order, name)
			}()
			synctest.Wait()
		}
		enter("send", ordinary)
		enter("end", urgent)
		turns.leave()
		synctest.Wait()
		if want := []string{"end"}; !slices.Equal(order, want) {
			t.Fatalf("got %q, want %q", order, want)
		}
		turns.leave() // One that is urgent stays in: no room for others.
		synctest.Wait()
		if len(order) != 1 {
			t.Fatalf("got %q, want nobody beside what is urgent", order)
		}
		turns.leave()
		synctest.Wait()
		turns.leave()
		if len(order) != 2 || turns.busy != 0 {
			t.Errorf("got %q and %d turns taken, want both gone", order, turns.busy)
		}
	})
}

// A write that is asked for with patience gives up when that is over, and is not disturbed
// when its turn has come.
func TestTurnsPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1, 0)
		patient := new(Store).Within(t.Context(), time.Second)
		if mine, err := turns.enter(patient, ordinary, nil); !mine || err != nil {
			t.Fatalf("got %v, %v, want the turn", mine, err)
		}
		began := time.Now()
		if mine, err := turns.enter(patient, ordinary, nil); mine || !errors.Is(err, chat.ErrBusy) {
			t.Errorf("got %v, %v, want to have given up", mine, err)
		}
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("gave up after %v, want a second", waited)
		}
		turns.leave()
		if turns.busy != 0 || len(turns.waiting[ordinary]) != 0 {
			t.Error("something is left of one that gave up")
		}
	})
}

// Only so many wait, and of a burst as many as go in time at the pace of those before.
func TestTurnsBacklog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1, 0)
		if _, err := turns.enter(t.Context(), ordinary, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		wait := func(n int) {
			for range n {
				go func() { _, _ = turns.enter(ctx, ordinary, nil) }()
			}
			synctest.Wait()
		}
		wait(200)
		if got := turns.backlog(time.Now()); got != 0 {
			t.Errorf("got %v before anything is known, want 0", got)
		}
		for range 150 { // A hundred a second.
			time.Sleep(10 * time.Millisecond) // Of the bubble.
			turns.leave()
			synctest.Wait()
		}
		wait(50)
		if got := turns.backlog(time.Now()); got < 1500*time.Millisecond || got > 1600*time.Millisecond {
			t.Errorf("got %v, want the 1.5 s that the first has waited", got)
		}
		for range 50 {
			turns.leave()
			synctest.Wait()
		}
		if got := turns.backlog(time.Now()); got < 50*time.Millisecond || got > 500*time.Millisecond {
			t.Errorf("got %v for 50 that have come just now, want their number times the pace", got)
		}
		wait(maxWaiting - 50)
		if _, err := turns.enter(ctx, ordinary, nil); !errors.Is(err, chat.ErrBusy) {
			t.Errorf("got %v, want one more to be refused", err)
		}
		cancel()
		synctest.Wait()
		turns.leave()
	})
}

// How long connections are waited for is said of lately only.
func TestWaits(t *testing.T) {
	t.Parallel()
	var w waits
	now := time.Now()
	look := func(after, total time.Duration, n int64) time.Duration {
		now = now.Add(after)
		return w.mean(sql.DBStats{WaitCount: n, WaitDuration: total}, now)
	}
	for _, step := range []struct {
		after, total time.Duration
		n            int64
		want         time.Duration
	}{
		{time.Hour, 100 * time.Second, 100, 0},             // Of when is not known.
		{50 * time.Millisecond, 110 * time.Second, 110, 0}, // Too soon.
		{50 * time.Millisecond, 120 * time.Second, 110, 2 * time.Second},
		{50 * time.Millisecond, 999 * time.Second, 200, 2 * time.Second},
		{100 * time.Millisecond, 120 * time.Second, 110, 0}, // Nobody has waited.
		{2 * time.Second, 220 * time.Second, 120, 0},        // Long ago.
	} {
		if got := look(step.after, step.total, step.n); got != step.want {
			t.Errorf("%v later: got %v, want %v", step.after, got, step.want)
		}
	}
}
