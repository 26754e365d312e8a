// Command withpostgres starts a private, throw-away Postgres cluster, runs a
// command with PARLEY_TEST_POSTGRES_URL set to it, stops the cluster and exits
// with the command's status. The cluster trades durability for speed: it is for
// tests and for generating migrations, not for data.
//
//	go run ./internal/tools/withpostgres go test ./...
//
// It needs Debian's package postgresql (or any initdb and postgres of version 15
// or later). Started as root, it runs Postgres as the user "postgres" or
// "nobody", since Postgres refuses to run as root.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sort"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: withpostgres COMMAND [ARGUMENT…]")
		os.Exit(2)
	}
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(command []string) (int, error) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()

	bin, err := findBin()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "parley-postgres-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // Left-overs in the temporary folder harm nobody.
	asUser, err := credential(dir)
	if err != nil {
		return 0, err
	}

	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"),
		"--pgdata", data, "--username", "parley", "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8",
		"--no-sync")
	initdb.SysProcAttr = asUser
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("initdb: %w\n%s", err, out)
	}

	port, err := freePort()
	if err != nil {
		return 0, err
	}
	logFile, err := os.Create(filepath.Join(dir, "postgres.log"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = logFile.Close() }() // Only read by people, after a failure.
	server := exec.Command(filepath.Join(bin, "postgres"),
		"-D", data, "-p", strconv.Itoa(port), "-h", "127.0.0.1", "-k", dir,
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=300")
	server.SysProcAttr = asUser
	server.Dir = dir
	server.Stdout, server.Stderr = logFile, logFile
	if err := server.Start(); err != nil {
		return 0, fmt.Errorf("start postgres: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	defer func() {
		_ = server.Process.Signal(syscall.SIGINT) // Fast shutdown; an error means that it is gone already.
		<-ended
	}()

	if err := waitReady(ctx, port, ended); err != nil {
		out, _ := os.ReadFile(logFile.Name())
		return 0, fmt.Errorf("%w\n%s", err, out)
	}

	url := fmt.Sprintf("postgres://parley@127.0.0.1:%d/postgres?sslmode=disable", port)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "PARLEY_TEST_POSTGRES_URL="+url)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

// findBin returns the newest folder that holds initdb and postgres.
func findBin() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	sort.Slice(dirs, func(i, j int) bool { return version(dirs[i]) > version(dirs[j]) })
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(d, "initdb")); err == nil {
			return d, nil
		}
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	return "", errors.New("no initdb found; install Debian's package postgresql")
}

func version(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir))) // Names that are no number sort last.
	return n
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// waitReady polls until the server accepts connections.
func waitReady(ctx context.Context, port int, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return c.Close()
		}
		select {
		case err := <-ended:
			return fmt.Errorf("postgres ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w", ctx.Err())
		case <-tick.C:
		}
	}
}
