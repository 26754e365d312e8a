// Package nemesis disturbs a cluster: it injects faults that it draws from a seed, and it
// brings replicas to the failpoints that the source names.
//
// It owns which fault hits whom and for how long; how a process is killed or a link is cut
// belongs to package cluster. It knows no client and judges nothing. Its one invariant:
// when a call returns, its faults are over, or the error says which one is not.
package nemesis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"parley/test/faults/cluster"
	"parley/test/faults/history"
	"parley/test/faults/wait"
)

// Nemesis disturbs a cluster. What it does follows from its seed alone; when and
// whom it hits in the middle of what, the machine decides as well.
type Nemesis struct {
	cluster *cluster.Cluster
	history *history.History
	random  *rand.Rand
	points  []string

	running sync.WaitGroup
	mu      sync.Mutex // guards the fields below
	busy    map[string]bool
	counts  map[string]int
	errs    []error
}

// New returns a nemesis that draws from the seed. With failpoints it arms those too.
func New(c *cluster.Cluster, seed uint64, points []string) *Nemesis {
	return &Nemesis{
		cluster: c, history: c.History, random: rand.New(rand.NewPCG(seed, 7)), points: points,
		busy: make(map[string]bool), counts: make(map[string]int),
	}
}

// The longest that one fault lasts. It is part of the bound of I4: a model's call
// that nobody reads any more may stay open for as long.
const FaultLimit = 5 * time.Second

// calm is how long a process or link is left alone after a fault.
const calm = time.Second

// fault is one way to disturb a replica. It returns when the fault is over.
type fault struct {
	name   string
	weight int
	// target names what no other fault may touch meanwhile, besides the replica.
	target string
	inject func(ctx context.Context, n *Nemesis, r *cluster.Replica, last time.Duration) error
}

// processFaults hit the process of a replica.
var processFaults = []fault{
	{"kill", 6, "process", func(ctx context.Context, n *Nemesis, r *cluster.Replica, last time.Duration) error {
		r.Kill()
		wait.For(ctx, last/2)
		return r.Start(ctx)
	}},
	{"freeze", 4, "process", func(ctx context.Context, n *Nemesis, r *cluster.Replica, last time.Duration) error {
		r.Signal(cluster.Freeze)
		wait.For(ctx, last)
		r.Signal(cluster.Thaw)
		return nil
	}},
	{"terminate", 2, "process", func(ctx context.Context, n *Nemesis, r *cluster.Replica, last time.Duration) error {
		if err := r.Terminate(ctx); err != nil && !n.hasPoints() {
			return err // With failpoints about, it may have been killed meanwhile.
		}
		return r.Start(ctx)
	}},
}

// mishaps are what a link that is disturbed does to its replica.
var mishaps = map[string]history.Mishap{"postgres": history.CutOff, "upstream": history.Upstream}

// everywhere is the target of a fault that hits the database links of all replicas.
const everywhere = "postgres of all"

// outage takes the database away from everybody, and gives it back to all at once. So it
// excuses nobody who takes another one's replies.
func outage(name string, do func(p *cluster.Proxy)) fault {
	inject := func(ctx context.Context, n *Nemesis, _ *cluster.Replica, last time.Duration) error {
		for _, r := range n.cluster.Replicas {
			do(r.Links()["postgres"])
		}
		wait.For(ctx, last)
		for _, r := range n.cluster.Replicas {
			r.Links()["postgres"].Heal()
		}
		return nil
	}
	return fault{name, 2, everywhere, inject}
}

// linkFaults hit one link of a replica, in every way on every link.
func linkFaults(link string) []fault {
	over := func(do func(p *cluster.Proxy)) func(context.Context, *Nemesis, *cluster.Replica, time.Duration) error {
		return func(ctx context.Context, n *Nemesis, r *cluster.Replica, last time.Duration) error {
			p, began := r.Links()[link], n.history.Now()
			do(p)
			wait.For(ctx, last)
			p.Heal()
			if what := mishaps[link]; what != "" {
				n.history.Add(history.Record{Op: history.OpMishap, Replica: r.Name, Mishap: what, From: began})
			}
			return nil
		}
	}
	return []fault{
		{"cut-" + link, 2, link, over((*cluster.Proxy).Cut)},
		{"hang-" + link, 2, link, over((*cluster.Proxy).Hang)},
		{"half-close-" + link, 1, link, over((*cluster.Proxy).HalfClose)},
		{"refuse-" + link, 1, link, over(func(p *cluster.Proxy) { p.Refuse(); p.Cut() })},
		{"delay-" + link, 1, link, over(func(p *cluster.Proxy) { p.Delay(50 * time.Millisecond) })},
	}
}

// faults are all that fit the cluster.
func (n *Nemesis) faults() []fault {
	list := append([]fault(nil), processFaults...)
	for _, link := range []string{"client", "upstream", "postgres", "nats"} {
		if n.cluster.Replicas[0].Links()[link] != nil {
			list = append(list, linkFaults(link)...)
		}
	}
	if n.cluster.Database.OnPostgres() {
		list = append(list, fault{"end-connections", 1, "database",
			func(ctx context.Context, n *Nemesis, r *cluster.Replica, last time.Duration) error {
				return n.cluster.Database.Terminate(ctx)
			}},
			outage("outage-hang", (*cluster.Proxy).Hang),
			outage("outage-refuse", func(p *cluster.Proxy) { p.Refuse(); p.Cut() }))
	}
	if n.cluster.Broker != nil {
		list = append(list, fault{"stop-nats", 2, "broker",
			func(ctx context.Context, n *Nemesis, _ *cluster.Replica, last time.Duration) error {
				n.cluster.Broker.Stop()
				wait.For(ctx, last)
				return n.cluster.Broker.Start()
			}})
	}
	if n.hasPoints() {
		list = append(list, fault{"point-kill", 4, "failpoint", pointFault("kill")}, fault{"point-stop", 2, "failpoint",
			pointFault("stop")}, fault{"point-panic", 2, "failpoint", pointFault("panic")})
	}
	return list
}

func (n *Nemesis) hasPoints() bool { return len(n.points) > 0 }

// pointFault arms a failpoint, waits a while for somebody to reach it, and brings
// whoever did back.
func pointFault(word string) func(context.Context, *Nemesis, *cluster.Replica, time.Duration) error {
	return func(ctx context.Context, n *Nemesis, r *cluster.Replica, last time.Duration) error {
		n.mu.Lock()
		point := n.points[n.random.IntN(len(n.points))]
		n.mu.Unlock()
		if err := n.cluster.Arm(point, word); err != nil {
			return err
		}
		wait.For(ctx, last)
		if n.cluster.Disarm(point) {
			return nil
		}
		n.count(point)
		n.history.Fault("", "%s at %s", word, point)
		return n.cluster.Revive(ctx)
	}
}

// Disturb injects faults for a while and returns when all of them are over, with what
// went wrong in ending one.
func (n *Nemesis) Disturb(ctx context.Context, during time.Duration) error {
	faults := n.faults()
	total := 0
	for _, f := range faults {
		total += f.weight
	}
	end := time.Now().Add(during)
	for time.Now().Before(end) {
		n.mu.Lock()
		dice := n.random.IntN(total)
		r := n.cluster.Replicas[n.random.IntN(len(n.cluster.Replicas))]
		last := 100*time.Millisecond + time.Duration(n.random.Int64N(int64(FaultLimit)))
		next := time.Duration(200+n.random.IntN(1300)) * time.Millisecond
		n.mu.Unlock()
		for _, f := range faults {
			if dice -= f.weight; dice < 0 {
				n.start(ctx, f, r, min(last, time.Until(end)))
				break
			}
		}
		if !wait.For(ctx, min(next, time.Until(end))) {
			break
		}
	}
	n.running.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	return errors.Join(n.errs...)
}

// Tally is how often each fault was injected and each failpoint reached.
func (n *Nemesis) Tally() map[string]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.counts)
}

// start injects one fault beside the others, unless its target is busy.
func (n *Nemesis) start(ctx context.Context, f fault, r *cluster.Replica, last time.Duration) {
	keys := n.keys(f, r)
	n.mu.Lock()
	taken := slices.ContainsFunc(keys, func(key string) bool { return n.busy[key] })
	for _, key := range keys {
		n.busy[key] = n.busy[key] || !taken
	}
	n.mu.Unlock()
	if taken {
		return
	}
	n.count(f.name)
	n.history.Fault(r.Name, "%s for %v", f.name, last.Round(time.Millisecond))
	n.running.Go(func() {
		err := f.inject(ctx, n, r, last)
		n.history.Fault(r.Name, "%s over", f.name)
		wait.For(ctx, calm)
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, key := range keys {
			n.busy[key] = false
		}
		if err != nil && ctx.Err() == nil {
			n.errs = append(n.errs, fmt.Errorf("%s of %s: %w", f.name, r.Name, err))
		}
	})
}

// keys name what no other fault may touch meanwhile.
func (n *Nemesis) keys(f fault, r *cluster.Replica) []string {
	switch f.target {
	case "failpoint", "database", "broker":
		return []string{f.target} // There is one for all replicas.
	case everywhere:
		var keys []string
		for _, r := range n.cluster.Replicas {
			keys = append(keys, r.Name+"/postgres")
		}
		return keys
	}
	return []string{r.Name + "/" + f.target}
}

func (n *Nemesis) count(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts[name]++
}
