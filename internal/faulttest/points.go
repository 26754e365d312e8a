package faulttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"
)

// hitLimit is how long it may take until a failpoint is reached.
const hitLimit = 2 * time.Minute

// What ordinary traffic does not reach. All other failpoints are reached by what
// clients do all the time: see load.
var (
	// takeoverPoints need a replica that dies.
	takeoverPoints = []string{"reply.before-claim", "reply.after-claim"}
	// shutdownPoints need a replica that is asked to end, which takes it a while.
	shutdownPoints = []string{"reply.before-release", "reply.after-release"}
)

// points brings a cluster under load to failpoints, one after the other.
type points struct {
	cluster *cluster
	load    *load
	random  *rand.Rand
	count   int
}

// visit arms a failpoint and returns when a replica has reached it and all are
// well again.
func (p *points) visit(ctx context.Context, name, word string) error {
	if err := p.cluster.arm(name, word); err != nil {
		return err
	}
	p.cluster.history.fault("", "armed to %s: %s", word, name)
	defer p.cluster.disarm(name)
	provoke := wait
	switch {
	case slices.Contains(takeoverPoints, name):
		provoke = loseReplica
	case slices.Contains(shutdownPoints, name):
		provoke = endReplicas
	}
	for began := time.Now(); !p.cluster.wasHit(name); {
		if time.Since(began) > hitLimit {
			return fmt.Errorf("failpoint %s was not reached in %v; does it need a special provocation?", name, hitLimit)
		}
		if err := provoke(ctx, p); err != nil {
			return fmt.Errorf("provoke %s: %w", name, err)
		}
	}
	p.cluster.history.fault("", "%s at %s", word, name)
	if word == "stop" {
		// Long enough for the others to take the stopped replica for dead.
		pause(ctx, p.cluster.cfg.lease+p.cluster.cfg.lease/2)
	}
	return p.cluster.revive(ctx)
}

// panics has a goroutine panic at each of the failpoints that ordinary traffic
// reaches, and returns when all have. The processes live on, so that one does not
// have to wait for the other.
func (p *points) panics(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := p.cluster.arm(name, "panic"); err != nil {
			return err
		}
		p.cluster.history.fault("", "armed to panic: %s", name)
	}
	return poll(ctx, hitLimit, fmt.Sprintf("panics at %v", names), func() (bool, error) {
		return !slices.ContainsFunc(names, func(name string) bool { return !p.cluster.wasHit(name) }), nil
	})
}

// wait gives the load a moment.
func wait(ctx context.Context, _ *points) error {
	pause(ctx, 50*time.Millisecond)
	return context.Cause(ctx)
}

// loseReplica kills a replica and gives the others the time to take over.
func loseReplica(ctx context.Context, p *points) error {
	r := p.cluster.replicas[p.random.IntN(len(p.cluster.replicas))]
	p.cluster.history.fault(r.name, "kill")
	r.kill()
	pause(ctx, p.cluster.cfg.lease*2)
	return p.cluster.revive(ctx)
}

// outlasting takes longer than a replica that ends has time for.
const outlasting = 60 * time.Second

// endReplicas asks two replicas to end, or the only one, while each runs a reply
// that it cannot finish in time.
func endReplicas(ctx context.Context, p *points) error {
	ending := p.cluster.replicas[:max(1, len(p.cluster.replicas)-1)]
	ask := func(r *replica) (*user, record) {
		p.count++
		u := p.load.users[p.random.IntN(len(p.load.users))]
		key := fmt.Sprintf("%s-long-%d", u.name, p.count)
		pace := 100 * time.Millisecond
		return u, u.send(ctx, key, r,
			sending{question: question{Key: key, User: u.name, Words: int(outlasting / pace), Pace: pace}})
	}
	var started []known
	for _, r := range ending {
		for {
			u, sent := ask(r)
			if sent.Outcome == ok {
				p.load.learn(known{u, sent.Conversation, sent.Reply})
				started = append(started, known{u, sent.Conversation, sent.Reply})
				break
			}
			if !pause(ctx, 100*time.Millisecond) {
				return context.Cause(ctx)
			}
		}
	}
	for _, r := range ending {
		p.cluster.history.fault(r.name, "terminate")
		r.signal(syscall.SIGTERM)
	}
	for _, r := range ending {
		// The failpoint may kill it, so that its status says nothing.
		_ = r.terminate(ctx)
	}
	if err := p.cluster.revive(ctx); err != nil {
		return err
	}
	// Nobody waits a minute for them.
	for _, k := range started {
		for {
			on := p.cluster.replicas[p.random.IntN(len(p.cluster.replicas))]
			if k.user.stop(ctx, "impatient", on, k.reply).Outcome != unknown {
				break
			}
			if !pause(ctx, 100*time.Millisecond) {
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// visitTogether arms failpoints with the same slow provocation at once, so that each
// gets a replica of its own, and returns when all have been reached.
func (p *points) visitTogether(ctx context.Context, names []string, word string) error {
	for _, name := range names[1:] {
		if err := p.cluster.arm(name, word); err != nil {
			return err
		}
	}
	for _, name := range names {
		if name != names[0] && p.cluster.wasHit(name) {
			continue
		}
		p.cluster.disarm(name)
		if err := p.visit(ctx, name, word); err != nil {
			return err
		}
	}
	return nil
}
