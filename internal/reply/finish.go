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
	"parley/internal/usage"
)

// finalWriteLimit bounds one try of the last write of a reply.
const finalWriteLimit = 30 * time.Second

// finish writes the final state, again and again while the database does not
// answer, starts the reply that waited for this one, and then tells everyone. It gives up
// only when this replica shuts down, or is told that the reply is another's by now: the
// model has been paid for this text.
func (a *Attempt) finish(final *ent.Message) {
	failpoint.Hit("reply.before-final")
	// The reply's own context may have ended; that is what made it final.
	ctx, cancel := context.WithCancel(context.WithoutCancel(a.ctx))
	defer cancel()
	// A shutdown does not wait that long: the row is taken up at the next start.
	hurry := context.AfterFunc(a.engine.life.ctx, func() { time.AfterFunc(releaseLimit, cancel) })
	defer hurry()
	wait := firstPause
	trouble := complaint.About("writing the end of a reply")
	for {
		limited, done := context.WithTimeout(ctx, finalWriteLimit)
		next, err := a.writeFinal(limited, final)
		done()
		switch {
		case err == nil:
			defer a.engine.queue.start(next) // Also after a panic: nobody else would.
			failpoint.Hit("reply.after-final")
			a.engine.meters.ended(final)
			a.place.Leave() // Whoever sees the end may ask for the next one.
			a.live.finish(final)
			a.engine.attempts.ended(a, time.Now())
			a.engine.tell(fact.ReplyFinished, final)
			a.engine.nameAfter(final, next.conversation)
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
			wait = min(2*wait, longPause)
		case <-ctx.Done():
			a.engine.log.ErrorContext(ctx, "reply left to a takeover", "message_id", string(final.ID), "err", err)
			a.abandon()
			return
		}
	}
}

// errNoRow ends the transaction of a final write whose fence matched nothing.
var errNoRow = errors.New("no row behind the fence")

// writeFinal stores text, status, finish reason, error and usage, fenced, counts the
// usage, and starts the next queued reply in the same transaction. It returns errFenced or
// errDeleted when the row is no longer ours.
func (a *Attempt) writeFinal(ctx context.Context, final *ent.Message) (*successor, error) {
	end := End{Final: final, Owner: a.engine.id, Attempt: a.row.Attempt}
	if call, ok := usage.OfReply(final); ok {
		end.Used = &call
	}
	next, err := a.engine.queue.end(ctx, final, func(tx *ent.Tx) (Ended, error) {
		ended, err := a.engine.store.End(ctx, tx, end)
		switch {
		case err != nil:
			return ended, err
		case ended.At.IsZero():
			return ended, errNoRow
		}
		final.FinishedAt = &ended.At
		return ended, nil
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
	case row.Status == final.Status && row.Attempt == final.Attempt && TextsOf(row) == TextsOf(final):
		// An earlier try was committed though its answer was lost. The reply it started
		// is found as a stray.
		final.FinishedAt = row.FinishedAt
		return &successor{ended: final}, nil
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
	a.engine.meters.of(a.row).Ended.Of(endedDeleted).Inc()
	last := *a.row
	a.live.flush().put(&last)
	a.live.finish(deleted(&last))
	a.engine.attempts.ended(a, time.Now())
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
	n := 0
	// In a transaction, so that many of them share a commit.
	err := a.engine.store.InTx(a.engine.store.Urgent(ctx), func(tx *ent.Tx) (err error) {
		n, err = a.live.flush().set(fence(tx.Message.Update(), a.row, a.engine.id)).ClearOwner().Save(ctx)
		return err
	})
	if err != nil {
		n = 0 // Whoever finds the row released takes it up.
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
