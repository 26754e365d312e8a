package faulttest

import (
	"context"
	"errors"
	"time"
)

// settle is how long after the last fault every reply must be final: a minute, and
// what the model needs for the longest answers that wait for each other.
const settle = 90 * time.Second

// begin notes what the judge must know of the run.
func begin(c *cluster, seed uint64) {
	c.history.add(record{Op: opRun, Run: &settings{Seed: seed, Lease: c.lease(), MaxRunning: maxRunning,
		Settle: settle, Fault: faultLimit, Feed: feedPatience}})
}

// doors are the replicas as clients know them.
func doors(c *cluster) []door {
	list := make([]door, len(c.replicas))
	for n, r := range c.replicas {
		list[n] = doorOf(r)
	}
	return list
}

func doorOf(r *replica) door { return door{name: r.name, addr: r.addr()} }

// conclude heals the cluster, waits until all replies are final and all clients
// have seen it, and reads everything: late subscriptions, the API on every
// replica, again after all replicas have ended and started, and the database. What it returns
// is an error of the harness or of the cluster as a whole; what the checker makes
// of the history comes on top.
func conclude(ctx context.Context, c *cluster, loads ...*load) error {
	for _, l := range loads {
		l.stop()
	}
	errs := []error{c.heal(ctx)}
	errs = append(errs, poll(ctx, settle+30*time.Second, "all replies are final", func() (bool, error) {
		n, err := c.database.unfinished(ctx)
		return n == 0, err
	}))
	c.history.add(record{Op: opSettled})
	patience, cancel := context.WithTimeoutCause(ctx, settle,
		errors.New("the end of every reply should have reached them by now"))
	defer cancel()
	for _, l := range loads {
		errs = append(errs, l.wait(patience))
	}
	for _, l := range loads {
		l.watchLate(patience)
	}
	readThrough := func() {
		for _, l := range loads {
			errs = append(errs, l.readThrough(ctx))
		}
	}
	readThrough()
	errs = append(errs, c.endAll(ctx), c.startAll(ctx))
	readThrough()
	errs = append(errs, c.database.read(ctx, c.history))
	return errors.Join(errs...)
}
