package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	_ "github.com/lib/pq" // The driver of Postgres.
)

// The databases a server may run on, as -database names them.
const (
	sqliteName   = "sqlite"
	postgresName = "postgres"
)

// startLimit is how long a server may take to start, on a machine that does much else.
const startLimit = 60 * time.Second

// storage is an empty database with the folder of a server.
type storage struct {
	dir   string
	url   string // Of Postgres; empty with SQLite.
	admin string
	name  string
}

// newStorage makes a database; admin names the Postgres server. The caller removes it.
func newStorage(ctx context.Context, kind, admin string) (*storage, error) {
	dir, err := os.MkdirTemp("", "parley-perf-")
	if err != nil {
		return nil, err
	}
	s := &storage{dir: dir, admin: admin}
	if kind == sqliteName {
		return s, nil
	}
	u, err := url.Parse(admin)
	if err != nil || admin == "" {
		return nil, errors.Join(s.remove(ctx), errors.New(postgresVariable+
			" does not name a Postgres server: run make perf, or go run ./internal/tools/withpostgres COMMAND"))
	}
	random := make([]byte, 8)
	_, _ = rand.Read(random) // Never fails.
	name := "perf_" + hex.EncodeToString(random)
	if err := execute(ctx, admin, "CREATE DATABASE "+name); err != nil {
		return nil, errors.Join(s.remove(ctx), err)
	}
	s.name, u.Path = name, "/"+name
	s.url = u.String()
	return s, nil
}

func execute(ctx context.Context, url, statement string) error {
	db, err := sql.Open("postgres", url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // One statement, whose error is what counts.
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func (s *storage) remove(ctx context.Context) error {
	err := os.RemoveAll(s.dir)
	if s.name != "" {
		err = errors.Join(err, execute(context.WithoutCancel(ctx), s.admin, "DROP DATABASE "+s.name+" WITH (FORCE)"))
	}
	return err
}

// server is a running server under test.
type server struct {
	process *process
	storage *storage
	guest   bool // The storage is another one's too, who removes it.
	addr    string
	debug   string // Where its profiles are; empty where it serves none.
	log     string
}

// localAddr is an address outside the range from which the system gives ports to others.
func localAddr() string { return fmt.Sprintf("127.0.0.1:%d", 15000+mathrand.IntN(15000)) }

// launch starts a binary on a storage, with more variables and those of -env, as far as it
// knows them: an older one refuses what it does not. It returns at once; see ready.
func (b *bench) launch(v *version, s *storage, more ...string) (*server, error) {
	addr := localAddr()
	r := &server{storage: s, addr: addr, log: filepath.Join(s.dir, "server"+addr[len("127.0.0.1:"):]+".log")}
	more = slices.Concat(b.options.environ, more)
	if b.options.profiles != "" {
		more = append(more, debugging()...)
	}
	more = v.known(append(more, "PARLEY_CONVERSATIONS_PER_DAY=0", "PARLEY_BYTES_PER_USER=0",
		"PARLEY_REQUESTS_PER_USER=10000", "PARLEY_SUBSCRIPTIONS_PER_USER=10000"))
	for _, w := range more {
		if where, ok := strings.CutPrefix(w, debugVariable+"="); ok {
			r.debug = where
		}
	}
	out, err := os.Create(r.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // The process has its own.
	cmd := exec.Command(v.path)
	cmd.Env = append([]string{
		"PARLEY_ADDR=" + r.addr,
		"PARLEY_DATA_DIR=" + filepath.Join(s.dir, "data"+addr[len("127.0.0.1:"):]),
		"OPENAI_BASE_URL=http://" + b.model + "/v1",
		"PARLEY_MODELS=" + modelName,
		"PARLEY_MODE=production",
		"PARLEY_SIGNUP=open",
		"PARLEY_SENDS_PER_MINUTE=0",
		"PARLEY_MAX_RUNNING=1000",
		"PARLEY_OIDC_ISSUER=" + issuerName,
		"PARLEY_OIDC_AUDIENCE=" + audience,
		"PARLEY_OIDC_JWKS_URL=" + b.issuer.url,
		// Each user comes from an address of its own, in a header.
		"PARLEY_TRUSTED_PROXIES=127.0.0.0/8",
	}, more...)
	if s.url != "" {
		cmd.Env = append(cmd.Env, "PARLEY_DATABASE_URL="+s.url)
	}
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = out, out
	r.process, err = spawn(cmd)
	return r, err
}

// listening waits until the server takes connections.
func (r *server) listening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		connection, err := net.Dial("tcp", r.addr)
		if err == nil {
			return connection.Close()
		}
		if r.process.hasEnded() {
			text, _ := os.ReadFile(r.log) // Goes into the error, as far as there is one.
			return fmt.Errorf("the server ended at once: %v\n%s", r.process.err, text)
		}
		if err := until(ctx, time.Now().Add(time.Millisecond)); err != nil {
			return fmt.Errorf("the server does not listen: %w", err)
		}
	}
}

// ready reports whether the server calls itself ready.
func (r *server) ready(ctx context.Context) bool { return r.readiness(ctx) == http.StatusOK }

// readiness is the status of /readyz, 0 when there is none in time.
func (r *server) readiness(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+"/readyz", nil)
	if err != nil {
		return 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close() // Only the status counts.
	return response.StatusCode
}

// stop ends the server and removes its database and log, unless others have them too.
func (r *server) stop(ctx context.Context) error {
	r.process.stop()
	if r.guest {
		return nil
	}
	return r.storage.remove(ctx)
}

var warning = regexp.MustCompile(`level=(?:WARN|ERROR) msg=("(?:[^"\\]|\\.)*"|\S+)`)

// warnings counts what the log warns of, by message.
func (r *server) warnings() map[string]int {
	counts := make(map[string]int)
	text, err := os.ReadFile(r.log)
	if err != nil {
		return counts // It did not come so far.
	}
	for _, m := range warning.FindAllSubmatch(text, -1) {
		counts[string(m[1])]++
	}
	return counts
}
