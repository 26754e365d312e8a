package chat

import (
	"math/rand/v2"
	"time"

	"parley/internal/refusal"
)

// patience is the least that a refused client waits, and the most that is added to it, so
// that not all of them come back at once.
const patience = time.Second

// checkLoad refuses, before anything is done for it, what would make a reply while this
// process cannot keep up with those it has: what was asked for before waits too long to be
// written, or as many replies run as it can feed. Whoever was admitted keeps its speed.
// Error: OVERLOADED {retryAfter}.
func (s *Service) checkLoad() error {
	backlog := s.store.Backlog()
	if backlog < s.cfg.MaxBacklog && s.replies.Running() < s.cfg.MaxReplies {
		return nil
	}
	return refusal.Overloaded(patience + backlog + rand.N(patience))
}
