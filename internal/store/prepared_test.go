package store_test

import (
	"context"
	"database/sql"
	"testing"

	"parley/internal/store"
	"parley/internal/store/storetest"
)

// oneConnection returns a connection of the pool, which the test gives back.
func oneConnection(t *testing.T, s *store.Store) *sql.Conn {
	t.Helper()
	db, _ := s.Pools()
	conn, err := db.Conn(deadline(t, t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// preparedOn counts what the session of a connection has prepared of the statement of add.
func preparedOn(t *testing.T, conn *sql.Conn) (n int) {
	t.Helper()
	const query = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT n +%'"
	if err := conn.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// add asks for a statement with an argument, so often.
func add(ctx context.Context, conn *sql.Conn, times int) (err error) {
	for range times {
		var n int
		if err = conn.QueryRowContext(ctx, "SELECT n + $1 FROM one", 1).Scan(&n); err != nil {
			return err
		}
	}
	return nil
}

func TestPreparedOnPostgres(t *testing.T) {
	t.Parallel()
	s := openStore(t, storetest.PostgresConfig(t))
	db, _ := s.Pools()
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE one AS SELECT 1 AS n"); err != nil {
		t.Fatal(err)
	}
	conn := oneConnection(t, s)
	for _, step := range []struct{ times, want int }{{2, 0}, {1, 1}, {5, 1}} {
		if err := add(t.Context(), conn, step.times); err != nil {
			t.Fatal(err)
		}
		if n := preparedOn(t, conn); n != step.want {
			t.Errorf("%d statements are prepared, want %d", n, step.want)
		}
	}
	for name, spoil := range map[string]string{
		"the session loses it":       "DEALLOCATE ALL",
		"the table changes under it": "ALTER TABLE one ALTER COLUMN n TYPE bigint",
	} {
		if err := add(t.Context(), conn, 3); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), spoil); err != nil {
			t.Fatal(err)
		}
		if err := add(t.Context(), conn, 1); !store.IsUnavailable(err) || store.IsOutage(err) {
			t.Errorf("%s: got %v, want an error that passes with the connection", name, err)
		}
		_ = conn.Close() // The pool asks whether it is of use still.
		conn = oneConnection(t, s)
		if err := add(t.Context(), conn, 3); err != nil {
			t.Errorf("%s: got %v on the next connection", name, err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// Behind a pooler each transaction may have another session.
func TestNothingIsPreparedBehindAPooler(t *testing.T) {
	t.Parallel()
	s, _ := unstable(t)
	db, _ := s.Pools()
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE one AS SELECT 1 AS n"); err != nil {
		t.Fatal(err)
	}
	conn := oneConnection(t, s)
	if err := add(t.Context(), conn, 10); err != nil {
		t.Fatal(err)
	}
	if n := preparedOn(t, conn); n != 0 {
		t.Errorf("%d statements are prepared, want none", n)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// A burst does not open the connections of the pool again and again.
func TestConnectionsStay(t *testing.T) {
	t.Parallel()
	s := openStore(t, storetest.PostgresConfig(t))
	db, _ := s.Pools()
	for range 3 {
		var conns []*sql.Conn
		for range 10 {
			conns = append(conns, oneConnection(t, s))
		}
		for _, c := range conns {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if stats := db.Stats(); stats.MaxIdleClosed > 0 || stats.OpenConnections < 10 {
		t.Errorf("%d connections are open and %d were closed for being idle, want at least 10 and none",
			stats.OpenConnections, stats.MaxIdleClosed)
	}
}
