// Package store opens the database, keeps its schema current and owns everything
// that differs between SQLite and Postgres: connection settings, the split of
// reads and writes, locks, the clock, and the few statements written by hand for
// speed. No other package knows the dialect.
//
// Its one invariant: the same call behaves the same on both databases.
//
// What is where:
//
//	store.go      Store: opening, transactions, locks, the clock; SQLite
//	postgres.go   Postgres
//	clock.go      the database's clock without asking, and how wrong this machine's is
//	turns.go      who may write next
//	waits.go      how long connections are waited for
//	group.go      transactions that share a commit, on SQLite
//	grouptx.go    what they share
//	prepared.go   statements that are kept
//	timed.go      how long they take, and which are slow
//	driver.go     reads to one pool, writes to another
//	link.go, confirm_linux.go, confirm_other.go, watch.go   no wait for a Postgres that hangs
//	outage.go     what an error of the database means to a caller
//	migrate.go    the schema
//	lineage.go    which older binaries can live with it
//	send.go, branch.go, line.go, reply.go, summary.go, final.go, touch.go, usage.go, lease.go
//	              statements written by hand
//	record.go     what tests see of the statements
//	existing.go   whether there is a database, and of this version
//	explain.go    what an error of opening means to an operator
//	backup.go, lock.go, lock_unix.go, lock_windows.go   the data folder
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"entgo.io/ent/dialect"
	"modernc.org/sqlite"

	"parley/ent"
	_ "parley/ent/runtime" // Defaults and privacy policies; without it both are silently absent.
)

// Config says which database to open.
type Config struct {
	// DatabaseURL is a postgres:// URL. Empty means SQLite in DataDir.
	DatabaseURL string
	// DataDir holds SQLite's file. It is made when missing.
	DataDir string
	// MaxConns bounds the Postgres pool, and SQLite's readers. 0 means 20 and 8.
	MaxConns int
	// SlowAfter is from which duration on a statement is said in the log. 0 means never.
	SlowAfter time.Duration
	// Patience is how long Postgres may give no sign of life before it counts as away, for tests
	// on a busy machine. 0 means 1.5 seconds.
	Patience time.Duration
	// Clock is the clock of this machine, for tests. Nil means time.Now.
	Clock func() time.Time
}

func (c Config) ownClock() func() time.Time {
	if c.Clock == nil {
		return time.Now
	}
	return c.Clock
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	client  *ent.Client
	write   *sql.DB
	read    *sql.DB // The same pool as write on Postgres.
	dialect string
	watch   *watch // Nil on SQLite, which cannot be away.
	turns   *turns // Who may write, and in which order.
	prompts *turns // Who may read a prompt.
	pool    *waits // For connections.
	clock   *clock
	timer   *timer

	statements statements
}

// Open connects to the database and checks that it works as configured. It does
// not change the schema: call Migrate. On Postgres it starts a goroutine that
// watches whether the database answers. The caller closes the store. IsOutage says
// which errors may pass by themselves. Error: ErrNewerSchema.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Store, error) {
	var s *Store
	var err error
	if cfg.DatabaseURL == "" {
		s, err = openSQLite(ctx, cfg, newTimer(cfg.SlowAfter, log))
	} else {
		s, err = openPostgres(ctx, cfg, log)
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := s.checkLineage(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), s.Close())
	}
	s.statements = statementsFor(s.dialect)
	s.client = ent.NewClient(ent.Driver(newSplitDriver(s.dialect, s.write, s.read, s.turns)))
	return s, nil
}

// Client returns the Ent client. Reads outside a transaction may run beside a
// writer; they see everything committed before they started.
func (s *Store) Client() *ent.Client { return s.client }

// Dialect names the database for logs: "sqlite3" or "postgres".
func (s *Store) Dialect() string { return s.dialect }

// Ping reports whether the database answers. On Postgres it returns at once what
// the watch knows, which is at most three seconds old: it needs no connection of the
// pool, all of which may be waiting.
func (s *Store) Ping(ctx context.Context) error {
	if s.watch != nil {
		return s.watch.state()
	}
	if err := s.read.PingContext(ctx); err != nil {
		return fmt.Errorf("ping store: %w", err)
	}
	var one int
	if err := s.read.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("ping store: %w", err)
	}
	return nil
}

// Close closes the database. Everything that uses it must have stopped.
func (s *Store) Close() error {
	if s.watch != nil {
		defer s.watch.stop()
	}
	err := s.write.Close()
	if s.read != s.write {
		err = errors.Join(err, s.read.Close())
	}
	return err
}

// InTx runs fn in one writing transaction and commits it when fn returns nil. On
// an error or a panic nothing of it remains. Entities read from tx must not be
// used for further queries after the commit. Keep fn short: on SQLite it holds
// the only writer, and others that wait for it may share the commit; fn may run in
// another goroutine than its caller's then.
func (s *Store) InTx(ctx context.Context, fn func(tx *ent.Tx) error) error {
	if s.dialect == dialect.SQLite {
		return s.inGroup(ctx, fn)
	}
	if _, err := s.turns.enter(ctx, classOf(ctx), nil); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer s.turns.leave()
	return s.inTx(ctx, fn)
}

// Backlog returns how long it takes until this process comes to what a user asks for now, as
// far as is known: until it may write, or until a reply that was taken has its prompt read.
func (s *Store) Backlog() time.Duration {
	now := time.Now()
	return max(s.turns.backlog(now), s.prompts.backlog(now), s.pool.mean(s.read.Stats(), now))
}

// Idle reports whether a read would not have to wait for a connection.
func (s *Store) Idle() bool {
	pool := s.read.Stats()
	return pool.InUse < pool.MaxOpenConnections
}

func (s *Store) inTx(ctx context.Context, fn func(tx *ent.Tx) error) (err error) {
	tx, err := s.client.Tx(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	committed := false
	defer func() {
		if committed {
			return
		}
		// Also on a panic, which goes on upwards by itself.
		if rbErr := tx.Rollback(); rbErr != nil && !errors.Is(rbErr, sql.ErrTxDone) && err != nil {
			err = errors.Join(err, fmt.Errorf("roll back: %w", rbErr))
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
			err = ctx.Err() // database/sql has rolled back by itself, a moment earlier.
		}
		return fmt.Errorf("commit: %w", err)
	}
	committed = true
	return nil
}

// Lock makes transactions that lock the same key run one after the other; the
// lock is let go when tx ends. On SQLite every writing transaction holds the only
// writer already. Whoever needs several locks takes the user's before the
// conversation's.
func (s *Store) Lock(ctx context.Context, tx *ent.Tx, key string) error {
	if s.dialect != dialect.Postgres {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	return nil
}

// Now returns the database's clock, which all replicas share. Clock knows it without asking.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	if s.dialect != dialect.Postgres {
		return s.Clock(), nil
	}
	var now time.Time
	if err := s.read.QueryRowContext(ctx, "SELECT now()").Scan(&now); err != nil {
		return time.Time{}, fmt.Errorf("read clock: %w", err)
	}
	return now.UTC(), nil
}

// NowTx is Now for use within a transaction. It takes no second connection: as
// many transactions as the pool has connections would wait for one for ever.
func (s *Store) NowTx(ctx context.Context, tx *ent.Tx) (now time.Time, err error) {
	if s.dialect != dialect.Postgres {
		return s.Now(ctx)
	}
	// Not now(), which stands still at the transaction's start.
	rows, err := tx.QueryContext(ctx, "SELECT clock_timestamp()")
	if err != nil {
		return time.Time{}, fmt.Errorf("read clock: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if rows.Next() {
		err = rows.Scan(&now)
	}
	if err = errors.Join(err, rows.Err()); err != nil {
		return time.Time{}, fmt.Errorf("read clock: %w", err)
	}
	return now.UTC(), nil
}

// sqliteName is the file SQLite keeps in the data folder.
const sqliteName = "parley.db"

// SQLitePath is where the database of a data folder lies.
func SQLitePath(dataDir string) string { return filepath.Join(dataDir, sqliteName) }

func sqliteDSN(path, foreignKeys string) string {
	// Times as integers: the driver's default stores text that neither sorts nor
	// reads back. BEGIN IMMEDIATE: a transaction that reads first and writes later
	// would fail under contention instead of waiting.
	return "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_fk=" + foreignKeys + "&_journal_mode=WAL&_sync=FULL&_busy_timeout=5000&_txlock=immediate" +
		"&_time_integer_format=unix_micro&_inttotime=1"
}

func openSQLite(ctx context.Context, cfg Config, t *timer) (*Store, error) {
	path, err := makeSQLiteFile(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	connector, err := sqlite.NewConnector(sqliteDSN(path, "1"))
	if err != nil {
		return nil, err
	}
	write := sql.OpenDB(preparing{connector, t, path})
	write.SetMaxOpenConns(1)
	write.SetConnMaxIdleTime(0)
	read := sql.OpenDB(preparing{connector, t, path})
	readers := cfg.MaxConns
	if readers == 0 {
		readers = 8
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	s := &Store{write: write, read: read, dialect: dialect.SQLite, clock: &clock{own: cfg.ownClock()},
		turns: newTurns(1, 0), prompts: newTurns(max(readers/2, 1), 0), pool: new(waits), timer: t}
	s.turns.took = t.meters.Turns
	for _, db := range []*sql.DB{write, read} {
		if err := checkPragmas(ctx, db); err != nil {
			_ = s.Close() // The first error is the one that helps.
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return s, nil
}

// makeSQLiteFile makes the data folder and an empty database in it where they are
// missing. The file is made here so that it is never readable by others, not even
// for the moment between SQLite's creation of it and a chmod.
func makeSQLiteFile(dataDir string) (string, error) {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return "", err
	}
	path := SQLitePath(dataDir)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	return path, f.Close()
}

// checkPragmas reads back the settings that durability and integrity rest on: a
// misspelt one is ignored by SQLite without a word.
func checkPragmas(ctx context.Context, db *sql.DB) error {
	for _, want := range []struct{ name, value string }{
		{"journal_mode", "wal"}, {"synchronous", "2"}, {"foreign_keys", "1"}, {"busy_timeout", "5000"},
	} {
		var got string
		if err := db.QueryRowContext(ctx, "PRAGMA "+want.name).Scan(&got); err != nil {
			return fmt.Errorf("read pragma %s: %w", want.name, err)
		}
		if got != want.value {
			return fmt.Errorf("pragma %s is %s, want %s", want.name, got, want.value)
		}
	}
	return nil
}
