package chat

import (
	"context"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/predicate"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
)

// OnBusy says what a send does when a reply is still being written in its
// conversation.
type OnBusy string

// The ways of OnBusy.
const (
	// Reject refuses the send.
	Reject OnBusy = "REJECT"
	// Queue stores the pair; the reply is written when those before it have ended.
	Queue OnBusy = "QUEUE"
	// Interrupt stops what is being written and what waits, and stores the pair
	// behind it; the reply is written as soon as the running one has ended.
	Interrupt OnBusy = "INTERRUPT"
)

// MaxQueued is how many replies may wait in one conversation.
const MaxQueued = 10

// makeWay decides, under the conversation's lock, whether a reply may be asked for while
// others are unfinished, and does to those what OnBusy says. It returns whether the new
// one has to wait for them. Errors: CONVERSATION_BUSY {messageId, startedAt}, QUEUE_FULL.
func (a *asking) makeWay(ctx context.Context, l *line, unfinished []*ent.Message) (waits bool, err error) {
	if len(unfinished) == 0 {
		return false, nil
	}
	var queued []*ent.Message
	for _, m := range unfinished {
		if m.Status == message.StatusQUEUED {
			queued = append(queued, m)
		}
	}
	running := len(unfinished) > len(queued)
	switch a.onBusy {
	case Queue:
		if len(queued) >= MaxQueued {
			return false, queueFull()
		}
		return true, nil
	case Interrupt:
		return running, a.interrupt(ctx, l, unfinished, queued)
	}
	return false, busy(unfinished[0])
}

// heldByQueued is how many tokens the replies hold that wait.
func heldByQueued(unfinished []*ent.Message) (tokens int) {
	for _, m := range unfinished {
		if m.Status == message.StatusQUEUED && m.ReservedTokens != nil {
			tokens += *m.ReservedTokens
		}
	}
	return tokens
}

// interrupt asks for the running reply to be stopped and cancels those that wait. The
// owner of the running one writes its end, with all its text, and starts the new one.
func (a *asking) interrupt(ctx context.Context, l *line, unfinished, queued []*ent.Message) error {
	if err := cancelQueued(ctx, l.tx, queued, l.now); err != nil {
		return err
	}
	for _, m := range unfinished {
		kind := fact.ReplyFinished
		if m.Status == message.StatusSTREAMING {
			kind = fact.StopRequested
			flag := reply.FlagStop(l.tx.Message.Update(), m.UserID, m.ID, l.now)
			if err := flag.Exec(ctx); err != nil {
				return fmt.Errorf("request stop: %w", err)
			}
		}
		a.facts = append(a.facts, messageHint(kind, m)) // Not the whole row was read.
	}
	return nil
}

// cancelQueued ends replies that wait, and the questions that only they would have answered:
// neither is ever sent to a model. The caller holds the conversation's lock.
func cancelQueued(ctx context.Context, tx *ent.Tx, queued []*ent.Message, now time.Time) error {
	for _, m := range queued {
		err := tx.Message.Update().
			Where(message.ID(m.ID), message.UserID(m.UserID), reply.Queued()).
			SetStatus(message.StatusSTOPPED).
			SetFinishedAt(now).
			ClearPromptBytes(). // It did not know how long the replies before it would become.
			Exec(ctx)
		if err != nil {
			return fmt.Errorf("cancel queued reply: %w", err)
		}
		if err := cancelQuestion(ctx, tx, m); err != nil {
			return fmt.Errorf("cancel queued question: %w", err)
		}
	}
	return nil
}

// cancelQuestion ends the question of a cancelled reply, unless it has another version, with
// which it goes on.
func cancelQuestion(ctx context.Context, tx *ent.Tx, m *ent.Message) error {
	return tx.Message.Update().
		Where(message.ID(*m.ParentID), message.UserID(m.UserID), hasNoOther(m)).
		SetStatus(message.StatusSTOPPED).
		Exec(ctx)
}

// hasNoOther matches while nothing but m follows what it follows.
func hasNoOther(m *ent.Message) predicate.Message {
	return func(rows *sql.Selector) {
		t := sql.Table(message.Table)
		t.SetDialect(rows.Dialect())
		rows.Where(sql.NotExists(sql.Dialect(rows.Dialect()).
			Select(t.C(message.FieldID)).
			From(t).
			Where(sql.And(sql.EQ(t.C(message.FieldParentID), *m.ParentID), sql.EQ(t.C(message.FieldUserID), m.UserID),
				sql.NEQ(t.C(message.FieldID), m.ID)))))
	}
}

// stopPatience is how long StopReply waits for the reply to end, so that its
// answer usually shows the end already.
const stopPatience = 2 * time.Second

// StopReply asks for a reply to be stopped and returns it, mostly as it ended. The
// text so far stays. A reply that waits for its turn ends at once, and its question
// with it. It is idempotent; a reply that is final stays as it is.
// Errors: NOT_FOUND, BAD_USER_INPUT for a message that is not a reply.
func (s *Service) StopReply(ctx context.Context, userID, id pid.ID) (*ent.Message, error) {
	m, err := s.store.Client().Message.Query().Where(message.ID(id), message.UserID(userID)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "message")
	}
	if m.Role != message.RoleASSISTANT {
		return nil, refusal.BadInput("messageId", "must name a reply")
	}
	if m.Status == message.StatusQUEUED {
		if err := s.cancel(ctx, userID, m); err != nil {
			return nil, err
		}
	}
	if reply.IsFinal(m.Status) {
		return m, nil
	}
	if err := s.replies.RequestStop(ctx, userID, id); err != nil {
		return nil, err
	}
	m, err = s.replies.Wait(ctx, userID, id, stopPatience)
	return m, orNotFound(err, "message")
}

// cancel ends a reply that waits and writes into m what became of it. When its turn
// has come meanwhile, it is left alone.
func (s *Service) cancel(ctx context.Context, userID pid.ID, m *ent.Message) error {
	var c *ent.Conversation
	err := s.inTurn(ctx, userID, func(tx *ent.Tx) error {
		if err := s.store.Lock(ctx, tx, string(m.ConversationID)); err != nil {
			return err
		}
		now, err := s.store.NowTx(ctx, tx)
		if err != nil {
			return err
		}
		row, err := tx.Message.Query().Where(message.ID(m.ID), message.UserID(userID)).Only(ctx)
		if err != nil {
			return orNotFound(err, "message")
		}
		if row.Status == message.StatusQUEUED {
			if err := cancelQueued(ctx, tx, []*ent.Message{row}, now); err != nil {
				return err
			}
			row.Status, row.FinishedAt, row.PromptBytes = message.StatusSTOPPED, &now, nil
			if c, err = s.store.Touch(ctx, tx, userID, row.ConversationID, now); err != nil {
				return err
			}
		}
		failpoint.Hit("chat.cancel-uncommitted")
		*m = *row.Unwrap()
		return nil
	})
	failpoint.Hit("chat.after-cancel")
	finished := fact.Fact{Kind: fact.ReplyFinished, UserID: userID, ConversationID: m.ConversationID, MessageID: m.ID}
	switch {
	case err != nil:
	case m.Status == message.StatusSTOPPED:
		row := *m // The caller's may still change.
		finished.Message = &row
	default:
		return nil // Its turn has come.
	}
	updated := conversationFact(fact.ConversationUpdated, userID, m.ConversationID, c)
	updated.MessageID = m.ID
	return s.publish(err, finished, updated)
}
