package reply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/complaint"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
)

// finish writes the final state, again and again while the database does not
// answer, starts the reply that waited for this one, and then tells everyone.
func (e *Engine) finish(r *Attempt, final *ent.Message) {
	failpoint.Hit("reply.before-final")
	// The reply's own context may have ended; that is what made it final.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), finalWriteLimit)
	defer cancel()
	// A shutdown does not wait that long: the row is taken up at the next start.
	hurry := context.AfterFunc(e.ctx, func() { time.AfterFunc(releaseLimit, cancel) })
	defer hurry()
	wait := 50 * time.Millisecond
	trouble := complaint.About("writing the end of a reply")
	for {
		next, err := e.writeFinal(ctx, r, final)
		switch {
		case err == nil:
			defer next.start(e) // Also after a panic: nobody else would.
			failpoint.Hit("reply.after-final")
			r.live.finish(final)
			e.tell(fact.ReplyFinished, final)
			return
		case errors.Is(err, errDeleted):
			e.finishInMemory(r)
			return
		case errors.Is(err, errFenced):
			e.forget(r)
			r.live.abandon()
			return
		}
		trouble.Report(ctx, e.log.With("message_id", string(final.ID)), err)
		select {
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		case <-ctx.Done():
			e.log.ErrorContext(ctx, "reply left to a takeover", "message_id", string(final.ID), "err", err)
			e.forget(r)
			r.live.abandon()
			return
		}
	}
}

// tell publishes a fact about a reply. A start carries the row, which is never changed
// from then on. An end does not: whoever watches the reply has its text, and a listener
// that lags would hold on to it.
func (e *Engine) tell(kind fact.Kind, m *ent.Message) {
	f := fact.Fact{Kind: kind, UserID: m.UserID, ConversationID: m.ConversationID, MessageID: m.ID}
	if kind == fact.ReplyStarted {
		f.Message = m
	}
	e.bus.Publish(f)
}

// errNoRow ends the transaction of a final write whose fence matched nothing.
var errNoRow = errors.New("no row behind the fence")

// writeFinal stores text, status, finish reason, error and usage in one fenced
// statement, counts the usage, and starts the next queued reply in the same
// transaction. It returns errFenced or errDeleted when the row is no longer ours.
func (e *Engine) writeFinal(ctx context.Context, r *Attempt, final *ent.Message) (*successor, error) {
	next, err := e.inFinalTx(ctx, final, func(tx *ent.Tx, now time.Time) error {
		final.FinishedAt = &now
		n, err := textsOf(final).set(fence(tx.Message.Update(), r.row, e.id)).
			SetStatus(final.Status).
			SetNillableFinishReason(final.FinishReason).
			SetNillableErrorCode(final.ErrorCode).
			SetNillablePromptTokens(final.PromptTokens).
			SetNillableCompletionTokens(final.CompletionTokens).
			SetNillableCachedTokens(final.CachedTokens).
			SetNillableReasoningTokens(final.ReasoningTokens).
			SetUsageEstimated(final.UsageEstimated).
			SetNillableSystemPromptHash(final.SystemPromptHash).
			SetAttempt(final.Attempt).
			SetSalvage("").
			SetFinishedAt(now).
			Save(ctx)
		switch {
		case err != nil:
			return err
		case n == 0:
			return errNoRow
		}
		return e.count(ctx, tx, final)
	})
	if !errors.Is(err, errNoRow) {
		return next, err
	}
	row, err := e.row(ctx, r.row.UserID, r.row.ID)
	switch {
	case ent.IsNotFound(err):
		return nil, errDeleted
	case err != nil:
		return nil, err
	case row.Status == final.Status && row.Attempt == final.Attempt && textsOf(row) == textsOf(final):
		// An earlier try was committed though its answer was lost. The reply it started
		// is found as a stray.
		final.FinishedAt = row.FinishedAt
		return nil, nil
	}
	return nil, errFenced
}

// inFinalTx runs the write that makes a reply final and, in the same transaction
// and under the conversation's lock, starts the queued reply behind it: whoever
// sees the end of the one sees the start of the other, and no crash falls between.
func (e *Engine) inFinalTx(
	ctx context.Context, m *ent.Message, write func(tx *ent.Tx, now time.Time) error,
) (*successor, error) {
	var next *successor
	committed := false
	defer func() {
		if !committed { // Also on a panic.
			next.discard()
		}
	}()
	err := e.store.InTx(ctx, func(tx *ent.Tx) error {
		if err := e.store.Lock(ctx, tx, string(m.ConversationID)); err != nil {
			return err
		}
		now, err := e.store.NowTx(ctx, tx)
		if err != nil {
			return err
		}
		if err := write(tx, now); err != nil {
			return err
		}
		next, err = e.startNext(ctx, tx, m.UserID, m.ConversationID, now)
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
	row *ent.Message
	run *Attempt // nil: another replica is to run it
}

// startNext makes the first queued reply of a conversation STREAMING, this
// replica's own or, when this one takes no more, nobody's for another to claim. It
// returns nil when none waits. The caller holds the conversation's lock and calls
// start after the commit, or discard.
func (e *Engine) startNext(
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
	row.Status, row.Owner, row.Attempt, row.StartedAt = message.StatusSTREAMING, &e.id, 1, &now
	next := &successor{row: &row}
	if next.run, err = e.Prepare(&row); err != nil {
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

func (s *successor) start(e *Engine) {
	switch {
	case s == nil:
		return
	case s.run == nil:
		e.tell(fact.ReplyReleased, s.row)
	default:
		s.run.Go()
	}
	e.tell(fact.ReplyStarted, s.row)
}

func (s *successor) discard() {
	if s != nil {
		s.run.Discard()
	}
}

// fence narrows an update of a running reply so that it does nothing when the reply
// is not this owner's any more, or another attempt's.
func fence(u *ent.MessageUpdate, row *ent.Message, owner pid.ID) *ent.MessageUpdate {
	return u.Where(
		message.ID(row.ID),
		message.UserID(row.UserID),
		message.Attempt(row.Attempt),
		message.Owner(owner),
		Streaming(),
	)
}

// finishInMemory tells viewers that the reply is gone. There is no row to write.
func (e *Engine) finishInMemory(r *Attempt) {
	last := *r.row
	r.live.flush().put(&last)
	r.live.finish(deleted(&last))
}

// deleted is the final state of a reply whose row is gone.
func deleted(last *ent.Message) *ent.Message {
	m := *last
	m.Status = message.StatusSTOPPED
	code := string(CodeDeleted)
	m.ErrorCode = &code
	now := time.Now().UTC().Truncate(time.Microsecond)
	m.FinishedAt = &now
	return &m
}

// release gives a running reply back, with its text, for another process to claim
// at once.
func (e *Engine) release(r *Attempt) {
	failpoint.Hit("reply.before-release")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), releaseLimit)
	defer cancel()
	n, err := r.live.flush().set(fence(e.store.Client().Message.Update(), r.row, e.id)).ClearOwner().Save(ctx)
	if err != nil {
		e.log.WarnContext(ctx, "reply not released; its lease has to run out", "message_id", string(r.row.ID), "err",
			err)
	}
	failpoint.Hit("reply.after-release")
	if n > 0 {
		e.tell(fact.ReplyReleased, r.row)
	}
	e.forget(r)
	r.live.abandon()
}

// releaseLimit bounds the last write of a reply during shutdown.
const releaseLimit = 3 * time.Second
