package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "github.com/lib/pq" // The driver "postgres".
)

// How long the binary may take to listen, and to end when asked to.
const (
	startLimit = 2 * time.Minute
	stopLimit  = 2 * time.Minute
)

// project is a folder with a package.json that has a test script.
type project struct {
	dir       string
	databases []string
}

// clients runs the tests written for Node against the binary that the stage
// build made: once for each database.
func clients(ctx context.Context, r *run) error {
	projects, err := findProjects(".")
	if err != nil {
		return err
	}
	if len(projects) == 0 {
		r.printf("  no package.json with a test script: nothing to run\n")
		return nil
	}
	if _, err := os.Stat(r.binary()); err != nil {
		if err := build(ctx, r); err != nil {
			return err
		}
	}
	var (
		all    sync.WaitGroup
		places = make(chan struct{}, sideBySide)
		errs   = make([]error, len(projects))
	)
	for i, p := range projects {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			errs[i] = r.project(ctx, p)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// sideBySide is how many projects run at a time. Most wait for deadlines, back-offs and
// pauses of models nearly all their time: one after the other they left nine tenths of two
// processors idle.
const sideBySide = 3

// project installs what a project needs and tests it on its databases.
func (r *run) project(ctx context.Context, p project) error {
	if err := r.step(p.dir+": npm ci", func() error {
		cmd := command(ctx, "npm", "ci", "--no-audit", "--no-fund")
		cmd.Dir = p.dir
		_, err := output(cmd)
		return err
	}); err != nil {
		return err
	}
	var errs []error
	for _, database := range p.databases {
		errs = append(errs, r.step(p.dir+": "+database, func() error { return r.test(ctx, p, database) }))
	}
	return errors.Join(errs...)
}

// findProjects lists the folders of the client tests. Most run on SQLite only: a
// client library meets the same transports on every database. A package.json whose
// tests reach further says so: "parley": {"databases": ["sqlite", "postgres"]}.
func findProjects(root string) ([]project, error) {
	var projects []project
	for _, glob := range []string{"compat/package.json", "compat/*/package.json", "web/*/package.json"} {
		files, err := filepath.Glob(filepath.Join(root, glob))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			var manifest struct {
				Scripts struct{ Test string }
				Parley  struct{ Databases []string }
			}
			if err := json.Unmarshal(text, &manifest); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if manifest.Scripts.Test == "" {
				continue
			}
			if len(manifest.Parley.Databases) == 0 {
				manifest.Parley.Databases = []string{"sqlite"}
			}
			projects = append(projects, project{filepath.Dir(file), manifest.Parley.Databases})
		}
	}
	return projects, nil
}

// test runs a project's tests against a server of their own.
func (r *run) test(ctx context.Context, p project, database string) error {
	s, err := r.startServer(ctx, database)
	if err != nil {
		return err
	}
	cmd := command(ctx, "npm", "test", "--silent")
	cmd.Dir = p.dir
	// Tests that start servers of their own make their own databases.
	cmd.Env = withEnv("PARLEY_URL="+s.url, "PARLEY_DATABASE="+database, "PARLEY_BINARY="+r.binary(),
		testPostgres+"="+os.Getenv(testPostgres))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	testErr := cmd.Run()
	stopErr := s.stop()

	passed, failed := countNode(out.String())
	r.count(passed, failed)
	if testErr == nil && failed > 0 {
		testErr = errors.New("npm test ended well with failing tests")
	}
	if testErr == nil && passed == 0 {
		// A run that found no tests proves nothing.
		testErr = errors.New("no line like \"# pass 12\" in the output: no test ran")
	}
	r.printf("  %s on %s: %d passed, %d failed\n", p.dir, database, passed, failed)
	if err := errors.Join(testErr, stopErr); err != nil {
		return fmt.Errorf("%w\n%s\nlog of the server, its end:\n%s", err, out.String(), s.tail())
	}
	return nil
}

// nodeSummary matches the last lines of node:test, as TAP and as its newer
// default for people.
var nodeSummary = regexp.MustCompile(`(?m)^(?:#|ℹ) (pass|fail|cancelled) (\d+)\s*$`)

func countNode(out string) (passed, failed int) {
	for _, m := range nodeSummary.FindAllStringSubmatch(out, -1) {
		n, _ := strconv.Atoi(m[2]) // Digits only; what overflows is no count.
		if m[1] == "pass" {
			passed += n
		} else {
			failed += n
		}
	}
	return passed, failed
}

// server is the binary under test.
type server struct {
	url   string
	cmd   *exec.Cmd
	log   string
	ended chan error
}

func (r *run) startServer(ctx context.Context, database string) (*server, error) {
	dir, err := os.MkdirTemp(r.dir, database+"-")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	settings := []string{"PARLEY_ADDR=" + address, "PARLEY_DATA_DIR=" + dir}
	if database == "postgres" {
		u, err := createDatabase(ctx, "clients_"+strings.ReplaceAll(filepath.Base(dir), "-", "_"))
		if err != nil {
			return nil, err
		}
		settings = append(settings, "PARLEY_DATABASE_URL="+u)
	}
	s := &server{url: "http://" + address, log: filepath.Join(dir, "server.log"), ended: make(chan error, 1)}
	logFile, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = logFile.Close() }() // The server has its own handle.
	s.cmd = command(ctx, r.binary())
	s.cmd.Dir = dir
	s.cmd.Env = withEnv(settings...)
	s.cmd.Stdout, s.cmd.Stderr = logFile, logFile
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.cmd.Wait() }()
	if err := s.waitReady(ctx, address); err != nil {
		_ = s.cmd.Process.Kill() // It may have ended already.
		return nil, fmt.Errorf("%w\nlog of the server, its end:\n%s", err, s.tail())
	}
	return s, nil
}

// waitReady polls until the server accepts connections.
func (s *server) waitReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var d net.Dialer
	for {
		if c, err := d.DialContext(ctx, "tcp", address); err == nil {
			return c.Close()
		}
		select {
		case err := <-s.ended:
			return fmt.Errorf("the server ended before it listened: %v", err)
		case <-ctx.Done():
			return fmt.Errorf("the server does not listen: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// stop asks the server to end. One that crashed or does not end is a failure.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // An error means that it is gone; Wait tells why.
	select {
	case err := <-s.ended:
		if err != nil {
			return fmt.Errorf("the server ended badly: %w", err)
		}
		return nil
	case <-time.After(stopLimit):
		_ = s.cmd.Process.Kill()
		return fmt.Errorf("the server did not end within %v of SIGTERM", stopLimit)
	}
}

// tail returns the end of the server's log.
func (s *server) tail() string {
	const most = 8 << 10
	f, err := os.Open(s.log)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }() // Only read.
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd) // Failing, the log is shown from its start.
	}
	text, _ := io.ReadAll(io.LimitReader(f, most)) // What could be read is better than nothing.
	return string(text)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := l.Addr().String()
	return address, l.Close()
}

// createDatabase makes an empty database on the throw-away server.
func createDatabase(ctx context.Context, name string) (string, error) {
	raw := os.Getenv(testPostgres)
	if raw == "" {
		return "", errors.New(testPostgres + " is not set; run it through internal/tools/withpostgres")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	db, err := sql.Open("postgres", raw)
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }() // One statement, whose error is what counts.
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	u.Path = "/" + name
	return u.String(), nil
}
