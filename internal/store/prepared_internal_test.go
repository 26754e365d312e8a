package store

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"modernc.org/sqlite"
)

func openPrepared(t *testing.T) *sql.DB {
	t.Helper()
	connector, err := sqlite.NewConnector(sqliteDSN(filepath.Join(t.TempDir(), "a.db"), "1"))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(preparing{Connector: connector, path: "a.db"})
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// kept returns how many statements the only connection keeps.
func kept(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = conn.Raw(func(c any) error {
		p := c.(*preparedConn)
		n = len(p.kept)
		if n != p.order.Len() {
			t.Errorf("%d statements in the map, %d in the list", n, p.order.Len())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPreparedStatements(t *testing.T) {
	t.Parallel()
	db := openPrepared(t)
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE a (n integer UNIQUE)")
	for i := range 10 {
		exec("INSERT INTO a VALUES (?)", i)
	}
	if n := kept(t, db); n != 2 {
		t.Errorf("%d statements are kept, want 2", n)
	}
	// One that fails is kept, and works afterwards.
	if _, err := db.ExecContext(t.Context(), "INSERT INTO a VALUES (?)", 5); err == nil {
		t.Error("got no error for a number that is there")
	}
	exec("INSERT INTO a VALUES (?)", 10)
	// One that cannot be prepared is not.
	if _, err := db.ExecContext(t.Context(), "INSERT INTO b VALUES (1)"); err == nil {
		t.Error("got no error without a table")
	}
	if n := kept(t, db); n != 2 {
		t.Errorf("%d statements are kept, want 2", n)
	}
	// The schema may change under a kept statement.
	sum := func() (n int) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), "SELECT sum(n) FROM a").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := sum(); got != 55 {
		t.Errorf("got the sum %d, want 55", got)
	}
	exec("ALTER TABLE a ADD COLUMN m integer")
	exec("CREATE INDEX i ON a (m)")
	if got := sum(); got != 55 {
		t.Errorf("got the sum %d after a change of the schema, want 55", got)
	}
}

// The same query may be open twice on one connection: in a transaction, say.
func TestPreparedStatementInUse(t *testing.T) {
	t.Parallel()
	db := openPrepared(t)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	const query = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3) SELECT n FROM c"
	outer, err := tx.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	pairs := 0
	for outer.Next() {
		inner, err := tx.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		for inner.Next() {
			pairs++
		}
		if err := inner.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := outer.Close(); err != nil || pairs != 9 {
		t.Errorf("got %d pairs, %v, want 9", pairs, err)
	}
}

// Statements of lists of different lengths do not pile up.
func TestPreparedStatementsAreBounded(t *testing.T) {
	t.Parallel()
	db := openPrepared(t)
	for i := range 3 * maxPrepared {
		var n int
		query := fmt.Sprintf("SELECT %d + ?", i)
		if err := db.QueryRowContext(t.Context(), query, 1).Scan(&n); err != nil || n != i+1 {
			t.Fatalf("%s: got %d, %v", query, n, err)
		}
	}
	if n := kept(t, db); n != maxPrepared {
		t.Errorf("%d statements are kept, want %d", n, maxPrepared)
	}
}
