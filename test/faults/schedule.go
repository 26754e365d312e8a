package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"parley/test/faults/client"
	"parley/test/faults/cluster"
	"parley/test/faults/history"
	"parley/test/faults/judge"
	"parley/test/faults/nemesis"
)

// result is what came of one schedule.
type result struct {
	seed       uint64
	sends      int // Acknowledged ones, each key once.
	counts     map[string]int
	violations []judge.Violation
	takeovers  []time.Duration
	took       time.Duration
	kept       string // Where the history and the logs are, after a failure.
}

// shortLease is the lease of the schedules: the shortest that is allowed, so that a
// schedule of some seconds sees takeovers.
const shortLease = 3 * time.Second

// longestFaults is how long a schedule goes on injecting faults at the most.
const longestFaults = 20 * time.Second

// clusterOf says what the schedule of a seed runs on: one replica with SQLite, or
// three on Postgres without a bus, with a lossy one, or mostly with a whole one.
func clusterOf(seed uint64, binary, admin string) cluster.Config {
	cfg := cluster.Config{Binary: binary, Admin: admin, Replicas: 3, Lease: shortLease, Bus: true, Seed: seed}
	switch seed % 8 {
	case 0:
		cfg.Admin, cfg.Replicas, cfg.Bus = "", 1, false
	case 3:
		cfg.Bus = false
	case 5, 7:
		cfg.Lossy = true
	}
	return cfg
}

// runSchedule runs the schedule of a seed from an empty database to the verdict.
// Its error is one of the harness or of the cluster as a whole.
func runSchedule(ctx context.Context, seed uint64, binary, admin string, points []string) (res result, err error) {
	random := rand.New(rand.NewPCG(seed, 1))
	h := history.New()
	res.seed = seed
	defer func() { res.took = h.Now() }()
	c, err := cluster.Start(ctx, clusterOf(seed, binary, admin), h)
	if err != nil {
		return res, err
	}
	defer func() {
		err = errors.Join(err, c.Close(ctx), c.Complaints())
		if err == nil && len(res.violations) == 0 {
			c.Remove()
			return
		}
		res.kept = c.Dir
		err = errors.Join(err, h.Save(filepath.Join(c.Dir, "history.jsonl")))
	}()
	begin(c, seed)
	l, err := client.Start(ctx, replicasOf(c), h, client.Config{
		Seed: seed, Name: fmt.Sprintf("s%d", seed), Users: 2 + random.IntN(2), Writers: 2 + random.IntN(3),
	})
	if err != nil {
		return res, err
	}
	n := nemesis.New(c, seed, points)
	err = n.Disturb(ctx, longestFaults/2+time.Duration(random.Int64N(int64(longestFaults/2))))
	res.counts = n.Tally()
	err = errors.Join(err, conclude(ctx, c, l))
	records := h.All()
	res.violations = judge.Check(records)
	res.takeovers, res.sends = judge.Takeovers(records), judge.Acknowledged(records)
	return res, err
}

// replicasOf are the replicas as clients know them.
func replicasOf(c *cluster.Cluster) []client.Replica {
	list := make([]client.Replica, len(c.Replicas))
	for n, r := range c.Replicas {
		list[n] = asSeen(r)
	}
	return list
}

// asSeen is a replica as clients know it.
func asSeen(r *cluster.Replica) client.Replica { return client.Replica{Name: r.Name, Addr: r.Addr()} }
