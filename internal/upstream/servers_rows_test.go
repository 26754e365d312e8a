package upstream_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A modelServer is a file of testdata/servers: what one kind of model server sends, made by
// hand from what its source says, and what is to become of it. testdata/servers/README.md
// describes the form.
type modelServer struct {
	file string // without folder and ending
	name string // as people know it
	base string // the base URL that an operator sets; "" when the file is of no one server
	docs string // where its documentation is
	rows []row
}

// row is one thing that a server does, and the right outcome.
type row struct {
	server  *modelServer
	id      string
	fields  map[string][]string
	answers []rowAnswer
}

// rowAnswer is one of the answers of a row.
type rowAnswer struct {
	status  int
	headers map[string]string
	body    string
	with    []string // members that the request must have
	without []string // members that it must not have
	first   int      // only for so many calls; 0 is all
	until   time.Duration
	delay   time.Duration
	cut     bool // ends the connection in the middle
	gzip    bool
}

// one returns the only value of a field, "" when there is none. A text in quotes is Go's.
func (r row) one(field string) string {
	values := r.fields[field]
	if len(values) == 0 {
		return ""
	}
	return strings.Join(values, "\n")
}

func (r row) number(t *testing.T, field string, otherwise int) int {
	t.Helper()
	s := r.one(field)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", field, err)
	}
	return n
}

// text returns a field that may be written in quotes.
func (r row) text(t *testing.T, field string) string {
	t.Helper()
	s := r.one(field)
	if !strings.HasPrefix(s, `"`) {
		return s
	}
	text, err := strconv.Unquote(s)
	if err != nil {
		t.Fatalf("%s: %s: %v", field, s, err)
	}
	return text
}

// clock reports whether time passes in the row, which then runs on a clock of its own.
func (r row) clock() bool {
	return slices.ContainsFunc(r.answers, func(a rowAnswer) bool {
		return a.delay > 0 || a.until > 0 || strings.Contains(a.body, "\n~ ") || strings.HasPrefix(a.body, "~ ")
	}) || r.one("clock") != ""
}

// knownFields are those that a row may have. The test takes no others, or a slip would check
// nothing.
var knownFields = []string{
	"about", "source", "kind", "send", "think", "clock",
	"text", "reasoning", "finish", "code", "usage", "citation", "omitted", "dropped", "value", "learns",
	"calls", "learnt", "models", "log", "unlogged",
}

// readServers reads all files of testdata/servers, in the order of their names.
func readServers(tb testing.TB) []*modelServer {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "servers", "*.txt"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("got %d files, %v, want some", len(paths), err)
	}
	var servers []*modelServer
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		s, err := parseServer(strings.TrimSuffix(filepath.Base(path), ".txt"), string(b))
		if err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		servers = append(servers, s)
	}
	return servers
}

func parseServer(file, text string) (*modelServer, error) {
	s := &modelServer{file: file}
	head := map[string][]string{}
	var r *row
	var a *rowAnswer
	var body []string
	ends := func() {
		if a != nil {
			a.body = fill(strings.Join(body, "\n"))
			r.answers = append(r.answers, *a)
		}
		a, body = nil, nil
	}
	for n, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		var err error
		switch id, isRow := strings.CutPrefix(line, "== "); {
		case isRow:
			if ends(); r != nil {
				s.rows = append(s.rows, *r)
			}
			r = &row{server: s, id: id, fields: map[string][]string{}}
		case r != nil && strings.HasPrefix(line, "-- "):
			ends()
			a, err = parseAnswer(strings.TrimPrefix(line, "-- "))
		case a != nil:
			body = append(body, line)
		case line == "" || strings.HasPrefix(line, "# "):
		case r != nil:
			err = parseField(r.fields, line, knownFields)
		default:
			err = parseField(head, line, []string{"name", "base", "docs"})
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	if ends(); r != nil {
		s.rows = append(s.rows, *r)
	}
	s.name, s.base = strings.Join(head["name"], ""), strings.Join(head["base"], "")
	s.docs = strings.Join(head["docs"], " ")
	return s, nil
}

func parseField(fields map[string][]string, line string, known []string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !slices.Contains(known, name) {
		return fmt.Errorf("%q is no field", line)
	}
	fields[name] = append(fields[name], strings.TrimPrefix(value, " "))
	return nil
}

// parseAnswer reads the words after "-- ".
func parseAnswer(line string) (*rowAnswer, error) {
	a := &rowAnswer{headers: map[string]string{}}
	for i, word := range strings.Fields(line) {
		var err error
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "with":
			a.with = append(a.with, value)
		case "without":
			a.without = append(a.without, value)
		case "first":
			a.first, err = strconv.Atoi(value)
		case "until":
			a.until, err = time.ParseDuration(value)
		case "delay":
			a.delay, err = time.ParseDuration(value)
		case "header":
			header, text, _ := strings.Cut(value, ":")
			a.headers[header] = text
		case "cut":
			a.cut = true
		case "gzip":
			a.gzip = true
		default:
			if i > 0 {
				return nil, fmt.Errorf("%q is no word of an answer", word)
			}
			a.status, err = strconv.Atoi(word)
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", word, err)
		}
	}
	return a, nil
}

// fill puts in the long runs of letters that a body stands for, such as {{1400K}}.
func fill(body string) string {
	before, rest, ok := strings.Cut(body, "{{")
	if !ok {
		return body
	}
	size, after, ok := strings.Cut(rest, "K}}")
	n, err := strconv.Atoi(size)
	if !ok || err != nil {
		return body
	}
	return before + strings.Repeat("A", n<<10) + fill(after)
}
