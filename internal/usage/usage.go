// Package usage says what a call of a model counts for: on which day, for which
// purpose, and what of it is held against a user's tokens of the day. It does not
// write: package store adds a Call to its row.
//
// Its one invariant: a call counts once, in the transaction that makes its outcome
// final or deletes it before that, and counts for good, whatever is deleted later.
package usage

import (
	"context"
	"fmt"
	"time"

	"parley/ent"
	"parley/ent/usageday"
	"parley/internal/pid"
)

// Call is what one call of a model has used.
type Call struct {
	UserID  pid.ID
	Day     string // See Day.
	Model   string
	Purpose usageday.Purpose

	PromptTokens     int
	CompletionTokens int
	CachedTokens     int // Part of PromptTokens.
	ReasoningTokens  int // Part of CompletionTokens.
	// Estimated says that the model server did not count.
	Estimated bool
}

// OfReply returns what a reply has used, and false when nothing was counted, as for
// one whose model was never called. It counts for the day on which it was asked for:
// the limit of that day let it in.
func OfReply(m *ent.Message) (Call, bool) {
	if m.PromptTokens == nil && m.CompletionTokens == nil {
		return Call{}, false
	}
	c := Call{
		UserID:           m.UserID,
		Day:              Day(m.CreatedAt),
		Purpose:          usageday.PurposeREPLY,
		PromptTokens:     orZero(m.PromptTokens),
		CompletionTokens: orZero(m.CompletionTokens),
		CachedTokens:     orZero(m.CachedTokens),
		ReasoningTokens:  orZero(m.ReasoningTokens),
		Estimated:        m.UsageEstimated,
	}
	if m.Model != nil {
		c.Model = *m.Model
	}
	return c, true
}

func orZero(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

// Day returns the day of a moment as rows name it, in UTC.
func Day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// LeftOfDay returns how long the day of a moment still lasts.
func LeftOfDay(t time.Time) time.Duration {
	const day = 24 * time.Hour
	return day - t.UTC().Sub(t.UTC().Truncate(day))
}

// TokensOn returns what a user's calls of a day have used, asked and answered, with
// all models and for all purposes.
func TokensOn(ctx context.Context, tx *ent.Tx, userID pid.ID, day string) (int, error) {
	rows, err := tx.UsageDay.Query().
		Where(usageday.UserID(userID), usageday.Day(day)).
		Select(usageday.FieldPromptTokens, usageday.FieldCompletionTokens).
		All(ctx)
	if err != nil {
		return 0, fmt.Errorf("read usage of a day: %w", err)
	}
	total := 0
	for _, r := range rows {
		total += r.PromptTokens + r.CompletionTokens
	}
	return total, nil
}
