package chat

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"parley/internal/refusal"
	"parley/internal/reply"
)

// ErrBusy is returned by a store that has too much to do for what a user asks for. Nothing of
// it was done.
var ErrBusy = errors.New("too many wait to write")

// patience is how long a refused client waits at least, where few are refused, and the most
// that is added to it, so that not all of them come back at once.
const patience = time.Second

// admit makes room for one more reply, before anything is done for it, or refuses it while
// this process cannot keep up with those it has: what was asked for before waits too long, or
// as many replies run, or are about to, as it can feed. Whoever was admitted keeps its speed.
// The caller leaves the place. Error: OVERLOADED {retryAfter}.
func (s *Service) admit() (*reply.Place, error) {
	if s.store.Backlog() < s.cfg.MaxBacklog {
		if place, ok := s.replies.Admit(s.cfg.MaxReplies); ok {
			return place, nil
		}
	}
	return nil, s.overloaded()
}

// within is how long a send waits for its turn. It was let in since the wait seemed short
// enough. When something comes between, such as a checkpoint, it has as much time again: to be
// refused late is worst.
func (s *Service) within(ctx context.Context) context.Context { return s.store.Within(ctx, 2*s.cfg.MaxBacklog) }

// overloaded is the refusal, with a time to come back that follows from how many others are
// refused.
func (s *Service) overloaded() *refusal.Error {
	wait := s.crowd.refused(time.Now())
	return refusal.Overloaded(wait + rand.N(wait))
}

// crowd estimates how many clients are refused for each one that is let in: so many turns
// does it take until all that are there have had one. Told to come back earlier, they would
// only be refused more often, which costs those who are in. It is safe for concurrent use.
type crowd struct {
	mu sync.Mutex
	// The fields below are guarded by mu. The numbers fade.
	in, out float64
	at      time.Time
}

const (
	// crowdFades is in which time the numbers fall to a third.
	crowdFades = 3 * time.Second
	// crowdMost bounds what a client is told to wait: an overload may end at any moment.
	crowdMost = 8
)

func (c *crowd) fade(now time.Time) {
	left := math.Exp(-now.Sub(c.at).Seconds() / crowdFades.Seconds())
	c.in, c.out, c.at = c.in*left, c.out*left, now
}

func (c *crowd) admitted(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fade(now)
	c.in++
}

// refused notes a refusal and returns how long its client had better wait, at least.
func (c *crowd) refused(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fade(now)
	c.out++
	return time.Duration(min(max(c.out/(c.in+1), 1), crowdMost) * float64(patience))
}

// refuseUnlessKnown answers a mutation for which there is no room. A known client key gives
// what was stored then, which takes a read: where that would have to wait as well, the client
// is told to come back, with its key.
func (a *asking) refuseUnlessKnown(ctx context.Context, overloaded error) (SendResult, error) {
	if a.once.key == nil || !a.store.Idle() {
		return SendResult{}, overloaded
	}
	known, ok, err := a.once.find(ctx, a.store.Client().Send)
	switch {
	case err != nil:
		return SendResult{}, err
	case ok:
		return a.repeat(ctx, a.once, known)
	}
	return SendResult{}, overloaded
}
