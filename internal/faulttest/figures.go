package faulttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

const (
	// defaultLease is the one Parley has without configuration.
	defaultLease = 15 * time.Second
	// samples is how many samples there are of each kind.
	samples = 20
	// lagReplies is how many replies are watched on two replicas.
	lagReplies = 10
)

// Figures measures with the default settings how long a reply stands still when its
// replica dies, and when it ends in an orderly way and cannot finish it; and how
// much later a delta arrives through another replica than through the one that
// runs the reply. o.Parallel clusters work side by side.
func Figures(ctx context.Context, o Options, out io.Writer) error {
	b, err := newBuilder(false)
	if err != nil {
		return err
	}
	defer b.remove()
	binary, err := b.path()
	if err != nil {
		return err
	}
	workers := max(1, o.Parallel)
	figures := make([]figure, workers)
	errs := make([]error, workers)
	var working sync.WaitGroup
	for n := range workers {
		working.Go(func() {
			share := (samples + workers - 1) / workers
			errs[n] = figures[n].measure(ctx, binary, o.Postgres, uint64(n), share)
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
	h := newHistory()
	c, err := startCluster(ctx, clusterConfig{binary: binary, admin: admin, replicas: 3, lease: defaultLease,
		bus: true}, h)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, c.close(ctx), c.complaints())
		if err == nil {
			c.remove()
		}
	}()
	u, err := signUp(ctx, doors(c), h, "figures")
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
		t, err := m.lose(ctx, func(ctx context.Context, r *replica, _ string) (time.Duration, error) {
			at := h.now()
			r.kill()
			return at, nil
		})
		if err != nil {
			return err
		}
		f.killed = append(f.killed, t)
	}
	for range share {
		t, err := m.lose(ctx, func(ctx context.Context, r *replica, key string) (time.Duration, error) {
			r.signal(syscall.SIGTERM)
			var call span
			err := poll(ctx, stopLimit, "the reply is released", func() (bool, error) {
				call, _ = c.model.take(key, 1)
				return call.ended, nil
			})
			return call.to, err
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
	cluster *cluster
	user    *user
	random  *rand.Rand
	count   int
}

// ask has a replica run a reply, which the model speaks already when it returns.
func (m *measurement) ask(ctx context.Context, on *replica, words int, pace time.Duration) (question, record, error) {
	m.count++
	q := question{Key: fmt.Sprintf("%s-reply-%d", m.user.name, m.count), User: m.user.name, Words: words, Pace: pace}
	r := m.user.send(ctx, "asker", doorOf(on), sending{question: q})
	if r.Outcome != ok {
		return q, r, fmt.Errorf("send: %s %s", r.Code, r.Note)
	}
	err := poll(ctx, requestLimit, "the model is called", func() (bool, error) {
		_, began := m.cluster.model.take(q.Key, 1)
		return began, nil
	})
	return q, r, err
}

// lose has a replica run a reply, takes the replica away at some moment, and
// returns how long after the time that away returns the model is called again.
func (m *measurement) lose(
	ctx context.Context, away func(ctx context.Context, r *replica, key string) (time.Duration, error),
) (time.Duration, error) {
	r := m.cluster.replicas[m.random.IntN(len(m.cluster.replicas))]
	q, sent, err := m.ask(ctx, r, 1500, 100*time.Millisecond)
	if err != nil {
		return 0, err
	}
	// Anywhere between two renewals of the lease.
	pause(ctx, time.Duration(m.random.Int64N(int64(defaultLease/3))))
	from, err := away(ctx, r, q.Key)
	if err != nil {
		return 0, err
	}
	var next span
	err = poll(ctx, 10*defaultLease, "the reply is taken over", func() (bool, error) {
		var began bool
		next, began = m.cluster.model.take(q.Key, 2)
		return began, nil
	})
	if err != nil {
		return 0, err
	}
	_ = r.terminate(ctx) // Killed or ending: its status says nothing.
	if err := r.start(ctx); err != nil {
		return 0, err
	}
	if stop := m.user.stop(ctx, "asker", doorOf(r), sent.Reply); stop.Outcome != ok {
		return 0, fmt.Errorf("stop: %s %s", stop.Code, stop.Note)
	}
	return next.from - from, nil
}

// watchTwice watches one reply on its owner and on another replica, and returns how
// much later the other one had what the owner had.
func (m *measurement) watchTwice(ctx context.Context) ([]time.Duration, error) {
	owner := m.random.IntN(len(m.cluster.replicas))
	away := (owner + 1) % len(m.cluster.replicas)
	_, sent, err := m.ask(ctx, m.cluster.replicas[owner], 200, 20*time.Millisecond)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("watching takes too long"))
	defer cancel()
	var watching sync.WaitGroup
	for name, n := range map[string]int{"near": owner, "far": away} {
		on := doorOf(m.cluster.replicas[n])
		w := &watcher{user: m.user, who: name + sent.Reply, reply: sent.Reply, random: rand.New(rand.NewPCG(1, 1)),
			faithful: true, only: &on}
		watching.Go(func() { w.follow(ctx) })
	}
	watching.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return lags(m.cluster.history.all(), "near"+sent.Reply, "far"+sent.Reply), nil
}
