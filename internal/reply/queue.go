package reply

import (
	"context"
	"fmt"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/fact"
	"parley/internal/failpoint"
)

// queue is the replies that wait for the one before them in their conversation. The rows
// are the queue; nothing of it is kept in memory.
type queue struct {
	*host
	prepare func(row *ent.Message) (*Attempt, error)
}

// end runs the write that makes a reply final and, in the same transaction, starts the
// queued reply behind it: whoever sees the end of the one sees the start of the other, and
// no crash falls between. The write takes the conversation's lock and looks for what waits.
// The caller calls start afterwards.
func (q *queue) end(
	ctx context.Context, m *ent.Message, write func(tx *ent.Tx) (Ended, error),
) (*successor, error) {
	var next *successor
	committed := false
	defer func() {
		if !committed { // Also on a panic.
			next.discard()
		}
	}()
	ctx = q.store.Urgent(ctx) // It makes room for others.
	err := q.store.InTx(ctx, func(tx *ent.Tx) error {
		ended, err := write(tx)
		if err != nil {
			return err
		}
		next, err = q.next(ctx, tx, m, ended)
		failpoint.Hit("reply.final-uncommitted")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("write final state: %w", err)
	}
	committed = true
	return next, nil
}

// locked is a write for end that is not on the path of every reply.
func (q *queue) locked(
	ctx context.Context, m *ent.Message, write func(tx *ent.Tx) error,
) func(tx *ent.Tx) (Ended, error) {
	return func(tx *ent.Tx) (ended Ended, err error) {
		if err := q.store.Lock(ctx, tx, string(m.ConversationID)); err != nil {
			return ended, err
		}
		if ended.At, err = q.store.NowTx(ctx, tx); err != nil {
			return ended, err
		}
		if err := write(tx); err != nil {
			return ended, err
		}
		ended.Conversation, err = q.store.Touch(ctx, tx, m.UserID, m.ConversationID, ended.At)
		if err != nil {
			return ended, err
		}
		w, err := tx.Message.Query().
			Where(message.ConversationID(m.ConversationID), message.UserID(m.UserID), Queued()).
			Order(message.ByIndex()).
			First(ctx)
		switch {
		case ent.IsNotFound(err):
			return ended, nil
		case err != nil:
			return ended, fmt.Errorf("look for a queued reply: %w", err)
		}
		ended.Next = &Waiting{ID: w.ID, ParentID: w.ParentID, Index: w.Index, Active: w.Active, Model: w.Model,
			Parameters: w.Parameters, CreatedAt: w.CreatedAt}
		return ended, nil
	}
}

// successor is what follows the end of a reply: the conversation as it became, and the
// queued reply whose turn has come. A nil one is nothing.
type successor struct {
	ended        *ent.Message
	conversation *ent.Conversation // nil: whoever hears of it looks it up
	row          *ent.Message      // nil: none waits
	attempt      *Attempt          // nil: another replica is to run it
}

// next makes the queued reply that waits behind m STREAMING, this replica's own or, when
// this one takes no more, nobody's for another to claim. The caller calls start after the
// commit, or discard.
func (q *queue) next(ctx context.Context, tx *ent.Tx, m *ent.Message, ended Ended) (*successor, error) {
	next := &successor{ended: m, conversation: ended.Conversation}
	w := ended.Next
	if w == nil {
		return next, nil
	}
	row := &ent.Message{ID: w.ID, ConversationID: m.ConversationID, UserID: m.UserID, ParentID: w.ParentID,
		Index: w.Index, Active: w.Active, Role: message.RoleASSISTANT, Status: message.StatusSTREAMING,
		Model: w.Model, Parameters: w.Parameters, Owner: &q.id, Attempt: 1, StartedAt: &ended.At,
		CreatedAt: w.CreatedAt}
	next.row = row
	var err error
	if next.attempt, err = q.prepare(row); err != nil {
		row.Owner, row.Attempt = nil, 0
	}
	err = tx.Message.Update().
		Where(message.ID(row.ID), message.UserID(m.UserID), Queued()).
		SetStatus(row.Status).
		SetNillableOwner(row.Owner).
		SetAttempt(row.Attempt).
		SetStartedAt(ended.At).
		Exec(ctx)
	if err != nil {
		next.discard()
		return nil, fmt.Errorf("start the queued reply: %w", err)
	}
	return next, nil
}

// start has a successor run, after the commit, and tells others of it. The conversation comes
// last: whoever looks for what runs there finds it.
func (q *queue) start(s *successor) {
	if s == nil {
		return
	}
	if s.row != nil {
		if s.attempt != nil {
			s.attempt.Go()
		} else {
			q.tell(fact.ReplyReleased, s.row)
		}
		q.tell(fact.ReplyStarted, s.row)
	}
	q.bus.Publish(fact.Fact{Kind: fact.ConversationUpdated, UserID: s.ended.UserID,
		ConversationID: s.ended.ConversationID, MessageID: s.ended.ID, Conversation: s.conversation})
}

func (s *successor) discard() {
	if s != nil {
		s.attempt.Discard()
	}
}
