package reply

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"parley/ent"
	"parley/ent/message"
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

// checkpointLoop stores the text of running replies, all in one goroutine. Under
// load it stretches: it rests nine times as long as it worked. A reply that ends
// before its first turn is never checkpointed.
func (e *Engine) checkpointLoop(ctx context.Context) {
	ctx = viewer.AsSweep(ctx)
	timer := time.NewTimer(e.cfg.Checkpoint)
	defer timer.Stop()
	trouble := complaint.About("checkpoint")
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		e.forgetEnded(began)
		err := e.checkpoint(ctx)
		trouble.Report(ctx, e.log, err)
		rest := e.cfg.Checkpoint
		if err == nil { // How long a database that is away was waited for says nothing of load.
			rest = max(rest, min(9*time.Since(began), maxStretch))
		}
		timer.Reset(rest)
	}
}

// checkpoint stores all text that is not stored yet. After an error the next turn
// stores more.
func (e *Engine) checkpoint(ctx context.Context) error {
	var due []Checkpoint
	lives := make(map[pid.ID]*live)
	e.mu.Lock()
	runs := make([]*Attempt, 0, len(e.running))
	for _, r := range e.running {
		runs = append(runs, r)
	}
	e.mu.Unlock()
	for _, r := range runs {
		if c, ok := r.live.unsaved(); ok {
			due = append(due, c)
			lives[c.MessageID] = r.live
		}
	}
	// In one order everywhere, so that two replicas of which one is mistaken about its
	// replies do not wait for each other's rows.
	slices.SortFunc(due, func(a, b Checkpoint) int { return strings.Compare(string(a.MessageID), string(b.MessageID)) })
	for len(due) > 0 {
		batch := due[:min(checkpointBatch, len(due))]
		due = due[len(batch):]
		failpoint.Hit("reply.before-checkpoint")
		lost, err := e.store.Checkpoint(ctx, e.id, batch)
		failpoint.Hit("reply.after-checkpoint")
		if err != nil {
			return err
		}
		for _, c := range batch {
			lives[c.MessageID].setSaved(c)
		}
		e.reconsider(ctx, lost)
	}
	return nil
}

// watchRows looks at this replica's own replies, at once when somebody says that there
// is something to see, and once a second, so that a lost signal only costs that
// second: for some that somebody asked to stop; for some that are gone; and for rows
// that nothing here runs.
func (e *Engine) watchRows(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	strays := make(map[pid.ID]bool)
	trouble := complaint.About("looking at own replies")
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-e.watchNow:
			_, err = e.watchOnce(ctx, nil) // Strays have their second.
		case <-tick.C:
			strays, err = e.watchOnce(ctx, strays)
		}
		trouble.Report(ctx, e.log, err)
	}
}

// watchOnce returns the rows that nothing here runs. One that was such a stray a
// second ago is no start in progress: its send was committed though the answer to
// the commit was lost, or its run panicked. It is taken up as after a crash, so that
// it cannot go on for ever.
func (e *Engine) watchOnce(ctx context.Context, strays map[pid.ID]bool) (map[pid.ID]bool, error) {
	ctx = viewer.AsSweep(ctx)
	before := e.runningIDs()
	rows, err := e.store.Client().Message.Query().
		Where(message.Owner(e.id), Streaming()).
		Select(message.FieldID, message.FieldStopRequestedAt). // Not the texts, each second.
		All(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	now := make(map[pid.ID]bool)
	for _, row := range rows {
		delete(before, row.ID)
		if row.StopRequestedAt != nil {
			e.cancelRun(row.ID, errStopped)
		}
		switch {
		case e.knows(row.ID):
		case strays[row.ID]:
			errs = append(errs, e.claimStray(ctx, row.ID))
		default:
			now[row.ID] = true
		}
	}
	missing := make([]pid.ID, 0, len(before))
	for id := range before {
		missing = append(missing, id)
	}
	e.reconsider(ctx, missing)
	return now, errors.Join(errs...)
}

// claimStray takes up a row that is this replica's and that it does not run.
func (e *Engine) claimStray(ctx context.Context, id pid.ID) error {
	ctx = viewer.AsSweep(ctx)
	row, err := e.store.Client().Message.Query().Where(message.ID(id), message.Owner(e.id), Streaming()).Only(ctx)
	if ent.IsNotFound(err) {
		return nil // Somebody else's by now, or gone.
	}
	if err != nil {
		return err
	}
	e.mu.Lock()
	_, neverRan := e.uncertain[id]
	delete(e.uncertain, id)
	e.mu.Unlock()
	return e.claim(ctx, row, neverRan)
}

// reconsider cancels runs whose row is deleted or somebody else's. A run that has
// just become final by itself is left alone.
func (e *Engine) reconsider(ctx context.Context, ids []pid.ID) {
	if len(ids) == 0 {
		return
	}
	ctx = viewer.AsSweep(ctx)
	rows, err := e.store.Client().Message.Query().
		Where(message.IDIn(ids...)).
		Select(message.FieldID, message.FieldOwner, message.FieldStatus).
		All(ctx)
	if err != nil {
		e.log.WarnContext(ctx, "cannot look at lost replies", "err", err)
		return
	}
	found := make(map[pid.ID]bool)
	for _, row := range rows {
		found[row.ID] = true
		mine := row.Owner != nil && *row.Owner == e.id
		if !mine {
			e.cancelRun(row.ID, errFenced)
		}
	}
	for _, id := range ids {
		if !found[id] {
			e.cancelRun(id, errDeleted)
		}
	}
}

// runningIDs returns the replies that have been committed and not ended here.
func (e *Engine) runningIDs() map[pid.ID]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make(map[pid.ID]bool)
	for id, r := range e.running {
		if r.committed.Load() && !r.live.hasEnded() {
			ids[id] = true
		}
	}
	return ids
}

func (e *Engine) cancelRun(id pid.ID, cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.running[id]; r != nil {
		r.cancel(cause)
	}
}
