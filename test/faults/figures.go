package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"parley/test/faults/client"
	"parley/test/faults/cluster"
	"parley/test/faults/history"
	"parley/test/faults/judge"
	"parley/test/faults/wait"
)

const (
	// defaultLease is the one Parley has without configuration.
	defaultLease = 15 * time.Second
	// samples is how many samples there are of each kind.
	samples = 20
	// lagReplies is how many replies are watched on two replicas.
	lagReplies = 10
)

// measureFigures measures with the default settings how long a reply stands still when its
// replica dies, and when it ends in an orderly way and cannot finish it; and how
// much later a delta arrives through another replica than through the one that
// runs the reply. o.parallel clusters work side by side.
func measureFigures(ctx context.Context, o options, out io.Writer) error {
	b, err := cluster.NewBuilder(false)
	if err != nil {
		return err
	}
	defer b.Remove()
	binary, err := b.Path()
	if err != nil {
		return err
	}
	workers := max(1, o.parallel)
	figures := make([]figure, workers)
	errs := make([]error, workers)
	var working sync.WaitGroup
	for n := range workers {
		working.Go(func() {
			share := (samples + workers - 1) / workers
			errs[n] = figures[n].measure(ctx, binary, o.postgres, uint64(n), share)
		})
	}
	working.Wait()
	var sum figure
	for _, f := range figures {
		sum.killed, sum.released, sum.lag = append(sum.killed, f.killed...), append(sum.released, f.released...),
			append(sum.lag, f.lag...)
	}
	_, err = fmt.Fprintf(out, `lease %v, 3 replicas on Postgres and NATS, %d clusters side by side
from SIGKILL to the next attempt's call of the model: %s
from the release during SIGTERM to the next attempt's call of the model: %s
a delta on another replica, behind its arrival on the owner: %s
`, defaultLease, workers, distribution(sum.killed), distribution(sum.released), distribution(sum.lag))
	return errors.Join(append(errs, err)...)
}

// figure is what one cluster measures.
type figure struct{ killed, released, lag []time.Duration }

func (f *figure) measure(ctx context.Context, binary, admin string, seed uint64, share int) (err error) {
	h := history.New()
	c, err := cluster.Start(ctx, cluster.Config{Binary: binary, Admin: admin, Replicas: 3, Lease: defaultLease,
		Bus: true}, h)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, c.Close(ctx), c.Complaints())
		if err == nil {
			c.Remove()
		}
	}()
	u, err := client.SignUp(ctx, replicasOf(c), h, "figures")
	if err != nil {
		return err
	}
	m := &measurement{cluster: c, user: u, random: rand.New(rand.NewPCG(seed, 3))}
	for range (lagReplies + 2) / 3 {
		owner := m.random.IntN(len(c.Replicas))
		away := (owner + 1) % len(c.Replicas)
		near, far, err := m.watchTwice(ctx, c.Replicas[owner], c.Replicas[away], 200, 20*time.Millisecond)
		if err != nil {
			return err
		}
		f.lag = append(f.lag, judge.Lags(h.All(), near, far)...)
	}
	for range share {
		t, err := m.lose(ctx, func(ctx context.Context, r *cluster.Replica, _ string) (time.Duration, error) {
			at := h.Now()
			r.Kill()
			return at, nil
		})
		if err != nil {
			return err
		}
		f.killed = append(f.killed, t)
	}
	for range share {
		t, err := m.lose(ctx, func(ctx context.Context, r *cluster.Replica, key string) (time.Duration, error) {
			r.Signal(syscall.SIGTERM)
			var call cluster.Span
			err := wait.Until(ctx, cluster.StopLimit, "the reply is released", func() (bool, error) {
				call, _ = c.Model.Take(key, 1)
				return call.Ended, nil
			})
			return call.To, err
		})
		if err != nil {
			return err
		}
		f.released = append(f.released, t)
	}
	return nil
}
