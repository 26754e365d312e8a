package faulttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"
)

// result is what came of one schedule.
type result struct {
	seed       uint64
	sends      int // Acknowledged ones, each key once.
	counts     map[string]int
	violations []violation
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
func clusterOf(seed uint64, binary, admin string) clusterConfig {
	cfg := clusterConfig{binary: binary, admin: admin, replicas: 3, lease: shortLease, bus: true, seed: seed}
	switch seed % 8 {
	case 0:
		cfg.admin, cfg.replicas, cfg.bus = "", 1, false
	case 3:
		cfg.bus = false
	case 5, 7:
		cfg.lossy = true
	}
	return cfg
}

// runSchedule runs the schedule of a seed from an empty database to the verdict.
// Its error is one of the harness or of the cluster as a whole.
func runSchedule(ctx context.Context, seed uint64, binary, admin string, points []string) (res result, err error) {
	random := rand.New(rand.NewPCG(seed, 1))
	h := newHistory()
	res.seed = seed
	defer func() { res.took = h.now() }()
	c, err := startCluster(ctx, clusterOf(seed, binary, admin), h)
	if err != nil {
		return res, err
	}
	defer func() {
		err = errors.Join(err, c.close(ctx), c.complaints())
		if err == nil && len(res.violations) == 0 {
			c.remove()
			return
		}
		res.kept = c.dir
		err = errors.Join(err, h.save(filepath.Join(c.dir, "history.jsonl")))
	}()
	begin(c, seed)
	l, err := startLoad(ctx, doors(c), h, loadConfig{seed: seed, name: fmt.Sprintf("s%d", seed),
		users:   2 + random.IntN(2),
		writers: 2 + random.IntN(3)})
	if err != nil {
		return res, err
	}
	n := newNemesis(c, seed, points)
	err = n.disturb(ctx, longestFaults/2+time.Duration(random.Int64N(int64(longestFaults/2))))
	res.counts = n.tally()
	err = errors.Join(err, conclude(ctx, c, l))
	records := h.all()
	res.violations = check(records)
	res.takeovers, res.sends = takeovers(records), acknowledged(records)
	return res, err
}
