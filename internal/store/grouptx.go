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
	if err := tx.run(ctx, beginQuery); err != nil {
		return groupTx{}, errors.Join(err, conn.Close())
	}
	return tx, nil
}

// run executes what begins or ends the transaction. When the driver panics in it, nobody knows
// what the connection is in: the next group gets another one.
func (t groupTx) run(ctx context.Context, query string) error {
	returned := false
	defer func() {
		if !returned {
			t.drop()
		}
	}()
	_, err := t.ExecContext(ctx, query)
	returned = true
	return err
}

// drop ends the connection.
func (t groupTx) drop() {
	_ = t.Raw(func(any) error { return driver.ErrBadConn }) // That is what it returns.
	_ = t.Conn.Close()                                      // It is closed then.
}

// commit stores what was written, or nothing of it.
func (t groupTx) commit(ctx context.Context) error {
	if err := t.run(ctx, CommitQuery); err != nil {
		_ = t.rollback(ctx) // The error of the commit is the one that helps.
		return err
	}
	_ = t.Conn.Close() // It is stored, whatever becomes of the connection.
	return nil
}

// rollback takes back what was written. A connection that cannot is not used again, since it
// would take everything that follows for a part of this transaction.
func (t groupTx) rollback(ctx context.Context) error {
	err := t.run(ctx, rollbackQuery)
	if err != nil && !isOver(err) {
		t.drop()
		return err
	}
	return errors.Join(err, t.Conn.Close())
}

// isOver reports whether a ROLLBACK found that SQLite has rolled back by itself, as it does
// when the disk is full.
func isOver(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == sqlite3.SQLITE_ERROR
}
