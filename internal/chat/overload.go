package chat

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"parley/internal/refusal"
	"parley/internal/reply"
)

// ErrBusy is returned by a store that has too much to do for what a user asks for. Nothing of
// it was done.
var ErrBusy = errors.New("too many wait to write")

// patience is the least that a refused client waits, and the most that is added to it, so
// that not all of them come back at once.
const patience = time.Second

// admit makes room for one more reply, before anything is done for it, or refuses it while
// this process cannot keep up with those it has: what was asked for before waits too long, or
// as many replies run, or are about to, as it can feed. Whoever was admitted keeps its speed.
// The caller leaves the place. Error: OVERLOADED {retryAfter}.
func (s *Service) admit() (*reply.Place, error) {
	backlog := s.store.Backlog()
	if backlog < s.cfg.MaxBacklog {
		if place, ok := s.replies.Admit(s.cfg.MaxReplies); ok {
			return place, nil
		}
	}
	return nil, overloaded(backlog)
}

func overloaded(backlog time.Duration) *refusal.Error {
	return refusal.Overloaded(patience + min(backlog, maxBackoff) + rand.N(patience))
}

// maxBackoff bounds what a client is told to wait for the sake of what waits already.
const maxBackoff = 10 * time.Second

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
