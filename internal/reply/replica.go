package reply

import (
	"context"
	"fmt"

	"parley/ent"
	"parley/ent/replica"
	"parley/internal/viewer"
)

// replicaRow is the row that says until when this replica has its lease.
type replicaRow struct {
	*host
	cfg Config
}

// take enters this replica. When it is the only one that can exist, all others in the
// table are dead.
func (r replicaRow) take(ctx context.Context) error {
	ctx = viewer.AsSweep(ctx)
	if r.cfg.SoleReplica {
		if _, err := r.store.Client().Replica.Delete().Exec(ctx); err != nil {
			return fmt.Errorf("clear leases: %w", err)
		}
	}
	return r.enter(ctx)
}

func (r replicaRow) enter(ctx context.Context) error {
	now, err := r.store.Now(ctx)
	if err != nil {
		return err
	}
	return r.store.Client().Replica.Create().
		SetID(r.id).
		SetAddress(r.cfg.Address).
		SetLeaseExpiresAt(now.Add(r.cfg.Lease)).
		Exec(ctx)
}

// renew puts off the end of the lease. Where somebody took this replica for dead, its
// replies may be claimed, which their fences decide; it goes on with a new row.
func (r replicaRow) renew(ctx context.Context) error {
	ctx = viewer.AsSweep(ctx)
	now, err := r.store.Now(ctx)
	if err != nil {
		return err
	}
	n, err := r.store.Client().Replica.Update().
		Where(replica.ID(r.id)).
		SetLeaseExpiresAt(now.Add(r.cfg.Lease)).
		Save(ctx)
	if err != nil || n > 0 {
		return err
	}
	return r.enter(ctx)
}

// giveBack removes the row, so that nobody waits for the lease to end.
func (r replicaRow) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(viewer.AsSweep(ctx), releaseLimit)
	defer cancel()
	if err := r.store.Client().Replica.DeleteOneID(r.id).Exec(ctx); err != nil && !ent.IsNotFound(err) {
		r.log.WarnContext(ctx, "lease not returned", "err", err)
	}
}
