package chat

import (
	"context"
	"fmt"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/send"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/usage"
)

// checkLimits refuses what one user may not do all at once.
func (a *asking) checkLimits(ctx context.Context, tx *ent.Tx, now time.Time, waits bool) error {
	if !waits { // A queued reply starts when another one has ended.
		if err := a.checkRunning(ctx, tx); err != nil {
			return err
		}
	}
	if a.cfg.SendsPerMinute > 0 {
		if err := a.checkRate(ctx, tx, now); err != nil {
			return err
		}
	}
	if a.cfg.TokensPerDay > 0 {
		return a.checkTokens(ctx, tx, now)
	}
	return nil
}

// checkRunning refuses more than so many replies at once. Both conditions are there
// for the sake of the index: see package reply's predicates.
func (a *asking) checkRunning(ctx context.Context, tx *ent.Tx) error {
	running, err := tx.Message.Query().
		Where(message.UserID(a.once.userID), reply.Unfinished(), reply.Streaming()).
		Count(ctx)
	if err != nil {
		return fmt.Errorf("count running replies: %w", err)
	}
	if running >= a.cfg.MaxRunning {
		return refusal.RateLimited(
			fmt.Sprintf("At most %d replies may be written at once.", a.cfg.MaxRunning), time.Second)
	}
	return nil
}

// checkRate refuses more than so many sends in a minute.
func (a *asking) checkRate(ctx context.Context, tx *ent.Tx, now time.Time) error {
	recent, err := tx.Send.Query().
		Where(send.UserID(a.once.userID), send.CreatedAtGT(now.Add(-time.Minute))).
		Order(send.ByCreatedAt()).
		Select(send.FieldCreatedAt).
		All(ctx)
	if err != nil {
		return fmt.Errorf("count sends: %w", err)
	}
	if n := len(recent); n >= a.cfg.SendsPerMinute {
		free := recent[n-a.cfg.SendsPerMinute].CreatedAt.Add(time.Minute).Sub(now)
		return refusal.RateLimited(
			fmt.Sprintf("At most %d messages may be sent in a minute.", a.cfg.SendsPerMinute), free)
	}
	return nil
}

// checkTokens refuses when the tokens of the day are used up. Replies that are still
// being written have used none yet.
func (a *asking) checkTokens(ctx context.Context, tx *ent.Tx, now time.Time) error {
	used, err := usage.TokensOn(ctx, tx, a.once.userID, usage.Day(now))
	if err != nil {
		return err
	}
	if used >= a.cfg.TokensPerDay {
		return refusal.RateLimited("The tokens of this day are used up.", usage.LeftOfDay(now))
	}
	return nil
}
