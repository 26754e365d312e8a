package store

import (
	"context"
	"slices"
	"sync"
	"time"
)

// class says who goes first when several want to write.
type class uint8

// The classes. What keeps replies alive and ends them comes before what would make more.
const (
	// urgent are renewals of leases, stops and the ends of replies.
	urgent class = iota
	// background are checkpoints.
	background
	// ordinary is what users ask for.
	ordinary

	classes
)

type classKey struct{}

// Urgent returns a context in which writes go before those of others: renewals, stops and
// ends of replies. More of them than a few at a time would make it mean nothing.
func (s *Store) Urgent(ctx context.Context) context.Context {
	return context.WithValue(ctx, classKey{}, urgent)
}

func classOf(ctx context.Context) class {
	if c, ok := ctx.Value(classKey{}).(class); ok {
		return c
	}
	return ordinary
}

// turns lets writers in, so many at a time, class by class and first come, first served
// within one. It is safe for concurrent use.
type turns struct {
	mu sync.Mutex
	// free and waiting are guarded by mu.
	free    int
	waiting [classes][]*turn
}

// turn is one that waits.
type turn struct {
	since time.Time
	// given is closed when it may go on.
	given chan struct{}
	// job is what whoever goes first may do for it; nil: it does that itself.
	job *job
}

func newTurns(atOnce int) *turns { return &turns{free: atOnce} }

// enter waits for a turn. The caller calls leave after it, unless there is an error, which
// is the cause of ctx's end. It returns false when somebody else has done the job.
func (t *turns) enter(ctx context.Context, c class, j *job) (mine bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return true, nil
	}
	w := &turn{since: time.Now(), given: make(chan struct{}), job: j}
	t.waiting[c] = append(t.waiting[c], w)
	t.mu.Unlock()
	var done <-chan struct{}
	if j != nil {
		done = j.done
	}
	select {
	case <-w.given:
		return true, nil
	case <-done:
		return false, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	at := slices.Index(t.waiting[c], w)
	if at >= 0 {
		t.waiting[c] = slices.Delete(t.waiting[c], at, at+1)
	}
	t.mu.Unlock()
	switch {
	case at >= 0:
		return false, context.Cause(ctx)
	case j == nil: // The turn was given a moment ago.
		return true, nil
	}
	select { // Either the turn was given, or the job is being done: it is too late to leave.
	case <-w.given:
		return true, nil
	case <-j.done:
		return false, nil
	}
}

// leave gives the turn to the next one.
func (t *turns) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.waiting {
		if len(t.waiting[c]) > 0 {
			close(t.waiting[c][0].given)
			t.waiting[c] = slices.Delete(t.waiting[c], 0, 1)
			return
		}
	}
	t.free++
}

// share takes up to n jobs of those who wait, in their order, up to the first that nobody
// can do for its owner.
func (t *turns) share(n int) []*job {
	t.mu.Lock()
	defer t.mu.Unlock()
	var jobs []*job
	for c := range t.waiting {
		for len(t.waiting[c]) > 0 && len(jobs) < n {
			w := t.waiting[c][0]
			if w.job == nil {
				return jobs
			}
			jobs = append(jobs, w.job)
			t.waiting[c] = slices.Delete(t.waiting[c], 0, 1)
		}
	}
	return jobs
}

// oldest returns how long the first of a class has waited.
func (t *turns) oldest(c class, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting[c]) == 0 {
		return 0
	}
	return now.Sub(t.waiting[c][0].since)
}
