package reply

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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
	// look is sweep, by itself so that time can be tried out without a database.
	look func(ctx context.Context) error
	now  chan struct{}
	// peers is how many other replicas had a lease at the last sweep.
	peers atomic.Int64
}

func newSweeper(h *host, cfg Config, queue *queue, alone bool) *sweeper {
	s := &sweeper{host: h, cfg: cfg, queue: queue, alone: alone, now: make(chan struct{}, 1)}
	s.look = s.sweep
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
		trouble.Report(ctx, s.log, s.look(ctx))
		if peers := s.peers.Load(); s.alone && peers > 0 && !warned {
			warned = true
			s.log.WarnContext(ctx, "other replicas work on this database, but there is no bus between them: "+
				"viewers see their replies a second late; set PARLEY_NATS_URL", "replicas", peers+1)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every*3/4 + rand.N(every/2)):
		case <-s.now:
		}
	}
}

// sweep claims replies whose owner has no valid lease.
func (s *sweeper) sweep(ctx context.Context) error {
	ctx = viewer.AsSweep(ctx)
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	alive, err := s.store.Client().Replica.Query().
		Where(replica.LeaseExpiresAtGT(now)).
		IDs(ctx)
	if err != nil {
		return fmt.Errorf("read leases: %w", err)
	}
	s.peers.Store(int64(len(alive) - 1))
	if !slices.Contains(alive, s.id) {
		s.peers.Store(int64(len(alive)))
	}
	abandoned, err := s.store.Client().Message.Query().
		Where(
			Streaming(),
			// Its own are watchRows' business, also while its lease is in doubt.
			message.Or(message.OwnerIsNil(), message.OwnerNotIn(append(alive, s.id)...)),
		).
		Order(message.ByStartedAt(sql.OrderAsc())).
		Limit(sweepBatch).
		All(ctx)
	if err != nil {
		return fmt.Errorf("find abandoned replies: %w", err)
	}
	var errs []error // One reply that resists does not hold up the others.
	for _, row := range abandoned {
		errs = append(errs, s.claim(ctx, row, row.Owner == nil))
	}
	errs = append(errs, s.startForgotten(ctx))
	// The rows of the dead are of no use once their replies are claimed.
	if len(abandoned) < sweepBatch {
		_, err = s.store.Client().Replica.Delete().
			Where(replica.LeaseExpiresAtLT(now.Add(-s.cfg.Lease))).
			Exec(ctx)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
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
