package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// OutageError says that the database is known not to answer, and why. It is a
// net.Error, like those of a connection that breaks.
type OutageError struct{ Err error }

// Error implements error.
func (e *OutageError) Error() string { return "the database does not answer: " + e.Err.Error() }

// Unwrap returns what showed it.
func (e *OutageError) Unwrap() error { return e.Err }

// Timeout implements net.Error.
func (e *OutageError) Timeout() bool { return true }

// Temporary implements net.Error.
func (e *OutageError) Temporary() bool { return true }

// errReadOnly is an outage too: a failover is under way, or the address is that of a
// standby.
var errReadOnly = errors.New("the database is read-only: it is a standby, or default_transaction_read_only is on")

const tooManyConnections = pqerror.Code("53300")

// IsOutage reports whether an error of Open or Migrate may pass without anybody
// changing the configuration: the database is not reachable, starting, shutting
// down, full, or a standby that may be promoted. A wrong password, a missing database
// and a migration that fails are none.
func IsOutage(err error) bool {
	if err == nil || errors.Is(err, fs.ErrPermission) {
		return false
	}
	if errors.Is(err, errReadOnly) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	var refused *pq.Error
	if errors.As(err, &refused) {
		// Connection exceptions, too few resources, and 57P01 to 57P05: shutting down,
		// crashed, starting. 57014 is a statement that took too long: of a migration.
		code := string(refused.Code)
		if code == "08P01" && strings.HasPrefix(refused.Message, "unsupported startup parameter") {
			return false // pgbouncer's, whose configuration has to name it.
		}
		return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "53") || strings.HasPrefix(code, "57P") ||
			code == "25006"
	}
	// Not net.Error, which every error number of the system is, a missing file's too.
	var network *net.OpError
	var name *net.DNSError
	var known *OutageError
	if errors.As(err, &network) || errors.As(err, &name) || errors.As(err, &known) {
		return true
	}
	// What lib/pq says of the hosts of target_session_attrs, without a type.
	return slices.ContainsFunc([]string{"session is read-only", "server is in hot standby mode"},
		func(text string) bool {
			return strings.Contains(err.Error(), text)
		})
}
