package chat

import (
	"context"
	"fmt"
	"time"

	"parley/ent/conversationdeletion"
	"parley/ent/predicate"
	"parley/ent/send"
	"parley/internal/pid"
	"parley/internal/viewer"
)

const (
	// keepSends is how long the record of a send without a client key is kept: it
	// serves the limit on sends a minute, and nothing else.
	keepSends = 24 * time.Hour
	// KeepKeys is how long a client key is known. Nobody sends the same thing again after
	// that time because an answer was lost.
	KeepKeys = 30 * 24 * time.Hour
	// keepDeletions is how long a deletion is noted: feeds that missed it read it when they are
	// told that they may have, which is a matter of seconds, or of an outage.
	keepDeletions = 24 * time.Hour
	// sweepBatch is how many rows are removed at a time, so that nobody waits long for a turn
	// to write.
	sweepBatch = 500
)

// Sweep removes rows that mean nothing any more. Call it now and then; any replica
// may.
func (s *Service) Sweep(ctx context.Context) error {
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	for _, old := range [][]predicate.Send{
		{send.CreatedAtLT(now.Add(-KeepKeys)), madeBefore(now.Add(-KeepKeys))},
		{send.CreatedAtLT(now.Add(-keepSends)), madeBefore(now.Add(-keepSends)), send.ClientKeyIsNil()},
	} {
		if err := all(func() (bool, error) { return s.sweepSends(ctx, old) }); err != nil {
			return fmt.Errorf("remove old sends: %w", err)
		}
	}
	if err := all(func() (bool, error) { return s.sweepDeletions(ctx, now.Add(-keepDeletions)) }); err != nil {
		return fmt.Errorf("remove old deletions: %w", err)
	}
	return nil
}

// all removes batch after batch.
func all(batch func() (more bool, err error)) error {
	for {
		if more, err := batch(); err != nil || !more {
			return err
		}
	}
}

// madeBefore narrows sends by their ids, which sort by time and need no index of their own.
// The clocks that make them are not the database's, so it leaves room.
func madeBefore(at time.Time) predicate.Send {
	return send.IDLT(pid.First(pid.Send, at.Add(time.Hour)))
}

// sweepSends removes some of the sends that match, and reports whether there may be more.
func (s *Service) sweepSends(ctx context.Context, old []predicate.Send) (more bool, err error) {
	ctx = viewer.AsSweep(ctx)
	ids, err := s.store.Client().Send.Query().Where(old...).Order(send.ByID()).Limit(sweepBatch).IDs(ctx)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	_, err = s.store.Client().Send.Delete().Where(send.IDIn(ids...)).Exec(ctx)
	return len(ids) == sweepBatch, err
}

// sweepDeletions removes some of the deletions before then, and reports whether there may
// be more.
func (s *Service) sweepDeletions(ctx context.Context, then time.Time) (more bool, err error) {
	ctx = viewer.AsSweep(ctx)
	ids, err := s.store.Client().ConversationDeletion.Query().
		Where(conversationdeletion.DeletedAtLT(then)).
		Order(conversationdeletion.ByDeletedAt()).
		Limit(sweepBatch).
		IDs(ctx)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	_, err = s.store.Client().ConversationDeletion.Delete().Where(conversationdeletion.IDIn(ids...)).Exec(ctx)
	return len(ids) == sweepBatch, err
}
