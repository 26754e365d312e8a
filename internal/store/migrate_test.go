package store_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect/sql/schema"
	"github.com/google/go-cmp/cmp"

	entschema "parley/ent/schema"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// eachEmpty runs the test with databases that have never been migrated.
func eachEmpty(t *testing.T, test func(t *testing.T, folder string, cfg store.Config)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, "migrations/sqlite", store.Config{DataDir: t.TempDir()})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, "migrations/postgres", storetest.EmptyPostgresConfig(t))
	})
}

func openStore(t *testing.T, cfg store.Config) *store.Store {
	t.Helper()
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

func TestMigrateTwice(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, folder string, cfg store.Config) {
		files, err := fs.Glob(store.EmbeddedMigration, folder+"/*.sql")
		if err != nil || len(files) == 0 {
			t.Fatalf("got migrations %v, %v, want some", files, err)
		}
		if n, err := store.Migrate(t.Context(), cfg); err != nil || n != len(files) {
			t.Fatalf("got %d migrations, %v, want %d", n, err, len(files))
		}
		s := openStore(t, cfg)
		makeLine(t, s, makeUser(t, s, "a@example.com")).fill(3)
		if n, err := store.Migrate(t.Context(), cfg); err != nil || n != 0 {
			t.Errorf("again: got %d migrations, %v, want none", n, err)
		}
	})
}

// The migrations lead to exactly what ent/schema says.
func TestNoDrift(t *testing.T) {
	t.Parallel()
	// One after the other: Ent prepares its tables anew each time, in place.
	t.Run("sqlite", func(t *testing.T) {
		var plan bytes.Buffer
		err := storetest.SQLite(t).Client().
			Schema.WriteTo(t.Context(), &plan, schema.WithDropColumn(true), schema.WithDropIndex(true),
			schema.WithDiffHook(storetest.KeepLeaving))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(plan.String()); got != "" {
			t.Errorf("migrations and ent/schema differ; run make migration. Missing:\n%s", got)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		// Postgres writes conditions of indexes in words of its own, which Ent's plan
		// takes for a difference. So compare with a database that Ent has made.
		direct := openStore(t, storetest.EmptyPostgresConfig(t))
		if err := direct.Client().Schema.Create(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(catalog(t, direct), withoutLeaving(t, catalog(t, storetest.Postgres(t)))); diff != "" {
			t.Errorf("migrations and ent/schema differ; run make migration (-schema +migrations):\n%s", diff)
		}
	})
}

// withoutLeaving takes the columns of schema.Leaving out of a catalog, and wants that
// each is there and asks for no value.
func withoutLeaving(t *testing.T, catalog []string) []string {
	t.Helper()
	for _, column := range entschema.Leaving() {
		i := slices.IndexFunc(catalog, func(line string) bool { return strings.HasPrefix(line, column+" ") })
		if i < 0 {
			t.Errorf("%s is listed as leaving and is gone; take it out of schema.Leaving", column)
			continue
		}
		// type, is_nullable, default
		if words := strings.Fields(catalog[i]); !slices.Contains(words, "YES") && words[len(words)-1] == "NO" {
			t.Errorf("%s must have a value, which nobody writes any more", catalog[i])
		}
		catalog = slices.Delete(catalog, i, i+1)
	}
	return catalog
}

// catalog lists the columns, indexes and constraints of a Postgres database.
func catalog(t *testing.T, s *store.Store) []string {
	t.Helper()
	db, _ := s.Pools()
	rows, err := db.QueryContext(t.Context(), `
		WITH ours AS (SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
		  AND relname NOT IN ('goose_db_version', 'migration_marks'))
		SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
		FROM information_schema.columns WHERE table_schema = 'public' AND table_name IN (SELECT relname FROM ours)
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
		  AND tablename IN (SELECT relname FROM ours)
		UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
		FROM pg_constraint WHERE conrelid IN (SELECT oid FROM ours)
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		list = append(list, line)
	}
	if err := rows.Err(); err != nil || len(list) < 50 {
		t.Fatalf("got %d things in the catalog, %v, want more", len(list), err)
	}
	return list
}

func TestMigrateAtTheSameTime(t *testing.T) {
	t.Parallel()
	cfg := storetest.EmptyPostgresConfig(t)
	var wg sync.WaitGroup
	applied := make(chan int, 8)
	for range 8 {
		wg.Go(func() {
			n, err := store.Migrate(t.Context(), cfg)
			if err != nil {
				t.Errorf("concurrent migration: %v", err)
			}
			applied <- n
		})
	}
	wg.Wait()
	close(applied)
	var who int
	for n := range applied {
		if n > 0 {
			who++
		}
	}
	if who != 1 {
		t.Errorf("%d of 8 applied migrations, want exactly one", who)
	}
	makeUser(t, openStore(t, cfg), "a@example.com")
}

func TestMigrationSums(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"sqlite", "postgres"} {
		dir, err := migrate.NewLocalDir(path.Join("migrations", dialect))
		if err != nil {
			t.Fatal(err)
		}
		if err := migrate.Validate(dir); err != nil {
			t.Errorf("%s: %v; atlas.sum does not belong to the migrations", dialect, err)
		}
		files, err := os.ReadDir(path.Join("migrations", dialect))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if name := f.Name(); strings.HasSuffix(name, ".sql") {
				text, err := fs.ReadFile(store.EmbeddedMigration, path.Join("migrations", dialect, name))
				if err != nil {
					t.Errorf("%s: %v, want it embedded", name, err)
				}
				if bytes.Contains(text, []byte("+goose Down")) {
					t.Errorf("%s goes back, want migrations that only go forward", name)
				}
			}
		}
	}
}

// withMigration returns the real migrations of a folder with one more.
func withMigration(t *testing.T, folder, text string) fs.FS {
	t.Helper()
	files := fstest.MapFS{folder + "/29991231235959_more.sql": {Data: []byte(text)}}
	err := fs.WalkDir(store.EmbeddedMigration, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(store.EmbeddedMigration, name)
		files[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The way Ent and Atlas change a column on SQLite: a new table takes the place of
// the old one. With foreign keys on, dropping the old one deletes its children.
const rebuildUsers = `-- +goose Up
PRAGMA foreign_keys = off;
CREATE TABLE new_users (id text NOT NULL, email text NULL, name text NOT NULL DEFAULT (''), password_hash text NULL, password_changed_at datetime NULL, issuer text NULL, subject text NULL, external_email text NULL, disabled_at datetime NULL, spent_tokens integer NOT NULL DEFAULT (0), spent_on datetime NULL, created_at datetime NOT NULL, updated_at datetime NOT NULL, colour text NULL, PRIMARY KEY (id));
INSERT INTO new_users (id, email, name, password_hash, password_changed_at, issuer, subject, external_email, disabled_at, spent_tokens, spent_on, created_at, updated_at) SELECT id, email, name, password_hash, password_changed_at, issuer, subject, external_email, disabled_at, spent_tokens, spent_on, created_at, updated_at FROM users;
DROP TABLE users;
ALTER TABLE new_users RENAME TO users;
CREATE UNIQUE INDEX user_email ON users (email);
PRAGMA foreign_keys = on;
`

func TestRebuildKeepsChildren(t *testing.T) {
	t.Parallel()
	cfg := store.Config{DataDir: t.TempDir()}
	if _, err := store.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, cfg)
	u := makeUser(t, s, "a@example.com")
	l := makeLine(t, s, u)
	l.fill(10)
	if n, err := store.MigrateFrom(t.Context(), cfg, withMigration(t, "migrations/sqlite", rebuildUsers)); err != nil ||
		n != 1 {
		t.Fatalf("got %d migrations, %v, want 1", n, err)
	}
	if n := l.count(u.ctx); n != 10 {
		t.Errorf("got %d messages after their users' table was rebuilt, want 10", n)
	}
	// The children's keys point at the new table.
	wantConstraint(t, "a conversation of nobody", s.Client().Conversation.Create().SetUserID("nobody").SetHeadID("x").
		Exec(viewer.AsUser(t.Context(), "nobody")))
	if _, err := s.Client().Message.Update().SetActive(true).Save(u.ctx); err != nil {
		t.Errorf("write after the rebuild: %v", err)
	}
}

func TestOrphansAreReported(t *testing.T) {
	t.Parallel()
	cfg := store.Config{DataDir: t.TempDir()}
	if _, err := store.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, cfg)
	makeLine(t, s, makeUser(t, s, "a@example.com")).fill(2)
	_, err := store.MigrateFrom(t.Context(), cfg,
		withMigration(t, "migrations/sqlite", "-- +goose Up\nDELETE FROM users;\n"))
	if err == nil || !strings.Contains(err.Error(), "points at no row of users") {
		t.Errorf("got error %v, want one that names the lost table", err)
	}
}

func TestBrokenMigrationLeavesNothing(t *testing.T) {
	t.Parallel()
	cfg := store.Config{DataDir: t.TempDir()}
	if _, err := store.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, cfg)
	u := makeUser(t, s, "a@example.com")
	broken := withMigration(t, "migrations/sqlite", "-- +goose Up\nDELETE FROM users;\nDROP TABLE nothing;\n")
	if _, err := store.MigrateFrom(t.Context(), cfg, broken); err == nil {
		t.Error("got no error of a broken migration")
	}
	if n, err := s.Client().User.Query().Count(u.ctx); err != nil || n != 1 {
		t.Errorf("got %d users, %v, want the one from before", n, err)
	}
	if n, err := store.Migrate(t.Context(), cfg); err != nil || n != 0 {
		t.Errorf("after the broken one: %d, %v, want nothing to do", n, err)
	}
}

func TestMigrateStopsWithItsContext(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, _ string, cfg store.Config) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := store.Migrate(ctx, cfg); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}
