package reply

import (
	"context"
	"errors"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/complaint"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
)

// finalWriteLimit is how long the last write of a reply is tried again while the
// database does not answer. Afterwards the row is left to a takeover.
const finalWriteLimit = 30 * time.Second

// finish writes the final state, again and again while the database does not
// answer, starts the reply that waited for this one, and then tells everyone.
func (a *Attempt) finish(final *ent.Message) {
	failpoint.Hit("reply.before-final")
	// The reply's own context may have ended; that is what made it final.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), finalWriteLimit)
	defer cancel()
	// A shutdown does not wait that long: the row is taken up at the next start.
	hurry := context.AfterFunc(a.engine.life.ctx, func() { time.AfterFunc(releaseLimit, cancel) })
	defer hurry()
	wait := 50 * time.Millisecond
	trouble := complaint.About("writing the end of a reply")
	for {
		next, err := a.writeFinal(ctx, final)
		switch {
		case err == nil:
			defer a.engine.queue.start(next) // Also after a panic: nobody else would.
			failpoint.Hit("reply.after-final")
			a.live.finish(final)
			a.engine.tell(fact.ReplyFinished, final)
			return
		case errors.Is(err, errDeleted):
			a.finishInMemory()
			return
		case errors.Is(err, errFenced):
			a.abandon()
			return
		}
		trouble.Report(ctx, a.engine.log.With("message_id", string(final.ID)), err)
		select {
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		case <-ctx.Done():
			a.engine.log.ErrorContext(ctx, "reply left to a takeover", "message_id", string(final.ID), "err", err)
			a.abandon()
			return
		}
	}
}

// errNoRow ends the transaction of a final write whose fence matched nothing.
var errNoRow = errors.New("no row behind the fence")

// writeFinal stores text, status, finish reason, error and usage in one fenced
// statement, counts the usage, and starts the next queued reply in the same
// transaction. It returns errFenced or errDeleted when the row is no longer ours.
func (a *Attempt) writeFinal(ctx context.Context, final *ent.Message) (*successor, error) {
	next, err := a.engine.queue.end(ctx, final, func(tx *ent.Tx, now time.Time) error {
		final.FinishedAt = &now
		n, err := textsOf(final).set(fence(tx.Message.Update(), a.row, a.engine.id)).
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
		return a.engine.queue.count(ctx, tx, final)
	})
	if !errors.Is(err, errNoRow) {
		return next, err
	}
	row, err := a.engine.row(ctx, a.row.UserID, a.row.ID)
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

// finishInMemory tells watchers that the reply is gone. There is no row to write.
func (a *Attempt) finishInMemory() {
	last := *a.row
	a.live.flush().put(&last)
	a.live.finish(deleted(&last))
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
func (a *Attempt) release() {
	failpoint.Hit("reply.before-release")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), releaseLimit)
	defer cancel()
	mine := fence(a.engine.store.Client().Message.Update(), a.row, a.engine.id)
	n, err := a.live.flush().set(mine).ClearOwner().Save(ctx)
	if err != nil {
		a.engine.log.WarnContext(ctx, "reply not released; its lease has to run out",
			"message_id", string(a.row.ID), "err", err)
	}
	failpoint.Hit("reply.after-release")
	if n > 0 {
		a.engine.tell(fact.ReplyReleased, a.row)
	}
	a.abandon()
}

// releaseLimit bounds the last write of a reply during shutdown.
const releaseLimit = 3 * time.Second
