package store

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"

	"entgo.io/ent/dialect"

	"parley/ent"
)

// What the tests in package store_test need of the inside.
var (
	MigrateFrom       = migrateFrom
	OpenForMigration  = openForMigration
	CheckPragmas      = checkPragmas
	PostgresDSN       = postgresDSN
	SQLiteDSN         = sqliteDSN
	EmbeddedMigration = migrations
	SilenceOf         = silenceOf
)

// Hand-written statements, as the dialect gets them.
func (s *Store) LineStatement() string       { return s.statements.line }
func (s *Store) CheckpointStatement() string { return s.statements.checkpoint }

// Pools returns the pool that writes and the one that reads.
func (s *Store) Pools() (write, read *sql.DB) { return s.write, s.read }

// Statement is one statement that Ent has run.
type Statement struct {
	Query string
	Args  []any
}

// Recording returns the same store with an Ent client that reports its statements.
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
	r.record(statement(query, args))
	return r.Driver.Query(ctx, query, args, v)
}

func (r recorder) Exec(ctx context.Context, query string, args, v any) error {
	r.record(statement(query, args))
	return r.Driver.Exec(ctx, query, args, v)
}

func (r recorder) Tx(ctx context.Context) (dialect.Tx, error) {
	tx, err := r.Driver.Tx(ctx)
	return recordingTx{Tx: tx, record: r.record}, err
}

type recordingTx struct {
	dialect.Tx
	record func(Statement)
}

func (r recordingTx) Query(ctx context.Context, query string, args, v any) error {
	r.record(statement(query, args))
	return r.Tx.Query(ctx, query, args, v)
}

func (r recordingTx) Exec(ctx context.Context, query string, args, v any) error {
	r.record(statement(query, args))
	return r.Tx.Exec(ctx, query, args, v)
}

// ExecContext and QueryContext serve the raw statements of an ent.Tx.
func (r recordingTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	r.record(Statement{query, args})
	return r.Tx.(interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
	}).ExecContext(ctx, query, args...)
}

func (r recordingTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	r.record(Statement{query, args})
	return r.Tx.(interface {
		QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	}).QueryContext(ctx, query, args...)
}

func statement(query string, args any) Statement {
	list, ok := args.([]any)
	if !ok {
		panic(fmt.Sprintf("arguments of %s are %T", query, args))
	}
	return Statement{query, list}
}

// AwaitWaiting waits until so many wait for a turn to write.
func (s *Store) AwaitWaiting(ctx context.Context, n int) {
	for ctx.Err() == nil {
		s.turns.mu.Lock()
		waiting := 0
		for _, class := range s.turns.waiting {
			waiting += len(class)
		}
		s.turns.mu.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}
