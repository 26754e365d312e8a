package chat

import (
	"context"
	"errors"

	"parley/internal/pid"
)

// ContextUse is how full the context of a model is.
type ContextUse struct {
	// UsedTokens are the tokens of the next prompt, without the new message.
	UsedTokens int
	// Measured says that the model server counted them. Otherwise they are a guess.
	Measured bool
	// LimitTokens is nil when nobody has said the limit.
	LimitTokens *int
	// ReservedTokens are kept free for the reply.
	ReservedTokens int
	// DroppedCount is how many messages the last prompt left out.
	DroppedCount int
}

// ContextUse says how full the context of a conversation is for a model; "" is the one
// that answers. Error: NOT_FOUND.
func (s *Service) ContextUse(ctx context.Context, userID, conversationID pid.ID, model string) (ContextUse, error) {
	return ContextUse{}, errors.New("chat: nothing measures the context yet")
}
