package chat

import (
	"parley/ent"
	"parley/internal/prompt"
	"parley/internal/reply"
)

// measure decides what of a conversation the reply to a question may be made from, and returns
// about how many bytes that is. What the model can read holds the system prompt and the question
// in any case. Error: CONTEXT_TOO_LONG.
func (a *asking) measure(c *ent.Conversation, s SendState, question string) (promptBytes int, err error) {
	if a.inForce, err = reply.DecodeParameters(c.Parameters); err != nil {
		return 0, err
	}
	if a.parameters != nil {
		a.inForce = a.inForce.Over(*a.parameters)
	}
	settings, err := prompt.DecodeSettings(c.ContextSettings)
	if err != nil {
		return 0, err
	}
	a.plan = a.replies.Plan(a.model, a.inForce, settings)
	promptBytes, a.prompt = a.plan.Bound(s.LineBytes+len(question), s.LineTokens+prompt.Tokens(len(question)))
	if needed, fits := a.plan.Fits(s.RootBytes+len(question), 2); !fits {
		return 0, questionTooLong(a.plan.Limit, needed)
	}
	if promptBytes > a.cfg.MaxPromptBytes {
		return 0, contextTooLong(a.cfg.MaxPromptBytes, promptBytes)
	}
	return promptBytes, nil
}
