package chat

import (
	"context"
	"fmt"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/predicate"
	"parley/ent/send"
	"parley/ent/user"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
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

// checkTokens refuses when the tokens of the day are used up.
func (a *asking) checkTokens(ctx context.Context, tx *ent.Tx, now time.Time) error {
	day := now.Truncate(24 * time.Hour)
	used, err := usedTokens(ctx, tx, message.UserID(a.once.userID), message.CreatedAtGTE(day))
	if err != nil {
		return err
	}
	deleted, err := spentTokens(ctx, tx, a.once.userID, day)
	if err != nil {
		return err
	}
	if used+deleted >= a.cfg.TokensPerDay {
		return refusal.RateLimited("The tokens of this day are used up.", day.Add(24*time.Hour).Sub(now))
	}
	return nil
}

// usedTokens sums what replies have used, asked and answered.
func usedTokens(ctx context.Context, tx *ent.Tx, where ...predicate.Message) (int, error) {
	var sums []struct {
		Prompt     *int `sql:"prompt"`
		Completion *int `sql:"completion"`
	}
	err := tx.Message.Query().
		Where(where...).
		Where(reply.Replies()).
		Aggregate(
			ent.As(ent.Sum(message.FieldPromptTokens), "prompt"),
			ent.As(ent.Sum(message.FieldCompletionTokens), "completion"),
		).
		Scan(ctx, &sums)
	if err != nil {
		return 0, fmt.Errorf("sum tokens: %w", err)
	}
	total := 0
	for _, s := range sums {
		for _, n := range []*int{s.Prompt, s.Completion} {
			if n != nil {
				total += *n
			}
		}
	}
	return total, nil
}

// spentTokens is what the user's deleted replies of a day had used.
func spentTokens(ctx context.Context, tx *ent.Tx, userID pid.ID, day time.Time) (int, error) {
	u, err := tx.User.Query().Where(user.ID(userID)).Only(ctx)
	if err != nil {
		return 0, fmt.Errorf("read spent tokens: %w", err)
	}
	if u.SpentOn == nil || !u.SpentOn.Equal(day) {
		return 0, nil
	}
	return u.SpentTokens, nil
}

// keepSpent remembers the tokens of a conversation that is about to be deleted, those
// of the reply that is being written included. The caller holds the locks of the user
// and of the conversation.
func (s *Service) keepSpent(ctx context.Context, tx *ent.Tx, userID, id pid.ID) error {
	now, err := s.store.NowTx(ctx, tx)
	if err != nil {
		return err
	}
	day := now.Truncate(24 * time.Hour)
	used, err := usedTokens(ctx, tx, message.UserID(userID), message.ConversationID(id), message.CreatedAtGTE(day))
	if err != nil {
		return err
	}
	running, err := s.runningTokens(ctx, tx, userID, id)
	if err != nil {
		return err
	}
	used += running
	if used == 0 {
		return nil
	}
	before, err := spentTokens(ctx, tx, userID, day)
	if err != nil {
		return err
	}
	err = tx.User.Update().Where(user.ID(userID)).SetSpentOn(day).SetSpentTokens(before + used).Exec(ctx)
	if err != nil {
		return fmt.Errorf("keep spent tokens: %w", err)
	}
	return nil
}

// runningTokens estimates what the running reply of a conversation has used: the
// model server is never asked for the count of a reply that is cut off. About four
// bytes of text make a token.
func (s *Service) runningTokens(ctx context.Context, tx *ent.Tx, userID, id pid.ID) (int, error) {
	rows, err := tx.Message.Query().
		Where(message.ConversationID(id), message.UserID(userID), message.Active(true)).
		Order(message.ByIndex()).
		All(ctx)
	if err != nil {
		return 0, fmt.Errorf("read running reply: %w", err)
	}
	bytes := 0
	for _, m := range rows {
		running := m.Status == message.StatusSTREAMING
		s.replies.Overlay(m)
		bytes += len(m.Content) + len(m.Reasoning)
		if running {
			return (bytes + 3) / 4, nil
		}
	}
	return 0, nil
}
