package faulttest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"
)

// nemesis disturbs a cluster. What it does follows from its seed alone; when and
// whom it hits in the middle of what, the machine decides as well.
type nemesis struct {
	cluster *cluster
	history *history
	random  *rand.Rand
	points  []string

	running sync.WaitGroup
	mu      sync.Mutex // guards the fields below
	busy    map[string]bool
	counts  map[string]int
	errs    []error
}

func newNemesis(c *cluster, seed uint64, points []string) *nemesis {
	return &nemesis{
		cluster: c, history: c.history, random: rand.New(rand.NewPCG(seed, 7)), points: points,
		busy: make(map[string]bool), counts: make(map[string]int),
	}
}

// The longest that one fault lasts. It is part of the bound of I4: a model's call
// that nobody reads any more may stay open for as long.
const faultLimit = 5 * time.Second

// calm is how long a process or link is left alone after a fault.
const calm = time.Second

// fault is one way to disturb a replica. It returns when the fault is over.
type fault struct {
	name   string
	weight int
	// target names what no other fault may touch meanwhile, besides the replica.
	target string
	inject func(ctx context.Context, n *nemesis, r *replica, last time.Duration) error
}

// processFaults hit the process of a replica.
var processFaults = []fault{
	{"kill", 6, "process", func(ctx context.Context, n *nemesis, r *replica, last time.Duration) error {
		r.kill()
		pause(ctx, last/2)
		return r.start(ctx)
	}},
	{"freeze", 4, "process", func(ctx context.Context, n *nemesis, r *replica, last time.Duration) error {
		r.signal(syscall.SIGSTOP)
		pause(ctx, last)
		r.signal(syscall.SIGCONT)
		return nil
	}},
	{"terminate", 2, "process", func(ctx context.Context, n *nemesis, r *replica, last time.Duration) error {
		if err := r.terminate(ctx); err != nil && !n.hasPoints() {
			return err // With failpoints about, it may have been killed meanwhile.
		}
		return r.start(ctx)
	}},
}

// linkFaults hit one link of a replica, in every way on every link.
func linkFaults(link string) []fault {
	over := func(do func(p *proxy)) func(context.Context, *nemesis, *replica, time.Duration) error {
		return func(ctx context.Context, n *nemesis, r *replica, last time.Duration) error {
			p := r.links()[link]
			do(p)
			pause(ctx, last)
			p.heal()
			return nil
		}
	}
	return []fault{
		{"cut-" + link, 2, link, over((*proxy).cut)},
		{"hang-" + link, 2, link, over((*proxy).setHang)},
		{"half-close-" + link, 1, link, over((*proxy).halfClose)},
		{"refuse-" + link, 1, link, over(func(p *proxy) { p.setRefuse(); p.cut() })},
		{"delay-" + link, 1, link, over(func(p *proxy) { p.setDelay(50 * time.Millisecond) })},
	}
}

// faults are all that fit the cluster.
func (n *nemesis) faults() []fault {
	list := append([]fault(nil), processFaults...)
	for _, link := range []string{"client", "upstream", "postgres", "nats"} {
		if n.cluster.replicas[0].links()[link] != nil {
			list = append(list, linkFaults(link)...)
		}
	}
	if n.cluster.database.onPostgres() {
		list = append(list, fault{"end-connections", 1, "database",
			func(ctx context.Context, n *nemesis, r *replica, last time.Duration) error {
				return n.cluster.database.terminate(ctx)
			}})
	}
	if n.cluster.broker != nil {
		list = append(list, fault{"stop-nats", 2, "broker",
			func(ctx context.Context, n *nemesis, _ *replica, last time.Duration) error {
				n.cluster.broker.stop()
				pause(ctx, last)
				return n.cluster.broker.start()
			}})
	}
	if n.hasPoints() {
		list = append(list, fault{"point-kill", 4, "failpoint", pointFault("kill")}, fault{"point-stop", 2, "failpoint",
			pointFault("stop")}, fault{"point-panic", 2, "failpoint", pointFault("panic")})
	}
	return list
}

func (n *nemesis) hasPoints() bool { return len(n.points) > 0 }

// pointFault arms a failpoint, waits a while for somebody to reach it, and brings
// whoever did back.
func pointFault(word string) func(context.Context, *nemesis, *replica, time.Duration) error {
	return func(ctx context.Context, n *nemesis, r *replica, last time.Duration) error {
		n.mu.Lock()
		point := n.points[n.random.IntN(len(n.points))]
		n.mu.Unlock()
		if err := n.cluster.arm(point, word); err != nil {
			return err
		}
		pause(ctx, last)
		if n.cluster.disarm(point) {
			return nil
		}
		n.count(point)
		n.history.fault("", "%s at %s", word, point)
		return n.cluster.revive(ctx)
	}
}

// disturb injects faults for a while and returns when all of them are over, with what
// went wrong in ending one.
func (n *nemesis) disturb(ctx context.Context, during time.Duration) error {
	faults := n.faults()
	total := 0
	for _, f := range faults {
		total += f.weight
	}
	end := time.Now().Add(during)
	for time.Now().Before(end) {
		n.mu.Lock()
		dice := n.random.IntN(total)
		r := n.cluster.replicas[n.random.IntN(len(n.cluster.replicas))]
		last := 100*time.Millisecond + time.Duration(n.random.Int64N(int64(faultLimit)))
		next := time.Duration(200+n.random.IntN(1300)) * time.Millisecond
		n.mu.Unlock()
		for _, f := range faults {
			if dice -= f.weight; dice < 0 {
				n.start(ctx, f, r, min(last, time.Until(end)))
				break
			}
		}
		if !pause(ctx, min(next, time.Until(end))) {
			break
		}
	}
	n.running.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	return errors.Join(n.errs...)
}

// tally is how often each fault was injected and each failpoint reached.
func (n *nemesis) tally() map[string]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.counts)
}

// start injects one fault beside the others, unless its target is busy.
func (n *nemesis) start(ctx context.Context, f fault, r *replica, last time.Duration) {
	key := r.name + "/" + f.target
	if slices.Contains([]string{"failpoint", "database", "broker"}, f.target) {
		key = f.target // There is one for all replicas.
	}
	n.mu.Lock()
	taken := n.busy[key]
	n.busy[key] = true
	n.mu.Unlock()
	if taken {
		return
	}
	n.count(f.name)
	n.history.fault(r.name, "%s for %v", f.name, last.Round(time.Millisecond))
	n.running.Go(func() {
		err := f.inject(ctx, n, r, last)
		n.history.fault(r.name, "%s over", f.name)
		pause(ctx, calm)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.busy[key] = false
		if err != nil && ctx.Err() == nil {
			n.errs = append(n.errs, fmt.Errorf("%s of %s: %w", f.name, r.name, err))
		}
	})
}

func (n *nemesis) count(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts[name]++
}
