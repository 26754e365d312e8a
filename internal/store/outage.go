package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"parley/internal/chat"
)

// OutageError says that the database is known not to answer, and why.
type OutageError struct{ Err error }

// Error implements error.
func (e *OutageError) Error() string { return "the database does not answer: " + e.Err.Error() }

// Unwrap returns what showed it.
func (e *OutageError) Unwrap() error { return e.Err }

// IsOutage reports whether an error of Open or Migrate may pass without anybody
// changing the configuration: the database is not reachable, starting, shutting
// down, full, or a standby that may be promoted. A wrong password, a missing database
// and a migration that fails are none.
func IsOutage(err error) bool { return remedyOf(err) == wait }

// IsUnavailable reports whether an error of a request says that the database cannot
// answer now: whoever asked may try again. Every outage is one. Beyond that it holds
// for what passes with the requests beside it, or for which another replica may be
// asked: a deadlock, a lock that was not had in time, a full disk of SQLite, a pool
// that is being closed. At the start none of these passes by waiting: a migration meets
// them, or the machine has to be looked at.
func IsUnavailable(err error) bool { return remedyOf(err) >= again }

// IsUnavailable implements reply.Store: see the function of this name.
func (s *Store) IsUnavailable(err error) bool { return IsUnavailable(err) }

// remedy is what helps against an error.
type remedy uint8

const (
	// none: a person has to change something, or the error is not the database's.
	none remedy = iota
	// again: the same request, somewhat later or elsewhere.
	again
	// wait: the database comes back by itself.
	wait
)

// errReadOnly is an outage too: a failover is under way, or the address is that of a
// standby.
var errReadOnly = errors.New("the database is read-only: it is a standby, or default_transaction_read_only is on")

// The codes that are more to us than a remedy.
const (
	tooManyConnections = pqerror.Code("53300")
	// A prepared statement is not in the session, or is there already.
	noSuchStatement  = pqerror.Code("26000")
	statementIsThere = pqerror.Code("42P05")
)

// The tables of remedies. What is in none of them stays.
var (
	// values are of package context, database/sql, the network and ourselves.
	values = []struct {
		err error
		remedy
	}{
		{errReadOnly, wait},
		{driver.ErrBadConn, wait},
		{context.DeadlineExceeded, wait}, // The database took too long.
		{os.ErrDeadlineExceeded, wait},
		{io.EOF, wait}, // The connection ended in the middle of an answer.
		{io.ErrUnexpectedEOF, wait},
		{net.ErrClosed, wait},
		{syscall.ECONNREFUSED, wait}, // Of the error numbers only those of connections.
		{syscall.ECONNRESET, wait},
		{syscall.ECONNABORTED, wait},
		{syscall.EPIPE, wait},
		{syscall.ETIMEDOUT, wait},
		{syscall.EHOSTUNREACH, wait},
		{syscall.ENETUNREACH, wait},
		{syscall.ENETDOWN, wait},
		{chat.ErrBusy, again},
		{sql.ErrConnDone, again}, // Only we close pools and connections.
	}
	// texts end, or are, messages of errors that have no type of their own.
	texts = []struct {
		text string
		remedy
	}{
		{"sql: database is closed", again}, // As sql.ErrConnDone; database/sql keeps it to itself.
		// What lib/pq says of the hosts of target_session_attrs.
		{"session is read-only", wait},
		{"server is in hot standby mode", wait},
	}
	// states are the classes and codes of Postgres; the first that fits counts.
	states = []struct {
		prefix string
		remedy
	}{
		{"08", wait},    // The connection breaks.
		{"25006", wait}, // A write to a server that has become a standby.
		{string(noSuchStatement), again},
		{"40", again}, // Deadlocks, and transactions that cannot be put in a row.
		{string(statementIsThere), again},
		{"53", wait},     // Too few resources, too many connections.
		{"55P03", again}, // A lock that was not had in time.
		{"57P", wait},    // Shutting down, crashed, starting.
		{"57", again},    // A statement that took too long, or that somebody broke off.
		{"58", again},    // The server's disk and files.
	}
	// results are the primary result codes of SQLite.
	results = map[int]remedy{
		5:  again, // BUSY
		6:  again, // LOCKED
		7:  again, // NOMEM
		9:  again, // INTERRUPT: somebody broke the statement off.
		10: again, // IOERR
		13: again, // FULL
		14: again, // CANTOPEN: no file descriptor, mostly.
		15: again, // PROTOCOL: the locks of the log could not be had in time.
	}
)

// remedyOf classifies an error. It is the only place that knows the errors of both
// databases, their drivers and the network between.
func remedyOf(err error) remedy {
	if err == nil {
		return none
	}
	if _, ok := errors.AsType[*OutageError](err); ok {
		return wait // Whatever showed it: this database has answered before.
	}
	for _, v := range values {
		if errors.Is(err, v.err) {
			return v.remedy
		}
	}
	if refused, ok := errors.AsType[*pq.Error](err); ok {
		return remedyOfState(refused)
	}
	var result interface {
		error
		Code() int
	}
	if errors.As(err, &result) {
		return results[result.Code()&0xff]
	}
	// Not net.Error, which every error number of the system is, a missing file's too.
	_, network := errors.AsType[*net.OpError](err)
	_, name := errors.AsType[*net.DNSError](err)
	switch {
	case (network || name) && errors.Is(err, fs.ErrPermission):
		return again // A rule of the system forbids the connection: waiting does not lift it.
	case network || name:
		return wait
	}
	for _, t := range texts {
		if strings.Contains(err.Error(), t.text) {
			return t.remedy
		}
	}
	return none
}

// isLostStatement reports whether a prepared statement has to be made anew, on another
// connection.
func isLostStatement(err error) bool {
	refused, ok := errors.AsType[*pq.Error](err)
	return ok && (refused.Code == noSuchStatement || refused.Code == statementIsThere || isStalePlan(refused))
}

// isStalePlan reports whether a table has changed under a prepared statement, by the
// migration of a newer version. The code alone says only that something is not supported.
func isStalePlan(refused *pq.Error) bool {
	return refused.Code == "0A000" && refused.Routine == "RevalidateCachedQuery"
}

func remedyOfState(refused *pq.Error) remedy {
	code := string(refused.Code)
	if isStalePlan(refused) {
		return again
	}
	if code == "08P01" && strings.HasPrefix(refused.Message, "unsupported startup parameter") {
		return again // pgbouncer's, whose configuration has to name it.
	}
	for _, s := range states {
		if strings.HasPrefix(code, s.prefix) {
			return s.remedy
		}
	}
	return none
}
