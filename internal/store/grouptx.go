package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// beginQuery begins a transaction that writes, like the driver's own BEGIN: see sqliteDSN.
const beginQuery = "BEGIN IMMEDIATE"

const rollbackQuery = "ROLLBACK"

// groupTx is the transaction of a group. It is no sql.Tx, which has a goroutine that waits for
// the end of its context, and one more for each of its queries: each of them wakes a thread
// that finds nothing to do, and costs as much as the statement beside it. Nor are its BEGIN and
// COMMIT parsed anew each time. It is used by one goroutine at a time, and ended once.
type groupTx struct{ *sql.Conn }

// beginGroup begins a transaction on the writer's connection. ctx does not end before it.
func (s *Store) beginGroup(ctx context.Context) (groupTx, error) {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return groupTx{}, err
	}
	tx := groupTx{conn}
	returned := false
	defer func() {
		if !returned {
			tx.drop()
		}
	}()
	_, err = conn.ExecContext(ctx, beginQuery)
	if returned = true; err != nil {
		return groupTx{}, errors.Join(err, conn.Close())
	}
	return tx, nil
}

// drop ends the connection, also when the driver has panicked: the next group gets another one.
func (t groupTx) drop() {
	_ = t.Raw(func(any) error { return driver.ErrBadConn }) // That is what it returns.
	_ = t.Conn.Close()                                      // It is closed then.
}

// commit stores what was written, or nothing of it.
func (t groupTx) commit(ctx context.Context) error {
	returned := false
	defer func() {
		if !returned {
			t.drop()
		}
	}()
	_, err := t.ExecContext(ctx, CommitQuery)
	if returned = true; err != nil {
		_ = t.rollback(ctx) // The error of the commit is the one that helps.
		return err
	}
	_ = t.Conn.Close() // It is stored, whatever becomes of the connection.
	return nil
}

// rollback takes back what was written. A connection that cannot is not used again, since it
// would take everything that follows for a part of this transaction.
func (t groupTx) rollback(ctx context.Context) error {
	_, err := t.ExecContext(ctx, rollbackQuery)
	if err != nil && !isOver(err) {
		_ = t.Raw(func(any) error { return driver.ErrBadConn }) // Ends the connection, which is what it returns.
	}
	return errors.Join(err, t.Conn.Close())
}

// isOver reports whether a ROLLBACK found that SQLite has rolled back by itself, as it does
// when the disk is full.
func isOver(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == sqlite3.SQLITE_ERROR
}
