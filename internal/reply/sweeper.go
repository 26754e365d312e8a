package reply

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect/sql"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/predicate"
	"parley/ent/replica"
	"parley/internal/complaint"
	"parley/internal/viewer"
)

// sweepBatch bounds how many abandoned replies one sweep takes up.
const sweepBatch = 100

// sweepEvery is how often this replica looks for abandoned replies, at the most:
// often enough that a released one whose news was lost waits less than two seconds.
const sweepEvery = 1500 * time.Millisecond

// sweeper takes up the replies whose replica is gone, and what waits though nothing runs
// before it.
type sweeper struct {
	*host
	cfg   Config
	queue *queue
	// alone says that nothing connects this replica with others.
	alone bool
	// turn is sweep, by itself so that time can be tried out without a database.
	turn func(ctx context.Context) error
	now  chan struct{}
	// peers is how many other replicas were alive at the last sweep.
	peers atomic.Int64
	// draining says that this replica is about to be stopped.
	draining atomic.Bool

	// The fields below are used by run alone.
	vigil vigil
	heirs heirs
	// again is how soon the next sweep is wanted; 0: in its time.
	again time.Duration
}

func newSweeper(h *host, cfg Config, queue *queue, alone bool) *sweeper {
	s := &sweeper{host: h, cfg: cfg, queue: queue, alone: alone, now: make(chan struct{}, 1)}
	s.vigil.length = cfg.Lease
	s.heirs.moment = min(cfg.Lease/3, longestMoment)
	s.turn = s.sweep
	return s
}

// hurry asks for a sweep before its time.
func (s *sweeper) hurry() { signal(s.now) }

// run sweeps at once and then again and again, with jitter so that replicas do not all
// look at the same time, and when it is told of an abandoned reply.
func (s *sweeper) run(ctx context.Context) {
	every := min(s.cfg.Lease/10, sweepEvery)
	warned := false
	trouble := complaint.About("looking for abandoned replies")
	for {
		trouble.Report(ctx, s.log, s.turn(ctx))
		if peers := s.peers.Load(); s.alone && peers > 0 && !warned {
			warned = true
			s.log.WarnContext(ctx, "other replicas work on this database, but there is no bus between them: "+
				"viewers see their replies a second late; set PARLEY_NATS_URL", "replicas", peers+1)
		}
		pause := every*3/4 + rand.N(every/2)
		if s.again > 0 {
			pause = min(pause, s.again)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		case <-s.now:
		}
	}
}

// sweep claims replies that were released, and those whose owner is dead. While this replica
// is about to be stopped it only looks.
func (s *sweeper) sweep(ctx context.Context) error {
	ctx = viewer.AsSweep(ctx)
	s.again = 0
	now, err := s.look(ctx)
	if err != nil {
		s.vigil.interrupt()
		return err
	}
	if s.draining.Load() {
		return nil
	}
	abandoned, err := s.store.Client().Message.Query().
		Where(
			Streaming(),
			// Its own are ownRows' business, also while its lease is in doubt. An owner without
			// a row has given its lease back, or somebody has seen it dead.
			message.Or(message.OwnerIsNil(), message.OwnerNotIn(append(s.vigil.living(), s.id)...)),
		).
		Order(message.ByStartedAt(sql.OrderAsc())).
		Limit(sweepBatch).
		All(ctx)
	if err != nil {
		s.vigil.interrupt()
		return fmt.Errorf("find abandoned replies: %w", err)
	}
	errs := s.claimAll(ctx, abandoned)
	errs = append(errs, s.startForgotten(ctx))
	// The rows of the dead are of no use once their replies are claimed.
	if dead := s.vigil.dead(); len(dead) > 0 && len(abandoned) < sweepBatch {
		_, err = s.store.Client().Replica.Delete().
			Where(replica.IDIn(dead...), replica.LeaseExpiresAtLT(now.Add(-s.cfg.Lease))).
			Exec(ctx)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.vigil.goOn(time.Now())
	return nil
}

// look reads the leases, and the database's clock before them.
func (s *sweeper) look(ctx context.Context) (now time.Time, err error) {
	began := time.Now()
	if now, err = s.store.Now(ctx); err != nil {
		return now, err
	}
	all, err := s.store.Client().Replica.Query().All(ctx)
	if err != nil {
		return now, fmt.Errorf("read leases: %w", err)
	}
	ended := time.Now()
	s.vigil.look(began, ended, now, all)
	var self *ent.Replica
	var living []*ent.Replica
	for _, r := range all {
		switch {
		case r.ID == s.id:
			self = r
			living = append(living, r)
		case !s.vigil.seen[r.ID].dead:
			living = append(living, r)
		}
	}
	s.heirs.look(ended, self, all, living)
	s.peers.Store(int64(len(living)))
	if self != nil {
		s.peers.Add(-1)
	}
	return now, nil
}

// claimAll claims what it may. One reply that resists does not hold up the others.
func (s *sweeper) claimAll(ctx context.Context, abandoned []*ent.Message) (errs []error) {
	at := time.Now()
	waits := false
	for _, row := range abandoned {
		released := row.Owner == nil
		if released {
			if wait := s.heirs.wait(row, at); wait > 0 {
				waits = true
				if s.again == 0 || wait < s.again {
					s.again = wait
				}
				continue
			}
			waits = waits || row.Attempt > 0
		}
		errs = append(errs, s.claim(ctx, row, released))
	}
	if !waits {
		s.heirs.since = time.Time{}
	}
	return errs
}

// startForgotten starts queued replies that nothing runs before. The end of a reply
// starts the next one in its own transaction, so there are none; were there one, it
// would wait for ever.
func (s *sweeper) startForgotten(ctx context.Context) error {
	ctx = viewer.AsSweep(ctx)
	rows, err := s.store.Client().Message.Query().
		Where(Queued(), nothingStreams()).
		Limit(sweepBatch).
		All(ctx)
	if err != nil {
		return fmt.Errorf("find forgotten replies: %w", err)
	}
	for _, row := range rows {
		next, err := s.queue.end(ctx, row, s.queue.locked(ctx, row, func(tx *ent.Tx) error {
			busy, err := tx.Message.Query().
				Where(message.ConversationID(row.ConversationID), message.UserID(row.UserID), Streaming()).
				Exist(ctx)
			if err == nil && busy {
				err = errNoRow
			}
			return err
		}))
		switch {
		case errors.Is(err, errNoRow):
		case err != nil:
			return err
		case next != nil:
			s.log.WarnContext(ctx, "forgotten reply started", "message_id", string(next.row.ID))
			s.queue.start(next)
		}
	}
	return nil
}

// nothingStreams matches messages in whose conversation no reply is being written.
func nothingStreams() predicate.Message {
	return func(rows *sql.Selector) {
		running := sql.Table(message.Table).As("running")
		running.SetDialect(rows.Dialect())
		rows.Where(sql.NotExists(sql.Dialect(rows.Dialect()).
			Select(running.C(message.FieldID)).
			From(running).
			Where(sql.ColumnsEQ(running.C(message.FieldConversationID), rows.C(message.FieldConversationID))).
			Where(sql.ExprP(running.C(message.FieldStatus) + " = 'STREAMING'"))))
	}
}
