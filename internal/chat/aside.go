package chat

import (
	"context"
	"errors"

	"parley/ent"
	"parley/internal/pid"
	"parley/internal/refusal"
)

var errNoAsides = errors.New("chat: nothing makes names and summaries yet")

// RegenerateName has a model name the conversation now, and returns it. Errors: NOT_FOUND;
// BAD_USER_INPUT without a model for names; RATE_LIMITED, MODEL_UNAVAILABLE.
func (s *Service) RegenerateName(ctx context.Context, userID, conversationID pid.ID) (*ent.Conversation, error) {
	return nil, s.noAsides(ctx, userID, conversationID)
}

// SummarizeConversation sums up the older part of the visible line now, and returns nil when
// there is too little to sum up. Errors: NOT_FOUND, RATE_LIMITED, MODEL_UNAVAILABLE.
func (s *Service) SummarizeConversation(ctx context.Context, userID, conversationID pid.ID) (*ent.Summary, error) {
	return nil, s.noAsides(ctx, userID, conversationID)
}

// DeleteSummary throws a summary away. Error: NOT_FOUND.
func (s *Service) DeleteSummary(ctx context.Context, userID, summaryID pid.ID) error {
	found, err := s.Summaries(ctx, userID, []pid.ID{summaryID})
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return refusal.NotFound("summary")
	}
	return errNoAsides
}

func (s *Service) noAsides(ctx context.Context, userID, conversationID pid.ID) error {
	found, err := s.Conversations(ctx, userID, []pid.ID{conversationID})
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return refusal.NotFound("conversation")
	}
	return errNoAsides
}
