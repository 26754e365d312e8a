package chat

import (
	"context"
	"fmt"
	"time"

	"parley/internal/pid"
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
	a.meters.Limits.Of(limitSends).Inc()
	return refusal.RateLimited(
		fmt.Sprintf("At most %d messages may be sent in a minute.", a.cfg.SendsPerMinute), wait)
}

// checkLimits refuses what one user may not do all at once.
func (a *asking) checkLimits(s SendState, now time.Time, waits bool) error {
	// A queued reply starts when another one has ended.
	if !waits && s.Running >= a.cfg.MaxRunning {
		a.meters.Limits.Of(limitRunning).Inc()
		return refusal.RateLimited(
			fmt.Sprintf("At most %d replies may be written at once.", a.cfg.MaxRunning), time.Second)
	}
	if err := a.checkSends(s, now); err != nil {
		return err
	}
	return a.checkTokens(s, now)
}

// checkSends refuses one record more than may be made in a minute. Error: RATE_LIMITED.
func (a *asking) checkSends(s SendState, now time.Time) error {
	if a.cfg.SendsPerMinute == 0 || s.Nth == nil {
		return nil
	}
	wait := s.Nth.Add(time.Minute).Sub(now)
	a.crowd.refuse(a.once.userID, time.Now(), wait)
	return a.tooManySends(wait)
}

// settleSoon is when it is worth while to ask again for tokens that others hold: they have
// taken less, perhaps.
const settleSoon = 5 * time.Second

// checkTokens refuses what would go beyond the tokens of a day. Replies that are being
// written, and those that wait, hold what they are thought to use. The first of a day may
// always be asked for, and what a reply uses beyond what it holds is not cut off.
func (a *asking) checkTokens(s SendState, now time.Time) error {
	limit := a.cfg.TokensPerDay
	fits := func(taken int) bool { return taken == 0 || taken < limit && taken+a.prompt <= limit }
	switch {
	case limit == 0 || fits(s.Tokens+s.Reserved):
		return nil
	case fits(s.Tokens):
		a.meters.Quotas.Of(tokensPerDay).Inc()
		return refusal.QuotaExceeded(tokensPerDay, "The tokens that are left of this day are held by other replies.",
			settleSoon, usage.NextDay(now))
	}
	a.meters.Quotas.Of(tokensPerDay).Inc()
	return refusal.QuotaExceeded(tokensPerDay, "The tokens of this day are used up.", usage.LeftOfDay(now),
		usage.NextDay(now))
}

// The names of quotas.
const (
	tokensPerDay        = "tokens_per_day"
	conversationsPerDay = "conversations_per_day"
	bytesPerUser        = "bytes_per_user"
)

// checkConversations refuses one conversation more than may be made in a day. Error:
// QUOTA_EXCEEDED.
func (s *Service) checkConversations(made int, now time.Time) error {
	if s.cfg.ConversationsPerDay == 0 || made < s.cfg.ConversationsPerDay {
		return nil
	}
	s.meters.Quotas.Of(conversationsPerDay).Inc()
	return refusal.QuotaExceeded(conversationsPerDay,
		fmt.Sprintf("At most %d conversations may be begun in a day.", s.cfg.ConversationsPerDay),
		usage.LeftOfDay(now), usage.NextDay(now))
}

// checkRoom refuses more texts of a user who has stored as many as may be. Error:
// QUOTA_EXCEEDED.
func (s *Service) checkRoom(ctx context.Context, userID pid.ID) error {
	if s.cfg.BytesPerUser == 0 {
		return nil
	}
	stored, err := s.sizes.of(ctx, userID, s.cfg.BytesPerUser, time.Now())
	if err != nil {
		return err
	}
	if stored < s.cfg.BytesPerUser {
		return nil
	}
	s.meters.Quotas.Of(bytesPerUser).Inc()
	return refusal.OutOfRoom(bytesPerUser, fmt.Sprintf("Your conversations have %d MB of text, and may have no more. "+
		"Delete some of them to make room.", stored>>20))
}
