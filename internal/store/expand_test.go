package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"parley/internal/store"
)

// contractSteps are the statements that the version before could not live with, and
// why nothing needs what they take away: the second half of "expand, then contract".
// The key is the file's name, a colon, a space and the statement.
var contractSteps = map[string]string{}

// TestMigrationsExpand keeps the promise of a rolling upgrade: while it goes on,
// replicas of the version before work on the migrated database. SQLite has one
// process and needs no such promise.
func TestMigrationsExpand(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(store.EmbeddedMigration, "migrations/postgres/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %v, %v, want migrations", files, err)
	}
	used := make(map[string]bool)
	for _, file := range files[1:] { // Nothing came before the first.
		text, err := fs.ReadFile(store.EmbeddedMigration, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range statements(string(text)) {
			key := path.Base(file) + ": " + statement
			problem := breaksOld(statement)
			if problem != "" && contractSteps[key] == "" {
				t.Errorf("%s\n%s: do it in a later release, and list it in contractSteps there", key, problem)
			}
			used[key] = true
		}
	}
	for key := range contractSteps {
		if !used[key] {
			t.Errorf("contractSteps lists what no migration does: %s", key)
		}
	}
}

// statements splits a migration, without its comments.
func statements(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			lines = append(lines, line)
		}
	}
	var list []string
	for s := range strings.SplitSeq(strings.Join(lines, ""), ";") {
		if s = strings.Join(strings.Fields(s), " "); s != "" {
			list = append(list, s)
		}
	}
	return list
}

var (
	takesAway = regexp.MustCompile(`(?i)\bDROP (TABLE|COLUMN|DEFAULT|SCHEMA|VIEW)\b|\bTRUNCATE\b`)
	renames   = regexp.MustCompile(`(?i)\bRENAME\b`)
	retypes   = regexp.MustCompile(`(?i)\bALTER COLUMN "?\w+"? (SET DATA )?TYPE\b`)
	demands   = regexp.MustCompile(`(?i)\bSET NOT NULL\b`)
	addColumn = regexp.MustCompile(`(?i)\bADD COLUMN [^,]*`)
	notNull   = regexp.MustCompile(`(?i)\bNOT NULL\b`)
	hasValue  = regexp.MustCompile(`(?i)\bDEFAULT\b`)
	addRule   = regexp.MustCompile(`(?i)\bADD CONSTRAINT\b`)
)

// breaksOld says why the version before would fail after a statement, "" if it would
// not.
func breaksOld(statement string) string {
	switch {
	case takesAway.MatchString(statement):
		return "it takes away what the version before may use"
	case renames.MatchString(statement):
		return "it renames what the version before knows by its old name"
	case retypes.MatchString(statement):
		return "it changes a type that the version before reads and writes"
	case demands.MatchString(statement):
		return "the version before may write no value"
	case strings.HasPrefix(strings.ToUpper(statement), "ALTER TABLE") && addRule.MatchString(statement):
		return "the version before may break the rule"
	}
	for _, column := range addColumn.FindAllString(statement, -1) {
		if notNull.MatchString(column) && !hasValue.MatchString(column) {
			return fmt.Sprintf("the version before writes no value for the new column (%s)", column)
		}
	}
	return ""
}

func TestBreaksOld(t *testing.T) {
	t.Parallel()
	for statement, bad := range map[string]bool{
		`CREATE TABLE "a" ("id" character varying NOT NULL, PRIMARY KEY ("id"))`:                 false,
		`ALTER TABLE "a" ADD COLUMN "b" text NULL`:                                               false,
		`ALTER TABLE "a" ADD COLUMN "b" text NOT NULL DEFAULT '', ADD COLUMN "c" bigint NULL`:    false,
		`CREATE INDEX "i" ON "a" ("b")`:                                                          false,
		`DROP INDEX "i"`:                                                                         false,
		`ALTER TABLE "a" ALTER COLUMN "b" DROP NOT NULL`:                                         false,
		`ALTER TABLE "a" ALTER COLUMN "b" SET DEFAULT ''`:                                        false,
		`ALTER TABLE "a" ADD COLUMN "b" text NOT NULL`:                                           true,
		`ALTER TABLE "a" ADD COLUMN "c" bigint NOT NULL DEFAULT 0, ADD COLUMN "b" text NOT NULL`: true,
		`ALTER TABLE "a" ALTER COLUMN "b" SET NOT NULL`:                                          true,
		`ALTER TABLE "a" ALTER COLUMN "b" TYPE bigint`:                                           true,
		`alter table a alter column b set data type bigint`:                                      true,
		`ALTER TABLE "a" ALTER COLUMN "b" DROP DEFAULT`:                                          true,
		`ALTER TABLE "a" DROP COLUMN "b"`:                                                        true,
		`ALTER TABLE "a" RENAME COLUMN "b" TO "c"`:                                               true,
		`DROP TABLE "a"`: true,
		`ALTER TABLE "a" ADD CONSTRAINT "c" CHECK (b <> '')`: true,
	} {
		if got := breaksOld(statement); (got != "") != bad {
			t.Errorf("%s: got %q, want a problem: %t", statement, got, bad)
		}
	}
	got := statements("-- +goose Up\n-- a comment; with a semicolon\nDROP TABLE \"a\";\nCREATE\n  TABLE b ();\n")
	if len(got) != 2 || got[1] != "CREATE TABLE b ()" {
		t.Errorf("got the statements %q", got)
	}
}

// TestOldVersionOnNewDatabase starts the code of a version whose newest migration is
// older than the database's: a replica that is restarted while an upgrade goes on, or a
// binary that somebody goes back to. It works where each change says that it can.
func TestOldVersionOnNewDatabase(t *testing.T) {
	t.Parallel()
	const up = "-- +goose Up\n"
	const table = "CREATE TABLE later (id integer);\n"
	for _, tt := range []struct {
		name, text string
		works      bool
	}{
		{"says nothing", up + table, false},
		{"lives with the newest known", up + "-- parley:lives-with " + newestMigration(t) + "\n" + table, true},
		{"lives with an old one", "-- parley:lives-with 20261123173827\n" + up + table, true},
		{"lives with itself alone", up + "-- parley:lives-with 29991231235959\n" + table, false},
		{"a line that is none", up + "-- parley:lives-with 2026\n" + table, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachEmpty(t, func(t *testing.T, folder string, cfg store.Config) {
				if _, err := store.MigrateFrom(t.Context(), cfg, withMigration(t, folder, tt.text)); err != nil {
					t.Fatal(err)
				}
				n, err := store.Migrate(t.Context(), cfg)
				if tt.works {
					if err != nil || n != 0 {
						t.Errorf("the older version: got %d migrations, %v, want none", n, err)
					}
					makeUser(t, openStore(t, cfg), "ada@example.com")
					return
				}
				wantNewer(t, "migrate", err)
				_, err = store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
				wantNewer(t, "open", err)
			})
		})
	}
}

// Whoever has deleted the marks, or migrated with a version that made none, has said nothing.
func TestNewerDatabaseWithoutMarks(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, folder string, cfg store.Config) {
		if _, err := store.Migrate(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		s := openStore(t, cfg)
		db, _ := s.Pools()
		for _, statement := range []string{
			"INSERT INTO goose_db_version (version_id, is_applied) VALUES (29991231235959, true)",
			"DROP TABLE migration_marks",
		} {
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
			_, err := store.Migrate(t.Context(), cfg)
			wantNewer(t, statement, err)
		}
	})
}

func wantNewer(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrNewerSchema) || store.IsOutage(err) ||
		!strings.Contains(err.Error(), "29991231235959") || !strings.Contains(err.Error(), newestMigration(t)) {
		t.Errorf("%s: got %v, want a refusal that names both migrations", what, err)
	}
}

func newestMigration(t *testing.T) string {
	t.Helper()
	files, err := fs.Glob(store.EmbeddedMigration, "migrations/postgres/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %v, %v, want migrations", files, err)
	}
	id, _, _ := strings.Cut(path.Base(files[len(files)-1]), "_")
	return id
}

// lastUnmarked is the last migration that was made before there were marks.
const lastUnmarked = "20261126180114"

// TestMigrationsAreMarked wants each migration to say which binaries can live with it: the
// one before, as a rolling upgrade needs, or itself alone, for which an upgrade stops all.
func TestMigrationsAreMarked(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"migrations/sqlite", "migrations/postgres"} {
		files, err := fs.Glob(store.EmbeddedMigration, folder+"/*.sql")
		if err != nil || len(files) == 0 {
			t.Fatalf("got %v, %v, want migrations", files, err)
		}
		var ids []string
		for _, file := range files {
			id, _, _ := strings.Cut(path.Base(file), "_")
			ids = append(ids, id)
			if id <= lastUnmarked {
				continue
			}
			text, err := fs.ReadFile(store.EmbeddedMigration, file)
			if err != nil {
				t.Fatal(err)
			}
			found := store.LivesWith.FindSubmatch(text)
			if found == nil || !slices.Contains(ids, string(found[1])) {
				t.Errorf("%s has no line -- parley:lives-with ID, with %s if the version before works on it, "+
					"or with %s if none does; then run go run ./internal/tools/migrategen -sum", file, ids[len(ids)-2], id)
			}
		}
	}
}
