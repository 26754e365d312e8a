package store

import (
	"context"
	"fmt"

	"parley/ent"
	"parley/internal/pid"
	"parley/internal/usage"
)

// usageColumns are all of a row of usage, and usageConflict adds a call to the row that is
// there.
const (
	usageColumns = `id, user_id, day, model, purpose, currency,
  calls, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, micros, estimated_calls`
	usageConflict = `ON CONFLICT (user_id, day, model, purpose, currency) DO UPDATE SET
  calls = usage_days.calls + excluded.calls,
  prompt_tokens = usage_days.prompt_tokens + excluded.prompt_tokens,
  completion_tokens = usage_days.completion_tokens + excluded.completion_tokens,
  cached_tokens = usage_days.cached_tokens + excluded.cached_tokens,
  reasoning_tokens = usage_days.reasoning_tokens + excluded.reasoning_tokens,
  micros = usage_days.micros + excluded.micros,
  estimated_calls = usage_days.estimated_calls + excluded.estimated_calls`
)

// usageStatement adds a call to its row, or begins one. Ent could say it too, but would
// read the row back.
const usageStatement = `
INSERT INTO usage_days (` + usageColumns + `)
VALUES ($1, $2, $3, $4, $5, '', 1, $6, $7, $8, $9, 0, $10)
` + usageConflict

// AddUsage implements reply.Store and chat.Store: it adds a call to the row of its user,
// day, model and purpose. Until tx ends, others that add to the same row wait; so it
// comes behind all locks, and once in a transaction.
func (s *Store) AddUsage(ctx context.Context, tx *ent.Tx, c usage.Call) error {
	_, err := tx.ExecContext(ctx, s.statements.usage,
		string(pid.New(pid.UsageDay)), string(c.UserID), c.Day, c.Model, string(c.Purpose),
		c.PromptTokens, c.CompletionTokens, c.CachedTokens, c.ReasoningTokens, estimated(c))
	if err != nil {
		return fmt.Errorf("add usage: %w", err)
	}
	return nil
}

// estimated is 1 for a call whose numbers are a guess.
func estimated(c usage.Call) int {
	if c.Estimated {
		return 1
	}
	return 0
}
