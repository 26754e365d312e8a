package store_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"parley/ent"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// patient opens a Postgres behind a network that can fail, where nothing but the watch
// ends a statement that gets no answer before a test gives up.
func patient(t *testing.T) (*store.Store, *storetest.Proxy) {
	t.Helper()
	proxy, cfg := storetest.NewProxy(t, storetest.PostgresConfig(t))
	cfg.MaxConns = 4
	cfg.DatabaseURL = withQuery(t, cfg.DatabaseURL, "statement_timeout", "60000")
	return openStore(t, cfg), proxy
}

func withQuery(t *testing.T, raw, name, value string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// look is what Postgres knows of the watch's connection.
type look struct {
	pid, port int
	began     time.Time // The last look.
}

// lastLook asks on a connection how the watch is doing. The zero look: it has no
// connection now.
func lastLook(t *testing.T, on interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (l look) {
	t.Helper()
	err := on.QueryRowContext(t.Context(), `SELECT pid, client_port, query_start FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'SELECT current_setting(''transaction_read_only'')%' ORDER BY backend_start DESC LIMIT 1`,
	).Scan(&l.pid, &l.port, &l.began)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("ask for the watch's connection: %v", err)
	}
	return l
}

// TestBusyIsNoOutage gives the watch no answer while the database answers others.
func TestBusyIsNoOutage(t *testing.T) {
	t.Parallel()
	s, proxy := patient(t)
	pool, _ := s.Pools()
	tx, err := pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	works := func() {
		if _, err := tx.ExecContext(t.Context(), "SELECT 1"); err != nil {
			t.Fatalf("a statement in the transaction: %v, want it undisturbed", err)
		}
	}
	// When the third look from now begins, the second has been answered, and that began
	// when the connections were open.
	last := lastLook(t, pool)
	for range 3 {
		before := last.began
		until(t, allowed, "the watch looks", func() bool {
			last = lastLook(t, pool)
			return last.began.After(before)
		})
	}
	lost := proxy.HangOne(last.port)
	until(t, allowed, "the watch looks again, on a new connection", func() bool {
		works()
		now := lastLook(t, pool)
		return now.port != 0 && now.port != last.port
	})
	<-lost
	works()
	if err := tx.Commit(); err != nil {
		t.Errorf("commit: %v", err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
}

// TestOldConnectionsHang lets a statement wait in vain while the database answers on
// connections that are newer: they prove nothing.
func TestOldConnectionsHang(t *testing.T) {
	t.Parallel()
	s, proxy := patient(t)
	u := makeUser(t, s, "ada@example.com")
	held := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- s.InTx(u.ctx, func(tx *ent.Tx) error {
			proxy.HangOld()
			close(held)
			_, err := tx.Conversation.Query().Count(u.ctx)
			return err
		})
	}()
	<-held
	var err error
	until(t, allowed, "the statement on the old connection ends", func() bool {
		// It is refused from the moment on that the watch has noticed, and gives up a
		// connection that hangs, of which the pool may have one more.
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, _ = s.Now(ctx)
		cancel()
		select {
		case err = <-ended:
			return true
		default:
			return false
		}
	})
	checkOutage(t, err)
}

// TestFullIsNoOutage lets the watch lose its connection when the server gives it no
// other, and every connection of the pool is taken.
func TestFullIsNoOutage(t *testing.T) {
	t.Parallel()
	const taken = 2
	for name, conns := range map[string]int{
		"the pool has as many as it may":   taken,
		"the pool would like to have more": taken + 2,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, proxy, limit := limited(t, conns)
			held := make([]*sql.Tx, taken)
			write, _ := s.Pools()
			for n := range held {
				tx, err := write.BeginTx(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				held[n] = tx
			}
			limit(taken)
			served := proxy.Served()
			if _, err := held[0].ExecContext(t.Context(), "SELECT pg_terminate_backend($1)", lastLook(t, held[0]).
				pid); err != nil {
				t.Fatal(err)
			}
			// When it tries for the third time, the second look is over.
			until(t, 2*allowed, "the watch looks twice more",
				func() bool { return proxy.Served() >= served+3*(1+conns-taken) })
			for _, tx := range held {
				if _, err := tx.ExecContext(t.Context(), "SELECT 1"); err != nil {
					t.Errorf("a statement in a transaction: %v, want it undisturbed", err)
				}
				if err := tx.Commit(); err != nil {
					t.Errorf("commit: %v", err)
				}
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("ping: %v", err)
			}
		})
	}
}

// limited opens a Postgres as a role whose number of connections can be limited,
// which that of the tests cannot.
func limited(t *testing.T, conns int) (s *store.Store, proxy *storetest.Proxy, limit func(int)) {
	t.Helper()
	cfg := storetest.PostgresConfig(t)
	admin := openStore(t, cfg)
	role := "limited_" + strings.ToLower(rand.Text())
	exec := func(ctx context.Context, statement string) {
		if _, err := admin.Client().ExecContext(ctx, statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	exec(t.Context(), "CREATE ROLE "+role+" LOGIN")
	exec(t.Context(), "GRANT SELECT ON ALL TABLES IN SCHEMA public TO "+role)
	t.Cleanup(func() {
		exec(context.WithoutCancel(t.Context()), "DROP OWNED BY "+role)
		exec(context.WithoutCancel(t.Context()), "DROP ROLE "+role)
	})
	u, err := url.Parse(cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	cfg.DatabaseURL, cfg.MaxConns = u.String(), conns
	proxy, cfg = storetest.NewProxy(t, cfg)
	return openStore(t, cfg), proxy, func(n int) {
		exec(t.Context(), fmt.Sprintf("ALTER ROLE %s CONNECTION LIMIT %d", role, n))
	}
}
