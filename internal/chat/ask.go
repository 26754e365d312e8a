package chat

import (
	"context"

	"parley/ent"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
)

// asking is the one transaction of a mutation that asks for a reply, and what follows
// its commit. What differs between such mutations is where on the line the reply goes.
type asking struct {
	*Service
	once   once
	model  string
	onBusy OnBusy
	// parameters go over the conversation's; nil: those alone.
	parameters *reply.Parameters

	known   *ent.Send // set when another request with this key was quicker
	attempt *reply.Attempt
	stored  SendResult
	facts   []fact.Fact
}

// spot is where a reply goes: below a question on a line.
type spot struct {
	line     *line
	question *ent.Message
	waits    bool // for replies before it
	// becomes is what the conversation is by it: created, or updated.
	becomes fact.Kind
}

// run stores a reply at the spot that place finds, or makes, after making way for it, and
// has the reply written. A known client key gives what was stored then.
func (a *asking) run(ctx context.Context, place func(context.Context, *ent.Tx) (spot, error)) (SendResult, error) {
	if err := a.checkLoad(); err != nil {
		return SendResult{}, err
	}
	defer func() { a.attempt.Discard() }()
	err := a.store.InTx(ctx, func(tx *ent.Tx) error { return a.write(ctx, tx, place) })
	if err != nil {
		return SendResult{}, a.publish(err, a.facts...)
	}
	if a.known != nil {
		return a.repeat(ctx, a.once, a.known)
	}
	failpoint.Hit("chat.after-send-commit")
	if a.attempt != nil {
		a.attempt.Go()
	}
	_ = a.publish(nil, a.facts...) // There was no error.
	failpoint.Hit("chat.after-send-told")
	a.stored.Conversation.Unwrap()
	a.stored.UserMessage.Unwrap()
	a.stored.Reply.Unwrap()
	return a.stored, nil
}

func (a *asking) write(ctx context.Context, tx *ent.Tx, place func(context.Context, *ent.Tx) (spot, error)) error {
	// The user's lock makes limits and client keys hold over all replicas.
	if err := a.store.Lock(ctx, tx, string(a.once.userID)); err != nil {
		return err
	}
	known, ok, err := a.once.find(ctx, tx.Send)
	if err != nil {
		return err
	}
	if ok {
		a.known = known.Unwrap()
		return nil
	}
	at, err := place(ctx, tx)
	if err != nil {
		return err
	}
	if err := a.insert(ctx, at); err != nil {
		return err
	}
	if err := a.once.record(ctx, tx, a.stored, at.line.now); err != nil {
		return err
	}
	failpoint.Hit("chat.send-uncommitted")
	if at.waits {
		return nil
	}
	// The engine gets a row of its own: it reads it from its goroutine while the
	// caller unwraps and changes the one it was given.
	row := *a.stored.Reply
	a.attempt, err = a.replies.Prepare(row.Unwrap())
	if err != nil {
		return refusal.Unavailable(err)
	}
	return nil
}

// insert writes the reply and makes it the head.
func (a *asking) insert(ctx context.Context, at spot) error {
	l, question := at.line, at.question
	parameters, err := reply.DecodeParameters(l.conversation.Parameters)
	if err != nil {
		return err
	}
	if a.parameters != nil {
		parameters = parameters.Over(*a.parameters)
	}
	var owner *pid.ID
	if !at.waits {
		id := a.replies.ID()
		owner = &id
	}
	answer, err := l.answer(ctx, question, a.model, parameters, owner)
	if err != nil {
		return err
	}
	if err := l.moveHead(ctx, answer, question.Content); err != nil {
		return err
	}
	a.stored = SendResult{Conversation: l.conversation, UserMessage: question, Reply: answer}
	a.facts = append(a.facts, conversationFact(at.becomes, l.userID, l.conversation.ID, l.conversation),
		messageFact(fact.MessageAdded, question), messageFact(fact.MessageAdded, answer))
	return nil
}
