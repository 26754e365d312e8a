package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/test/faults/cluster"
	"parley/test/faults/nemesis"
)

// options are the settings of a run of many schedules.
type options struct {
	first, last uint64 // The seeds to run.
	parallel    int    // How many schedules run side by side.
	postgres    string // The URL of a server on which databases may be made.
	root        string // The folder of the source, where the failpoints are looked up.
	race        bool   // Builds the server with the race detector.
	upgrade     bool   // Runs upgrades from the version before instead of faults.
}

// runSeeds runs the schedules of all seeds and writes a line for each and a summary. It
// returns an error when a schedule found a violation, or could not be run.
func runSeeds(ctx context.Context, o options, out io.Writer) error {
	run, done, err := o.prepare()
	if err != nil {
		return err
	}
	defer done()
	began := time.Now()
	seeds := make(chan uint64)
	var mu sync.Mutex // guards sum and out
	sum := summary{counts: make(map[string]int)}
	var workers sync.WaitGroup
	for range max(1, o.parallel) {
		workers.Go(func() {
			for seed := range seeds {
				res, err := run(ctx, seed)
				if ctx.Err() != nil {
					return // Cut short: its outcome says nothing.
				}
				mu.Lock()
				sum.add(res, err)
				report := res.line(err)
				_, werr := io.WriteString(out, report)
				mu.Unlock()
				if werr != nil {
					return
				}
			}
		})
	}
	for seed := o.first; seed <= o.last && ctx.Err() == nil; seed++ {
		select {
		case seeds <- seed:
		case <-ctx.Done():
		}
	}
	close(seeds)
	workers.Wait()
	_, err = io.WriteString(out, sum.text(time.Since(began)))
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case len(sum.failed) > 0:
		return fmt.Errorf("failed seeds: %s", strings.Trim(fmt.Sprint(sum.failed), "[]"))
	}
	return err
}

// prepare builds what the schedules need and returns how the one of a seed is run. The
// caller calls done after the last.
func (o options) prepare() (run func(context.Context, uint64) (result, error), done func(), err error) {
	var builders []*cluster.Builder
	remove := func() {
		for _, b := range builders {
			b.Remove()
		}
	}
	build := func(b *cluster.Builder, err error) (string, error) {
		if err != nil {
			return "", err
		}
		builders = append(builders, b)
		return b.Path()
	}
	defer func() {
		if err != nil {
			remove()
		}
	}()
	binary, err := build(cluster.NewBuilder(o.race))
	if err != nil {
		return nil, nil, err
	}
	if o.upgrade {
		before, err := build(cluster.NewBuilderOf(o.root, versionBefore))
		return func(ctx context.Context, seed uint64) (result, error) {
			return runUpgrade(ctx, seed, before, binary, o.postgres)
		}, remove, err
	}
	points, err := nemesis.Failpoints(o.root)
	return func(ctx context.Context, seed uint64) (result, error) {
		return runSchedule(ctx, seed, binary, o.postgres, points)
	}, remove, err
}

// line is what is said of one schedule.
func (r result) line(err error) string {
	var b strings.Builder
	faults := 0
	for _, n := range r.counts {
		faults += n
	}
	verdict := "ok"
	if r.kept != "" || err != nil {
		verdict = "FAILED"
	}
	fmt.Fprintf(&b, "seed %d: %s, %d messages, %d faults, %d takeovers, %.0f s\n", r.seed, verdict, r.sends, faults,
		len(r.takeovers), r.took.Seconds())
	for _, note := range r.notes {
		fmt.Fprintf(&b, "  %s\n", note)
	}
	for _, v := range r.violations {
		fmt.Fprintf(&b, "  %s\n", v)
	}
	if err != nil {
		fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	if verdict != "ok" {
		fmt.Fprintf(&b, "  history and logs: %s; again: make %s SEEDS=%d\n", r.kept, r.target, r.seed)
	}
	return b.String()
}

// summary adds up schedules.
type summary struct {
	schedules, sends, violations int
	counts                       map[string]int
	takeovers                    []time.Duration
	failed                       []uint64
}

func (s *summary) add(r result, err error) {
	s.schedules++
	s.sends += r.sends
	s.violations += len(r.violations)
	s.takeovers = append(s.takeovers, r.takeovers...)
	for name, n := range r.counts {
		s.counts[name] += n
	}
	if err != nil || len(r.violations) > 0 {
		s.failed = append(s.failed, r.seed)
		slices.Sort(s.failed)
	}
}

func (s *summary) text(took time.Duration) string {
	var b strings.Builder
	faults := 0
	for _, n := range s.counts {
		faults += n
	}
	fmt.Fprintf(&b, "\n%d schedules in %v: %d messages acknowledged, %d faults injected, %d violations\n", s.schedules,
		took.Round(time.Second), s.sends, faults, s.violations)
	for _, name := range slices.Sorted(maps.Keys(s.counts)) {
		fmt.Fprintf(&b, "  %-28s %d\n", name, s.counts[name])
	}
	fmt.Fprintf(&b, "takeover, from the end of one attempt's call to the beginning of the next one's, lease %v: %s\n",
		shortLease, distribution(s.takeovers))
	if len(s.failed) > 0 {
		fmt.Fprintf(&b, "FAILED seeds: %v\n", s.failed)
	}
	return b.String()
}

// distribution says how samples are spread.
func distribution(samples []time.Duration) string {
	if len(samples) == 0 {
		return "no samples"
	}
	sorted := slices.Sorted(slices.Values(samples))
	at := func(share float64) time.Duration {
		n := int(math.Ceil(share*float64(len(sorted)))) - 1
		return sorted[max(n, 0)].Round(time.Millisecond)
	}
	return fmt.Sprintf("n=%d p50=%v p99=%v max=%v", len(sorted), at(0.5), at(0.99), at(1))
}

// parseSeeds reads "17" or "1-200".
func parseSeeds(text string) (first, last uint64, err error) {
	if n, _ := fmt.Sscanf(text, "%d-%d", &first, &last); n == 1 {
		last = first
	} else if n != 2 || last < first {
		return 0, 0, errors.New(`seeds are "17" or "1-200"`)
	}
	return first, last, nil
}
