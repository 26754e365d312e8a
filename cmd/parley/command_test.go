package main

import (
	"bytes"
	"errors"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/graph"
)

// runInside runs a command that ends by itself in this process.
func runInside(t *testing.T, environ []string, args ...string) (stdout string, err error) {
	t.Helper()
	var out, log bytes.Buffer
	err = run(t.Context(), args, environ, strings.NewReader(""), &out, &log)
	return out.String(), err
}

func TestHelp(t *testing.T) {
	t.Parallel()
	// Help must be there above all when the configuration is wrong.
	for _, arg := range []string{"help", "--help", "-h"} {
		got, err := runInside(t, []string{"PARLEY_MODE=wrong"}, arg)
		if err != nil {
			t.Fatalf("parley %s: %v", arg, err)
		}
		for _, v := range variables {
			if !strings.Contains(got, "\n  "+v.name+"\n") || !strings.Contains(got, "example: "+v.name+"=") {
				t.Errorf("parley %s does not explain %s", arg, v.name)
			}
		}
		for _, c := range commands {
			if !strings.Contains(got, "\n  "+strings.TrimSpace(c.name+" "+c.arguments)+" ") {
				t.Errorf("parley %s does not name the command %s", arg, c.name)
			}
		}
	}
}

// TestHelpOfCommands asks each command for its help, in every way and place, in a folder
// where nothing may be made of it.
func TestHelpOfCommands(t *testing.T) {
	t.Parallel()
	for _, c := range commands {
		words := strings.Fields(c.name)
		calls := [][]string{append([]string{"help"}, words...), append([]string{"help", "--help"}, words...)}
		for _, flag := range []string{"--help", "-h", "-help"} {
			calls = append(calls, append(slices.Clone(words), flag),
				append(slices.Clone(words), "argument", flag), append(slices.Clone(words), "--flag", flag, "x"))
		}
		if len(words) == 1 {
			// A command of one word must not be shadowed by a group.
			if len(group(words[0])) > 0 {
				t.Errorf("parley %s is a command and a group of commands", c.name)
			}
		}
		for _, call := range calls {
			got, err := runInside(t, []string{"PARLEY_MODE=wrong"}, call...)
			if err != nil || !strings.HasPrefix(got, "Usage: "+c.usage()+"\n") {
				t.Errorf("parley %q = %q, %v, want the usage of %s", call, got, err, c.name)
			}
		}
	}
	for _, call := range [][]string{{"help", "user"}, {"user", "--help"}, {"user", "-h"}, {"user", "what", "-h"}} {
		got, err := runInside(t, nil, call...)
		if err != nil || !strings.Contains(got, "\n  user add EMAIL ") || strings.Contains(got, "backup") {
			t.Errorf("parley %q = %q, %v, want the commands of user only", call, got, err)
		}
	}
}

// TestCommandHints sees that a slip is answered with what was meant.
func TestCommandHints(t *testing.T) {
	t.Parallel()
	for call, want := range map[string]string{
		"bakup": "did you mean backup?", "sever": "did you mean serve?", "usr": "did you mean user?",
		"user lst":  "did you mean list?",
		"--port=80": "there is no flag --port:", "user": "user needs one of add, list,",
		"backup":                        "DIR is missing\nUsage: parley backup DIR\n",
		"version now":                   "takes no arguments\nUsage: parley version\n",
		"user add":                      "EMAIL is missing\nUsage: parley user add [--name NAME] [--password-stdin] EMAIL\n",
		"user add a@example.com --name": "a value is missing after --name\n",
	} {
		_, err := runInside(t, nil, strings.Fields(call)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parley %s = %v, want %q", call, err, want)
		}
	}
}

// A binary is asked for its version in four ways, and says the same each time.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"version", "--version"} {
		out, err := exec.Command(binary(t), arg).Output()
		if want := "parley v7.8.9\ncommit c0ffee\ngo"; err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("parley %s = %q, %v, want %q", arg, out, err, want)
		}
	}
	i := startProcess(t, sqliteEnviron(t)...)
	if _, body := i.get(t, "/healthz"); body != "ok\nversion: v7.8.9\ncommit: c0ffee\n" {
		t.Errorf("GET /healthz = %q, want the version and the commit", body)
	}
	first, _, _ := strings.Cut(i.out.String(), "\n")
	if !strings.Contains(first, "msg=starting version=v7.8.9 commit=c0ffee go=go") {
		t.Errorf("the first line of the log is %q, want the version and the commit", first)
	}
	if !strings.Contains(i.out.String(), "version v7.8.9)") {
		t.Errorf("the greeting names no version:\n%s", i.out.String())
	}
}

func TestSchemaCommand(t *testing.T) {
	t.Parallel()
	got, err := runInside(t, nil, "schema")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, graph.SDL()); diff != "" {
		t.Errorf("parley schema (-got +want):\n%s", diff)
	}
	for _, want := range []string{"type Query", "type Mutation", "type Subscription", "sendMessage("} {
		if !strings.Contains(got, want) {
			t.Errorf("parley schema lacks %q", want)
		}
	}
}

func TestMigrateCommand(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, environ []string) {
		got, err := runInside(t, environ, "migrate")
		if err != nil || !strings.HasSuffix(got, " migrations applied\n") || strings.HasPrefix(got, "0 ") {
			t.Errorf("the first parley migrate = %q, %v, want some migrations", got, err)
		}
		got, err = runInside(t, environ, "migrate")
		if err != nil || got != "0 migrations applied\n" {
			t.Errorf("the second parley migrate = %q, %v, want none", got, err)
		}
	})
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	environ := sqliteEnviron(t)
	for _, args := range [][]string{
		{"frobnicate"}, {"serve", "now"}, {"migrate", "now"}, {"--port", "80"}, {"backup"}, {"backup", "a", "b"},
		{"user"}, {"user", "add"}, {"user", "frobnicate", "ada@example.com"},
		{"user", "add", "ada@example.com", "eve@example.com"},
		{"user", "list", "--what"}, {"user", "list", "a", "b"}, {"schema", "now"}, {"version", "--long"},
		{"backup", "--fast", "dir"}, {"backup", ""}, {"help", "frobnicate"}, {"help", "user", "frobnicate"},
		{"help", "backup", "now"}, {"user", "--what"}, {"frobnicate", "--help"},
		// A password must not be where ps shows it.
		{"user", "add", "ada@example.com", "--password", testPassword},
		{"user", "add", "ada@example.com", "--password=" + testPassword},
		{"user", "add", "ada@example.com", "--password-stdin=" + testPassword},
		{"user", "passwd", "ada@example.com", testPassword},
		{"user", testPassword, "ada@example.com", "x"},
	} {
		_, err := runInside(t, environ, args...)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), "--help") {
			t.Errorf("parley %v = %v, want a usage error that names --help", args, err)
		}
		if err != nil && strings.Contains(err.Error(), testPassword) {
			t.Errorf("parley %v repeats the password: %v", args, err)
		}
	}
	got := command(t, environ, "", "frobnicate")
	if got.code != 2 || got.stdout != "" || !strings.HasPrefix(got.stderr, `parley: there is no command "frobnicate"`) {
		t.Errorf("parley frobnicate = %+v, want status 2 and an error", got)
	}
}

func TestRefusedStarts(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	other := sqliteEnviron(t)
	inUse := startInside(t, other...)

	tests := []struct {
		name    string
		environ []string
		want    []string
	}{
		{"an address in use", []string{"PARLEY_ADDR=" + taken.Addr().String(), "PARLEY_DATA_DIR=" + t.TempDir()},
			[]string{"PARLEY_ADDR", taken.Addr().String()}},
		{"an address of another machine", []string{"PARLEY_ADDR=192.0.2.1:80", "PARLEY_DATA_DIR=" + t.TempDir()},
			[]string{"PARLEY_ADDR", "192.0.2.1:80"}},
		{"a data folder in use", other, []string{"PARLEY_DATA_DIR", "in use by another parley"}},
		{"an unknown variable", append(sqliteEnviron(t), "PARLEY_ADRR=x"),
			[]string{"PARLEY_ADRR", "did you mean PARLEY_ADDR?"}},
		{"two wrong variables", append(sqliteEnviron(t), "PARLEY_LEASE=1h", "PARLEY_LOG=xml"),
			[]string{"PARLEY_LEASE", "PARLEY_LOG"}},
		{"a database that does not exist", append(sqliteEnviron(t), "PARLEY_DATABASE_URL="+missingDatabase(t)),
			[]string{"PARLEY_DATABASE_URL", "does not exist"}},
		{"documents that are not there, and a database that is away",
			append(sqliteEnviron(t), "PARLEY_DOCUMENTS=/nowhere.json",
				"PARLEY_DATABASE_URL=postgres://u:hunter2hunter2@127.0.0.1:1/d"), []string{"PARLEY_DOCUMENTS"}},
		{"NATS without Postgres", append(sqliteEnviron(t), "PARLEY_NATS_URL=nats://u:hunter2@h"),
			[]string{"PARLEY_DATABASE_URL", "PARLEY_NATS_URL"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := command(t, test.environ, "")
			if got.code != 1 || got.stdout != "" {
				t.Errorf("got %+v, want status 1 and nothing on standard output", got)
			}
			for _, want := range test.want {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("got the error %q, want %q in it", got.stderr, want)
				}
			}
			if strings.Contains(got.stderr, "canary") || strings.Contains(got.stderr, "hunter2") {
				t.Errorf("got the error %q with a password in it", got.stderr)
			}
		})
	}
	t.Cleanup(func() {
		if status := inUse.status(t, "/readyz"); status != 200 {
			t.Errorf("the server whose folder was wanted answers %d, want 200", status)
		}
	})
}
