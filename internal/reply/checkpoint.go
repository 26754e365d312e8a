package reply

import (
	"context"
	"slices"
	"strings"
	"time"

	"parley/internal/complaint"
	"parley/internal/failpoint"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// checkpointBatch is how many replies share one transaction, so that a send never
// waits long behind checkpoints.
const checkpointBatch = 32

// maxStretch bounds how rare checkpoints become under load.
const maxStretch = 10 * time.Second

// saver stores the text of running replies, all in one goroutine.
type saver struct {
	*host
	every    time.Duration
	attempts *attempts
	lag      *lag
	// lost is told which replies were not this replica's any more.
	lost func(ctx context.Context, ids []pid.ID)
}

// run saves again and again until ctx ends. Under load it stretches: it rests nine times
// as long as it worked. A reply that ends before its first turn is never checkpointed, nor one
// that ends while it is young: most short ones.
func (s *saver) run(ctx context.Context) {
	timer := time.NewTimer(s.every)
	defer timer.Stop()
	trouble := complaint.About("checkpoint")
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		s.attempts.expire(began)
		err := s.save(viewer.AsSweep(ctx), began.Add(-s.every/2))
		trouble.Report(ctx, s.log, err)
		rest := s.every
		if err == nil { // How long a database that is away was waited for says nothing of load.
			rest = max(rest, min(9*time.Since(began), maxStretch))
		}
		timer.Reset(rest)
	}
}

// save stores all text that is not stored yet, but for attempts that were made after a time:
// those wait for the next turn. After an error the next turn stores more.
func (s *saver) save(ctx context.Context, made time.Time) error {
	var due []Checkpoint
	lives := make(map[pid.ID]*live)
	for _, a := range s.attempts.all() {
		if a.made.After(made) {
			continue
		}
		if c, ok := a.live.unsaved(); ok {
			due = append(due, c)
			lives[c.MessageID] = a.live
		}
	}
	// In one order everywhere, so that two replicas of which one is mistaken about its
	// replies do not wait for each other's rows.
	slices.SortFunc(due, func(a, b Checkpoint) int { return strings.Compare(string(a.MessageID), string(b.MessageID)) })
	for len(due) > 0 {
		batch := due[:min(checkpointBatch, len(due))]
		due = due[len(batch):]
		failpoint.Hit("reply.before-checkpoint")
		began := time.Now()
		s.lag.begin(began)
		lost, err := s.store.Checkpoint(ctx, s.id, batch)
		s.lag.end()
		s.meters.Checkpoint.Since(began)
		failpoint.Hit("reply.after-checkpoint")
		if err != nil {
			return err
		}
		for _, c := range batch {
			lives[c.MessageID].setSaved(c)
		}
		s.lost(ctx, lost)
	}
	return nil
}
