package faulttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// settle is how long after the last fault every reply must be final: a minute, and
// what the model needs for the longest answers that wait for each other.
const settle = 90 * time.Second

// begin notes what the checker must know of the run.
func (c *cluster) begin(seed uint64) {
	c.history.add(record{Op: opRun,
		Run: &settings{Seed: seed, Lease: c.cfg.lease, MaxRunning: maxRunning, Settle: settle}})
}

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
	errs = append(errs, readThrough(ctx, c, loads))
	errs = append(errs, c.endAll(ctx), c.startAll(ctx), readThrough(ctx, c, loads))
	errs = append(errs, c.database.read(ctx, c.history))
	return errors.Join(errs...)
}

// watchLate follows every reply once more, now that all are final.
func (l *load) watchLate(ctx context.Context) {
	limit := make(chan struct{}, 8)
	var all sync.WaitGroup
	for n, k := range l.replies() {
		limit <- struct{}{}
		all.Go(func() {
			defer func() { <-limit }()
			v := &watcher{
				user: k.user, who: fmt.Sprintf("%s-late-%d", k.user.name, n), reply: k.reply,
				random: rand.New(rand.NewPCG(l.cfg.seed, uint64(n))), faithful: true, late: true,
			}
			v.follow(ctx)
		})
	}
	all.Wait()
}

// readThrough reads every conversation through every replica.
func readThrough(ctx context.Context, c *cluster, loads []*load) error {
	var errs []error
	for _, l := range loads {
		read := make(map[string]bool)
		for _, k := range l.replies() {
			if read[k.conversation] {
				continue
			}
			read[k.conversation] = true
			for _, r := range c.replicas {
				errs = append(errs, k.user.readAll(ctx, r, k.conversation))
			}
		}
	}
	return errors.Join(errs...)
}
