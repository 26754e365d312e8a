package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"parley/test/faults/client"
	"parley/test/faults/cluster"
	"parley/test/faults/history"
	"parley/test/faults/script"
	"parley/test/faults/wait"
)

// A long reply outlasts a restart of all replicas. It is stopped when those are over.
const (
	longWords = 3000
	longPace  = 100 * time.Millisecond
)

// runRolling restarts three replicas under load, one after the other, while each of them
// runs a long reply that it cannot finish. Each such reply may be paid for once more, and not
// more often: whoever gets it keeps it.
func runRolling(ctx context.Context, seed uint64, binary, admin string) (result, error) {
	cfg := cluster.Config{Binary: binary, Admin: admin, Replicas: 3, Lease: defaultLease, Bus: true, Seed: seed}
	return play(ctx, "faults", seed, cfg, func(ctx context.Context, s *scene) error {
		s.counts = make(map[string]int)
		asker, err := client.SignUp(ctx, replicasOf(s.cluster), s.history, fmt.Sprintf("long%d", seed))
		if err != nil {
			return err
		}
		m := &measurement{cluster: s.cluster, load: s.load, user: asker, random: s.random}
		var long []script.Question
		var replies []string
		for _, r := range s.cluster.Replicas {
			q, sent, err := m.ask(ctx, r, longWords, longPace)
			if err != nil {
				return err
			}
			long, replies = append(long, q), append(replies, sent.Reply)
		}
		err = s.restartAll(ctx)
		for n, q := range long {
			if err == nil {
				err = s.paidOnceMore(ctx, q)
			}
			stop := asker.Stop(ctx, "asker", asSeen(s.cluster.Replicas[n]), replies[n])
			if stop.Outcome != history.OK {
				err = errors.Join(err, fmt.Errorf("stop: %s %s", stop.Code, stop.Note))
			}
		}
		return err
	})
}

func (s *scene) restartAll(ctx context.Context) error {
	for _, r := range s.cluster.Replicas {
		if err := s.restart(ctx, r); err != nil {
			return err
		}
		s.counts["restart"]++
	}
	return nil
}

// restart asks a replica to end, and again, so that it gives back at once what it runs, and
// starts it anew.
func (s *scene) restart(ctx context.Context, r *cluster.Replica) error {
	r.Signal(syscall.SIGTERM)
	wait.For(ctx, time.Second)
	if err := r.Terminate(ctx); err != nil {
		return err
	}
	return r.Start(ctx)
}

// paidOnceMore waits until the second call for a long reply has begun, and wants no third.
func (s *scene) paidOnceMore(ctx context.Context, q script.Question) error {
	err := wait.Until(ctx, 2*defaultLease, "the reply is taken up", func() (bool, error) {
		_, began := s.cluster.Model.Take(q.Key, 2)
		return began, nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", q.Key, err)
	}
	if third, began := s.cluster.Model.Take(q.Key, 3); began {
		return fmt.Errorf("%s: the restarts have had it paid three times, the last time at %v", q.Key, third.From)
	}
	return nil
}
