package chat

import (
	"context"
	"fmt"

	"parley/ent"
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

// SendResult is what a send has stored. Its rows are values: no queries begin at them.
type SendResult struct {
	Conversation *ent.Conversation
	UserMessage  *ent.Message
	Reply        *ent.Message
	// Deduplicated says that an earlier send with the same client key stored it.
	Deduplicated bool
}

func (in SendInput) check(maxBytes int) error {
	p := refusal.Problems{}
	checkContent(p, "content", in.Content, maxBytes)
	checkKey(p, in.ClientKey)
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
// A known client key gives the same pair again, before any limit but OVERLOADED. Errors:
// BAD_USER_INPUT, NOT_FOUND, IDEMPOTENCY_CONFLICT, STALE_HEAD {headId},
// CONVERSATION_BUSY {messageId, startedAt}, QUEUE_FULL, RATE_LIMITED {retryAfter},
// QUOTA_EXCEEDED {quota, resetsOn, retryAfter}, OVERLOADED {retryAfter},
// CONTEXT_TOO_LONG {limitTokens, neededTokens, limitBytes, neededBytes}, MODEL_REQUIRED
// {models}, MODEL_UNAVAILABLE {model}, UNAVAILABLE. After an error nothing
// has been stored, except that UNAVAILABLE may hide a commit: repeat the send with
// its client key.
func (s *Service) SendMessage(ctx context.Context, userID pid.ID, in SendInput) (SendResult, error) {
	if err := in.check(s.cfg.MaxMessageBytes); err != nil {
		s.meters.sent(SendResult{}, err)
		return SendResult{}, err
	}
	result, err := s.send(ctx, userID, in)
	return s.finish(ctx, userID, in.Wait, result, err)
}

// finish counts what has come of a mutation that asks for a reply, and waits for that.
func (s *Service) finish(
	ctx context.Context, userID pid.ID, wait bool, result SendResult, err error,
) (SendResult, error) {
	s.meters.sent(result, err)
	if err != nil || !wait {
		return result, err
	}
	return s.await(ctx, userID, result)
}

// await returns the result with its reply as it ends, or as it stands when the wait is over.
func (s *Service) await(ctx context.Context, userID pid.ID, result SendResult) (SendResult, error) {
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
	a := asking{
		Service:    s,
		once:       once{userID: userID, key: in.ClientKey, hash: in.payloadHash()},
		wanted:     in.Model,
		onBusy:     in.OnBusy,
		parameters: in.Parameters,
	}
	if in.ConversationID == nil {
		return a.run(ctx, func(_ context.Context, _ *ent.Tx, s SendState) (spot, error) { return a.begin(s, in) })
	}
	a.conversationID = *in.ConversationID
	return a.run(ctx, func(ctx context.Context, tx *ent.Tx, s SendState) (spot, error) {
		return a.goOn(ctx, tx, s, in)
	})
}

// begin starts a conversation with its first question.
func (a *asking) begin(s SendState, in SendInput) (spot, error) {
	if err := a.decideModel(nil); err != nil {
		return spot{}, err
	}
	c, root := newConversation(a.once.userID, NewConversation{Model: in.Model, Parameters: in.Parameters}, a.now)
	promptBytes, tooLong := a.measure(c, SendState{}, in.Content)
	if err := a.checkLimits(s, a.now, false); err != nil {
		return spot{}, err
	}
	if err := a.checkConversations(s.Conversations, a.now); err != nil {
		return spot{}, err
	}
	if tooLong != nil {
		return spot{}, tooLong
	}
	l := &line{userID: a.once.userID, conversation: c, now: a.now}
	question := l.ask(root.ID, root.Index, in.Content)
	return spot{line: l, root: root, question: question, promptBytes: promptBytes,
		becomes: fact.ConversationCreated}, nil
}

// goOn puts the question below the head of a conversation.
func (a *asking) goOn(ctx context.Context, tx *ent.Tx, s SendState, in SendInput) (spot, error) {
	l, waits, err := a.enter(ctx, tx, &s, "conversation", in.ExpectedHeadID)
	if err != nil {
		return spot{}, err
	}
	promptBytes, err := a.fit(l.conversation, s, in.Content, waits)
	if err != nil {
		return spot{}, err
	}
	head := s.Conversation.HeadID
	if s.HeadIndex < 0 {
		return spot{}, fmt.Errorf("conversation %s has no head %s", l.conversation.ID, head)
	}
	question := l.ask(head, s.HeadIndex, in.Content)
	return spot{line: l, question: question, waits: waits, promptBytes: promptBytes,
		becomes: fact.ConversationUpdated}, nil
}

// enter makes way for a reply in a conversation that is there, else what is missing, and in
// which nothing was said since its asker has looked.
func (a *asking) enter(
	ctx context.Context, tx *ent.Tx, s *SendState, what string, expectedHeadID *pid.ID,
) (l *line, waits bool, err error) {
	if s.Conversation == nil {
		return nil, false, refusal.NotFound(what)
	}
	if err := a.decideModel(s.Conversation.Model); err != nil {
		return nil, false, err
	}
	if head := s.Conversation.HeadID; expectedHeadID != nil && *expectedHeadID != head {
		return nil, false, staleHead(head)
	}
	l = &line{tx: tx, userID: a.once.userID, conversation: s.Conversation, now: a.now}
	if waits, err = a.makeWay(ctx, l, s.Unfinished); err != nil {
		return nil, false, err
	}
	if a.onBusy == Interrupt {
		s.Reserved -= heldByQueued(s.Unfinished) // They are cancelled.
	}
	return l, waits, nil
}

// fit checks the limits of a reply to a question, and returns about how many bytes it may be
// made from. Who sends too much is told that first.
func (a *asking) fit(c *ent.Conversation, s SendState, question string, waits bool) (promptBytes int, err error) {
	promptBytes, tooLong := a.measure(c, s, question)
	if err := a.checkLimits(s, a.now, waits); err != nil {
		return 0, err
	}
	return promptBytes, tooLong
}
