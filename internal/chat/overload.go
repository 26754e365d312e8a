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
	why := overloadBacklog
	if s.store.Backlog() < s.cfg.MaxBacklog {
		if place, ok := s.replies.Admit(s.cfg.MaxReplies); ok {
			return place, nil
		}
		why = overloadReplies
	}
	return nil, s.overloaded(why)
}

// within is how long a send waits for its turn. It was let in since the wait seemed short
// enough. When something comes between, such as a checkpoint, it has as much time again: to be
// refused late is worst.
func (s *Service) within(ctx context.Context) context.Context {
	return s.store.Within(ctx, 2*s.cfg.MaxBacklog)
}

// overloaded is the refusal, with a time to come back that follows from how many others are
// refused.
func (s *Service) overloaded(why string) *refusal.Error {
	s.meters.Overload.Of(why).Inc()
	wait := s.pressure.refused(time.Now())
	return refusal.Overloaded(wait + rand.N(wait))
}

// pressure estimates how many clients are refused for each one that is let in: so many turns
// does it take until all that are there have had one. Told to come back earlier, they would
// only be refused more often, which costs those who are in. It is safe for concurrent use.
type pressure struct {
	mu sync.Mutex
	// The fields below are guarded by mu. The numbers fade.
	in, out float64
	at      time.Time
}

const (
	// pressureFades is in which time the numbers fall to a third.
	pressureFades = 3 * time.Second
	// pressureMost bounds what a client is told to wait: an overload may end at any moment.
	pressureMost = 8
)

func (p *pressure) fade(now time.Time) {
	left := math.Exp(-now.Sub(p.at).Seconds() / pressureFades.Seconds())
	p.in, p.out, p.at = p.in*left, p.out*left, now
}

func (p *pressure) admitted(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fade(now)
	p.in++
}

// refused notes a refusal and returns how long its client had better wait, at least.
func (p *pressure) refused(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fade(now)
	p.out++
	return time.Duration(min(max(p.out/(p.in+1), 1), pressureMost) * float64(patience))
}

// unlessKnown answers a known client key, and any other mutation with why it is refused. It
// looks without a lock: a record that is not there yet is one of a send that has not been
// answered. That takes a read: where it would have to wait, the client is told to come back,
// with its key. Another refusal would say of what may be stored that it is not.
func (a *asking) unlessKnown(ctx context.Context, why error) (SendResult, error) {
	if a.once.key == nil {
		return SendResult{}, why
	}
	if !a.store.Idle() {
		if refused, ok := refusal.As(why); ok && refused.Code != refusal.CodeOverloaded {
			a.meters.Overload.Of(overloadReads).Inc()
			why = refusal.Overloaded(patience + rand.N(patience)) // No pressure: it is its user's doing.
		}
		return SendResult{}, why
	}
	known, ok, err := a.once.find(ctx, a.store.Client().Send)
	switch {
	case err != nil:
		return SendResult{}, err
	case ok:
		return a.repeat(ctx, a.once, known)
	}
	return SendResult{}, why
}
