// Package storetest gives tests a fresh, migrated database of each kind.
package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/pid"
	"parley/internal/store"
)

// URLVariable names the environment variable with the URL of a Postgres server on
// which tests may create and drop databases. make test sets it.
const URLVariable = "PARLEY_TEST_POSTGRES_URL"

// Each runs the test once on SQLite and once on Postgres, each time with an empty
// database of its own. It fails when there is no Postgres: a test that is quietly
// left out proves nothing.
func Each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}

// SQLite opens an empty, migrated database in a temporary folder.
func SQLite(t testing.TB) *store.Store {
	t.Helper()
	return open(t, store.Config{DataDir: t.TempDir()}, true)
}

// Postgres opens an empty, migrated database of its own on the test server. That it hangs is
// no part of these tests: it may be slow, when the machine does much else.
func Postgres(t testing.TB) *store.Store {
	t.Helper()
	cfg := PostgresConfig(t)
	cfg.Patience = 20 * time.Second
	return open(t, cfg, false)
}

// PostgresConfig makes an empty, migrated database on the test server and returns
// how to open it. It is dropped when the test ends.
func PostgresConfig(t testing.TB) store.Config {
	t.Helper()
	template, err := template()
	if err != nil {
		t.Fatalf("prepare the template database: %v", err)
	}
	return createDatabase(t, " TEMPLATE "+template)
}

// EmptyPostgresConfig is PostgresConfig without the migrations.
func EmptyPostgresConfig(t testing.TB) store.Config {
	t.Helper()
	return createDatabase(t, "")
}

func open(t testing.TB, cfg store.Config, migrate bool) *store.Store {
	t.Helper()
	if migrate {
		if _, err := store.Migrate(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

func createDatabase(t testing.TB, options string) store.Config {
	t.Helper()
	admin, err := adminURL()
	if err != nil {
		t.Fatal(err)
	}
	name := databaseName()
	if err := adminExec(admin, "CREATE DATABASE "+name+options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := adminExec(admin, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	return store.Config{DatabaseURL: withDatabase(admin, name)}
}

// template migrates one database a process; the others are copies of it.
var template = sync.OnceValues(func() (string, error) {
	admin, err := adminURL()
	if err != nil {
		return "", err
	}
	name := databaseName()
	if err := adminExec(admin, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	_, err = store.Migrate(context.Background(), store.Config{DatabaseURL: withDatabase(admin, name)})
	return name, err
})

func adminURL() (*url.URL, error) {
	raw := os.Getenv(URLVariable)
	if raw == "" {
		return nil, fmt.Errorf("%s is not set: run make test, or go run ./internal/tools/withpostgres go test ./…",
			URLVariable)
	}
	return url.Parse(raw)
}

func adminExec(admin *url.URL, statement string) error {
	db, err := sql.Open("postgres", admin.String())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // One statement, whose error is what counts.
	if _, err := db.Exec(statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func withDatabase(admin *url.URL, name string) string {
	u := *admin
	u.Path = "/" + name
	return u.String()
}

func databaseName() string {
	return "t_" + strings.ToLower(string(pid.New(pid.Send)))
}
