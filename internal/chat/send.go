package chat

import (
	"context"

	"parley/ent"
	"parley/ent/conversation"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
)

// SendInput is the input of SendMessage.
type SendInput struct {
	// ConversationID is nil to start a new conversation.
	ConversationID *pid.ID
	Content        string
	// ClientKey makes repeats of this send harmless.
	ClientKey *string
	// ExpectedHeadID refuses the send when the conversation has gone on since.
	ExpectedHeadID *pid.ID
	// OnBusy says what to do when a reply is still being written; "" is Reject.
	OnBusy OnBusy
	// Wait returns when the reply is final, or after Config.WaitLimit.
	Wait       bool
	Model      *string
	Parameters *reply.Parameters
}

// SendResult is what a send has stored.
type SendResult struct {
	Conversation *ent.Conversation
	UserMessage  *ent.Message
	Reply        *ent.Message
	// Deduplicated says that an earlier send with the same client key stored it.
	Deduplicated bool
}

func (in SendInput) check() error {
	p := refusal.Problems{}
	checkContent(p, "content", in.Content)
	if in.ClientKey != nil && !clientKeyForm.MatchString(*in.ClientKey) {
		p.Add("clientKey", "must have 8 to 128 letters, digits, _ or -")
	}
	if in.ExpectedHeadID != nil && in.ConversationID == nil {
		p.Add("expectedHeadId", "needs a conversationId")
	}
	checkModel(p, "model", in.Model)
	checkParameters(p, "parameters", in.Parameters)
	return p.Err()
}

// payloadHash is the same for two sends that ask for the same thing. OnBusy is no part
// of it: it says how to come to it.
func (in SendInput) payloadHash() string {
	return payloadHash(in.ConversationID, in.Content, in.Model, in.Parameters)
}

// SendMessage stores the user's message and the reply's row in one transaction,
// then has the reply written, at once or, where another one is being written and
// OnBusy allows it, behind that. It returns both rows at once, or with Wait when the
// reply is final, or as they stand when the wait is over. The end of ctx ends the
// wait, never the reply.
//
// A known client key gives the same pair again, before any limit. Errors:
// BAD_USER_INPUT, NOT_FOUND, IDEMPOTENCY_CONFLICT, STALE_HEAD {headId},
// CONVERSATION_BUSY {messageId, startedAt}, QUEUE_FULL, RATE_LIMITED {retryAfter},
// MODEL_REQUIRED {models}, MODEL_UNAVAILABLE, UNAVAILABLE. After an error nothing
// has been stored, except that UNAVAILABLE may hide a commit: repeat the send with
// its client key.
func (s *Service) SendMessage(ctx context.Context, userID pid.ID, in SendInput) (SendResult, error) {
	if err := in.check(); err != nil {
		return SendResult{}, err
	}
	result, err := s.send(ctx, userID, in)
	if err != nil || !in.Wait {
		return result, err
	}
	final, err := s.replies.Wait(ctx, userID, result.Reply.ID, s.cfg.WaitLimit)
	switch {
	case ent.IsNotFound(err):
		return SendResult{}, refusal.NotFound("message any more")
	case err != nil:
		// The pair is stored, and that is the answer; the wait alone has failed.
		s.log.WarnContext(ctx, "wait given up", "message_id", string(result.Reply.ID), "err", err)
		return result, nil
	}
	result.Reply = final
	return result, nil
}

func (s *Service) send(ctx context.Context, userID pid.ID, in SendInput) (SendResult, error) {
	o := once{userID: userID, key: in.ClientKey, hash: in.payloadHash()}
	// Looked up before the model is resolved, so that a repeat needs nothing but the
	// database.
	known, ok, err := o.find(ctx, s.store.Client().Send)
	switch {
	case err != nil:
		return SendResult{}, err
	case ok:
		return s.repeat(ctx, o, known)
	}
	model, err := s.modelFor(ctx, userID, in)
	if err != nil {
		return SendResult{}, err
	}
	a := asking{Service: s, once: o, model: model, onBusy: in.OnBusy, parameters: in.Parameters}
	return a.run(ctx, func(ctx context.Context, tx *ent.Tx) (spot, error) {
		if in.ConversationID == nil {
			return a.begin(ctx, tx, in)
		}
		return a.goOn(ctx, tx, in)
	})
}

// begin starts a conversation with its first question.
func (a *asking) begin(ctx context.Context, tx *ent.Tx, in SendInput) (spot, error) {
	l, root, err := a.newLine(ctx, tx, a.once.userID, NewConversation{Model: in.Model, Parameters: in.Parameters})
	if err != nil {
		return spot{}, err
	}
	if err := a.checkLimits(ctx, tx, l.now, false); err != nil {
		return spot{}, err
	}
	question, err := l.ask(ctx, root, in.Content)
	return spot{line: l, question: question, becomes: fact.ConversationCreated}, err
}

// goOn puts the question below the head of a conversation.
func (a *asking) goOn(ctx context.Context, tx *ent.Tx, in SendInput) (spot, error) {
	l, err := a.lockLine(ctx, tx, a.once.userID, *in.ConversationID)
	if err != nil {
		return spot{}, err
	}
	if in.ExpectedHeadID != nil && *in.ExpectedHeadID != l.conversation.HeadID {
		return spot{}, staleHead(l.conversation.HeadID)
	}
	waits, err := a.makeWay(ctx, l)
	if err != nil {
		return spot{}, err
	}
	if err := a.checkLimits(ctx, tx, l.now, waits); err != nil {
		return spot{}, err
	}
	head, err := l.head(ctx)
	if err != nil {
		return spot{}, err
	}
	question, err := l.ask(ctx, head, in.Content)
	return spot{line: l, question: question, waits: waits, becomes: fact.ConversationUpdated}, err
}

// modelFor decides the model of the reply.
func (s *Service) modelFor(ctx context.Context, userID pid.ID, in SendInput) (string, error) {
	var of *string
	if in.ConversationID != nil {
		c, err := s.store.Client().Conversation.Query().
			Where(conversation.ID(*in.ConversationID), conversation.UserID(userID)).
			Only(ctx)
		if err != nil {
			return "", orNotFound(err, "conversation")
		}
		of = c.Model
	}
	return s.resolveModel(ctx, in.Model, of)
}
