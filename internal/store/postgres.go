package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"github.com/lib/pq"
)

// The limits of one statement on Postgres. SQLite needs none: its single writer
// waits in this process, under the caller's context.
const (
	statementTimeout = 5 * time.Second
	lockTimeout      = 2 * time.Second
	idleInTxTimeout  = 10 * time.Second
)

func openPostgres(ctx context.Context, cfg Config, log *slog.Logger) (*Store, error) {
	settings, err := postgresSettings(cfg.DatabaseURL, statementTimeout, lockTimeout)
	if err != nil {
		return nil, err
	}
	c := &clock{own: cfg.ownClock()}
	w := newWatch(ctx, settings, cmp.Or(cfg.Patience, watchLimit), c, log)
	t := newTimer(cfg.SlowAfter, log)
	db := sql.OpenDB(preparing{
		Connector: &connector{settings: settings, silence: silenceOf(settings), epoch: w.current, heard: w.hear},
		timer:     t})
	conns := cfg.MaxConns
	if conns == 0 {
		conns = 20
	}
	db.SetMaxOpenConns(conns)
	// What a burst has opened stays for a while: a new connection costs the server a process
	// and both sides a handshake, and the statements that it had prepared.
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(time.Minute)
	db.SetConnMaxLifetime(30 * time.Minute)
	if err := w.start(ctx, db); err != nil {
		_ = db.Close() // Never used.
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	s := &Store{
		write: db, read: db, dialect: dialect.Postgres, watch: w, clock: c,
		turns:   newTurns(max(conns-reservedConns, 1), urgentConns),
		prompts: newTurns(max(conns/4, 1), 0), pool: new(waits), timer: t,
	}
	s.turns.took = t.meters.Turns
	return s, nil
}

// reservedConns is how many connections of the pool are left to reads and to what is
// urgent, however many transactions want to write, and urgentConns how many of these what
// is urgent may take: a read that waits for it is one that a viewer waits for.
const (
	reservedConns = 6
	urgentConns   = 3
)

// ErrDatabaseURL is returned by Open for a database URL it cannot use. It does not
// repeat the URL, which may hold a password.
var ErrDatabaseURL = errors.New("the database URL must have the form postgres://user:password@host:port/database")

// postgresSettings reads the operator's URL. Its errors name the parameter that is wrong,
// and not its value, which may be a piece of a password.
func postgresSettings(raw string, statement, lock time.Duration) (pq.Config, error) {
	dsn, err := postgresDSN(raw, statement, lock)
	if err != nil {
		return pq.Config{}, err
	}
	settings, err := pq.NewConfig(dsn)
	if err == nil {
		return settings, nil
	}
	u, _ := url.Parse(raw) // postgresDSN has done so.
	for name := range u.Query() {
		if strings.Contains(err.Error(), strconv.Quote(name)) {
			return pq.Config{}, fmt.Errorf("the database URL has a value of %s that the driver does not know", name)
		}
	}
	if _, rest, ok := strings.Cut(err.Error(), "$"); ok {
		name, _, _ := strings.Cut(rest, " ")
		return pq.Config{}, fmt.Errorf("the environment variable %s, which the Postgres driver reads, has a wrong value",
			strings.TrimSuffix(name, ":"))
	}
	return pq.Config{}, ErrDatabaseURL
}

// postgresDSN adds our settings to the operator's URL; what the URL says stands.
func postgresDSN(raw string, statement, lock time.Duration) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.Opaque != "" {
		return "", ErrDatabaseURL
	}
	if BeyondHost(raw) {
		return "", ErrDatabaseURL
	}
	q := u.Query()
	for name, value := range map[string]string{
		// Without it every parameterised query costs a second round trip.
		"binary_parameters":                   "yes",
		"connect_timeout":                     "5",
		"application_name":                    "parley",
		"timezone":                            "UTC",
		"statement_timeout":                   milliseconds(statement),
		"lock_timeout":                        milliseconds(lock),
		"idle_in_transaction_session_timeout": milliseconds(idleInTxTimeout),
	} {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// beyondStatement is how much longer than a statement may take its answer may: a
// server that is alive says by then that the time is over.
const beyondStatement = 2 * time.Second

// silenceOf is how long a server may say nothing while it owes an answer, from its
// own limit of a statement. Zero: for ever, when that has no limit.
func silenceOf(settings pq.Config) time.Duration {
	text := settings.Runtime["statement_timeout"]
	if ms, err := strconv.ParseInt(text, 10, 32); err == nil {
		text = fmt.Sprintf("%dms", ms)
	}
	// Postgres writes minutes as min.
	limit, err := time.ParseDuration(strings.Replace(text, "min", "m", 1))
	if err != nil || limit <= 0 {
		return 0
	}
	return limit + beyondStatement
}

// BeyondHost reports whether a URL has an @ behind its host. There a password has a /, ? or
// # that is not percent-encoded, and what follows it is taken for a host, a database or a
// parameter, all of which are shown.
func BeyondHost(raw string) bool {
	_, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return strings.Contains(raw, "@")
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return strings.Contains(rest[i:], "@")
	}
	return false
}
