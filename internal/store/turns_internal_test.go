package store

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Those who wait go on class by class, and in their order within one.
func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
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
		if got := turns.oldest(ordinary, time.Now()); got != time.Second {
			t.Errorf("the oldest send waits for %v, want a second", got)
		}
		turns.leave()
		synctest.Wait()
		if want := []string{"renewal", "checkpoint", "first send", "second send"}; !slices.Equal(order, want) {
			t.Errorf("got the order %q, want %q", order, want)
		}
		if turns.free != 1 || turns.oldest(ordinary, time.Now()) != 0 {
			t.Errorf("%d turns are free, want the one", turns.free)
		}
	})
}

// Whoever goes first takes the jobs of the others with it, up to one that only its owner
// can do.
func TestTurnsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
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
		if turns.free != 1 {
			t.Errorf("%d turns are free, want the one", turns.free)
		}
	})
}
