package main

import (
	"context"
	"sync"
	"time"
)

// start starts what runs by itself, in the order of who needs whom.
func (s *server) start(ctx context.Context) (stop func(), err error) {
	if err := s.auth.Start(ctx); err != nil {
		return nil, err
	}
	if err := s.replies.Start(ctx); err != nil {
		s.auth.Stop()
		return nil, err
	}
	housekeeping, endHousekeeping := context.WithCancel(ctx)
	var loops sync.WaitGroup
	loops.Go(func() { s.keepHouse(housekeeping) })
	loops.Go(func() { newMemory().keep(housekeeping) })
	if s.models != nil {
		loops.Go(func() { s.models.run(housekeeping) })
	}
	if s.peers != nil {
		s.peers.look(ctx) // Before anybody is let in.
		loops.Go(func() { s.peers.run(housekeeping) })
	}
	if s.local != nil && !s.cfg.DatabaseURL.IsZero() {
		loops.Go(func() { s.doubtPeers(housekeeping) })
	}
	return func() {
		endHousekeeping()
		loops.Wait()
		// A no-op after an orderly shutdown.
		now, cancel := context.WithCancel(ctx)
		cancel()
		s.replies.Stop(now)
		s.auth.Stop()
	}, nil
}

// doubtEvery is how often feeds look at a database that others change unheard.
const doubtEvery = 2 * time.Second

// doubtPeers makes feeds compare with the database once other replicas have been
// seen on it, since without NATS nothing is heard of what they do.
func (s *server) doubtPeers(ctx context.Context) {
	tick := time.NewTicker(doubtEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.replies.Peers() > 0 {
			s.local.Doubt(ctx, func() time.Duration { return doubtEvery })
		}
	}
}

// keepHouse removes what nobody needs any more, at once and then every hour.
func (s *server) keepHouse(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := s.chat.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "old rows not removed", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
