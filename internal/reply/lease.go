package reply

import (
	"context"
	"fmt"
	"time"

	"parley/ent"
	"parley/ent/replica"
	"parley/internal/complaint"
	"parley/internal/viewer"
)

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
// itself, before anyone may claim them, and takes no new ones.
func (e *Engine) keepLease(ctx context.Context) {
	ctx = viewer.AsSweep(ctx)
	pause := e.cfg.Lease / 3
	alarm := time.AfterFunc(e.cfg.Lease*2/3, e.doubtLease)
	defer alarm.Stop()
	trouble := complaint.About("renewing the lease")
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		began := time.Now()
		err := e.renewLease(ctx)
		trouble.Report(ctx, e.log, err)
		if err != nil {
			pause = e.cfg.Lease / 15
			continue
		}
		pause = e.cfg.Lease / 3
		alarm.Reset(e.cfg.Lease*2/3 - time.Since(began))
		if e.inDoubt.Swap(false) {
			signal(e.sweepNow)
		}
	}
}

// doubtLease stops all replies: others may claim them soon.
func (e *Engine) doubtLease() {
	if !e.inDoubt.Swap(true) {
		e.log.WarnContext(e.loopCtx, "lease in doubt: replies are stopped here", "running_replies", e.Running())
	}
	e.cancelAll(errFenced)
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
