package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"parley/test/faults/cluster"
	"parley/test/faults/wait"
)

// hitLimit is how long it may take until a failpoint is reached.
const hitLimit = 2 * time.Minute

// What ordinary traffic does not reach. All other failpoints are reached by what
// clients do all the time.
var (
	takeoverPoints = []string{"reply.before-claim", "reply.after-claim"}
	shutdownPoints = []string{"reply.before-release", "reply.after-release"}
)

// NeedsTakeover reports whether only a replica that dies leads to a failpoint.
func NeedsTakeover(point string) bool { return slices.Contains(takeoverPoints, point) }

// NeedsShutdown reports whether only a replica that is asked to end, which takes it a
// while, leads to a failpoint.
func NeedsShutdown(point string) bool { return slices.Contains(shutdownPoints, point) }

// Points brings a cluster under load to failpoints, one after the other.
type Points struct {
	cluster *cluster.Cluster
	occupy  Occupy
	random  *rand.Rand
}

// Occupy makes a replica run a reply that takes it about so long, and returns when it
// does. Who can wait no longer calls release, which stops the reply.
type Occupy func(ctx context.Context, r *cluster.Replica, d time.Duration) (release func(context.Context) error,
	err error)

// NewPoints is for a cluster on which clients do all that they ever do. They also make
// a replica busy, on demand.
func NewPoints(c *cluster.Cluster, seed uint64, o Occupy) *Points {
	return &Points{cluster: c, occupy: o, random: rand.New(rand.NewPCG(seed, 2))}
}

// Visit arms a failpoint and returns when a replica has reached it and all are
// well again.
func (p *Points) Visit(ctx context.Context, name, word string) error {
	if err := p.cluster.Arm(name, word); err != nil {
		return err
	}
	p.cluster.History.Fault("", "armed to %s: %s", word, name)
	defer p.cluster.Disarm(name)
	provoke := idle
	switch {
	case NeedsTakeover(name):
		provoke = loseReplica
	case NeedsShutdown(name):
		provoke = endReplicas
	}
	for began := time.Now(); !p.cluster.WasHit(name); {
		if time.Since(began) > hitLimit {
			return fmt.Errorf("failpoint %s was not reached in %v; does it need a special provocation?", name, hitLimit)
		}
		if err := provoke(ctx, p); err != nil {
			return fmt.Errorf("provoke %s: %w", name, err)
		}
	}
	p.cluster.History.Fault("", "%s at %s", word, name)
	if word == "stop" {
		// Long enough for the others to take the stopped replica for dead.
		wait.For(ctx, p.cluster.Lease()+p.cluster.Lease()/2)
	}
	return p.cluster.Revive(ctx)
}

// Panics has a goroutine panic at each of the failpoints that ordinary traffic
// reaches, and returns when all have. The processes live on, so that one does not
// have to wait for the other.
func (p *Points) Panics(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := p.cluster.Arm(name, "panic"); err != nil {
			return err
		}
		p.cluster.History.Fault("", "armed to panic: %s", name)
	}
	return wait.Until(ctx, hitLimit, fmt.Sprintf("panics at %v", names), func() (bool, error) {
		return !slices.ContainsFunc(names, func(name string) bool { return !p.cluster.WasHit(name) }), nil
	})
}

// idle gives the load a moment.
func idle(ctx context.Context, _ *Points) error {
	wait.For(ctx, 50*time.Millisecond)
	return context.Cause(ctx)
}

// loseReplica kills a replica and gives the others the time to take over.
func loseReplica(ctx context.Context, p *Points) error {
	r := p.cluster.Replicas[p.random.IntN(len(p.cluster.Replicas))]
	p.cluster.History.Fault(r.Name, "kill")
	r.Kill()
	wait.For(ctx, p.cluster.Lease()*2)
	return p.cluster.Revive(ctx)
}

// outlasting takes longer than a replica that ends has time for.
const outlasting = 60 * time.Second

// endReplicas asks two replicas to end, or the only one, while each runs a reply
// that it cannot finish in time.
func endReplicas(ctx context.Context, p *Points) error {
	ending := p.cluster.Replicas[:max(1, len(p.cluster.Replicas)-1)]
	var releases []func(context.Context) error
	for _, r := range ending {
		release, err := p.occupy(ctx, r, outlasting)
		if err != nil {
			return err
		}
		releases = append(releases, release)
	}
	for _, r := range ending {
		p.cluster.History.Fault(r.Name, "terminate")
		r.Signal(syscall.SIGTERM)
	}
	for _, r := range ending {
		// The failpoint may kill it, so that its status says nothing.
		_ = r.Terminate(ctx)
	}
	if err := p.cluster.Revive(ctx); err != nil {
		return err
	}
	for _, release := range releases { // Nobody waits a minute for them.
		if err := release(ctx); err != nil {
			return err
		}
	}
	return nil
}

// VisitTogether arms failpoints with the same slow provocation at once, so that each
// gets a replica of its own, and returns when all have been reached.
func (p *Points) VisitTogether(ctx context.Context, names []string, word string) error {
	for _, name := range names[min(1, len(names)):] {
		if err := p.cluster.Arm(name, word); err != nil {
			return err
		}
	}
	for _, name := range names {
		if name != names[0] && p.cluster.WasHit(name) {
			continue
		}
		p.cluster.Disarm(name)
		if err := p.Visit(ctx, name, word); err != nil {
			return err
		}
	}
	return nil
}

var hitForm = regexp.MustCompile(`failpoint\.Hit\("([^"]+)"\)`)

// Failpoints lists the failpoints that the source under root names, in order.
func Failpoints(root string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		if matched, err := filepath.Match("*_test.go", entry.Name()); err != nil || matched {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range hitForm.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
		return err
	})
	slices.Sort(names)
	return slices.Compact(names), err
}
