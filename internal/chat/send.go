package chat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/ent/send"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
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
	p := problems{}
	p.checkContent("content", in.Content)
	if in.ClientKey != nil && !clientKeyForm.MatchString(*in.ClientKey) {
		p.add("clientKey", "must have 8 to 128 letters, digits, _ or -")
	}
	if in.ExpectedHeadID != nil && in.ConversationID == nil {
		p.add("expectedHeadId", "needs a conversationId")
	}
	p.checkModel("model", in.Model)
	p.checkParameters("parameters", in.Parameters)
	return p.err()
}

// payloadHash is the same for two sends that ask for the same thing. OnBusy is no part
// of it: it says how to come to it.
func (in SendInput) payloadHash() string {
	b, err := json.Marshal([]any{in.ConversationID, in.Content, in.Model, in.Parameters})
	if err != nil {
		panic(fmt.Sprintf("hash payload: %v", err)) // check refuses what JSON cannot hold.
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
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
	final, err := s.replies.Wait(ctx, result.Reply.ID, s.cfg.WaitLimit)
	switch {
	case ent.IsNotFound(err):
		return SendResult{}, notFound("message any more")
	case err != nil:
		// The pair is stored, and that is the answer; the wait alone has failed.
		s.log.WarnContext(ctx, "wait given up", "message_id", string(result.Reply.ID), "err", err)
		return result, nil
	}
	result.Reply = final
	return result, nil
}

func (s *Service) send(ctx context.Context, userID pid.ID, in SendInput) (SendResult, error) {
	hash := in.payloadHash()
	if in.ClientKey != nil {
		// Looked at before the model is resolved, so that a repeat needs nothing but
		// the database.
		known, err := s.store.Client().Send.Query().
			Where(send.UserID(userID), send.ClientKey(*in.ClientKey)).
			Only(ctx)
		switch {
		case err == nil:
			return s.repeat(ctx, userID, known, hash)
		case !ent.IsNotFound(err):
			return SendResult{}, fmt.Errorf("look up client key: %w", err)
		}
	}
	model, err := s.modelFor(ctx, userID, in)
	if err != nil {
		return SendResult{}, err
	}

	t := sendTx{Service: s, userID: userID, in: in, hash: hash, model: model}
	defer func() { t.run.Discard() }()
	err = s.store.InTx(ctx, func(tx *ent.Tx) error { return t.write(ctx, tx) })
	if err != nil {
		return SendResult{}, s.settle(err, t.facts...)
	}
	if t.known != nil {
		return s.repeat(ctx, userID, t.known, hash)
	}
	failpoint.Hit("chat.after-send-commit")
	if t.run != nil {
		t.run.Go()
	}
	_ = s.settle(nil, t.facts...)
	failpoint.Hit("chat.after-send-told")
	t.result.Conversation.Unwrap()
	t.result.UserMessage.Unwrap()
	t.result.Reply.Unwrap()
	return t.result, nil
}

// modelFor decides the model of the reply.
func (s *Service) modelFor(ctx context.Context, userID pid.ID, in SendInput) (string, error) {
	var of *string
	if in.ConversationID != nil {
		c, err := s.store.Client().Conversation.Query().
			Where(conversation.ID(*in.ConversationID), conversation.UserID(userID)).
			Only(ctx)
		if err != nil {
			return "", OrNotFound(err, "conversation")
		}
		of = c.Model
	}
	return s.models.Resolve(ctx, in.Model, of)
}

// repeat answers a send whose client key is known.
func (s *Service) repeat(ctx context.Context, userID pid.ID, known *ent.Send, hash string) (SendResult, error) {
	if known.PayloadHash != hash {
		return SendResult{}, &Error{
			Code:    IdempotencyConflict,
			Message: "This clientKey has been used for another message.",
		}
	}
	result := SendResult{Deduplicated: true}
	conversations, err := s.Conversations(ctx, userID, []pid.ID{known.ConversationID})
	if err != nil {
		return SendResult{}, err
	}
	messages, err := s.Messages(ctx, userID, []pid.ID{known.UserMessageID, known.ReplyID})
	if err != nil {
		return SendResult{}, err
	}
	for _, m := range messages {
		if m.ID == known.ReplyID {
			result.Reply = m
		} else {
			result.UserMessage = m
		}
	}
	if len(conversations) == 0 || result.UserMessage == nil || result.Reply == nil {
		return SendResult{}, notFound("message any more")
	}
	result.Conversation = conversations[0]
	return result, nil
}

// sendTx is the one transaction of a send.
type sendTx struct {
	*Service
	userID pid.ID
	in     SendInput
	hash   string
	model  string

	known  *ent.Send // set when another request with this key was quicker
	queued bool      // the reply has to wait for others
	run    *reply.Attempt
	result SendResult
	facts  []fact.Fact
}

func (t *sendTx) write(ctx context.Context, tx *ent.Tx) error {
	// The user's lock makes limits and client keys hold over all replicas.
	if err := t.store.Lock(ctx, tx, string(t.userID)); err != nil {
		return err
	}
	if t.in.ClientKey != nil {
		known, err := tx.Send.Query().Where(send.UserID(t.userID), send.ClientKey(*t.in.ClientKey)).Only(ctx)
		switch {
		case err == nil:
			t.known = known.Unwrap()
			return nil
		case !ent.IsNotFound(err):
			return fmt.Errorf("look up client key: %w", err)
		}
	}
	now, err := t.store.NowTx(ctx, tx)
	if err != nil {
		return err
	}
	c, head, err := t.place(ctx, tx, now)
	if err != nil {
		return err
	}
	if err := t.checkLimits(ctx, tx, now); err != nil {
		return err
	}
	if err := t.insert(ctx, tx, c, head, now); err != nil {
		return err
	}
	failpoint.Hit("chat.send-uncommitted")
	if t.queued {
		return nil
	}
	// The engine gets a row of its own: it reads it from its goroutine while the
	// caller unwraps and changes the one it was given.
	row := *t.result.Reply
	t.run, err = t.replies.Prepare(row.Unwrap())
	if err != nil {
		return &Error{Code: Unavailable, Message: "This server can not take messages right now. Send again.", Err: err}
	}
	return nil
}

// place finds, or makes, where the message goes: the conversation and the head it
// follows.
func (t *sendTx) place(ctx context.Context, tx *ent.Tx, now time.Time) (*ent.Conversation, *ent.Message, error) {
	if t.in.ConversationID == nil {
		name := placeholderName(t.in.Content)
		c, root, err := createConversation(ctx, tx, t.userID,
			NewConversation{Model: t.in.Model, Parameters: t.in.Parameters}, now)
		if err != nil {
			return nil, nil, err
		}
		c.Name = name
		t.facts = append(t.facts, fact.Fact{Kind: fact.ConversationCreated, UserID: t.userID, ConversationID: c.ID})
		return c, root, nil
	}
	id := *t.in.ConversationID
	if err := t.store.Lock(ctx, tx, string(id)); err != nil {
		return nil, nil, err
	}
	c, err := tx.Conversation.Query().Where(conversation.ID(id), conversation.UserID(t.userID)).Only(ctx)
	if err != nil {
		return nil, nil, OrNotFound(err, "conversation")
	}
	if t.in.ExpectedHeadID != nil && *t.in.ExpectedHeadID != c.HeadID {
		return nil, nil, staleHead(c.HeadID)
	}
	if err := t.admit(ctx, tx, id, now); err != nil {
		return nil, nil, err
	}
	head, err := tx.Message.Query().
		Where(message.ID(c.HeadID), message.ConversationID(id), message.UserID(t.userID)).
		Only(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read head: %w", err)
	}
	if c.Name == "" && c.NameSource == conversation.NameSourcePLACEHOLDER {
		c.Name = placeholderName(t.in.Content)
	}
	t.facts = append(t.facts, fact.Fact{Kind: fact.ConversationUpdated, UserID: t.userID, ConversationID: id})
	return c, head, nil
}

// insert writes the pair, the new head and the record of the send.
func (t *sendTx) insert(ctx context.Context, tx *ent.Tx, c *ent.Conversation, head *ent.Message, now time.Time) error {
	of, err := reply.DecodeParameters(c.Parameters)
	if err != nil {
		return err
	}
	if t.in.Parameters != nil {
		of = of.Over(*t.in.Parameters)
	}
	question, err := tx.Message.Create().
		SetConversationID(c.ID).
		SetUserID(t.userID).
		SetParentID(head.ID).
		SetIndex(head.Index + 1).
		SetRole(message.RoleUSER).
		SetContent(t.in.Content).
		SetCreatedAt(now).
		Save(ctx)
	if err != nil {
		return fmt.Errorf("insert user message: %w", err)
	}
	create := tx.Message.Create().
		SetConversationID(c.ID).
		SetUserID(t.userID).
		SetParentID(question.ID).
		SetIndex(question.Index + 1).
		SetRole(message.RoleASSISTANT).
		SetStatus(message.StatusQUEUED).
		SetModel(t.model).
		SetParameters(of.Encode()).
		SetCreatedAt(now)
	if !t.queued {
		create.SetStatus(message.StatusSTREAMING).SetOwner(t.replies.ID()).SetAttempt(1).SetStartedAt(now)
	}
	answer, err := create.Save(ctx)
	if err != nil {
		return fmt.Errorf("insert reply: %w", err)
	}
	c, err = tx.Conversation.UpdateOne(c).
		SetHeadID(answer.ID).
		SetName(c.Name).
		SetLastMessageAt(now).
		SetUpdatedAt(now).
		Save(ctx)
	if err != nil {
		return fmt.Errorf("move head: %w", err)
	}
	err = tx.Send.Create().
		SetUserID(t.userID).
		SetNillableClientKey(t.in.ClientKey).
		SetPayloadHash(t.hash).
		SetConversationID(c.ID).
		SetUserMessageID(question.ID).
		SetReplyID(answer.ID).
		SetCreatedAt(now).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("record send: %w", err)
	}
	t.result = SendResult{Conversation: c, UserMessage: question, Reply: answer}
	for _, m := range []*ent.Message{question, answer} {
		t.facts = append(t.facts, fact.Fact{Kind: fact.MessageAdded, UserID: t.userID, ConversationID: c.ID,
			MessageID: m.ID})
	}
	return nil
}
