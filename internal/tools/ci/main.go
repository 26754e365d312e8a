// Command ci runs the stages of make test and ends with one line that counts
// the test cases of all of them: "N passed, N failed".
//
//	go run ./internal/tools/withpostgres go run ./internal/tools/ci [STAGE…]
//
// Without arguments it runs every stage; a stage that fails does not keep the
// next ones from running. Run it from the root of the repository.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// limit ends a run that hangs. A busy machine may take ten times what a quiet one does.
const limit = 2 * time.Hour

// stage is one part of the run.
type stage struct {
	name string
	what string
	run  func(ctx context.Context, r *run) error
}

var stages = []stage{
	{"checks", "format, vet, staticcheck, generated code, migrations", checks},
	{"go", "Go tests with the race detector, on SQLite and Postgres", goTests},
	{"build", "the static binary", build},
	{"clients", "tests of the clients against the binary", clients},
}

// run is the state that the stages share.
type run struct {
	out    io.Writer
	dir    string     // A temporary folder, removed at the end.
	mu     sync.Mutex // Guards the counts and out while parts of a stage run side by side.
	passed int
	failed int
}

func (r *run) count(passed, failed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passed += passed
	r.failed += failed
}

func (r *run) printf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format, args...)
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancelLimit := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the run took longer than %v", limit))
	code := inTemp(func() int { return runStages(ctx, os.Stdout, stages, os.Args[1:]) })
	cancelLimit()
	cancel()
	os.Exit(code)
}

// inTemp runs work with a temporary folder of its own, so that what it starts leaves nothing behind, also when that is
// killed.
func inTemp(work func() int) int {
	temp, err := os.MkdirTemp("", "parley-test-")
	if err == nil {
		err = os.Setenv("TMPDIR", temp)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer func() { _ = os.RemoveAll(temp) }() // Nothing is left to do with what stays.
	return work()
}

func runStages(ctx context.Context, out io.Writer, stages []stage, names []string) int {
	for _, name := range names {
		if !slices.ContainsFunc(stages, func(s stage) bool { return s.name == name }) {
			fmt.Fprintf(out, "no stage %q; there are:\n", name)
			for _, s := range stages {
				fmt.Fprintf(out, "  %-8s %s\n", s.name, s.what)
			}
			return 2
		}
	}
	dir, err := os.MkdirTemp("", "parley-ci-")
	if err != nil {
		fmt.Fprintln(out, err)
		return 2
	}
	defer func() { _ = os.RemoveAll(dir) }() // Left-overs in the temporary folder harm nobody.
	r := &run{out: out, dir: dir}
	for _, s := range stages {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		fmt.Fprintf(out, "\n=== %s: %s\n", s.name, s.what)
		start, failedBefore := time.Now(), r.failed
		err := s.run(ctx, r)
		if err != nil {
			fmt.Fprintln(out, err)
			// What broke is no test case; it must show in the count all the same.
			if r.failed == failedBefore {
				r.failed++
			}
		}
		state := "ok"
		if r.failed > failedBefore {
			state = "FAILED"
		}
		fmt.Fprintf(out, "=== %s: %s, %.0f s\n", s.name, state, time.Since(start).Seconds())
		if ctx.Err() != nil {
			fmt.Fprintln(out, context.Cause(ctx))
			break
		}
	}
	fmt.Fprintf(out, "\n%d passed, %d failed\n", r.passed, r.failed)
	if r.failed > 0 {
		return 1
	}
	return 0
}

// step runs fn under a name and says how long it took.
func (r *run) step(name string, fn func() error) error {
	start := time.Now()
	err := fn()
	state := "ok"
	if err != nil {
		state = "FAILED"
	}
	r.printf("  %-28s %-6s %5.1f s\n", name, state, time.Since(start).Seconds())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// command prepares a program that ends with ctx. It is asked to end, and killed
// when it does not.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// quiet runs a program whose output matters only when it fails.
func quiet(ctx context.Context, name string, args ...string) error {
	_, err := output(command(ctx, name, args...))
	return err
}

func output(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args[:min(len(cmd.Args), 4)], " "), err, out.String())
	}
	return out.String(), nil
}

// withEnv returns the environment without our own settings, which must come from
// the tests alone, and with those given.
func withEnv(settings ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "PARLEY_") || strings.HasPrefix(s, "OPENAI_")
	})
	return append(env, settings...)
}

func build(ctx context.Context, r *run) error {
	cmd := command(ctx, "go", "build", "-trimpath", "-o", r.binary(), "./cmd/parley")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if _, err := output(cmd); err != nil {
		return err
	}
	info, err := os.Stat(r.binary())
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "  %.1f MiB\n", float64(info.Size())/(1<<20))
	return nil
}

// binary is where the stage build leaves the program.
func (r *run) binary() string { return r.dir + "/parley" }
