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
	"parley/test/faults/script"
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
		lags, err := m.watchTwice(ctx)
		if err != nil {
			return err
		}
		f.lag = append(f.lag, lags...)
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

// measurement asks a cluster questions, one at a time.
type measurement struct {
	cluster *cluster.Cluster
	user    *client.User
	random  *rand.Rand
	count   int
}

// ask has a replica run a reply, which the model speaks already when it returns.
func (m *measurement) ask(ctx context.Context, on *cluster.Replica, words int, pace time.Duration) (script.Question,
	history.Record, error) {
	m.count++
	q := script.Question{Key: fmt.Sprintf("%s-reply-%d", m.user.Name, m.count), User: m.user.Name, Words: words,
		Pace: pace}
	r := m.user.Send(ctx, "asker", asSeen(on), client.Sending{Question: q})
	if r.Outcome != history.OK {
		return q, r, fmt.Errorf("send: %s %s", r.Code, r.Note)
	}
	err := wait.Until(ctx, client.RequestLimit, "the model is called", func() (bool, error) {
		_, began := m.cluster.Model.Take(q.Key, 1)
		return began, nil
	})
	return q, r, err
}

// lose has a replica run a reply, takes the replica away at some moment, and
// returns how long after the time that away returns the model is called again.
func (m *measurement) lose(
	ctx context.Context, away func(ctx context.Context, r *cluster.Replica, key string) (time.Duration, error),
) (time.Duration, error) {
	r := m.cluster.Replicas[m.random.IntN(len(m.cluster.Replicas))]
	q, sent, err := m.ask(ctx, r, 1500, 100*time.Millisecond)
	if err != nil {
		return 0, err
	}
	// Anywhere between two renewals of the lease.
	wait.For(ctx, time.Duration(m.random.Int64N(int64(defaultLease/3))))
	from, err := away(ctx, r, q.Key)
	if err != nil {
		return 0, err
	}
	var next cluster.Span
	err = wait.Until(ctx, 10*defaultLease, "the reply is taken over", func() (bool, error) {
		var began bool
		next, began = m.cluster.Model.Take(q.Key, 2)
		return began, nil
	})
	if err != nil {
		return 0, err
	}
	_ = r.Terminate(ctx) // Killed or ending: its status says nothing.
	if err := r.Start(ctx); err != nil {
		return 0, err
	}
	if stop := m.user.Stop(ctx, "asker", asSeen(r), sent.Reply); stop.Outcome != history.OK {
		return 0, fmt.Errorf("stop: %s %s", stop.Code, stop.Note)
	}
	return next.From - from, nil
}

// watchTwice watches one reply on its owner and on another replica, and returns how
// much later the other one had what the owner had.
func (m *measurement) watchTwice(ctx context.Context) ([]time.Duration, error) {
	owner := m.random.IntN(len(m.cluster.Replicas))
	away := (owner + 1) % len(m.cluster.Replicas)
	_, sent, err := m.ask(ctx, m.cluster.Replicas[owner], 200, 20*time.Millisecond)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("watching takes too long"))
	defer cancel()
	var watching sync.WaitGroup
	for name, n := range map[string]int{"near": owner, "far": away} {
		on := asSeen(m.cluster.Replicas[n])
		w := &client.Watcher{User: m.user, Who: name + sent.Reply, Reply: sent.Reply,
			Random:   rand.New(rand.NewPCG(1, 1)),
			Faithful: true, Only: &on}
		watching.Go(func() { w.Follow(ctx) })
	}
	watching.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return judge.Lags(m.cluster.History.All(), "near"+sent.Reply, "far"+sent.Reply), nil
}
