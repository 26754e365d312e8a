package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"parley/internal/complaint"
	"parley/internal/tally"
)

// Meters count what a Store does. They are safe for concurrent use.
type Meters struct {
	// Statements is how long they took, by kind. Waiting for a turn or a connection is not in it.
	Statements *tally.Set[tally.Histogram]
	// Errors counts those that failed, by what helps.
	Errors *tally.Counters
	// Turns is how long writers waited for their turn, by class.
	Turns *tally.Set[tally.Histogram]
}

func newMeters() *Meters {
	return &Meters{
		Statements: tally.NewSet(tally.NewQuick, kindQuery, kindExec, kindBegin, kindCommit),
		Errors:     tally.NewCounters(errorOutage, errorAgain, errorGivenUp),
		Turns:      tally.NewSet(tally.NewQuick, classNames[:]...),
	}
}

// The kinds of statements.
const (
	kindQuery  = "query"
	kindExec   = "exec"
	kindBegin  = "begin"
	kindCommit = "commit"
)

// The kinds of errors beside tally.Other.
const (
	errorOutage  = "outage"
	errorAgain   = "try_again"
	errorGivenUp = "given_up"
)

// classNames are what the classes of writes are called outside.
var classNames = [classes]string{urgent: "urgent", background: "checkpoint", ordinary: "ordinary"}

// timer takes the time of everything that a pool asks the database for. It is safe for
// concurrent use.
type timer struct {
	meters *Meters
	log    *slog.Logger
	// slow is from which duration on a statement is said in the log; 0: none is.
	slow    time.Duration
	refrain *complaint.Refrain
}

// slowAgain is how often the log says that one statement is slow.
const slowAgain = time.Second

func newTimer(slow time.Duration, log *slog.Logger) *timer {
	return &timer{meters: newMeters(), log: log, slow: slow, refrain: complaint.NewRefrain(slowAgain)}
}

// took notes a statement that has ended.
func (t *timer) took(ctx context.Context, kind, query string, began time.Time, err error) {
	passed := time.Since(began)
	t.meters.Statements.Of(kind).Took(passed)
	if err != nil && !errors.Is(err, driver.ErrSkip) {
		t.meters.Errors.Of(errorKind(ctx, err)).Inc()
	}
	if t.slow > 0 && passed >= t.slow {
		t.refrain.Say(ctx, t.log, shape(query), "slow statement", "took", passed)
	}
}

func errorKind(ctx context.Context, err error) string {
	switch {
	case ctx.Err() != nil:
		return errorGivenUp
	case remedyOf(err) == wait:
		return errorOutage
	case remedyOf(err) == again:
		return errorAgain
	}
	return tally.Other
}

// maxShape bounds what the log has of a statement.
const maxShape = 500

// sameAgain matches lists of parameters, which are as long as what somebody asked for.
var sameAgain = regexp.MustCompile(`(\$\d+|\?)(, ?(\$\d+|\?))+|\((\?|\$\d+)\)(, ?\((\?|\$\d+)\))+`)

// quoted matches values that stand in a statement. Ours have none but words of our own; what
// the log says must not rest on that.
var quoted = regexp.MustCompile(`'(?:[^']|'')*'`)

// shape is a statement without values, and the same for lists of any length.
func shape(query string) string {
	s := sameAgain.ReplaceAllString(quoted.ReplaceAllString(query, "'…'"), "$1, …")
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxShape {
		s = strings.ToValidUTF8(s[:maxShape], "") + "…"
	}
	return s
}

// timedConn is a connection of which everything is timed.
type timedConn struct {
	preparable
	timer *timer
}

// timedPostgres is a timedConn of lib/pq, which has arguments of its own.
type timedPostgres struct {
	timedConn
	driver.NamedValueChecker
}

// timed puts the clock around a connection.
func (t *timer) timed(c driver.Conn) driver.Conn {
	inner, ok := c.(preparable)
	if !ok {
		return c
	}
	timed := timedConn{preparable: inner, timer: t}
	if checker, ok := c.(driver.NamedValueChecker); ok {
		return &timedPostgres{timed, checker}
	}
	return &timed
}

// QueryContext implements driver.QueryerContext. Its time is that to the first row.
func (c *timedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	began := time.Now()
	rows, err := c.preparable.QueryContext(ctx, query, args)
	c.timer.took(ctx, kindQuery, query, began, err)
	return rows, err
}

// ExecContext implements driver.ExecerContext.
func (c *timedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	began := time.Now()
	result, err := c.preparable.ExecContext(ctx, query, args)
	kind := kindExec
	switch query { // Of a group, whose transaction is none of the driver's.
	case beginQuery:
		kind = kindBegin
	case CommitQuery:
		kind = kindCommit
	}
	c.timer.took(ctx, kind, query, began, err)
	return result, err
}

// BeginTx implements driver.ConnBeginTx.
func (c *timedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	began := time.Now()
	tx, err := c.preparable.BeginTx(ctx, opts)
	c.timer.took(ctx, kindBegin, "BEGIN", began, err)
	if err != nil {
		return nil, err
	}
	return timedTx{tx, c.timer, ctx}, nil
}

// timedTx is a transaction whose commit is timed.
type timedTx struct {
	driver.Tx
	timer *timer
	ctx   context.Context
}

// Commit implements driver.Tx.
func (t timedTx) Commit() error {
	began := time.Now()
	err := t.Tx.Commit()
	t.timer.took(t.ctx, kindCommit, CommitQuery, began, err)
	return err
}

// Meters returns what the store counts.
func (s *Store) Meters() *Meters { return s.timer.meters }

// Pool is how a pool of connections is used.
type Pool struct {
	// Name is "main", or "writer" and "readers" on SQLite.
	Name string
	// Most is how many connections there may be, InUse and Idle how many of them there are.
	Most, InUse, Idle int
	// Waits is how often somebody had to wait for one, and Waited how long in all.
	Waits  int64
	Waited time.Duration
}

// Connections returns how the pools are used.
func (s *Store) Connections() []Pool {
	pool := func(name string, db *sql.DB) Pool {
		now := db.Stats()
		return Pool{Name: name, Most: now.MaxOpenConnections, InUse: now.InUse, Idle: now.Idle, Waits: now.WaitCount,
			Waited: now.WaitDuration}
	}
	if s.read == s.write {
		return []Pool{pool("main", s.read)}
	}
	return []Pool{pool("writer", s.write), pool("readers", s.read)}
}

// Waiting returns how many writers wait for their turn, by class.
func (s *Store) Waiting() map[string]int {
	s.turns.mu.Lock()
	defer s.turns.mu.Unlock()
	waiting := make(map[string]int, classes)
	for c, list := range s.turns.waiting {
		waiting[classNames[c]] = len(list)
	}
	return waiting
}
