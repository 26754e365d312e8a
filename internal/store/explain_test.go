package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lib/pq"

	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// TestExplainSQLite damages data folders in the ways that operators meet, and wants each
// named by its path with what to do.
func TestExplainSQLite(t *testing.T) {
	t.Parallel()
	file := func(t *testing.T, path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, want string
		make       func(t *testing.T, dir string)
	}{
		{"no database", "parley backup", func(t *testing.T, dir string) {
			file(t, store.SQLitePath(dir), strings.Repeat("no database ", 500))
		}},
		{"overwritten pages", "parley backup", func(t *testing.T, dir string) {
			if _, err := store.Migrate(t.Context(), store.Config{DataDir: dir}); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(store.SQLitePath(dir))
			if err != nil {
				t.Fatal(err)
			}
			file(t, store.SQLitePath(dir), string(text[:4096])+strings.Repeat("\xaa", len(text)-4096))
		}},
		{"cut", "parley backup", func(t *testing.T, dir string) {
			if _, err := store.Migrate(t.Context(), store.Config{DataDir: dir}); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(store.SQLitePath(dir), 3000); err != nil {
				t.Fatal(err)
			}
		}},
		{"a folder", "is a folder; the database is a file", func(t *testing.T, dir string) {
			if err := os.Mkdir(store.SQLitePath(dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			test.make(t, dir)
			cfg := store.Config{DataDir: dir}
			_, migrate := store.Migrate(t.Context(), cfg)
			for what, err := range map[string]error{"migrate": migrate, "check": store.CheckCurrent(t.Context(), cfg),
				"back up": store.Backup(t.Context(), dir, t.TempDir())} {
				err = store.Explain(cfg, err)
				if err == nil || !strings.Contains(err.Error(), store.SQLitePath(dir)+" ") ||
					!strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: %v, want the path and %q", what, err, test.want)
				}
			}
		})
	}
	plain := filepath.Join(t.TempDir(), "plain")
	file(t, plain, "")
	_, err := store.Migrate(t.Context(), store.Config{DataDir: plain})
	if err = store.Explain(store.Config{DataDir: plain}, err); !strings.Contains(fmt.Sprint(err), plain+" is a file") {
		t.Errorf("a data folder that is a file: %v", err)
	}
}

// TestDamageIsNamedLater damages a table of an open database: the error of a statement
// names the file.
func TestDamageIsNamedLater(t *testing.T) {
	t.Parallel()
	cfg := store.Config{DataDir: t.TempDir()}
	if _, err := store.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, cfg)
	_, read := s.Pools()
	var page, size int64
	err := read.QueryRowContext(t.Context(), "SELECT rootpage, (SELECT page_size FROM pragma_page_size) "+
		"FROM sqlite_master WHERE name = 'users'").Scan(&page, &size)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(store.SQLitePath(cfg.DataDir), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte(strings.Repeat("\xaa", int(size))), (page-1)*size)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = s.Client().User.Query().All(viewer.AsAdmin(t.Context()))
	if err == nil || !strings.Contains(err.Error(), store.SQLitePath(cfg.DataDir)+" is damaged") {
		t.Errorf("a query of a damaged table: %v, want the path and what to do", err)
	}
}

// resultCode is an error of SQLite, as far as it says a code.
type resultCode int

func (r resultCode) Error() string { return fmt.Sprintf("result %d", int(r)) }
func (r resultCode) Code() int     { return int(r) }

func TestExplainCodes(t *testing.T) {
	t.Parallel()
	lite := store.Config{DataDir: "/data"}
	server := store.Config{DatabaseURL: "postgres://u:hunter2@db.example.com/d"}
	for _, test := range []struct {
		cfg  store.Config
		err  error
		want string
	}{
		{lite, resultCode(13), "the disk that holds /data/parley.db is full"},
		{lite, syscall.ENOSPC, "the disk that holds /data/parley.db is full"},
		{lite, resultCode(8 | 1<<8), "/data cannot be written"},
		{lite, &os.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, "/data cannot be written"},
		{lite, syscall.EROFS, "/data cannot be written"},
		{lite, resultCode(14), "/data/parley.db cannot be opened"},
		{lite, resultCode(10 | 3<<8), "/data/parley.db cannot be read or written"},
		{server, pq.ErrSSLNotSupported, "?sslmode=disable"},
		{server, &pq.Error{Code: "28P01"}, "refuses the password"},
		{server, &pq.Error{Code: "28000"}, "pg_hba.conf"},
		{server, &pq.Error{Code: "3D000"}, "no such database"},
		{server, &pq.Error{Code: "42501"}, "the user may not make tables"},
		{server, syscall.ECONNREFUSED, "refuses connections"},
		{server, errors.New("x509: certificate signed by unknown authority"), "sslrootcert"},
	} {
		got := store.Explain(test.cfg, fmt.Errorf("migrate: %w", test.err))
		if !strings.Contains(got.Error(), test.want) || !errors.Is(got, test.err) {
			t.Errorf("%v is explained as %q, want %q before it", test.err, got, test.want)
		}
		if again := store.Explain(test.cfg, got); again.Error() != got.Error() {
			t.Errorf("explained twice: %v", again)
		}
		if test.cfg.DatabaseURL != "" &&
			(!strings.Contains(got.Error(), `Postgres at db.example.com:5432, database "d", user "u"`) ||
				strings.Contains(got.Error(), "hunter2")) {
			t.Errorf("%v is explained as %q, want the database and no password", test.err, got)
		}
	}
	other := errors.New("other")
	if got := store.Explain(lite, other); got != other {
		t.Errorf("got %v, want other errors as they are", got)
	}
	if err := store.Explain(lite, nil); err != nil {
		t.Errorf("got %v for no error", err)
	}
}

// TestPostgresWithoutTLS meets what everybody meets who writes no sslmode.
func TestPostgresWithoutTLS(t *testing.T) {
	t.Parallel()
	cfg := storetest.EmptyPostgresConfig(t)
	u, err := url.Parse(cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Del("sslmode")
	u.RawQuery = q.Encode()
	without := store.Config{DatabaseURL: u.String()}
	_, migrate := store.Migrate(t.Context(), without)
	_, open := store.Open(t.Context(), without, slog.New(slog.DiscardHandler))
	for what, err := range map[string]error{"migrate": migrate, "open": open} {
		if err := store.Explain(without, err); err == nil || !strings.Contains(err.Error(), "?sslmode=disable") ||
			store.IsOutage(err) {
			t.Errorf("%s: %v, want a hint at sslmode, and no waiting", what, err)
		}
	}
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	if _, err := store.Migrate(t.Context(), store.Config{DatabaseURL: u.String()}); err != nil {
		t.Errorf("with the hint followed: %v", err)
	}
	u.Path += "_missing"
	missing := store.Config{DatabaseURL: u.String()}
	_, err = store.Migrate(t.Context(), missing)
	if err := store.Explain(missing, err); err == nil || !strings.Contains(err.Error(), "no such database; make it") {
		t.Errorf("a database that is not there: %v", err)
	}
}

// TestWrongParameters wants the name of a parameter in the error, and never its value,
// which may be a piece of a password.
func TestWrongParameters(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"postgres://u:p@h/d?sslmode=hunter2":            "sslmode",
		"postgres://u:p@h/d?connect_timeout=hunter2":    "connect_timeout",
		"postgres://u:p@h/d?port=hunter2":               "port",
		"postgres://u:p@h/d?target_session_attrs=hunt2": "target_session_attrs",
		"postgres://u:12/hunter2@h/d":                   "postgres://user:password@host:port/database",
		"postgres://u:12?hunter2@h/d":                   "postgres://user:password@host:port/database",
		"postgres://u:12#hunter2@h/d":                   "postgres://user:password@host:port/database",
		"postgres:u:hunter2@h/d":                        "postgres://user:password@host:port/database",
	} {
		_, err := store.Open(t.Context(), store.Config{DatabaseURL: raw}, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunt") {
			t.Errorf("%s: %v, want %q and no value", raw, err, want)
		}
	}
}
