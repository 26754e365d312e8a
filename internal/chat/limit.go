package chat

import (
	"fmt"
	"time"

	"parley/internal/refusal"
	"parley/internal/usage"
)

// checkLimits refuses what one user may not do all at once.
func (a *asking) checkLimits(s SendState, now time.Time, waits bool) error {
	// A queued reply starts when another one has ended.
	if !waits && s.Running >= a.cfg.MaxRunning {
		return refusal.RateLimited(
			fmt.Sprintf("At most %d replies may be written at once.", a.cfg.MaxRunning), time.Second)
	}
	if a.cfg.SendsPerMinute > 0 && s.Nth != nil {
		return refusal.RateLimited(
			fmt.Sprintf("At most %d messages may be sent in a minute.", a.cfg.SendsPerMinute),
			s.Nth.Add(time.Minute).Sub(now))
	}
	// Replies that are still being written have used none yet.
	if a.cfg.TokensPerDay > 0 && s.Tokens >= a.cfg.TokensPerDay {
		return refusal.RateLimited("The tokens of this day are used up.", usage.LeftOfDay(now))
	}
	return nil
}
