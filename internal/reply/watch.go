package reply

import (
	"context"
	"errors"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/complaint"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// ownRows looks at the rows of this replica's own replies: for some that somebody asked to
// stop, for some whose user is disabled, for some that are gone, and for some that nothing
// here runs.
type ownRows struct {
	*host
	attempts *attempts
	claim    func(ctx context.Context, row *ent.Message, released bool) error
	now      chan struct{}
}

func newOwnRows(
	h *host, attempts *attempts, claim func(ctx context.Context, row *ent.Message, released bool) error,
) *ownRows {
	return &ownRows{host: h, attempts: attempts, claim: claim, now: make(chan struct{}, 1)}
}

// hurry asks for a look at once.
func (w *ownRows) hurry() { signal(w.now) }

// run looks once a second, and at once when somebody says that there is something to see,
// so that a lost signal only costs that second.
func (w *ownRows) run(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	strays := make(map[pid.ID]bool)
	trouble := complaint.About("looking at own replies")
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-w.now:
			_, err = w.look(ctx, nil) // Strays have their second.
		case <-tick.C:
			strays, err = w.look(ctx, strays)
		}
		trouble.Report(ctx, w.log, err)
	}
}

// look returns the rows that nothing here runs. One that was such a stray a second ago is
// no start in progress: its send was committed though the answer to the commit was lost,
// or its run panicked. It is taken up as after a crash, so that it cannot go on for ever.
func (w *ownRows) look(ctx context.Context, strays map[pid.ID]bool) (map[pid.ID]bool, error) {
	ctx = viewer.AsSweep(ctx)
	before := w.committed()
	rows, err := w.store.Owned(ctx, w.id)
	if err != nil {
		return nil, err
	}
	var errs []error
	now := make(map[pid.ID]bool)
	for _, row := range rows {
		delete(before, row.ID)
		if row.StopRequested || row.Disabled {
			w.attempts.cancel(row.ID, errStopped)
		}
		switch {
		case w.attempts.knows(row.ID):
		case strays[row.ID]:
			errs = append(errs, w.claimStray(ctx, row.ID))
		default:
			now[row.ID] = true
		}
	}
	missing := make([]pid.ID, 0, len(before))
	for id := range before {
		missing = append(missing, id)
	}
	w.reconsider(ctx, missing)
	return now, errors.Join(errs...)
}

// committed returns the replies that have been committed and not ended here.
func (w *ownRows) committed() map[pid.ID]bool {
	ids := make(map[pid.ID]bool)
	for _, a := range w.attempts.all() {
		if a.committed.Load() {
			ids[a.row.ID] = true
		}
	}
	return ids
}

// claimStray takes up a row that is this replica's and that it does not run.
func (w *ownRows) claimStray(ctx context.Context, id pid.ID) error {
	ctx = viewer.AsSweep(ctx)
	row, err := w.store.Client().Message.Query().Where(message.ID(id), message.Owner(w.id), Streaming()).Only(ctx)
	if ent.IsNotFound(err) {
		return nil // Somebody else's by now, or gone.
	}
	if err != nil {
		return err
	}
	return w.claim(ctx, row, w.attempts.neverRan(id))
}

// reconsider cancels attempts whose row is deleted or somebody else's. One that has
// just become final by itself is left alone.
func (w *ownRows) reconsider(ctx context.Context, ids []pid.ID) {
	if len(ids) == 0 {
		return
	}
	ctx = viewer.AsSweep(ctx)
	rows, err := w.store.Client().Message.Query().
		Where(message.IDIn(ids...)).
		Select(message.FieldID, message.FieldOwner, message.FieldStatus).
		All(ctx)
	if err != nil {
		w.log.WarnContext(ctx, "cannot look at lost replies", "err", err)
		return
	}
	found := make(map[pid.ID]bool)
	for _, row := range rows {
		found[row.ID] = true
		if row.Owner == nil || *row.Owner != w.id {
			w.attempts.cancel(row.ID, errFenced)
		}
	}
	for _, id := range ids {
		if !found[id] {
			w.attempts.cancel(id, errDeleted)
		}
	}
}
