package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// testPostgres is set by internal/tools/withpostgres.
const testPostgres = "PARLEY_TEST_POSTGRES_URL"

// plainSQLite keeps the race detector out of SQLite, which is C that was translated: it works
// on memory that the detector does not know, by locks that are ours, and takes ten times as
// long under it. The packages around it are watched: in all of modernc.org/... generic
// functions of the standard library would be compiled without the detector for everybody,
// and it would report what is no race.
const plainSQLite = "-gcflags=modernc.org/sqlite/lib=-race=false"

// goTests runs the Go tests of every package that has some. Vet has run before.
func goTests(ctx context.Context, r *run) error {
	list, err := output(command(ctx, "go", "list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}",
		"./..."))
	if err != nil {
		return err
	}
	packages := strings.Fields(list)
	if len(packages) == 0 {
		return errors.New("no package has tests")
	}
	args := append([]string{"test", "-race", plainSQLite, "-json", "-vet=off", "-count=1", "-timeout=60m"}, packages...)
	cmd := command(ctx, "go", args...)
	// The race detector needs cgo; asked for by name, a missing compiler is an error
	// that says so.
	// And one schedule of faults runs on servers built with it.
	cmd.Env = withEnv("CGO_ENABLED=1", testPostgres+"="+os.Getenv(testPostgres), "PARLEY_TEST_FAULT_RACE=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	counts, parseErr := readGoTest(pipe, r.out)
	err = cmd.Wait()
	r.passed += counts.passed
	r.failed += counts.failed
	fmt.Fprintf(r.out, "  %d passed, %d failed, %d skipped in %d packages\n", counts.passed, counts.failed,
		counts.skipped, len(packages))
	switch {
	case parseErr != nil:
		return parseErr
	case err != nil:
		return fmt.Errorf("go test: %w\n%s", err, stderr.String())
	case counts.passed == 0:
		return errors.New("not one test passed")
	}
	return nil
}

// goTestCounts are test cases: top-level tests and subtests. A package that
// fails without a failing test, because it does not build for example, is one
// failure.
type goTestCounts struct{ passed, failed, skipped int }

// goTestEvent is one line of go test -json.
type goTestEvent struct {
	Action      string
	Package     string
	ImportPath  string // Of build output, instead of Package.
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// readGoTest counts the events and writes a line for each package, after the
// output of what failed in it.
func readGoTest(in io.Reader, out io.Writer) (goTestCounts, error) {
	var counts goTestCounts
	type key struct{ pkg, test string }
	outputs := make(map[key]*strings.Builder) // Of what has not ended.
	builds := make(map[string]*strings.Builder)
	failedIn := make(map[string]int)
	casesIn := make(map[string]int)
	print := func(b *strings.Builder) {
		if b == nil {
			return
		}
		for line := range strings.Lines(b.String()) {
			if !strings.HasPrefix(line, "=== ") { // RUN, PAUSE, CONT.
				fmt.Fprint(out, line)
			}
		}
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil && len(line) == 0 {
			if errors.Is(err, io.EOF) {
				return counts, nil
			}
			return counts, err
		}
		var e goTestEvent
		if json.Unmarshal(line, &e) != nil {
			// A program that a test started may write past the test's output.
			fmt.Fprintf(out, "%s", line)
			continue
		}
		k := key{e.Package, e.Test}
		switch e.Action {
		case "build-output":
			if builds[e.ImportPath] == nil {
				builds[e.ImportPath] = new(strings.Builder)
			}
			builds[e.ImportPath].WriteString(e.Output)
		case "output":
			if outputs[k] == nil {
				outputs[k] = new(strings.Builder)
			}
			outputs[k].WriteString(e.Output)
		case "pass", "fail", "skip":
			if e.Action == "fail" && (e.Test != "" || failedIn[e.Package] == 0) {
				counts.failed++
				failedIn[e.Package]++
				print(builds[e.FailedBuild])
				// A test that ended the whole process has not ended itself.
				if e.Test == "" {
					for k, b := range outputs {
						if k.pkg == e.Package && k.test != "" {
							print(b)
						}
					}
				}
				print(outputs[k])
			}
			delete(outputs, k)
			switch {
			case e.Test == "":
				fmt.Fprintf(out, "  %-4s %-44s %4d cases %6.1f s\n", e.Action, e.Package, casesIn[e.Package], e.Elapsed)
			case e.Action == "pass":
				counts.passed++
				casesIn[e.Package]++
			case e.Action == "fail":
				casesIn[e.Package]++
			default:
				counts.skipped++
			}
		}
	}
}
