package reply

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"entgo.io/ent/dialect/sql"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/predicate"
	"parley/ent/replica"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
)

const (
	// maxCrashes is how many owners may die over one reply before it is given up.
	maxCrashes = 3
	// maxHeavyCrashes is the same for a heavy reply. It may be what they died of, and would
	// take each replica with it in turn.
	maxHeavyCrashes = 1
	// heavyPrompt is how many bytes make a prompt a heavy one: some 60,000 tokens, which few
	// conversations reach.
	heavyPrompt = 256 << 10
)

// claim takes an abandoned reply over: it is generated anew, or ended when it must
// not be. The longer text so far is kept as salvage. Of several replicas that try,
// one succeeds. A released reply's owner gave it up by itself, which is no crash. One that
// this replica owns and has released never ran: its attempt is still to be made.
func (s *sweeper) claim(ctx context.Context, row *ent.Message, released bool) error {
	if s.draining.Load() {
		return nil // Somebody else takes it.
	}
	next := *row
	next.Owner = &s.id
	if !released || row.Owner == nil {
		next.Attempt++
	}
	if !released {
		next.Crashes++
	}
	if len(row.Content) > len(row.Salvage) {
		next.Salvage = row.Content
	}
	startOf(row).put(&next)
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	failpoint.Hit("reply.before-claim")
	status, code := verdict(s.cfg, &next, released, now)
	if status == message.StatusSTREAMING {
		return s.claimToRun(ctx, row, &next, released, now)
	}
	if len(row.Content) >= len(row.Salvage) {
		next.Reasoning = row.Reasoning // What goes with the text that stays.
	}
	next.Content, next.Salvage = next.Salvage, ""
	next.Status, next.ErrorCode, next.FinishedAt = status, code, &now
	next.PromptBytes = nil // It may have been a guess, and nobody is to correct it now.
	if err := s.estimateLeft(ctx, row, &next); err != nil {
		return err
	}
	after, err := s.queue.end(ctx, row, s.queue.locked(ctx, row, func(tx *ent.Tx) error {
		n, err := s.takeOver(tx.Message.Update(), row, &next, now).Save(ctx)
		switch {
		case err != nil:
			return err
		case n == 0:
			return errNoRow
		}
		return s.queue.count(ctx, tx, &next)
	}))
	switch {
	case errors.Is(err, errNoRow):
		return nil // Another replica was quicker.
	case err != nil:
		return err
	}
	s.logClaim(ctx, &next, released)
	s.meters.ended(&next)
	s.tell(fact.ReplyFinished, &next)
	s.queue.start(after)
	return nil
}

// claimToRun takes a reply over to generate it anew.
func (s *sweeper) claimToRun(ctx context.Context, row, next *ent.Message, released bool, now time.Time) error {
	a, err := s.queue.prepare(next)
	if err != nil {
		return nil // Shutting down, or without a lease: another process claims it.
	}
	if next.StartedAt != nil {
		a.limit -= now.Sub(*next.StartedAt)
	}
	defer a.Discard()
	n, err := s.takeOver(s.store.Client().Message.Update(), row, next, now).Save(ctx)
	if err != nil || n == 0 {
		return err // With no row changed, another replica was quicker.
	}
	failpoint.Hit("reply.after-claim")
	s.logClaim(ctx, next, released)
	a.Go()
	s.tell(fact.ReplyStarted, next)
	return nil
}

// takeOver writes a claim, if the row is still as it was read and its owner, who may
// have come back since, has no other lease than the one that was seen to be over. A replica
// may claim what it owns itself.
func (s *sweeper) takeOver(u *ent.MessageUpdate, row, next *ent.Message, now time.Time) *ent.MessageUpdate {
	owner := message.OwnerIsNil()
	if row.Owner != nil {
		owner = message.Owner(*row.Owner)
		if *row.Owner != s.id {
			owner = message.And(owner, s.hasNoLease(*row.Owner, now))
		}
	}
	if next.PromptBytes == nil {
		u.ClearPromptBytes()
	}
	return TextsOf(next).set(u).
		Where(message.ID(row.ID), message.UserID(row.UserID), owner, message.Attempt(row.Attempt), Streaming()).
		SetNillableOwner(next.Owner).
		SetAttempt(next.Attempt).
		SetCrashes(next.Crashes).
		SetSalvage(next.Salvage).
		SetStatus(next.Status).
		SetNillablePromptTokens(next.PromptTokens).
		SetNillableCompletionTokens(next.CompletionTokens).
		SetUsageEstimated(next.UsageEstimated).
		SetNillableErrorCode(next.ErrorCode).
		SetNillableFinishedAt(next.FinishedAt)
}

// hasNoLease matches while a replica has none but the one that was seen, which is over.
func (s *sweeper) hasNoLease(id pid.ID, now time.Time) predicate.Message {
	seen, known := s.vigil.seen[id]
	return func(rows *sql.Selector) {
		t := sql.Table(replica.Table)
		t.SetDialect(rows.Dialect())
		lease := sql.Dialect(rows.Dialect()).
			Select(t.C(replica.FieldID)).
			From(t).
			Where(sql.EQ(t.C(replica.FieldID), id))
		if known {
			ends := t.C(replica.FieldLeaseExpiresAt)
			lease.Where(sql.Or(sql.GT(ends, now), sql.NEQ(ends, seen.expires)))
		}
		rows.Where(sql.NotExists(lease))
	}
}

func (s *sweeper) logClaim(ctx context.Context, next *ent.Message, released bool) {
	why := takenCrashed
	if released {
		why = takenReleased
	}
	s.meters.Takeovers.Of(why).Inc()
	level := slog.LevelInfo
	if next.Status == message.StatusFAILED {
		level = slog.LevelWarn
	}
	s.log.Log(ctx, level, "reply taken over", "message_id", string(next.ID), "attempt", next.Attempt,
		"crashes", next.Crashes, "released", released, "status", string(next.Status))
}

// isHeavy reports whether a reply is made from very much.
func isHeavy(m *ent.Message) bool { return m.PromptBytes != nil && *m.PromptBytes >= heavyPrompt }

// verdict says what becomes of an abandoned reply.
func verdict(cfg Config, next *ent.Message, released bool, now time.Time) (message.Status, *string) {
	fail := func(status message.Status, code Code) (message.Status, *string) {
		s := string(code)
		return status, &s
	}
	switch {
	case next.StopRequestedAt != nil:
		return message.StatusSTOPPED, nil
	case next.Crashes > maxCrashes, next.Crashes > maxHeavyCrashes && isHeavy(next):
		return fail(message.StatusFAILED, CodeCrashed)
	case next.StartedAt != nil && now.Sub(*next.StartedAt) > cfg.ReplyLimit:
		return fail(message.StatusFAILED, CodeLimit)
	case cfg.InterruptOnCrash && !released:
		return fail(message.StatusINTERRUPTED, CodeRestarted)
	}
	return message.StatusSTREAMING, nil
}
