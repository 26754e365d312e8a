package store

import (
	"context"
	"database/sql"
	"errors"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

// splitDriver is an Ent driver that sends reads to one pool and everything else
// to another. SQLite wants exactly one writing connection, and readers beside it;
// on Postgres both pools are the same.
type splitDriver struct {
	write *entsql.Driver
	read  *entsql.Driver
}

func newSplitDriver(name string, write, read *sql.DB) dialect.Driver {
	return &splitDriver{write: entsql.OpenDB(name, write), read: entsql.OpenDB(name, read)}
}

// Query implements dialect.Driver. Our ids are made before the insert, so Ent
// writes nothing through a query.
func (d *splitDriver) Query(ctx context.Context, query string, args, v any) error {
	return d.read.Query(ctx, query, args, v)
}

// QueryContext serves raw reads of the Ent client.
func (d *splitDriver) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return d.read.QueryContext(ctx, query, args...)
}

// Exec implements dialect.Driver.
func (d *splitDriver) Exec(ctx context.Context, query string, args, v any) error {
	return d.write.Exec(ctx, query, args, v)
}

// ExecContext serves raw writes of the Ent client.
func (d *splitDriver) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return d.write.ExecContext(ctx, query, args...)
}

// Tx implements dialect.Driver.
func (d *splitDriver) Tx(ctx context.Context) (dialect.Tx, error) { return d.write.Tx(ctx) }

// BeginTx lets callers ask for a read-only transaction, which does not wait for
// the writer.
func (d *splitDriver) BeginTx(ctx context.Context, opts *sql.TxOptions) (dialect.Tx, error) {
	if opts != nil && opts.ReadOnly {
		return d.read.BeginTx(ctx, opts)
	}
	return d.write.BeginTx(ctx, opts)
}

// Dialect implements dialect.Driver.
func (d *splitDriver) Dialect() string { return d.write.Dialect() }

// Close implements dialect.Driver.
func (d *splitDriver) Close() error { return errors.Join(d.write.Close(), d.read.Close()) }
