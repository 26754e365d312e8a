package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/upstream/eliza"
	"parley/internal/upstream/upstreamtest"
)

// TestBackup copies a server's folder in the middle of a storm of sends and goes on
// from the copy.
func TestBackup(t *testing.T) {
	t.Parallel()
	_, baseURL := upstreamtest.Start(t)
	environ := []string{
		"PARLEY_ADDR=127.0.0.1:0", "OPENAI_BASE_URL=" + baseURL, "PARLEY_ELIZA=on", "PARLEY_MODEL=test",
		"PARLEY_SENDS_PER_MINUTE=0", "PARLEY_MAX_RUNNING=1000",
	}
	source := "PARLEY_DATA_DIR=" + t.TempDir()
	i := startProcess(t, append(environ, source)...)
	token := i.signUp(t, "ada@example.com").AccessToken

	const senders = 4
	storms := make([]*storm, senders)
	var all sync.WaitGroup
	var acked, refused atomic.Int64
	quiet, stop := context.WithCancel(t.Context())
	defer stop()
	for n := range storms {
		storms[n] = &storm{name: fmt.Sprintf("backup-%d", n), acked: &acked, refused: &refused}
		all.Go(func() { storms[n].run(t, quiet, i, token) })
	}
	eventually(t, startLimit, "sends are answered", func() bool { return acked.Load() > 20*senders })
	running := i.mustSend(t, token,
		map[string]any{"content": longQuestion, "clientKey": "the-running-one", "model": eliza.Model})
	certain := make([]int, senders)
	for n, s := range storms {
		certain[n] = s.answered()
	}
	dir := filepath.Join(t.TempDir(), "backups", "first one")
	got := command(t, append(environ, source), "", "backup", dir)
	if got.code != 0 || !strings.Contains(got.stdout, filepath.Join(dir, "parley.db")) ||
		!strings.Contains(got.stdout, "PARLEY_DATA_DIR='"+dir+"'") {
		t.Fatalf("parley backup = %+v, want what it wrote and how to restore it", got)
	}
	before := acked.Load()
	eventually(t, startLimit, "the server goes on", func() bool { return acked.Load() > before+senders })
	stop()
	all.Wait()
	i.kill()

	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v, want mode 0700", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("got %v, %v in the folder, want the database and the keys", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", e.Name(), info.Mode(), err)
		}
	}
	checkIntegrity(t, dir)

	restored := startProcess(t, append(environ, "PARLEY_DATA_DIR="+dir)...)
	for n, s := range storms {
		s.inputs = s.inputs[:certain[n]]
		s.check(t, restored, token)
	}
	eventually(t, startLimit, "the reply that was running is taken up", func() bool {
		r := restored.reply(t, token, running.Reply.ID)
		return r.Status == "COMPLETED" && r.Attempt == 2
	})
	if _, code := restored.signIn(t, "ada@example.com", testPassword); code != "" {
		t.Errorf("signing in: %s", code)
	}
	restored.stop(t)
	checkIntegrity(t, dir)
	t.Logf("%d of %d sends were answered before the backup", sum(certain), acked.Load())
}

func sum(list []int) int {
	total := 0
	for _, n := range list {
		total += n
	}
	return total
}

func TestBackupRefuses(t *testing.T) {
	t.Parallel()
	environ := sqliteEnviron(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := func() string { return filepath.Join(t.TempDir(), "backup") }
	for name, test := range map[string]struct {
		environ []string
		dir     string
		want    []string
	}{
		"a folder that is not empty": {environ, filepath.Dir(file), []string{"not empty", filepath.Dir(file)}},
		"a file":                     {environ, file, []string{"not a directory"}},
		"no database":                {environ, fresh(), []string{"there is no database", "parley.db"}},
		"Postgres": {append(sqliteEnviron(t), "PARLEY_DATABASE_URL="+storetest.EmptyPostgresConfig(t).DatabaseURL),
			fresh(),
			[]string{"pg_dump", "PARLEY_AUTH_KEYS"}},
	} {
		got := command(t, test.environ, "", "backup", test.dir)
		if got.code != 1 || got.stdout != "" {
			t.Errorf("%s: got %+v, want status 1", name, got)
		}
		for _, want := range test.want {
			if !strings.Contains(got.stderr, want) {
				t.Errorf("%s: got the error %q, want %q in it", name, got.stderr, want)
			}
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
		t.Errorf("the file that was there is %q, %v", text, err)
	}
	// Its own folder is not empty either.
	i := startInside(t, environ...)
	i.stop(t)
	data := strings.TrimPrefix(environ[1], "PARLEY_DATA_DIR=")
	if got := command(t, environ, "", "backup", data); got.code != 1 || !strings.Contains(got.stderr, "not empty") {
		t.Errorf("into the data folder: %+v, want it refused", got)
	}
	// A damaged database gives no backup that looks like one.
	db, err := os.OpenFile(store.SQLitePath(data), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.WriteAt([]byte(strings.Repeat("damage", 2000)), 8192); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	dir := fresh()
	if got := command(t, environ, "", "backup", dir); got.code != 1 || got.stderr == "" {
		t.Errorf("of a damaged database: %+v, want an error", got)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("a backup that failed leaves %v, %v, want nothing", entries, err)
	}
}

// TestBackupWithoutServer copies a folder on which no server runs, and an empty
// folder may be there already.
func TestBackupWithoutServer(t *testing.T) {
	t.Parallel()
	environ := append(sqliteEnviron(t), "PARLEY_AUTH_KEYS="+testKeys)
	if _, err := runInside(t, environ, "migrate"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	stdout, err := runInside(t, environ, "backup", dir)
	if err != nil || !strings.Contains(stdout, "PARLEY_AUTH_KEYS") || strings.Contains(stdout, keysName) {
		t.Errorf("parley backup = %q, %v, want the variable with the keys named", stdout, err)
	}
	checkIntegrity(t, dir)
}

// TestMakeBackupDir makes the name of every folder safe that it makes.
func TestMakeBackupDir(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	there := filepath.Join(top, "there")
	if err := os.Mkdir(there, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		dir  string
		want []string // the folders that are synced
	}{
		"one that is there": {there, []string{top}},
		"a new one":         {filepath.Join(top, "new") + "/", []string{top}},
		"several": {filepath.Join(top, "a", "b", "c"),
			[]string{filepath.Join(top, "a", "b"), filepath.Join(top, "a"), top}},
	} {
		var got []string
		err := makeBackupDir(test.dir, func(dir string) error {
			got = append(got, dir)
			_, err := os.Stat(test.dir) // They are synced when all is made.
			return err
		})
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: synced %v, %v, want %v", name, got, err, test.want)
		}
	}
}
