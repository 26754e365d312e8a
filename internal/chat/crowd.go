package chat

import (
	"context"
	"slices"
	"sync"
	"time"

	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/tally"
)

const (
	// maxCrowd is how many writes of one user may wait for their turn.
	maxCrowd = 100
	// crowdPatience is how long one of them waits at most. Who waits longer wants too much at once.
	crowdPatience = 5 * time.Second
	// crowdMemory is by how many writes what is remembered of their time falls to a third.
	crowdMemory = 8
	// maxRefused bounds the users of whom it is remembered that they have sent too much.
	// Beyond it, one is forgotten, which costs a look at the database.
	maxRefused = 10_000
)

// crowd keeps the writes of one user out of the way of others'. They take turns at the
// user's rows in any case; here they do so before they take a connection. And it remembers
// who has sent too much: the database need not be asked again. It is safe for concurrent
// use.
type crowd struct {
	// atOnce is how many writes of a user go to the database at a time.
	atOnce int
	// tooMany counts those that were refused.
	tooMany *tally.Counter

	// mu guards the fields below. It is held for moments only.
	mu sync.Mutex
	// users has those of whom something goes on.
	users map[pid.ID]*party
	// refused has the end of the time for which a user may send no more.
	refused map[pid.ID]time.Time
	// takes is about how long a write has been inside lately, whoever's it was.
	takes time.Duration
}

// party is what one user does at the moment.
type party struct {
	inside  int
	waiting []chan struct{} // Closed when it is its turn; first come, first served.
}

func newCrowd(atOnce int, refused *tally.Counter) *crowd {
	return &crowd{atOnce: atOnce, tooMany: refused, users: make(map[pid.ID]*party), refused: make(map[pid.ID]time.Time)}
}

// enter waits for the user's turn. A wait that would be longer than most is refused before it
// begins: to be refused late is worst. The caller calls leave, once. Errors: ErrBusy,
// RATE_LIMITED, and the cause of ctx's end.
func (c *crowd) enter(ctx context.Context, id pid.ID, most time.Duration) (leave func(), err error) {
	c.mu.Lock()
	p := c.users[id]
	if p == nil {
		p = &party{}
		c.users[id] = p
	}
	var since time.Time // When it went inside.
	leave = func() { c.leave(id, p, time.Since(since)) }
	if p.inside < c.atOnce {
		p.inside++
		c.mu.Unlock()
		since = time.Now()
		return leave, nil
	}
	if wait := c.takes * time.Duration(len(p.waiting)+1) / time.Duration(c.atOnce); wait > most {
		c.mu.Unlock()
		return nil, ErrBusy
	}
	if len(p.waiting) >= maxCrowd {
		c.mu.Unlock()
		return nil, c.tooMuchAtOnce()
	}
	turn := make(chan struct{})
	p.waiting = append(p.waiting, turn)
	c.mu.Unlock()
	patience := time.NewTimer(crowdPatience)
	defer patience.Stop()
	select {
	case <-turn:
		since = time.Now()
		return leave, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-patience.C:
		err = c.tooMuchAtOnce()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.Index(p.waiting, turn)
	if at < 0 { // It was given a moment ago.
		since = time.Now()
		return leave, nil
	}
	p.waiting = slices.Delete(p.waiting, at, at+1)
	return nil, err
}

// leave gives the turn to the user's next, after so long inside.
func (c *crowd) leave(id pid.ID, p *party, inside time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takes += (inside - c.takes) / crowdMemory
	if len(p.waiting) > 0 {
		close(p.waiting[0])
		p.waiting = slices.Delete(p.waiting, 0, 1)
		return
	}
	if p.inside--; p.inside == 0 {
		delete(c.users, id)
	}
}

// refuse remembers that a user may not send for a while. What the database said stays true
// for so long: sends are never taken back.
func (c *crowd) refuse(id pid.ID, now time.Time, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.refused) >= maxRefused {
		for other, until := range c.refused {
			if !until.After(now) {
				delete(c.refused, other)
			}
		}
	}
	for other := range c.refused {
		if len(c.refused) < maxRefused {
			break
		}
		delete(c.refused, other)
	}
	c.refused[id] = now.Add(wait)
}

// refusedFor returns for how long a user may not send; 0: as far as is known here, it may.
func (c *crowd) refusedFor(id pid.ID, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.refused[id]
	if ok && !until.After(now) {
		delete(c.refused, id)
	}
	return max(until.Sub(now), 0)
}

func (c *crowd) tooMuchAtOnce() *refusal.Error {
	c.tooMany.Inc()
	return refusal.RateLimited("Too many requests of this account wait to be written.", time.Second)
}
