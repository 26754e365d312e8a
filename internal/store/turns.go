package store

import (
	"context"
	"slices"
	"sync"
	"time"

	"parley/internal/chat"
	"parley/internal/tally"
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

type patienceKey struct{}

// Within returns a context in which a write gives up, with chat.ErrBusy, when its turn has not
// come after so long. One whose turn has come is not disturbed.
func (s *Store) Within(ctx context.Context, patience time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, patience)
}

// maxWaiting bounds how many of the class ordinary wait. More than that are refused at once:
// what they hold while they wait is memory.
const maxWaiting = 4096

// turns lets writers in, so many at a time, class by class and first come, first served
// within one. It is safe for concurrent use.
type turns struct {
	// atOnce is how many go at once, and most how many when the others are urgent.
	atOnce, most int
	// took counts how long each waited, by its class. Nil: nobody counts.
	took *tally.Set[tally.Histogram]

	mu sync.Mutex
	// The fields below are guarded by mu.
	busy    int
	waiting [classes][]*turn
	// pace is the time between two ordinary ones that go on, while others wait, smoothed.
	pace time.Duration
	// went is when the last one went on, or since when the first one waits.
	went time.Time
}

// turn is one that waits.
type turn struct {
	since time.Time
	// given is closed when it may go on.
	given chan struct{}
	// job is what whoever goes first may do for it; nil: it does that itself.
	job *job
}

// newTurns lets so many in at once, and spare more that are urgent.
func newTurns(atOnce, spare int) *turns { return &turns{atOnce: atOnce, most: atOnce + spare} }

// room returns how many of a class may be in at once.
func (t *turns) room(c class) int {
	if c == urgent {
		return t.most
	}
	return t.atOnce
}

// enter waits for a turn. The caller calls leave after it, unless there is an error: the
// cause of ctx's end, or chat.ErrBusy. It returns false when somebody else has done the job.
func (t *turns) enter(ctx context.Context, c class, j *job) (mine bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	t.mu.Lock()
	if t.busy < t.room(c) {
		t.busy++
		t.mu.Unlock()
		t.waited(c, 0)
		return true, nil
	}
	if c == ordinary && len(t.waiting[c]) >= maxWaiting {
		t.mu.Unlock()
		return false, chat.ErrBusy
	}
	w := &turn{since: time.Now(), given: make(chan struct{}), job: j}
	if c == ordinary && len(t.waiting[c]) == 0 {
		t.went = w.since
	}
	t.waiting[c] = append(t.waiting[c], w)
	t.mu.Unlock()
	defer func() { t.waited(c, time.Since(w.since)) }()
	var done <-chan struct{}
	if j != nil {
		done = j.done
	}
	var over <-chan time.Time
	if patience, ok := ctx.Value(patienceKey{}).(time.Duration); ok {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		over = timer.C
	}
	var why error
	select {
	case <-w.given:
		return true, nil
	case <-done:
		return false, nil
	case <-over:
		why = chat.ErrBusy
	case <-ctx.Done():
		why = context.Cause(ctx)
	}
	t.mu.Lock()
	at := slices.Index(t.waiting[c], w)
	if at >= 0 {
		t.waiting[c] = slices.Delete(t.waiting[c], at, at+1)
	}
	t.mu.Unlock()
	switch {
	case at >= 0:
		return false, why
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

func (t *turns) waited(c class, d time.Duration) {
	if t.took != nil {
		t.took.Of(classNames[c]).Took(d)
	}
}

// leave gives the turn to the next one.
func (t *turns) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.waiting {
		// What is left is how many stay in when this one has gone.
		if len(t.waiting[c]) > 0 && t.busy-1 < t.room(class(c)) {
			close(t.take(class(c)).given)
			return
		}
	}
	t.busy--
}

// take removes the first one of a class that waits, whose turn has come.
func (t *turns) take(c class) *turn {
	w := t.waiting[c][0]
	t.waiting[c][0] = nil
	if t.waiting[c] = t.waiting[c][1:]; len(t.waiting[c]) == 0 {
		t.waiting[c] = nil // The room that a burst has made goes with it.
	}
	if c == ordinary {
		now := time.Now()
		t.pace += (now.Sub(t.went) - t.pace) / paceOver
		t.went = now
	}
	return w
}

// paceOver is over how many turns the pace is smoothed: as many as share a commit, which go on
// together.
const paceOver = maxGroup

// share takes up to n jobs of those who wait, in their order, up to the first that nobody
// can do for its owner.
func (t *turns) share(n int) []*job {
	t.mu.Lock()
	defer t.mu.Unlock()
	var jobs []*job
	for c := range t.waiting {
		for len(t.waiting[c]) > 0 && len(jobs) < n {
			if t.waiting[c][0].job == nil {
				return jobs
			}
			jobs = append(jobs, t.take(class(c)).job)
		}
	}
	return jobs
}

// fewWaiting is how many may always wait: the pace of an hour ago says little about them.
const fewWaiting = 8

// backlog returns how long one of the class ordinary waits for its turn: as long as the
// first of those has waited by now, or as long as one that comes now will, at the pace of
// those before it, whichever is more. So of a burst only as many are taken as go in time.
func (t *turns) backlog(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.waiting[ordinary])
	if n == 0 {
		return 0
	}
	wait := now.Sub(t.waiting[ordinary][0].since)
	if n > fewWaiting {
		wait = max(wait, t.pace*time.Duration(n))
	}
	return wait
}
