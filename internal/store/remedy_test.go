package store_test

import (
	"context"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"parley/ent"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// result is an error of SQLite, which has no constructor for them.
type result int

func (r result) Error() string { return fmt.Sprintf("SQLite says %d", int(r)) }
func (r result) Code() int     { return int(r) }

// TestRemedies goes through what the drivers, database/sql and the network can give: does
// waiting help at the start, and may a caller try again?
func TestRemedies(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	type answers struct{ outage, unavailable bool }
	for want, errs := range map[answers][]error{
		{outage: true, unavailable: true}: {
			refused,
			fmt.Errorf("migrate: %w", refused),
			errors.Join(errors.New("beside"), refused),
			&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)},
			&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
			&net.OpError{Op: "write", Err: net.ErrClosed},
			&net.OpError{Op: "remote error", Err: errors.New("tls: internal error")},
			&net.DNSError{Err: "no such host", Name: "db", IsNotFound: true},
			os.NewSyscallError("write", syscall.EPIPE), syscall.ETIMEDOUT, os.ErrDeadlineExceeded,
			io.EOF, io.ErrUnexpectedEOF, driver.ErrBadConn, context.DeadlineExceeded,
			fmt.Errorf("rows: %w", io.ErrUnexpectedEOF),
			// A statement that failed, on a connection that could not be rolled back either.
			errors.Join(&pq.Error{Code: "23505"}, fmt.Errorf("roll back: %w", driver.ErrBadConn)),
			&store.OutageError{Err: errors.New("gone")},
			&store.OutageError{Err: &pq.Error{Code: "28P01"}},
			errors.New("pq: could not connect to any of the hosts:\nconnecting to a:1: session is read-only"),
			errors.New("connecting to a:1: server is in hot standby mode\nconnecting to b:1: other"),
			&pq.Error{Code: "08000"}, &pq.Error{Code: "08006"}, &pq.Error{Code: "08P01"}, &pq.Error{Code: "25006"},
			&pq.Error{Code: "53000"}, &pq.Error{Code: "53100"}, &pq.Error{Code: "53300"},
			&pq.Error{Code: "57P01"}, &pq.Error{Code: "57P02"}, &pq.Error{Code: "57P03"}, &pq.Error{Code: "57P05"},
		},
		{outage: false, unavailable: true}: {
			sql.ErrConnDone, errors.New("sql: database is closed"),
			fmt.Errorf("begin: %w", errors.New("ent: starting a transaction: sql: database is closed")),
			&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)},
			&pq.Error{Code: "08P01", Message: "unsupported startup parameter: lock_timeout"},
			&pq.Error{Code: "40001"}, &pq.Error{Code: "40P01"}, &pq.Error{Code: "55P03"},
			&pq.Error{Code: "57000"}, &pq.Error{Code: "57014"}, &pq.Error{Code: "58000"}, &pq.Error{Code: "58030"},
			result(5), result(5 | 2<<8),
		},
		{}: {
			nil, errors.New("anything"), context.Canceled, store.ErrDatabaseURL, store.ErrInUse, sql.ErrNoRows,
			sql.ErrTxDone, &ent.NotFoundError{},
			&pq.Error{Code: "22021"}, &pq.Error{Code: "23505"}, &pq.Error{Code: "25P02"}, &pq.Error{Code: "28000"},
			&pq.Error{Code: "28P01"}, &pq.Error{Code: "3D000"}, &pq.Error{Code: "42501"}, &pq.Error{Code: "42601"},
			&pq.Error{Code: "42P01"}, &pq.Error{Code: "55006"}, &pq.Error{Code: "XX000"}, &pq.Error{Code: "XX001"},
			pq.ErrSSLNotSupported, x509.UnknownAuthorityError{},
			&os.PathError{Op: "open", Path: "documents.json", Err: syscall.ENOENT},
			&os.PathError{Op: "open", Path: "parley.db", Err: syscall.EACCES},
			result(1), result(19 | 8<<8),
		},
	} {
		for _, err := range errs {
			if got := (answers{store.IsOutage(err), store.IsUnavailable(err)}); got != want {
				t.Errorf("%v (%T): got %+v, want %+v", err, err, got, want)
			}
		}
	}
}

// No class of Postgres is forgotten: one that is not in the table is a fault by intention.
func TestEveryClassOfPostgres(t *testing.T) {
	t.Parallel()
	passing := []string{"08", "25", "26", "40", "42", "53", "55", "57", "58"}
	classes := 0
	for a := range 36 {
		for b := range 36 {
			const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			class := string([]byte{digits[a], digits[b]})
			if pqerror.Class(class).Name() == "" {
				continue
			}
			classes++
			some := false
			for c := range 36 * 36 * 36 {
				code := class + string([]byte{digits[c/36/36], digits[c/36%36], digits[c%36]})
				refused := &pq.Error{Code: pqerror.Code(code)}
				some = some || refused.Code.Name() != "" && store.IsUnavailable(refused)
			}
			if want := strings.Contains(strings.Join(passing, " "), class); some != want {
				t.Errorf("class %s (%s): passes %t, want %t", class, pqerror.Class(class).Name(), some, want)
			}
		}
	}
	if classes < 30 {
		t.Errorf("got %d classes, want those of Postgres", classes)
	}
}

// No result of SQLite is forgotten: each is in the table, or is left out by intention.
func TestEveryResultOfSQLite(t *testing.T) {
	t.Parallel()
	passes := map[int]bool{
		sqlite3.SQLITE_ERROR:      false, // What is asked is wrong.
		sqlite3.SQLITE_INTERNAL:   false, // A fault of SQLite.
		sqlite3.SQLITE_PERM:       false, // A person has to grant it.
		sqlite3.SQLITE_ABORT:      false, // A rollback beneath open rows: our fault.
		sqlite3.SQLITE_BUSY:       true,
		sqlite3.SQLITE_LOCKED:     true,
		sqlite3.SQLITE_NOMEM:      true,
		sqlite3.SQLITE_READONLY:   false, // It stays so until a person mends the disk or its rights.
		sqlite3.SQLITE_INTERRUPT:  true,
		sqlite3.SQLITE_IOERR:      true,
		sqlite3.SQLITE_CORRUPT:    false, // The backup is needed.
		sqlite3.SQLITE_NOTFOUND:   false,
		sqlite3.SQLITE_FULL:       true,
		sqlite3.SQLITE_CANTOPEN:   true,
		sqlite3.SQLITE_PROTOCOL:   true,
		sqlite3.SQLITE_EMPTY:      false, // Not used.
		sqlite3.SQLITE_SCHEMA:     false, // SQLite prepares anew by itself; what comes through is a fault.
		sqlite3.SQLITE_TOOBIG:     false,
		sqlite3.SQLITE_CONSTRAINT: false,
		sqlite3.SQLITE_MISMATCH:   false,
		sqlite3.SQLITE_MISUSE:     false,
		sqlite3.SQLITE_NOLFS:      false,
		sqlite3.SQLITE_AUTH:       false,
		sqlite3.SQLITE_FORMAT:     false,
		sqlite3.SQLITE_RANGE:      false,
		sqlite3.SQLITE_NOTADB:     false, // The backup is needed.
		sqlite3.SQLITE_NOTICE:     false, // No error.
		sqlite3.SQLITE_WARNING:    false,
		sqlite3.SQLITE_ROW:        false,
		sqlite3.SQLITE_DONE:       false,
	}
	for code := range 256 {
		want, known := passes[code]
		if named := sqlite.ErrorCodeString[code] != ""; named && !known && code != sqlite3.SQLITE_OK {
			t.Errorf("%s is new: decide whether it passes", sqlite.ErrorCodeString[code])
		}
		for extended := range 40 { // What the extended codes add is more about the same.
			err := fmt.Errorf("a statement: %w", result(code|extended<<8))
			if store.IsUnavailable(err) != want || store.IsOutage(err) {
				t.Errorf("%v: unavailable %t, want %t, and no outage", err, store.IsUnavailable(err), want)
			}
		}
	}
}

// What SQLite really says when somebody else holds the writer, when a row is there
// already, and when the database is closed.
func TestRemediesOfRealErrors(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	open := func() *sql.DB {
		db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_busy_timeout=0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	one, other := open(), open()
	if _, err := one.ExecContext(t.Context(), "CREATE TABLE a (b INTEGER PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	tx, err := one.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.BeginTx(t.Context(), nil); !store.IsUnavailable(err) || store.IsOutage(err) {
		t.Errorf("got %v for a second writer, want it to be unavailable, and no outage", err)
	}
	if _, err := tx.ExecContext(t.Context(), "INSERT INTO a VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "INSERT INTO a VALUES (1)"); err == nil || store.IsUnavailable(err) {
		t.Errorf("got %v for a row twice, want a fault", err)
	}
	if err := errors.Join(tx.Rollback(), one.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := one.ExecContext(t.Context(), "SELECT 1"); !store.IsUnavailable(err) || store.IsOutage(err) {
		t.Errorf("got %v of a closed pool, want it to be unavailable, and no outage", err)
	}
	s := storetest.SQLite(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.InTx(t.Context(), func(*ent.Tx) error { return nil }); !store.IsUnavailable(err) {
		t.Errorf("got %v of a closed store, want it to be unavailable", err)
	}
}
