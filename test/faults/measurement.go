package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"parley/test/faults/client"
	"parley/test/faults/cluster"
	"parley/test/faults/history"
	"parley/test/faults/script"
	"parley/test/faults/wait"
)

// measurement asks a cluster questions, one at a time.
type measurement struct {
	cluster *cluster.Cluster
	load    *client.Load // nil: no other clients.
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
	if m.load != nil {
		m.load.Learn(m.user, r.Conversation, r.Reply)
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

// watchTwice watches a reply of one replica on it and on another, and returns the names of
// both watchers in the history.
func (m *measurement) watchTwice(
	ctx context.Context, owner, away *cluster.Replica, words int, pace time.Duration,
) (near, far string, err error) {
	_, sent, err := m.ask(ctx, owner, words, pace)
	if err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("watching takes too long"))
	defer cancel()
	near, far = "near-"+sent.Reply, "far-"+sent.Reply
	var watching sync.WaitGroup
	for who, r := range map[string]*cluster.Replica{near: owner, far: away} {
		on := asSeen(r)
		w := &client.Watcher{User: m.user, Who: who, Reply: sent.Reply, Random: rand.New(rand.NewPCG(1, 1)),
			Faithful: true, Only: &on}
		watching.Go(func() { w.Follow(ctx) })
	}
	watching.Wait()
	if ctx.Err() != nil {
		return "", "", context.Cause(ctx)
	}
	return near, far, nil
}
