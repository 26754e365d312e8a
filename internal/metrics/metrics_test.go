package metrics_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"parley/internal/metrics"
)

var update = flag.Bool("update", false, "write the table of docs/operations.md")

const operations = "../../docs/operations.md"

// TestTable holds the table of the documentation to the series there are.
func TestTable(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	table.WriteString("| series | kind | labels | what |\n|---|---|---|---|\n")
	for _, s := range metrics.All() {
		labels := ""
		if len(s.Labels) > 0 {
			labels = "`" + strings.Join(s.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", s.Name, s.Kind, labels, s.Help)
	}
	text, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile(`(?s)(internal/metrics/series.go by a test. -->\n\n)(.*?)(\nBeside them)`)
	m := place.FindStringSubmatch(string(text))
	if m == nil {
		t.Fatal("docs/operations.md has no place for the table")
	}
	if m[2] == table.String() {
		return
	}
	if !*update {
		t.Fatalf("the table of docs/operations.md is not that of series.go; run go test ./internal/metrics -update. Want:\n%s",
			table.String())
	}
	out := place.ReplaceAllLiteralString(string(text), m[1]+table.String()+m[3])
	if err := os.WriteFile(operations, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestBeforeRooms answers before there is a database.
func TestBeforeRooms(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1", func() bool { return false })
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{"parley_ready 0", `parley_build_info{version="v1"} 1`, "go_goroutines"} {
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d without %s:\n%s", w.Code, want, w.Body.String())
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, s := range metrics.All() {
		if seen[s.Name] {
			t.Errorf("%s is there twice", s.Name)
		}
		seen[s.Name] = true
		if total := strings.HasSuffix(s.Name, "_total"); total != (s.Kind == metrics.Counter) {
			t.Errorf("%s is a %s, and named otherwise", s.Name, s.Kind)
		}
		if s.Help == "" || strings.Contains(s.Help, "|") {
			t.Errorf("%s has the help %q", s.Name, s.Help)
		}
	}
}
