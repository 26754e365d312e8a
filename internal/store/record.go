package store

import (
	"context"
	"database/sql"
	"fmt"

	"entgo.io/ent/dialect"

	"parley/ent"
)

// Statement is a statement of the Ent client or of a transaction, or its commit: CommitQuery.
type Statement struct {
	Query string
	Args  []any
	// Context is that of whoever made it.
	Context context.Context
}

// CommitQuery stands for the commit of a transaction that has made a statement.
const CommitQuery = "COMMIT"

// Recording returns the same store with an Ent client that reports its statements, for tests
// that count them or ask for their plans. What the store reads outside a transaction by hand
// is not among them.
func (s *Store) Recording(record func(Statement)) *Store {
	r := *s
	r.client = ent.NewClient(ent.Driver(recorder{Driver: newSplitDriver(s.dialect, s.write, s.read, s.turns),
		record: record}))
	return &r
}

// recorder reports every statement before it runs.
type recorder struct {
	dialect.Driver
	record func(Statement)
}

func (r recorder) Query(ctx context.Context, query string, args, v any) error {
	r.record(statement(ctx, query, args))
	return r.Driver.Query(ctx, query, args, v)
}

func (r recorder) Exec(ctx context.Context, query string, args, v any) error {
	r.record(statement(ctx, query, args))
	return r.Driver.Exec(ctx, query, args, v)
}

func (r recorder) Tx(ctx context.Context) (dialect.Tx, error) {
	tx, err := r.Driver.Tx(ctx)
	return recordingTx{Tx: tx, record: r.record, ctx: ctx}, err
}

type recordingTx struct {
	dialect.Tx
	record func(Statement)
	ctx    context.Context
}

func (r recordingTx) Commit() error {
	r.record(Statement{CommitQuery, nil, r.ctx})
	return r.Tx.Commit()
}

func (r recordingTx) Query(ctx context.Context, query string, args, v any) error {
	r.record(statement(ctx, query, args))
	return r.Tx.Query(ctx, query, args, v)
}

func (r recordingTx) Exec(ctx context.Context, query string, args, v any) error {
	r.record(statement(ctx, query, args))
	return r.Tx.Exec(ctx, query, args, v)
}

// ExecContext and QueryContext serve the raw statements of an ent.Tx.
func (r recordingTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	r.record(Statement{query, args, ctx})
	return r.Tx.(interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
	}).ExecContext(ctx, query, args...)
}

func (r recordingTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	r.record(Statement{query, args, ctx})
	return r.Tx.(interface {
		QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	}).QueryContext(ctx, query, args...)
}

func statement(ctx context.Context, query string, args any) Statement {
	list, ok := args.([]any)
	if !ok {
		panic(fmt.Sprintf("arguments of %s are %T", query, args))
	}
	return Statement{query, list, ctx}
}
