package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/test/faults/client"
	"parley/test/faults/cluster"
	"parley/test/faults/history"
	"parley/test/faults/judge"
	"parley/test/faults/nemesis"

	"go.uber.org/goleak"

	"parley/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

// plain and racy build the server, before the version before it, each once for all tests
// that need it.
var plain, racy, before *cluster.Builder

func runTests(m *testing.M) int {
	var errs [3]error
	plain, errs[0] = cluster.NewBuilder(false)
	racy, errs[1] = cluster.NewBuilder(true)
	before, errs[2] = cluster.NewBuilderOf("../..", versionBefore)
	if err := errors.Join(errs[:]...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer plain.Remove()
	defer racy.Remove()
	defer before.Remove()
	code := m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// seedVariable names the environment variable with another seed for the tests.
const seedVariable = "PARLEY_TEST_FAULT_SEED"

func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv(seedVariable)
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func binaryOf(t *testing.T, b *cluster.Builder) string {
	t.Helper()
	path, err := b.Path()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func postgres(t *testing.T) string {
	t.Helper()
	admin := os.Getenv(storetest.URLVariable)
	if admin == "" {
		t.Fatalf("%s is not set: run make test, or go run ./internal/tools/withpostgres go test ./test/faults",
			storetest.URLVariable)
	}
	return admin
}

func allPoints(t *testing.T) []string {
	t.Helper()
	names, err := nemesis.Failpoints("../..")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(names, "reply.before-final") {
		t.Fatalf("reply.before-final is not among the failpoints found in the source: %v", names)
	}
	return names
}

// stopped are the failpoints at which a process is also stopped, and goes on after
// the others have taken it for dead: those whose next step is a write that the
// fence must refuse.
var stopped = []string{"reply.before-final", "reply.before-checkpoint", "reply.after-claim", "chat.after-send-commit"}

// TestFailpoints kills a replica at every failpoint that the source names, stops
// one at some, has one panic at most of them, and then disturbs the same cluster at random, all while clients use
// it. Everything must have kept its promises at the end.
func TestFailpoints(t *testing.T) {
	t.Parallel()
	names := allPoints(t)
	ctx := t.Context()
	h := history.New()
	c, err := cluster.Start(ctx,
		cluster.Config{Binary: binaryOf(t, plain), Admin: postgres(t), Replicas: 3, Lease: shortLease, Bus: true}, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { discard(t, c) })
	begin(c, seed(t))
	l, err := client.Start(ctx, replicasOf(c), h,
		client.Config{Seed: seed(t), Name: "t", Users: 3, Writers: 3, Hasty: true})
	if err != nil {
		t.Fatal(err)
	}
	p := nemesis.NewPoints(c, seed(t), func(ctx context.Context, r *cluster.Replica,
		d time.Duration) (func(context.Context) error, error) {
		return l.Occupy(ctx, asSeen(r), d)
	})
	var quick, slow []string
	for _, name := range names {
		if nemesis.NeedsShutdown(name) {
			slow = append(slow, name)
		} else {
			quick = append(quick, name)
		}
	}
	for _, name := range quick {
		began := h.Now()
		if err := p.Visit(ctx, name, "kill"); err != nil {
			t.Error(err)
		}
		t.Logf("kill at %s: %v", name, (h.Now() - began).Round(time.Millisecond))
	}
	for _, name := range stopped {
		if err := p.Visit(ctx, name, "stop"); err != nil {
			t.Error(err)
		}
	}
	if err := p.Panics(ctx, slices.DeleteFunc(quick, nemesis.NeedsTakeover)); err != nil {
		t.Error(err)
	}
	t.Logf("stopped and panicked after %v", h.Now())
	if err := p.VisitTogether(ctx, slow, "kill"); err != nil {
		t.Error(err)
	}
	t.Logf("%d failpoints visited after %v", len(names), h.Now())
	n := nemesis.New(c, seed(t), names)
	err = n.Disturb(ctx, 10*time.Second)
	verdict(t, c, errors.Join(err, conclude(ctx, c, l)))
	t.Logf("%v, takeovers: %s", n.Tally(), distribution(judge.Takeovers(h.All())))
}

// verdict fails the test for what the judge finds.
func verdict(t *testing.T, c *cluster.Cluster, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	records := c.History.All()
	for _, v := range judge.Check(records) {
		t.Error(v)
	}
	t.Logf("%d records in %v", len(records), c.History.Now())
}

// discard ends a cluster, and keeps its logs and history when the test failed.
func discard(t *testing.T, c *cluster.Cluster) {
	if err := errors.Join(c.Close(t.Context()), c.Complaints()); err != nil {
		t.Error(err)
	}
	if !t.Failed() {
		c.Remove()
		return
	}
	path := c.Dir + "/history.jsonl"
	if err := c.History.Save(path); err != nil {
		t.Error(err)
	}
	t.Logf("logs: %s, history: %s", c.Dir, path)
}

// TestSchedules runs one seeded schedule on three replicas, one on SQLite, one that
// overloads three replicas, and one that restarts them, as make faults runs hundreds.
func TestSchedules(t *testing.T) {
	t.Parallel()
	for name, seed := range map[string]uint64{
		"postgres": 16*seed(t) + 1, "sqlite": 16 * seed(t), "overload": 16*seed(t) + 6, "rolling": 16*seed(t) + 4,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			schedule(t, seed, plain)
		})
	}
}

// raceVariable selects the schedule with the race detector.
const raceVariable = "PARLEY_TEST_FAULT_RACE"

// TestRace runs one schedule on servers built with the race detector.
func TestRace(t *testing.T) {
	if os.Getenv(raceVariable) != "1" {
		t.Skipf("set %s=1 for a schedule on servers with the race detector", raceVariable)
	}
	t.Parallel()
	schedule(t, 8*seed(t)+2, racy)
}

func schedule(t *testing.T, seed uint64, b *cluster.Builder) {
	t.Helper()
	res, err := runSchedule(t.Context(), seed, binaryOf(t, b), postgres(t), allPoints(t))
	t.Log(strings.TrimSpace(res.line(err)))
	if err != nil || len(res.violations) > 0 {
		t.Fail()
	}
}
