package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"parley/ent"
)

// SQLite has one writer, and each commit waits for the disk. Transactions that wait for the
// writer at the same time therefore share one: whoever has the turn runs the others' too,
// each in a savepoint, so that one that fails leaves the rest alone, and all are answered
// after the one commit.

// maxGroup bounds how many transactions share a commit: the first one waits for the last.
const maxGroup = 32

// job is a transaction that somebody else may run.
type job struct {
	ctx context.Context
	fn  func(tx *ent.Tx) error
	// client is that of the store that was asked, which a test may have wrapped.
	client *ent.Client
	// done is closed when err and panicked are set and what fn wrote is committed, or not.
	done     chan struct{}
	err      error
	panicked any
}

// inGroup is InTx on SQLite.
func (s *Store) inGroup(ctx context.Context, fn func(tx *ent.Tx) error) error {
	j := &job{ctx: ctx, fn: fn, client: s.client, done: make(chan struct{})}
	mine, err := s.turns.enter(ctx, classOf(ctx), j)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if mine {
		func() {
			defer s.turns.leave()
			s.runGroup(append([]*job{j}, s.turns.share(maxGroup-1)...))
		}()
	}
	if j.panicked != nil {
		panic(j.panicked) // Of fn, in the goroutine that it belongs to.
	}
	return j.err
}

// runGroup runs jobs in one transaction and answers them.
func (s *Store) runGroup(jobs []*job) {
	fail := func(err error) {
		for _, j := range jobs {
			if j.err == nil && j.panicked == nil {
				j.err = err
			}
		}
	}
	err := errGroupBrokeOff // What holds when this function does not come to its end.
	defer func() {
		if err != nil {
			fail(err)
		}
		for _, j := range jobs {
			close(j.done)
		}
	}()
	err = s.commitGroup(jobs)
}

// errGroupBrokeOff is the answer to all jobs of a group whose goroutine did not come to its
// end: the driver panicked.
var errGroupBrokeOff = errors.New("the transaction broke off")

// commitGroup runs jobs in one transaction. An error is that of all jobs which have none of
// their own: nothing of them is stored.
func (s *Store) commitGroup(jobs []*job) (err error) {
	// Not the context of the first job, whose end would roll back all of them.
	ctx := context.WithoutCancel(jobs[0].ctx)
	tx, err := s.beginGroup(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	ended := false
	defer func() {
		if !ended { // Also on a panic. There may be nothing left to roll back.
			_ = tx.rollback(ctx)
		}
	}()
	for _, j := range jobs {
		if err := s.runJob(ctx, tx, j, len(jobs) > 1); err != nil {
			return err
		}
	}
	ended = true
	if len(jobs) == 1 && (jobs[0].err != nil || jobs[0].panicked != nil) {
		if err := tx.rollback(ctx); err != nil && jobs[0].err != nil {
			jobs[0].err = errors.Join(jobs[0].err, fmt.Errorf("roll back: %w", err))
		}
		return nil
	}
	if err := tx.commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// runJob runs one job of a group, in a savepoint where there are others. An error is that
// of the whole group: its transaction is of no use any more.
func (s *Store) runJob(ctx context.Context, tx groupTx, j *job, shared bool) error {
	if j.ctx.Err() != nil {
		j.err = fmt.Errorf("begin: %w", context.Cause(j.ctx))
		return nil
	}
	if !shared {
		s.callJob(tx, j)
		return nil
	}
	if _, err := tx.ExecContext(ctx, "SAVEPOINT job"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	s.callJob(tx, j)
	if j.err != nil || j.panicked != nil {
		if _, err := tx.ExecContext(ctx, "ROLLBACK TO job"); err != nil {
			if IsUnavailable(j.err) { // A full disk has rolled everything back: that is what to say.
				return fmt.Errorf("roll back: %w", j.err)
			}
			return fmt.Errorf("roll back: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, "RELEASE job"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// callJob calls the function of a job, and keeps its panic for its owner.
func (s *Store) callJob(tx groupTx, j *job) {
	defer func() {
		if p := recover(); p != nil {
			j.panicked = p
		}
	}()
	inner := lentTx{Tx: &entsql.Tx{Conn: entsql.Conn{ExecQuerier: tx}, Tx: noEnd{}}, dialect: s.dialect}
	etx, err := j.client.Tx(context.WithValue(j.ctx, lentKey{}, inner))
	if err != nil {
		j.err = fmt.Errorf("begin: %w", err)
		return
	}
	if j.err = j.fn(etx); j.err != nil {
		return
	}
	if j.ctx.Err() != nil {
		j.err = fmt.Errorf("commit: %w", j.ctx.Err())
		return
	}
	// Ent's hooks run here; the commit itself is the group's.
	if err := etx.Commit(); err != nil {
		j.err = fmt.Errorf("commit: %w", err)
	}
}

// noEnd is the end of a transaction that others share: it is the group that ends.
type noEnd struct{}

var _ driver.Tx = noEnd{}

// Commit implements driver.Tx.
func (noEnd) Commit() error { return nil }

// Rollback implements driver.Tx.
func (noEnd) Rollback() error { return nil }

type lentKey struct{}

// lentTx is a part of a group's transaction. SQLite rolls a whole transaction back when a
// statement that writes is interrupted, so none is: a context that has ended is noticed
// before the next statement.
type lentTx struct {
	*entsql.Tx
	dialect string
}

var _ dialect.Tx = lentTx{}

// Dialect implements dialect.Driver.
func (t lentTx) Dialect() string { return t.dialect }

// Exec implements dialect.ExecQuerier.
func (t lentTx) Exec(ctx context.Context, query string, args, v any) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return t.Tx.Exec(context.WithoutCancel(ctx), query, args, v)
}

// Query implements dialect.ExecQuerier.
func (t lentTx) Query(ctx context.Context, query string, args, v any) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return t.Tx.Query(context.WithoutCancel(ctx), query, args, v)
}

// ExecContext serves raw writes.
func (t lentTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return t.Tx.ExecContext(context.WithoutCancel(ctx), query, args...)
}

// QueryContext serves raw reads.
func (t lentTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return t.Tx.QueryContext(context.WithoutCancel(ctx), query, args...)
}
