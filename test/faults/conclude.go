package main

import (
	"context"
	"errors"
	"time"

	"parley/test/faults/client"
	"parley/test/faults/cluster"
	"parley/test/faults/history"
	"parley/test/faults/nemesis"
	"parley/test/faults/wait"
)

// settle is how long after the last fault every reply must be final: a minute, and
// what the model needs for the longest answers that wait for each other.
const settle = 90 * time.Second

// begin notes what the judge must know of the run.
func begin(c *cluster.Cluster, seed uint64) {
	c.History.Add(history.Record{Op: history.OpRun, Run: &history.Settings{
		Seed: seed, Lease: c.Lease(), MaxRunning: cluster.MaxRunning,
		Settle: settle, Fault: nemesis.FaultLimit, Feed: client.FeedPatience,
	}})
}

// conclude heals the cluster, waits until all replies are final and all clients
// have seen it, and reads everything: late subscriptions, the API on every replica,
// again after all replicas have ended and started, and the database. What it returns
// is an error of the harness or of the cluster as a whole; what the judge makes of the
// history comes on top.
func conclude(ctx context.Context, c *cluster.Cluster, loads ...*client.Load) error {
	for _, l := range loads {
		l.Stop()
	}
	errs := []error{c.Heal(ctx)}
	errs = append(errs, wait.Until(ctx, settle+30*time.Second, "all replies are final", func() (bool, error) {
		n, err := c.Database.Unfinished(ctx)
		return n == 0, err
	}))
	c.History.Add(history.Record{Op: history.OpSettled})
	patience, cancel := context.WithTimeoutCause(ctx, settle,
		errors.New("the end of every reply should have reached them by now"))
	defer cancel()
	for _, l := range loads {
		errs = append(errs, l.Wait(patience))
	}
	for _, l := range loads {
		l.WatchLate(patience)
	}
	readThrough := func() {
		for _, l := range loads {
			errs = append(errs, l.ReadThrough(ctx))
		}
	}
	readThrough()
	errs = append(errs, c.EndAll(ctx), c.StartAll(ctx))
	readThrough()
	errs = append(errs, c.Database.Read(ctx, c.History))
	return errors.Join(errs...)
}
