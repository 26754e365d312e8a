package chat

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/reply"
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
// that answers. It reads the last reply that a model was called for, and of a conversation
// without any its system prompt. Error: NOT_FOUND.
func (s *Service) ContextUse(ctx context.Context, userID, conversationID pid.ID, model string) (ContextUse, error) {
	c, err := s.conversation(ctx, userID, conversationID)
	if err != nil {
		return ContextUse{}, err
	}
	parameters, err := reply.DecodeParameters(c.Parameters)
	if err != nil {
		return ContextUse{}, err
	}
	settings, err := prompt.DecodeSettings(c.ContextSettings)
	if err != nil {
		return ContextUse{}, err
	}
	if model == "" { // A model that is not known has no limit.
		model, _, _ = s.catalog.ResolveNow(wantedModel(c.Model))
	}
	plan := s.replies.Plan(model, parameters, settings)
	var use ContextUse
	if plan.Limit > 0 {
		use.LimitTokens = &plan.Limit
	}
	use.ReservedTokens = prompt.Reserve(plan.Limit, deref(parameters.MaxTokens))
	last, err := s.lastMeasured(ctx, userID, conversationID)
	if err != nil {
		return ContextUse{}, err
	}
	use.count(last)
	return use, nil
}

// lastMeasured returns the newest message of a line that tells how long its prompt is: a reply
// that has ended, or else message 0.
func (s *Service) lastMeasured(ctx context.Context, userID, conversationID pid.ID) (*ent.Message, error) {
	own := s.store.Client().Message.Query().
		Where(message.ConversationID(conversationID), message.UserID(userID), message.Active(true))
	last, err := own.Clone().
		Where(message.PromptBytesNotNil(), message.FinishedAtNotNil()).
		Order(message.ByIndex(sql.OrderDesc())).
		First(ctx)
	if ent.IsNotFound(err) {
		last, err = own.Where(message.Index(0)).Only(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("read the last reply: %w", orNotFound(err, "conversation"))
	}
	return last, nil
}

// count adds up what the next prompt has of the last one, and of the reply to it. Thinking is
// not sent again.
func (u *ContextUse) count(m *ent.Message) {
	if m.ContextDropped != nil {
		u.DroppedCount = *m.ContextDropped
	}
	if m.PromptTokens != nil && m.CompletionTokens != nil && !m.UsageEstimated {
		u.UsedTokens, u.Measured = *m.PromptTokens+max(*m.CompletionTokens-deref(m.ReasoningTokens), 0), true
		return
	}
	u.UsedTokens = prompt.Tokens(deref(m.PromptBytes) + len(m.Content))
}

func deref(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}
