package faulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	c.begin(seed)
	l, err := startLoad(ctx, c, loadConfig{seed: seed, name: fmt.Sprintf("s%d", seed), users: 2 + random.IntN(2),
		writers: 2 + random.IntN(3)})
	if err != nil {
		return res, err
	}
	n := newNemesis(c, seed, points)
	n.disturb(ctx, longestFaults/2+time.Duration(random.Int64N(int64(longestFaults/2))))
	res.counts = n.counts
	err = errors.Join(errors.Join(n.errs...), conclude(ctx, c, l))
	records := h.all()
	res.violations = check(records)
	b := newBook(records)
	res.takeovers = b.takeovers()
	for _, sends := range b.sends {
		if slices.ContainsFunc(sends, func(r record) bool { return r.Outcome == ok }) {
			res.sends++
		}
	}
	return res, err
}

// complaint matches a race, a crash, and a panic that was caught. Only those that a
// failpoint was armed for are in order.
var complaint = regexp.MustCompile(`DATA RACE|^panic: |^fatal error: | panic=`)

// complaints finds in the replicas' logs what no fault excuses.
func (c *cluster) complaints() error {
	logs, err := filepath.Glob(filepath.Join(c.dir, "*.log"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range logs {
		text, err := os.ReadFile(path)
		errs = append(errs, err)
		for line := range bytes.Lines(text) {
			if complaint.Match(line) && !bytes.Contains(line, []byte(`panic="failpoint `)) {
				errs = append(errs, fmt.Errorf("%s: %s", path, bytes.TrimSpace(line)))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// takeovers returns how long replies stood still between two attempts: from the
// end of the model's call of one attempt to the beginning of the next one's.
func (b *book) takeovers() []time.Duration {
	var list []time.Duration
	for key, calls := range b.calls {
		for n := 1; n < len(calls); n++ {
			from, to := calls[n-1].At, calls[n].From
			claimed := slices.ContainsFunc(b.writes[b.replyOf[key]], func(w record) bool {
				return w.Write.Attempt > 1 && w.Write.Length == 0 && w.Write.Kind == "UPDATE" && w.At > from &&
					w.At <= to
			})
			if claimed {
				list = append(list, to-from)
			}
		}
	}
	return list
}
