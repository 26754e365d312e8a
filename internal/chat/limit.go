package chat

import (
	"fmt"
	"time"

	"parley/internal/refusal"
	"parley/internal/usage"
)

// checkRate refuses a user who is known to have sent too much, as the database has said
// before. Error: RATE_LIMITED.
func (a *asking) checkRate() error {
	if wait := a.crowd.refusedFor(a.once.userID, time.Now()); wait > 0 {
		return a.tooManySends(wait)
	}
	return nil
}

func (a *asking) tooManySends(wait time.Duration) error {
	return refusal.RateLimited(
		fmt.Sprintf("At most %d messages may be sent in a minute.", a.cfg.SendsPerMinute), wait)
}

// checkLimits refuses what one user may not do all at once.
func (a *asking) checkLimits(s SendState, now time.Time, waits bool) error {
	// A queued reply starts when another one has ended.
	if !waits && s.Running >= a.cfg.MaxRunning {
		return refusal.RateLimited(
			fmt.Sprintf("At most %d replies may be written at once.", a.cfg.MaxRunning), time.Second)
	}
	if a.cfg.SendsPerMinute > 0 && s.Nth != nil {
		wait := s.Nth.Add(time.Minute).Sub(now)
		a.crowd.refuse(a.once.userID, time.Now(), wait)
		return a.tooManySends(wait)
	}
	// Replies that are still being written have used none yet.
	if a.cfg.TokensPerDay > 0 && s.Tokens >= a.cfg.TokensPerDay {
		return refusal.RateLimited("The tokens of this day are used up.", usage.LeftOfDay(now))
	}
	return nil
}
