package chat

import (
	"cmp"
	"context"
	"fmt"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/refusal"
	"parley/internal/reply"
)

// Again is what the mutations have in common that ask for another version.
type Again struct {
	// MessageID is the message that gets another version, or whose reply does.
	MessageID      pid.ID
	ClientKey      *string
	ExpectedHeadID *pid.ID
	// OnBusy is Reject or Interrupt; "" is Reject.
	OnBusy OnBusy
	// Wait returns when the reply is final, or after Config.WaitLimit.
	Wait       bool
	Model      *string
	Parameters *reply.Parameters
}

func (in Again) check(p refusal.Problems) error {
	checkKey(p, in.ClientKey)
	if in.OnBusy == Queue {
		p.Add("onBusy", "must be REJECT or INTERRUPT: a version cannot wait for what it replaces")
	}
	checkModel(p, "model", in.Model)
	checkParameters(p, "parameters", in.Parameters)
	return p.Err()
}

// again is the transaction of such a mutation. Error: NOT_FOUND.
func (s *Service) again(ctx context.Context, userID pid.ID, in Again, hash string) (*asking, error) {
	o := once{userID: userID, key: in.ClientKey, hash: hash}
	conversationID, err := s.placeOf(ctx, o, in.MessageID)
	if err != nil {
		return nil, err
	}
	return &asking{
		Service:        s,
		once:           o,
		conversationID: conversationID,
		wanted:         in.Model,
		onBusy:         in.OnBusy,
		parameters:     in.Parameters,
	}, nil
}

// RegenerateReply answers a question again, as another version of its reply, which becomes
// the one that is shown. It takes the reply or the question. A question that was cancelled is
// asked anew, as a version of itself.
//
// A known client key gives the same reply again. Errors: those of SendMessage but QUEUE_FULL;
// BAD_USER_INPUT also for message 0.
func (s *Service) RegenerateReply(ctx context.Context, userID pid.ID, in Again) (SendResult, error) {
	if err := in.check(refusal.Problems{}); err != nil {
		return SendResult{}, err
	}
	a, err := s.again(ctx, userID, in, payloadHash("regenerateReply", in.MessageID, in.Model, in.Parameters))
	if err != nil {
		return SendResult{}, err
	}
	result, err := a.run(ctx, func(ctx context.Context, tx *ent.Tx, state SendState) (spot, error) {
		return a.regenerate(ctx, tx, state, in)
	})
	return s.finish(ctx, userID, in.Wait, result, err)
}

func (a *asking) regenerate(ctx context.Context, tx *ent.Tx, s SendState, in Again) (spot, error) {
	l, target, waits, err := a.toVersion(ctx, tx, &s, in)
	if err != nil {
		return spot{}, err
	}
	question := target
	if target.Role == message.RoleASSISTANT {
		if question, err = l.message(ctx, *target.ParentID); err != nil {
			return spot{}, err
		}
	}
	switch {
	case question.Role != message.RoleUSER:
		return spot{}, refusal.BadInput("messageId", "must name a question, or the reply to one")
	case question.Status != message.StatusCOMPLETED: // It was cancelled, and no prompt holds it.
		return a.version(ctx, l, s, question, question.Content, waits)
	}
	return a.put(ctx, l, s, spot{line: l, question: question, again: true, waits: waits}, question.ID)
}

// EditMessage asks a question differently: another version of it, with a reply, becomes what
// is shown. Errors: those of RegenerateReply; BAD_USER_INPUT for anything but a question.
func (s *Service) EditMessage(ctx context.Context, userID pid.ID, in Again, content string) (SendResult, error) {
	p := refusal.Problems{}
	checkContent(p, "content", content, s.cfg.MaxMessageBytes)
	if err := in.check(p); err != nil {
		return SendResult{}, err
	}
	a, err := s.again(ctx, userID, in, payloadHash("editMessage", in.MessageID, content, in.Model, in.Parameters))
	if err != nil {
		return SendResult{}, err
	}
	result, err := a.run(ctx, func(ctx context.Context, tx *ent.Tx, state SendState) (spot, error) {
		l, target, waits, err := a.toVersion(ctx, tx, &state, in)
		switch {
		case err != nil:
			return spot{}, err
		case target.Role != message.RoleUSER:
			return spot{}, refusal.BadInput("messageId", "must name a question")
		}
		return a.version(ctx, l, state, target, content, waits)
	})
	return s.finish(ctx, userID, in.Wait, result, err)
}

// toVersion makes way for another version of a message, and reads that as it is then.
func (a *asking) toVersion(
	ctx context.Context, tx *ent.Tx, s *SendState, in Again,
) (l *line, target *ent.Message, waits bool, err error) {
	if l, waits, err = a.enter(ctx, tx, s, "message", in.ExpectedHeadID); err != nil {
		return nil, nil, false, err
	}
	target, err = l.message(ctx, in.MessageID)
	return l, target, waits, err
}

// version puts another version beside a question.
func (a *asking) version(
	ctx context.Context, l *line, s SendState, question *ent.Message, content string, waits bool,
) (spot, error) {
	asked := l.ask(*question.ParentID, question.Index-1, content)
	return a.put(ctx, l, s, spot{line: l, question: asked, waits: waits}, *question.ParentID)
}

// put makes the line end with the message that a new one is to follow, and checks what
// a model would be sent.
func (a *asking) put(ctx context.Context, l *line, s SendState, at spot, end pid.ID) (spot, error) {
	from, err := l.end(ctx, a.store, end)
	if err != nil {
		return spot{}, err
	}
	at.from, at.turned, at.becomes = from, true, fact.ConversationUpdated
	before, err := a.store.LineBytes(ctx, l.tx, l.userID, l.conversation.ID, at.question.Index)
	if err != nil {
		return spot{}, err
	}
	if at.continues != nil { // It is sent with the question.
		before += len(at.continues.Content)
	}
	s.LineBytes, s.LineTokens = before, prompt.Tokens(before)
	at.promptBytes, err = a.fit(l.conversation, s, at.question.Content, at.waits)
	return at, err
}

// SelectBranch makes the line that goes through a message, and on as it was left, the one
// that is shown. It returns the conversation and the index from which on another line is
// shown, -1 when it is the same. Errors: NOT_FOUND, STALE_HEAD {headId}, CONVERSATION_BUSY
// {messageId, startedAt}.
func (s *Service) SelectBranch(
	ctx context.Context, userID, id pid.ID, expectedHeadID *pid.ID,
) (c *ent.Conversation, from int, err error) {
	conversationID, err := s.conversationOf(ctx, userID, id)
	if err != nil {
		return nil, 0, err
	}
	err = s.inTurn(ctx, userID, func(tx *ent.Tx) error {
		l, err := s.lockLine(ctx, tx, userID, conversationID)
		if err != nil {
			return err
		}
		c = l.conversation
		if expectedHeadID != nil && *expectedHeadID != c.HeadID {
			return staleHead(c.HeadID)
		}
		if err := l.checkIdle(ctx); err != nil {
			return err
		}
		var head pid.ID
		if from, head, err = l.goOn(ctx, s.store, id); err != nil || from < 0 {
			return err
		}
		c.HeadID, c.UpdatedAt = head, l.version()
		if err := l.measureAnew(ctx); err != nil {
			return err
		}
		return l.save(ctx)
	})
	if err == nil && from < 0 {
		return c.Unwrap(), from, nil
	}
	return s.turned(err, userID, conversationID, c, from)
}

// turned tells others that another line is shown from an index on, and returns what was
// given to it.
func (s *Service) turned(
	err error, userID, id pid.ID, c *ent.Conversation, from int,
) (*ent.Conversation, int, error) {
	if c != nil {
		c.Unwrap()
	}
	changed := fact.Fact{Kind: fact.LineChanged, UserID: userID, ConversationID: id, Index: from}
	if c != nil {
		changed.Revision = c.Revision
	}
	err = s.publish(err, changed, conversationFact(fact.ConversationUpdated, userID, id, c))
	if err != nil {
		return nil, 0, err
	}
	return c, from, nil
}

// conversationOf returns the conversation of a message. Error: NOT_FOUND.
func (s *Service) conversationOf(ctx context.Context, userID, id pid.ID) (pid.ID, error) {
	m, err := s.store.Client().Message.Query().
		Where(message.ID(id), message.UserID(userID)).
		Select(message.FieldConversationID).
		Only(ctx)
	if err != nil {
		return "", orNotFound(err, "message")
	}
	return m.ConversationID, nil
}

// placeOf returns the conversation of a message, or, when that is deleted by now, the one in
// which a mutation with this client key has stored something. Error: NOT_FOUND.
func (s *Service) placeOf(ctx context.Context, o once, id pid.ID) (pid.ID, error) {
	conversationID, err := s.conversationOf(ctx, o.userID, id)
	if e, ok := refusal.As(err); !ok || e.Code != refusal.CodeNotFound {
		return conversationID, err
	}
	known, ok, findErr := o.find(ctx, s.store.Client().Send)
	if findErr != nil || !ok {
		return "", cmp.Or(findErr, err)
	}
	return known.ConversationID, nil
}

// message reads a message of the conversation. Error: NOT_FOUND.
func (l *line) message(ctx context.Context, id pid.ID) (*ent.Message, error) {
	m, err := l.tx.Message.Query().
		Where(message.ID(id), message.ConversationID(l.conversation.ID), message.UserID(l.userID)).
		Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "message")
	}
	return m, nil
}

// unfinished reads the first reply that is being written or waits, nil when there is none.
func (l *line) unfinished(ctx context.Context) (*ent.Message, error) {
	m, err := l.tx.Message.Query().
		Where(message.ConversationID(l.conversation.ID), message.UserID(l.userID), reply.Unfinished()).
		Order(message.ByIndex()).
		Select(message.FieldID, message.FieldIndex, message.FieldStartedAt).
		First(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look for unfinished replies: %w", err)
	}
	return m, nil
}

// checkIdle refuses while a reply is unfinished. Error: CONVERSATION_BUSY.
func (l *line) checkIdle(ctx context.Context) error {
	m, err := l.unfinished(ctx)
	if err == nil && m != nil {
		err = busy(m)
	}
	return err
}
