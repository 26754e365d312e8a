package reply

import (
	"context"
	"errors"
	"fmt"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/usage"
)

// usualAnswer is how many tokens an answer is held to take that has no maximum.
const usualAnswer = 1000

// AnswerTokens is what is set aside for an answer.
func AnswerTokens(p Parameters) int {
	if p.MaxTokens != nil {
		return *p.MaxTokens
	}
	return usualAnswer
}

// UsedSoFar estimates what the reply that is being written in a conversation has used;
// it is false when none is. The caller deletes the conversation in tx, under its lock:
// the model server charges for a reply that is cut off, and is never asked how much.
func (e *Engine) UsedSoFar(ctx context.Context, tx *ent.Tx, userID, conversationID pid.ID) (usage.Call, bool, error) {
	row, err := tx.Message.Query().
		Where(message.ConversationID(conversationID), message.UserID(userID), Unfinished(), Streaming()).
		Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return usage.Call{}, false, nil
	case err != nil:
		return usage.Call{}, false, fmt.Errorf("look for a running reply: %w", err)
	case row.Attempt == 0:
		return usage.Call{}, false, nil // Nobody has run it yet.
	case row.PromptBytes != nil:
		call, ok := e.usedFor(row, prompt.Tokens(*row.PromptBytes))
		return call, ok, nil
	}
	// A replica of an earlier version has asked for it.
	before, err := tx.Message.Query().
		Where(message.ConversationID(conversationID), message.UserID(userID), message.Active(true),
			message.IndexLT(row.Index)).
		Order(message.ByIndex()).
		Select(message.FieldRole, message.FieldStatus, message.FieldContent).
		All(ctx)
	if err != nil {
		return usage.Call{}, false, fmt.Errorf("read line: %w", err)
	}
	line := make([]prompt.Row, len(before))
	for i, m := range before {
		line[i] = prompt.Row{Role: prompt.StoredRole(string(m.Role)), Status: prompt.StoredStatus(string(m.Status)),
			Content: m.Content}
	}
	call, ok := e.usedFor(row, prompt.Estimate(prompt.Of(line)))
	return call, ok, nil
}

// usedFor is what a running reply has used of the model so far.
func (e *Engine) usedFor(row *ent.Message, promptTokens int) (usage.Call, bool) {
	e.Overlay(row)
	setUsage(row, generated{promptTokens: promptTokens})
	return usage.OfReply(row)
}

// estimateLeft sets in next, which is the end of a reply whose owner is gone, what was
// used for the text that row holds. Without any of its own, nothing proves that a model was
// called.
func (s *sweeper) estimateLeft(ctx context.Context, row, next *ent.Message) error {
	left := *row
	if len(left.Salvage) > len(left.Content) {
		left.Content = left.Salvage
	}
	if TextsOf(&left) == startOf(row) {
		return nil
	}
	tokens, err := s.promptTokens(ctx, row)
	if err != nil {
		return err
	}
	setUsage(&left, generated{promptTokens: tokens})
	next.PromptTokens, next.CompletionTokens = left.PromptTokens, left.CompletionTokens
	next.UsageEstimated = left.UsageEstimated
	return nil
}

// promptTokens estimates what a model was sent for a reply. It does not read that, which may
// be what the owner died of, unless it must.
func (s *sweeper) promptTokens(ctx context.Context, row *ent.Message) (int, error) {
	if row.PromptBytes != nil {
		return prompt.Tokens(*row.PromptBytes), nil
	}
	line, err := s.store.Line(ctx, row.UserID, row.ConversationID, row.Index, s.cfg.MaxPromptBytes)
	switch {
	case errors.Is(err, ErrLineTooLong):
		return 0, nil // No model was sent that.
	case err != nil:
		return 0, err
	}
	return prompt.Estimate(prompt.Of(line)), nil
}

// count adds what a reply has used to its day, in the transaction of a takeover that makes
// the reply final. The fence of that write has held, so it counts once.
func (q *queue) count(ctx context.Context, tx *ent.Tx, final *ent.Message) error {
	call, ok := usage.OfReply(final)
	if !ok {
		return nil
	}
	return q.store.AddUsage(ctx, tx, call)
}
