package reply

import (
	"context"
	"fmt"

	"parley/ent"
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
	return r.renew(ctx)
}

// renew puts off the end of the lease. Where somebody took this replica for dead, its
// replies may be claimed, which their fences decide; it goes on with a new row.
func (r replicaRow) renew(ctx context.Context) error {
	return r.store.KeepLease(ctx, r.id, r.cfg.Address, r.cfg.Keys, r.cfg.Lease)
}

// giveBack removes the row, so that nobody waits for the lease to end.
func (r replicaRow) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(viewer.AsSweep(ctx), releaseLimit)
	defer cancel()
	if err := r.store.Client().Replica.DeleteOneID(r.id).Exec(ctx); err != nil && !ent.IsNotFound(err) {
		r.log.WarnContext(ctx, "lease not returned", "err", err)
	}
}
