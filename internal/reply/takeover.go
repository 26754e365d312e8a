package reply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/predicate"
	"parley/ent/replica"
	"parley/internal/complaint"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// maxCrashes is how many owners may die over one reply before it is given up.
const maxCrashes = 3

// sweepBatch bounds how many abandoned replies one sweep takes up.
const sweepBatch = 100

// sweepEvery is how often this replica looks for abandoned replies, at the most:
// often enough that a released one whose news was lost waits less than two seconds.
const sweepEvery = 1500 * time.Millisecond

// sweepLoop looks for abandoned replies at once and then again and again, with
// jitter so that replicas do not all look at the same time, and when it is told of
// one.
func (e *Engine) sweepLoop(ctx context.Context) {
	every := min(e.cfg.Lease/10, sweepEvery)
	warned := false
	trouble := complaint.About("looking for abandoned replies")
	for {
		trouble.Report(ctx, e.log, e.sweep(ctx))
		if e.wire == nil && e.Peers() > 0 && !warned {
			warned = true
			e.log.WarnContext(ctx, "other replicas work on this database, but there is no bus between them: "+
				"viewers see their replies a second late; set PARLEY_NATS_URL", "replicas", e.Peers()+1)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every*3/4 + rand.N(every/2)):
		case <-e.sweepNow:
		}
	}
}

// sweep claims replies whose owner has no valid lease.
func (e *Engine) sweep(ctx context.Context) error {
	ctx = viewer.AsSweep(ctx)
	now, err := e.store.Now(ctx)
	if err != nil {
		return err
	}
	alive, err := e.store.Client().Replica.Query().
		Where(replica.LeaseExpiresAtGT(now)).
		IDs(ctx)
	if err != nil {
		return fmt.Errorf("read leases: %w", err)
	}
	e.peers.Store(int64(len(alive) - 1))
	if !slices.Contains(alive, e.id) {
		e.peers.Store(int64(len(alive)))
	}
	abandoned, err := e.store.Client().Message.Query().
		Where(
			Streaming(),
			// Its own are watchRows' business, also while its lease is in doubt.
			message.Or(message.OwnerIsNil(), message.OwnerNotIn(append(alive, e.id)...)),
		).
		Order(message.ByStartedAt(sql.OrderAsc())).
		Limit(sweepBatch).
		All(ctx)
	if err != nil {
		return fmt.Errorf("find abandoned replies: %w", err)
	}
	var errs []error // One reply that resists does not hold up the others.
	for _, row := range abandoned {
		errs = append(errs, e.claim(ctx, row, row.Owner == nil))
	}
	errs = append(errs, e.startForgotten(ctx))
	// The rows of the dead are of no use once their replies are claimed.
	if len(abandoned) < sweepBatch {
		_, err = e.store.Client().Replica.Delete().
			Where(replica.LeaseExpiresAtLT(now.Add(-e.cfg.Lease))).
			Exec(ctx)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// startForgotten starts queued replies that nothing runs before. The end of a reply
// starts the next one in its own transaction, so there are none; were there one, it
// would wait for ever.
func (e *Engine) startForgotten(ctx context.Context) error {
	ctx = viewer.AsSweep(ctx)
	rows, err := e.store.Client().Message.Query().
		Where(Queued(), nothingStreams()).
		Limit(sweepBatch).
		All(ctx)
	if err != nil {
		return fmt.Errorf("find forgotten replies: %w", err)
	}
	for _, row := range rows {
		next, err := e.inFinalTx(ctx, row, func(tx *ent.Tx, _ time.Time) error {
			busy, err := tx.Message.Query().
				Where(message.ConversationID(row.ConversationID), message.UserID(row.UserID), Streaming()).
				Exist(ctx)
			if err == nil && busy {
				err = errNoRow
			}
			return err
		})
		switch {
		case errors.Is(err, errNoRow):
		case err != nil:
			return err
		case next != nil:
			e.log.WarnContext(ctx, "forgotten reply started", "message_id", string(next.row.ID))
			next.start(e)
		}
	}
	return nil
}

// nothingStreams matches messages in whose conversation no reply is being written.
func nothingStreams() predicate.Message {
	return func(s *sql.Selector) {
		running := sql.Table(message.Table).As("running")
		running.SetDialect(s.Dialect())
		s.Where(sql.NotExists(sql.Dialect(s.Dialect()).
			Select(running.C(message.FieldID)).
			From(running).
			Where(sql.ColumnsEQ(running.C(message.FieldConversationID), s.C(message.FieldConversationID))).
			Where(sql.ExprP(running.C(message.FieldStatus) + " = 'STREAMING'"))))
	}
}

// claim takes an abandoned reply over: it is generated anew, or ended when it must
// not be. The longer text so far is kept as salvage. Of several replicas that try,
// one succeeds. A released reply's owner gave it up by itself, which is no crash.
func (e *Engine) claim(ctx context.Context, row *ent.Message, released bool) error {
	next := *row
	next.Owner = &e.id
	next.Attempt++
	if !released {
		next.Crashes++
	}
	if len(row.Content) > len(row.Salvage) {
		next.Salvage = row.Content
	}
	Texts{}.put(&next)
	now, err := e.store.Now(ctx)
	if err != nil {
		return err
	}
	failpoint.Hit("reply.before-claim")
	status, code := e.verdict(&next, released, now)
	if status == message.StatusSTREAMING {
		return e.claimToRun(ctx, row, &next, released, now)
	}
	next.Content, next.Salvage = next.Salvage, ""
	next.Status, next.ErrorCode, next.FinishedAt = status, code, &now
	if err := e.estimateLeft(ctx, row, &next); err != nil {
		return err
	}
	after, err := e.inFinalTx(ctx, row, func(tx *ent.Tx, _ time.Time) error {
		n, err := e.takeOver(tx.Message.Update(), row, &next, now).Save(ctx)
		switch {
		case err != nil:
			return err
		case n == 0:
			return errNoRow
		}
		return e.count(ctx, tx, &next)
	})
	switch {
	case errors.Is(err, errNoRow):
		return nil // Another replica was quicker.
	case err != nil:
		return err
	}
	e.logClaim(ctx, &next, released)
	e.tell(fact.ReplyFinished, &next)
	after.start(e)
	return nil
}

// claimToRun takes a reply over to generate it anew.
func (e *Engine) claimToRun(ctx context.Context, row, next *ent.Message, released bool, now time.Time) error {
	run, err := e.Prepare(next)
	if err != nil {
		return nil // Shutting down, or without a lease: another process claims it.
	}
	if next.StartedAt != nil {
		run.limit -= now.Sub(*next.StartedAt)
	}
	defer run.Discard()
	n, err := e.takeOver(e.store.Client().Message.Update(), row, next, now).Save(ctx)
	if err != nil || n == 0 {
		return err // With no row changed, another replica was quicker.
	}
	failpoint.Hit("reply.after-claim")
	e.logClaim(ctx, next, released)
	run.Go()
	e.tell(fact.ReplyStarted, next)
	return nil
}

// takeOver writes a claim, if the row is still as it was read and its owner, who may
// have come back since, has no lease. A replica may claim what it owns itself.
func (e *Engine) takeOver(u *ent.MessageUpdate, row, next *ent.Message, now time.Time) *ent.MessageUpdate {
	owner := message.OwnerIsNil()
	if row.Owner != nil {
		owner = message.Owner(*row.Owner)
		if *row.Owner != e.id {
			owner = message.And(owner, hasNoLease(*row.Owner, now))
		}
	}
	return textsOf(next).set(u).
		Where(message.ID(row.ID), message.UserID(row.UserID), owner, message.Attempt(row.Attempt), Streaming()).
		SetNillableOwner(next.Owner).
		SetAttempt(next.Attempt).
		SetCrashes(next.Crashes).
		SetSalvage(next.Salvage).
		SetStatus(next.Status).
		SetNillableErrorCode(next.ErrorCode).
		SetNillablePromptTokens(next.PromptTokens).
		SetNillableCompletionTokens(next.CompletionTokens).
		SetUsageEstimated(next.UsageEstimated).
		SetNillableFinishedAt(next.FinishedAt)
}

// hasNoLease matches while a replica has none.
func hasNoLease(id pid.ID, now time.Time) predicate.Message {
	return func(s *sql.Selector) {
		t := sql.Table(replica.Table)
		t.SetDialect(s.Dialect())
		s.Where(sql.NotExists(sql.Dialect(s.Dialect()).
			Select(t.C(replica.FieldID)).
			From(t).
			Where(sql.EQ(t.C(replica.FieldID), id)).
			Where(sql.GT(t.C(replica.FieldLeaseExpiresAt), now))))
	}
}

func (e *Engine) logClaim(ctx context.Context, next *ent.Message, released bool) {
	level := slog.LevelInfo
	if next.Status == message.StatusFAILED {
		level = slog.LevelWarn
	}
	e.log.Log(ctx, level, "reply taken over", "message_id", string(next.ID), "attempt", next.Attempt,
		"crashes", next.Crashes, "released", released, "status", string(next.Status))
}

// verdict says what becomes of an abandoned reply.
func (e *Engine) verdict(next *ent.Message, released bool, now time.Time) (message.Status, *string) {
	fail := func(status message.Status, code Code) (message.Status, *string) {
		s := string(code)
		return status, &s
	}
	switch {
	case next.StopRequestedAt != nil:
		return message.StatusSTOPPED, nil
	case next.Crashes > maxCrashes:
		return fail(message.StatusFAILED, CodeCrashed)
	case next.StartedAt != nil && now.Sub(*next.StartedAt) > e.cfg.ReplyLimit:
		return fail(message.StatusFAILED, CodeLimit)
	case e.cfg.InterruptOnCrash && !released:
		return fail(message.StatusINTERRUPTED, CodeRestarted)
	}
	return message.StatusSTREAMING, nil
}
