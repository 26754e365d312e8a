package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/lib/pq"
)

// The watch finds a database that hangs within three seconds: a pause, a look that
// gets no answer, and cancelGrace; or, when the last sign of life came in the middle
// of a look, what is left of that one and the next.
const (
	watchPause = 500 * time.Millisecond
	watchLimit = 1500 * time.Millisecond
)

// quiet is how long before the end of a look nothing may have come from the database when
// the look is to count. It is shorter than a look by as much as a pause, so that a second look
// costs no more time than the pause before the first.
func (w *watch) quiet() time.Duration { return w.limit - watchPause }

// watch looks at Postgres all the time, on a connection of its own. When there is no
// answer it ends the epoch: every connection of the pool ends with it, whatever waits
// on one gets an error at once, and so does whatever asks for a new one, until the
// database answers again. So an outage costs each request three seconds at most, and
// no connection from before is used after it.
//
// A look without an answer is no outage while the pool's connections hear from the
// database: it is busy, or the machine is. Only those count that were open when the
// watch's own last got an answer. Later ones may lead elsewhere, to the server to
// which an address has moved, while what runs on the earlier ones waits in vain.
type watch struct {
	own   *sql.DB
	limit time.Duration // of a look
	// lease is one more connection beside the pool: see KeepLease. No epoch ends it.
	lease  *sql.DB
	clock  *clock // each look sets it
	log    *slog.Logger
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	epoch context.Context
	end   context.CancelCauseFunc
	good  time.Time // when the last look that was answered began
	heard time.Time // when the pool last got something on a connection older than good
}

// newWatch returns a watch that has not looked yet. Its epochs have the values of ctx,
// not its end.
func newWatch(ctx context.Context, settings pq.Config, limit time.Duration, clock *clock, log *slog.Logger) *watch {
	own := sql.OpenDB(&connector{settings: settings, silence: limit})
	w := &watch{own: own, limit: limit, lease: openLease(settings), clock: clock, log: log}
	w.own.SetMaxOpenConns(1)
	w.own.SetConnMaxLifetime(30 * time.Minute)
	w.epoch, w.end = context.WithCancelCause(context.WithoutCancel(ctx))
	return w
}

// start looks once, and returns what it saw. When that is good it starts the
// goroutine that goes on; the caller calls stop.
func (w *watch) start(ctx context.Context, pool *sql.DB) error {
	if err := w.look(ctx, pool); err != nil {
		_ = w.own.Close()   // Never used.
		_ = w.lease.Close() // Never opened.
		w.end(err)
		return err
	}
	w.clock.report(ctx, w.log)
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	w.done.Go(func() { w.run(ctx, pool) })
	return nil
}

func (w *watch) stop() {
	w.cancel()
	w.done.Wait()
	w.end(sql.ErrConnDone)
	_ = w.own.Close()   // Only read from.
	_ = w.lease.Close() // Nothing waits for it any more.
}

func (w *watch) run(ctx context.Context, pool *sql.DB) {
	tick := time.NewTicker(watchPause)
	defer tick.Stop()
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, w.limit)
		err := w.look(limited, pool)
		cancel()
		slow := time.Since(began) >= w.limit // Or it is sure of what it says.
		if err == nil {
			w.answered(began)
			w.clock.report(ctx, w.log)
		}
		switch down := w.state() != nil; {
		case ctx.Err() != nil:
			return
		case err != nil && slow && !down && w.hears():
			w.log.WarnContext(ctx, "the database is slow to answer", "err", err)
		case err != nil && !down:
			since = began
			w.log.ErrorContext(ctx, "the database does not answer", "err", err)
			w.end(&OutageError{Err: err})
		case err == nil && down:
			w.log.InfoContext(ctx, "the database answers again", "after", time.Since(since).Round(time.Millisecond))
			w.mu.Lock()
			w.epoch, w.end = context.WithCancelCause(context.WithoutCancel(ctx))
			w.mu.Unlock()
		}
	}
}

// current is the context of connections that are opened now.
func (w *watch) current() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.epoch
}

// state returns nil, or why the database is of no use now.
func (w *watch) state() error { return context.Cause(w.current()) }

// answered notes when a look began that has been answered.
func (w *watch) answered(began time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.good = began
}

// hear notes that something has come from the database on a connection of the pool.
func (w *watch) hear(opened time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if opened.Before(w.good) {
		w.heard = time.Now()
	}
}

// hears reports whether the database has just been heard, though not by the watch.
func (w *watch) hears() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.heard) < w.quiet()
}

// look asks the database for a sign of life. One that can only be read is of no use:
// it has been demoted, or is not promoted yet.
func (w *watch) look(ctx context.Context, pool *sql.DB) error {
	readOnly, err := w.ask(ctx, w.own)
	if isFull(err) {
		readOnly, err = w.lookThrough(ctx, pool)
	}
	if err == nil && readOnly {
		err = errReadOnly
	}
	return err
}

// lookThrough looks on a connection of the pool, when the database has answered that
// it gives no other: perhaps the pool has all of them. Where they are all at work the
// answer has to do, since taking it for an outage would end that work. When one of
// them hangs, silenceOf says for how long.
func (w *watch) lookThrough(ctx context.Context, pool *sql.DB) (readOnly bool, err error) {
	conn, err := pool.Conn(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil, isFull(err) && pool.Stats().InUse > 0:
		return false, nil
	default:
		return false, err
	}
	defer func() { _ = conn.Close() }() // It goes back to the pool.
	return w.ask(ctx, conn)
}

// isFull reports whether the database answers that it has no connection to give.
func isFull(err error) bool {
	var refused *pq.Error
	return errors.As(err, &refused) && refused.Code == tooManyConnections
}

// ask asks whether the database can only be read, and what time it is there.
func (w *watch) ask(ctx context.Context, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (readOnly bool, err error) {
	var setting string
	var now time.Time
	asked := w.clock.own()
	err = db.QueryRowContext(ctx, watchQuestion).Scan(&setting, &now)
	if err == nil {
		w.clock.observe(asked, w.clock.own(), now)
	}
	return setting == "on", err
}

const watchQuestion = "SELECT current_setting('transaction_read_only'), clock_timestamp()"
