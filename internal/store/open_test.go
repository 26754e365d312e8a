package store_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/store"
)

func TestOpenOddPaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"plain", "with space", "100%", "%41", "a?b", "a#b", "a&_fk=0", "Grüße 🚀", "a+b", `quo"te'`, "semi;colon",
		"back\\slash", "deep/er/still",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), name)
			cfg := store.Config{DataDir: dir}
			if _, err := store.Migrate(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			makeUser(t, openStore(t, cfg), "a@example.com")
			var found []string
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					found = append(found, d.Name())
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if !strings.HasPrefix(f, "parley.db") {
					t.Errorf("got file %q, want the database's only", f)
				}
			}
			if len(found) == 0 {
				t.Errorf("got no database in %s", dir)
			}
			entries, err := os.ReadDir(filepath.Dir(dir))
			if err != nil || len(entries) != 1 {
				t.Errorf("got %v, %v beside the data folder, want nothing", entries, err)
			}
		})
	}
}

func TestDatabaseIsPrivate(t *testing.T) {
	t.Parallel()
	cfg := store.Config{DataDir: filepath.Join(t.TempDir(), "data")}
	if _, err := store.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, cfg)
	makeUser(t, s, "a@example.com") // So that there is a write-ahead log.
	info, err := os.Stat(cfg.DataDir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got data folder %v, %v, want mode 0700", info.Mode(), err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(store.SQLitePath(cfg.DataDir) + suffix)
		if err != nil {
			t.Errorf("%q: %v, want it to exist while the store is open", suffix, err)
			continue
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%q: got mode %v, want 0600", suffix, info.Mode())
		}
	}
}

func TestOpenDoesNotMakeASchema(t *testing.T) {
	t.Parallel()
	s := openStore(t, store.Config{DataDir: t.TempDir()})
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
	write, _ := s.Pools()
	var n int
	if err := write.QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_master").Scan(&n); err != nil || n != 0 {
		t.Errorf("got %d tables, %v, want none before Migrate", n, err)
	}
}

func TestOpenRefusesWhatIsNoFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), store.Config{DataDir: file}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("got no error for a data folder that is a file")
	}
	garbage := t.TempDir()
	if err := os.WriteFile(store.SQLitePath(garbage), []byte(strings.Repeat("not a database ", 100)),
		0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := store.Open(t.Context(), store.Config{DataDir: garbage}, slog.New(slog.DiscardHandler)); err == nil {
		_ = s.Close()
		t.Error("got no error for a file that is no database")
	}
}

func TestPragmas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, store.Config{DataDir: dir})
	write, read := s.Pools()
	for name, db := range map[string]*sql.DB{"write": write, "read": read} {
		if err := store.CheckPragmas(t.Context(), db); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := write.Stats().MaxOpenConnections; n != 1 {
		t.Errorf("got %d writing connections, want 1", n)
	}
	good := store.SQLiteDSN(store.SQLitePath(dir), "1")
	for _, change := range []struct{ from, to, complaint string }{
		{"_sync=FULL", "_sync=NORMAL", "synchronous"},
		{"_sync=FULL", "_synch=FULL&_sync=OFF", "synchronous"},
		{"_fk=1", "_fk=0", "foreign_keys"},
		{"_fk=1", "_foreignkeys=1", "foreign_keys"},
		{"_busy_timeout=5000", "_busy_timeout=1", "busy_timeout"},
		{"_journal_mode=WAL", "_journal_mode=DELETE", "journal_mode"},
	} {
		dsn := strings.Replace(good, change.from, change.to, 1)
		if change.complaint == "journal_mode" {
			// The mode is kept in the file, so try another one.
			dsn = strings.Replace(dsn, url.PathEscape("parley.db"), "other.db", 1)
		}
		db, err := sql.Open("sqlite", dsn)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.CheckPragmas(t.Context(), db); err == nil || !strings.Contains(err.Error(), change.complaint) {
			t.Errorf("%s: got %v, want a complaint about %s", change.to, err, change.complaint)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLockDataDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new folder")
	first, err := store.LockDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := first.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got lock file %v, %v, want mode 0600", info, err)
	}
	for range 3 { // A refused one does not let go of the first one's.
		if f, err := store.LockDataDir(dir); !errors.Is(err, store.ErrInUse) {
			t.Errorf("got %v, %v for a second holder, want ErrInUse", f, err)
		}
	}
	other, err := store.LockDataDir(filepath.Join(t.TempDir(), "another"))
	if err != nil {
		t.Errorf("another folder: %v", err)
	} else if err := other.Close(); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := store.LockDataDir(dir)
	if err != nil {
		t.Fatalf("after the first has closed: %v, want the lock", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

const password = "s3cr%3Ft-9f2"

func TestBadDatabaseURLs(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"mysql://user:" + password + "@localhost/db",
		"user:" + password + "@localhost/db",
		"host=localhost user=user password=" + password,
		"postgres://user:" + password + "@local host/db",
		"postgres://user:" + password + "@localhost:port/db",
		"postgres://user:" + password + "%zz@localhost/db",
		"postgres:\x7f//user:" + password + "@localhost/db",
		"postgres://user:" + password + "@localhost:1/db?sslmode=perhaps",
		"postgres://user:" + password + "@127.0.0.1:1/db?sslmode=disable&connect_timeout=1",
	} {
		cfg := store.Config{DatabaseURL: raw}
		s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: got no error", raw)
			continue
		}
		_, migrateErr := store.Migrate(t.Context(), cfg)
		for _, err := range []error{err, migrateErr} {
			if err == nil || strings.Contains(err.Error(), "s3cr") {
				t.Errorf("%s: got %v, want an error without the password", raw, err)
			}
		}
	}
	for _, raw := range []string{"mysql://x", "postgres//x", "host=x", "postgres://a:b:c:d@x:y"} {
		if _, err := store.PostgresDSN(raw, time.Second, time.Second); !errors.Is(err, store.ErrDatabaseURL) {
			t.Errorf("%s: got %v, want ErrDatabaseURL", raw, err)
		}
	}
}

func TestPostgresDSN(t *testing.T) {
	t.Parallel()
	raw := "postgresql://us%40er:p%2Fw%3F@db.example:5433/na%20me?sslmode=verify-full&statement_timeout=9&application_name=mine+own&search_path=a%2Cb"
	dsn, err := store.PostgresDSN(raw, 5*time.Second, 1500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	pw, _ := u.User.Password()
	if u.User.Username() != "us@er" || pw != "p/w?" || u.Host != "db.example:5433" || u.Path != "/na me" ||
		u.Scheme != "postgresql" {
		t.Errorf("got %s, want user, password, host and database as given", dsn)
	}
	for name, want := range map[string]string{
		"sslmode": "verify-full", "statement_timeout": "9", "application_name": "mine own", "search_path": "a,b",
		"binary_parameters": "yes", "lock_timeout": "1500", "timezone": "UTC", "connect_timeout": "5",
		"idle_in_transaction_session_timeout": "10000",
	} {
		if got := u.Query()[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
