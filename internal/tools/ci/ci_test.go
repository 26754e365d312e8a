package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func lastLine(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return lines[len(lines)-1]
}

func TestRunStages(t *testing.T) {
	t.Parallel()
	good := stage{"good", "passes", func(_ context.Context, r *run) error { r.passed += 2; return nil }}
	bad := stage{"bad", "has a failing test",
		func(_ context.Context, r *run) error { r.failed++; return errors.New("exit status 1") }}
	broken := stage{"broken", "runs no test", func(context.Context, *run) error { return errors.New("does not build") }}
	for _, tt := range []struct {
		name   string
		stages []stage
		only   []string
		code   int
		last   string
	}{
		{"all pass", []stage{good, good}, nil, 0, "4 passed, 0 failed"},
		{"a failure does not stop the rest", []stage{bad, good}, nil, 1, "2 passed, 1 failed"},
		{"what is no test case counts too", []stage{good, broken}, nil, 1, "2 passed, 1 failed"},
		{"one stage", []stage{good, bad}, []string{"good"}, 0, "2 passed, 0 failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if code := runStages(t.Context(), &out, tt.stages, tt.only); code != tt.code ||
				lastLine(out.String()) != tt.last {
				t.Errorf("got status %d and the last line %q, want %d and %q\n%s", code, lastLine(out.String()),
					tt.code, tt.last, out.String())
			}
		})
	}
	t.Run("unknown stage", func(t *testing.T) {
		t.Parallel()
		var out strings.Builder
		if code := runStages(t.Context(), &out, []stage{good}, []string{"nothing"}); code != 2 ||
			!strings.Contains(out.String(), "good") {
			t.Errorf("got status %d and %q, want 2 and the list of stages", code, out.String())
		}
	})
	t.Run("ends when the time is over", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		over := stage{"over", "",
			func(ctx context.Context, _ *run) error { cancel(errors.New("too long")); return context.Cause(ctx) }}
		var out strings.Builder
		if code := runStages(ctx, &out, []stage{over, good}, nil); code != 1 ||
			lastLine(out.String()) != "0 passed, 1 failed" {
			t.Errorf("got status %d and\n%s", code, out.String())
		}
	})
}

func TestReadGoTest(t *testing.T) {
	t.Parallel()
	const events = `
{"Action":"start","Package":"p/good"}
{"Action":"run","Package":"p/good","Test":"TestA"}
{"Action":"output","Package":"p/good","Test":"TestA","Output":"noise\n"}
{"Action":"pass","Package":"p/good","Test":"TestA/one","Elapsed":0.1}
{"Action":"skip","Package":"p/good","Test":"TestA/two","Elapsed":0}
{"Action":"pass","Package":"p/good","Test":"TestA","Elapsed":0.1}
{"Action":"output","Package":"p/good","Output":"ok  \tp/good\n"}
{"Action":"pass","Package":"p/good","Elapsed":1}
{"Action":"output","Package":"p/bad","Test":"TestB/x","Output":"    b_test.go:1: wrong\n"}
{"Action":"fail","Package":"p/bad","Test":"TestB/x","Elapsed":0}
{"Action":"fail","Package":"p/bad","Test":"TestB","Elapsed":0}
{"Action":"fail","Package":"p/bad","Elapsed":2}
{"ImportPath":"p/broken","Action":"build-output","Output":"broken.go:1: undefined: x\n"}
{"ImportPath":"p/broken","Action":"build-fail"}
{"Action":"fail","Package":"p/broken","Elapsed":0,"FailedBuild":"p/broken"}
{"Action":"output","Package":"p/panics","Test":"TestC","Output":"panic: boom\n"}
{"Action":"fail","Package":"p/panics","Elapsed":0}
not JSON
`
	var out strings.Builder
	got, err := readGoTest(strings.NewReader(strings.TrimPrefix(events, "\n")), &out)
	if err != nil {
		t.Fatal(err)
	}
	// Two tests of p/bad, and one failure for each of p/broken and p/panics.
	if want := (goTestCounts{passed: 2, failed: 4, skipped: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, want := range []string{"wrong", "undefined: x", "panic: boom", "not JSON", "pass p/good", "fail p/broken"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output does not hold %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "noise") {
		t.Errorf("the output of a passing test is shown:\n%s", out.String())
	}
}

func TestCountNode(t *testing.T) {
	t.Parallel()
	const out = "TAP version 13\nok 1 - a\n    # pass 9\n# tests 3\n# pass 2\n# fail 1\n# cancelled 1\n# skipped 0\n" +
		"ℹ tests 5\nℹ pass 5\nℹ fail 0\nℹ cancelled 0\n"
	if passed, failed := countNode(out); passed != 7 || failed != 2 {
		t.Errorf("got %d passed, %d failed; want 7 and 2", passed, failed)
	}
	if passed, failed := countNode("all is well"); passed != 0 || failed != 0 {
		t.Errorf("got %d passed, %d failed of no summary; want none", passed, failed)
	}
}

func TestFindProjects(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"compat/apollo/package.json":                   `{"scripts":{"test":"node --test"}}`,
		"compat/clients/package.json":                  `{"scripts":{"test":"node --test"},"parley":{"databases":["sqlite","postgres"]}}`,
		"compat/library/package.json":                  `{"scripts":{"build":"tsc"}}`,
		"compat/apollo/node_modules/left/package.json": `{"scripts":{"test":"x"}}`,
		"web/graphiql/package.json":                    `{"scripts":{"test":"node --test"}}`,
	} {
		write(t, filepath.Join(root, name), text)
	}
	projects, err := findProjects(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range projects {
		rel, err := filepath.Rel(root, p.dir)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rel+" "+strings.Join(p.databases, "+"))
	}
	if want := []string{"compat/apollo sqlite", "compat/clients sqlite+postgres",
		"web/graphiql sqlite"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root+"/same", "1")
	write(t, root+"/edited", "1")
	write(t, root+"/gone", "1")
	before, err := fingerprint(root, root+"/missing")
	if err != nil {
		t.Fatal(err)
	}
	write(t, root+"/edited", "2")
	write(t, root+"/deep/added", "1")
	if err := os.Remove(root + "/gone"); err != nil {
		t.Fatal(err)
	}
	after, err := fingerprint(root, root+"/missing")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"  changed  " + root + "/edited", "  new      " + root + "/deep/added", "  removed  " + root +
		"/gone"}
	if got := changes(before, after); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := changes(after, after); len(got) != 0 {
		t.Errorf("got %q for the same files, want nothing", got)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
