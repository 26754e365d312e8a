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
	target     string // Of make, which runs it again.
	sends      int    // Acknowledged ones, each key once.
	counts     map[string]int
	violations []judge.Violation
	takeovers  []time.Duration
	took       time.Duration
	notes      []string // What else is worth telling.
	kept       string   // Where the history and the logs are, after a failure.
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
	if overloads(seed) {
		cfg.Environ = []string{
			fmt.Sprintf("PARLEY_MAX_REPLIES=%d", overloadReplies), "PARLEY_DB_CONNECTIONS=8",
		}
	}
	return cfg
}

// overloads reports whether the clients of a seed ask for much more than the replicas take:
// in every eighth schedule, and in every other one on SQLite.
func overloads(seed uint64) bool { return seed%8 == 6 || seed%16 == 8 }

// rolls reports whether the replicas of a seed are restarted one after the other, which is
// all that happens to them.
func rolls(seed uint64) bool { return seed%16 == 4 }

// overloadReplies is how many replies a replica takes in a schedule that overloads, and the
// others are how many clients ask for more at once.
const (
	overloadReplies = 3
	overloadUsers   = 6
	overloadWriters = 5
)

// loadOf says what the clients of a seed do.
func loadOf(seed uint64, random *rand.Rand) client.Config {
	cfg := client.Config{
		Seed: seed, Name: fmt.Sprintf("s%d", seed), Users: 2 + random.IntN(2), Writers: 2 + random.IntN(3),
	}
	if overloads(seed) {
		cfg.Users, cfg.Writers = overloadUsers, overloadWriters
	}
	return cfg
}

// runSchedule runs the schedule of a seed from an empty database to the verdict.
// Its error is one of the harness or of the cluster as a whole.
func runSchedule(ctx context.Context, seed uint64, binary, admin string, points []string) (result, error) {
	if rolls(seed) {
		return runRolling(ctx, seed, binary, admin)
	}
	return play(ctx, "faults", seed, clusterOf(seed, binary, admin), func(ctx context.Context, s *scene) error {
		n := nemesis.New(s.cluster, seed, points)
		err := n.Disturb(ctx, longestFaults/2+time.Duration(s.random.Int64N(int64(longestFaults/2))))
		s.counts = n.Tally()
		if overloads(seed) {
			refused := judge.Overloads(s.history.All())
			s.notes = append(s.notes, fmt.Sprintf("%d sends were refused as OVERLOADED", refused))
			if refused == 0 {
				err = errors.Join(err, errors.New("the clients do not overload the replicas"))
			}
		}
		return err
	})
}

// scene is a cluster under load.
type scene struct {
	cluster *cluster.Cluster
	load    *client.Load
	history *history.History
	random  *rand.Rand
	counts  map[string]int // What was done to the cluster, and how often.
	notes   []string       // What else is worth telling.
}

// play starts a cluster and a load on it, lets something happen, concludes and judges. A
// cluster that kept its promises is removed.
func play(
	ctx context.Context, target string, seed uint64, cfg cluster.Config,
	happen func(ctx context.Context, s *scene) error,
) (res result, err error) {
	s := &scene{history: history.New(), random: rand.New(rand.NewPCG(seed, 1))}
	res.seed, res.target = seed, target
	defer func() { res.took = s.history.Now() }()
	if s.cluster, err = cluster.Start(ctx, cfg, s.history); err != nil {
		return res, err
	}
	c := s.cluster
	defer func() {
		err = errors.Join(err, c.Close(ctx), c.Complaints())
		if err == nil && len(res.violations) == 0 {
			c.Remove()
			return
		}
		res.kept = c.Dir
		err = errors.Join(err, s.history.Save(filepath.Join(c.Dir, "history.jsonl")))
	}()
	begin(c, seed)
	s.load, err = client.Start(ctx, replicasOf(c), s.history, loadOf(seed, s.random))
	if err != nil {
		return res, err
	}
	err = happen(ctx, s)
	err = errors.Join(err, conclude(ctx, c, s.load))
	records := s.history.All()
	res.violations = judge.Check(records)
	res.takeovers, res.sends = judge.Takeovers(records), judge.Acknowledged(records)
	versions, choices, trims := judge.Branches(records)
	res.counts, res.notes = s.counts, append(s.notes, fmt.Sprintf(
		"%d versions of replies, %d choices of a line, %d deletions of messages", versions, choices, trims))
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
