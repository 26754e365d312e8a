package reply

import (
	"context"
	"fmt"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
)

// queue is the replies that wait for the one before them in their conversation. The rows
// are the queue; nothing of it is kept in memory.
type queue struct {
	*host
	prepare func(row *ent.Message) (*Attempt, error)
}

// end runs the write that makes a reply final and, in the same transaction and under
// the conversation's lock, starts the queued reply behind it: whoever sees the end of the
// one sees the start of the other, and no crash falls between. The caller calls start
// afterwards.
func (q *queue) end(
	ctx context.Context, m *ent.Message, write func(tx *ent.Tx, now time.Time) error,
) (*successor, error) {
	var next *successor
	committed := false
	defer func() {
		if !committed { // Also on a panic.
			next.discard()
		}
	}()
	err := q.store.InTx(ctx, func(tx *ent.Tx) error {
		if err := q.store.Lock(ctx, tx, string(m.ConversationID)); err != nil {
			return err
		}
		now, err := q.store.NowTx(ctx, tx)
		if err != nil {
			return err
		}
		if err := write(tx, now); err != nil {
			return err
		}
		next, err = q.next(ctx, tx, m.UserID, m.ConversationID, now)
		failpoint.Hit("reply.final-uncommitted")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("write final state: %w", err)
	}
	committed = true
	return next, nil
}

// successor is a queued reply whose turn has come. A nil one is none.
type successor struct {
	row     *ent.Message
	attempt *Attempt // nil: another replica is to run it
}

// next makes the first queued reply of a conversation STREAMING, this
// replica's own or, when this one takes no more, nobody's for another to claim. It
// returns nil when none waits. The caller holds the conversation's lock and calls
// start after the commit, or discard.
func (q *queue) next(
	ctx context.Context, tx *ent.Tx, userID, conversationID pid.ID, now time.Time,
) (*successor, error) {
	queued, err := tx.Message.Query().
		Where(message.ConversationID(conversationID), message.UserID(userID), Queued()).
		Order(message.ByIndex()).
		First(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look for a queued reply: %w", err)
	}
	row := *queued.Unwrap()
	row.Status, row.Owner, row.Attempt, row.StartedAt = message.StatusSTREAMING, &q.id, 1, &now
	next := &successor{row: &row}
	if next.attempt, err = q.prepare(&row); err != nil {
		row.Owner, row.Attempt = nil, 0
	}
	err = tx.Message.Update().
		Where(message.ID(row.ID), message.UserID(userID), Queued()).
		SetStatus(row.Status).
		SetNillableOwner(row.Owner).
		SetAttempt(row.Attempt).
		SetStartedAt(now).
		Exec(ctx)
	if err != nil {
		next.discard()
		return nil, fmt.Errorf("start the queued reply: %w", err)
	}
	return next, nil
}

// start has a successor run, after the commit, and tells others of it.
func (q *queue) start(s *successor) {
	switch {
	case s == nil:
		return
	case s.attempt == nil:
		q.tell(fact.ReplyReleased, s.row)
	default:
		s.attempt.Go()
	}
	q.tell(fact.ReplyStarted, s.row)
}

func (s *successor) discard() {
	if s != nil {
		s.attempt.Discard()
	}
}
