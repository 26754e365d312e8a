// Package usage says what a call of a model counts for: on which day, for which
// purpose. It neither reads nor writes: package store adds a Call to its row, and sums
// the rows of a day where a limit asks.
//
// Its one invariant: a call counts once, in the transaction that makes its outcome
// final or deletes it before that, and counts for good, whatever is deleted later.
package usage

import (
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

// StartOfDay returns when the day of a moment began.
func StartOfDay(t time.Time) time.Time { return t.UTC().Truncate(oneDay) }

// NextDay returns when the day after that of a moment begins.
func NextDay(t time.Time) time.Time { return StartOfDay(t).Add(oneDay) }

// LeftOfDay returns how long the day of a moment still lasts.
func LeftOfDay(t time.Time) time.Duration { return NextDay(t).Sub(t) }

const oneDay = 24 * time.Hour
