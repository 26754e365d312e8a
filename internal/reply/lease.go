package reply

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"entgo.io/ent/dialect/sql"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/replica"
	"parley/internal/event"
	"parley/internal/viewer"
)

// maxCrashes is how many owners may die over one reply before it is given up.
const maxCrashes = 3

// sweepBatch bounds how many abandoned replies one sweep takes up.
const sweepBatch = 100

// takeLease enters this replica. When it is the only one that can exist, all
// others in the table are dead.
func (e *Engine) takeLease(ctx context.Context) error {
	ctx = viewer.AsSweep(ctx)
	if e.cfg.SoleReplica {
		if _, err := e.store.Client().Replica.Delete().Exec(ctx); err != nil {
			return fmt.Errorf("clear leases: %w", err)
		}
	}
	now, err := e.store.Now(ctx)
	if err != nil {
		return err
	}
	return e.store.Client().Replica.Create().
		SetID(e.id).
		SetAddress(e.cfg.Address).
		SetLeaseExpiresAt(now.Add(e.cfg.Lease)).
		Exec(ctx)
}

// keepLease renews the lease every third of its length, and tries again soon when
// that fails. After two thirds without a renewal this replica stops its replies by
// itself, before anyone may claim them.
func (e *Engine) keepLease(ctx context.Context) {
	ctx = viewer.AsSweep(ctx)
	renewed := time.Now()
	pause := e.cfg.Lease / 3
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		began := time.Now()
		err := e.renewLease(ctx)
		if err == nil {
			renewed, pause = began, e.cfg.Lease/3
			continue
		}
		pause = e.cfg.Lease / 15
		e.log.WarnContext(ctx, "lease not renewed", "err", err)
		if time.Since(renewed) >= e.cfg.Lease*2/3 {
			e.cancelWhere(func(*ent.Message) bool { return true }, errFenced)
		}
	}
}

func (e *Engine) renewLease(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Lease/6) // Room for another try.
	defer cancel()
	now, err := e.store.Now(ctx)
	if err != nil {
		return err
	}
	n, err := e.store.Client().Replica.Update().
		Where(replica.ID(e.id)).
		SetLeaseExpiresAt(now.Add(e.cfg.Lease)).
		Save(ctx)
	if err != nil || n > 0 {
		return err
	}
	// Somebody took this replica for dead. Its replies may be claimed: the fence
	// decides. It goes on with a lease of its own.
	return e.store.Client().Replica.Create().SetID(e.id).SetAddress(e.cfg.Address).
		SetLeaseExpiresAt(now.Add(e.cfg.Lease)).Exec(ctx)
}

// returnLease removes this replica, so that nobody waits for its lease to end.
func (e *Engine) returnLease() {
	ctx, cancel := context.WithTimeout(viewer.AsSweep(context.WithoutCancel(e.ctx)), releaseLimit)
	defer cancel()
	if err := e.store.Client().Replica.DeleteOneID(e.id).Exec(ctx); err != nil && !ent.IsNotFound(err) {
		e.log.WarnContext(ctx, "lease not returned", "err", err)
	}
}

// sweepLoop looks for abandoned replies at once and then about every third of a
// lease, with jitter so that replicas do not all look at the same time.
func (e *Engine) sweepLoop(ctx context.Context) {
	ctx = viewer.AsSweep(ctx)
	for {
		if err := e.sweep(ctx); err != nil && ctx.Err() == nil {
			e.log.WarnContext(ctx, "sweep failed", "err", err)
		}
		pause := e.cfg.Lease / 3
		pause = pause*3/4 + rand.N(pause/2)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// sweep claims replies whose owner has no valid lease.
func (e *Engine) sweep(ctx context.Context) error {
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
	for _, row := range abandoned {
		if err := e.claim(ctx, row, row.Owner == nil); err != nil {
			return err
		}
	}
	// The rows of the dead are of no use once their replies are claimed.
	if len(abandoned) < sweepBatch {
		_, err = e.store.Client().Replica.Delete().
			Where(replica.LeaseExpiresAtLT(now.Add(-e.cfg.Lease))).
			Exec(ctx)
	}
	return err
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
	next.Content, next.Reasoning = "", ""
	now, err := e.store.Now(ctx)
	if err != nil {
		return err
	}
	status, code := e.verdict(&next, released, now)
	if status != message.StatusSTREAMING {
		next.Content, next.Salvage = next.Salvage, ""
		next.Status, next.ErrorCode, next.FinishedAt = status, code, &now
	}

	var run *Run
	if status == message.StatusSTREAMING {
		if run, err = e.Prepare(&next); err != nil {
			return nil // Shutting down: the next process claims it.
		}
	}
	owner := message.OwnerIsNil()
	if row.Owner != nil {
		owner = message.Owner(*row.Owner)
	}
	n, err := e.store.Client().Message.Update().
		Where(message.ID(row.ID), owner, message.Attempt(row.Attempt), Streaming()).
		SetOwner(e.id).
		SetAttempt(next.Attempt).
		SetCrashes(next.Crashes).
		SetSalvage(next.Salvage).
		SetContent(next.Content).
		SetReasoning("").
		SetStatus(next.Status).
		SetNillableErrorCode(next.ErrorCode).
		SetNillableFinishedAt(next.FinishedAt).
		Save(ctx)
	if err != nil || n == 0 {
		if run != nil {
			run.Discard()
		}
		return err // With no row changed, another replica was quicker.
	}
	e.log.InfoContext(ctx, "reply taken over", "message_id", string(row.ID), "attempt", next.Attempt,
		"crashes", next.Crashes, "released", released, "status", string(next.Status))
	kind := event.ReplyFinished
	if run != nil {
		kind = event.ReplyStarted
		run.Go()
	}
	e.bus.Publish(event.Fact{Kind: kind, UserID: row.UserID, ConversationID: row.ConversationID, MessageID: row.ID})
	return nil
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
