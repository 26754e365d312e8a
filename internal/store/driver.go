package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"parley/internal/budget"
)

// splitDriver is an Ent driver that sends reads to one pool and everything else
// to another. SQLite wants exactly one writing connection, and readers beside it;
// on Postgres both pools are the same.
type splitDriver struct {
	write *entsql.Driver
	read  *entsql.Driver
	// turns orders who writes on SQLite; nil on Postgres, where only transactions wait.
	turns *turns
}

func newSplitDriver(name string, write, read *sql.DB, t *turns) dialect.Driver {
	d := &splitDriver{write: entsql.OpenDB(name, write), read: entsql.OpenDB(name, read)}
	if name == dialect.SQLite {
		d.turns = t
	}
	return d
}

// turn waits for the writer, and returns what lets go of it.
func (d *splitDriver) turn(ctx context.Context) (leave func(), err error) {
	if d.turns == nil {
		return func() {}, nil
	}
	if _, err := d.turns.enter(ctx, classOf(ctx), nil); err != nil {
		return nil, err
	}
	return sync.OnceFunc(d.turns.leave), nil
}

// Query implements dialect.Driver. Our ids are made before the insert, so Ent
// writes nothing through a query. Rows count for the answer that they are read for.
func (d *splitDriver) Query(ctx context.Context, query string, args, v any) error {
	err := d.read.Query(ctx, query, args, v)
	if rows, ok := v.(*entsql.Rows); ok && err == nil {
		if b := budget.OfRows(ctx); b != nil {
			rows.ColumnScanner = countedRows{rows.ColumnScanner, ctx, b}
		}
	}
	return err
}

// countedRows counts what is read of each row, and ends when it is too much.
type countedRows struct {
	entsql.ColumnScanner
	ctx    context.Context
	budget *budget.Budget
}

// Scan implements entsql.ColumnScanner.
func (r countedRows) Scan(dest ...any) error {
	if err := r.ColumnScanner.Scan(dest...); err != nil {
		return err
	}
	n := 0
	for _, d := range dest {
		switch d := d.(type) {
		case *sql.NullString:
			n += len(d.String)
		case *string:
			n += len(*d)
		case *[]byte:
			n += len(*d)
		}
	}
	return r.budget.CountRow(r.ctx, n)
}

// QueryContext serves raw reads of the Ent client.
func (d *splitDriver) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return d.read.QueryContext(ctx, query, args...)
}

// Exec implements dialect.Driver.
func (d *splitDriver) Exec(ctx context.Context, query string, args, v any) error {
	leave, err := d.turn(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return d.write.Exec(ctx, query, args, v)
}

// ExecContext serves raw writes of the Ent client.
func (d *splitDriver) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	leave, err := d.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return d.write.ExecContext(ctx, query, args...)
}

// Tx implements dialect.Driver. In a group it is a part of the group's.
func (d *splitDriver) Tx(ctx context.Context) (dialect.Tx, error) {
	if lent, ok := ctx.Value(lentKey{}).(lentTx); ok {
		return lent, nil
	}
	return d.BeginTx(ctx, nil)
}

// BeginTx lets callers ask for a read-only transaction, which does not wait for
// the writer.
func (d *splitDriver) BeginTx(ctx context.Context, opts *sql.TxOptions) (dialect.Tx, error) {
	if opts != nil && opts.ReadOnly {
		return d.read.BeginTx(ctx, opts)
	}
	leave, err := d.turn(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := d.write.BeginTx(ctx, opts)
	if err != nil {
		leave()
		return nil, err
	}
	return leavingTx{Tx: tx.(*entsql.Tx), leave: leave}, nil
}

// leavingTx is a transaction that has the writer until it ends.
type leavingTx struct {
	*entsql.Tx
	leave func()
}

// Commit implements driver.Tx.
func (t leavingTx) Commit() error {
	defer t.leave()
	return t.Tx.Commit()
}

// Rollback implements driver.Tx.
func (t leavingTx) Rollback() error {
	defer t.leave()
	return t.Tx.Rollback()
}

// Dialect implements dialect.Driver.
func (d *splitDriver) Dialect() string { return d.write.Dialect() }

// Close implements dialect.Driver.
func (d *splitDriver) Close() error { return errors.Join(d.write.Close(), d.read.Close()) }

// readFew reads rows whose first one is found at once. On SQLite the end of ctx is noticed
// between two rows and while a connection is waited for: to interrupt a statement, database/sql
// and the driver have a goroutine each, which costs more than to find the row.
func (s *Store) readFew(ctx context.Context, query string, args ...any) (*fewRows, error) {
	if s.dialect != dialect.SQLite {
		rows, err := s.read.QueryContext(ctx, query, args...)
		return &fewRows{Rows: rows}, err
	}
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := conn.QueryContext(context.WithoutCancel(ctx), query, args...)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &fewRows{rows, conn}, nil
}

// fewRows are rows with the connection that is theirs alone.
type fewRows struct {
	*sql.Rows
	conn *sql.Conn // Nil: that of the rows.
}

// Close lets go of the connection.
func (r *fewRows) Close() error {
	err := r.Rows.Close()
	if r.conn != nil {
		err = errors.Join(err, r.conn.Close())
	}
	return err
}
