package metrics_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
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
		t.Fatalf("the table of docs/operations.md is not that of series.go; run make generate. Want:\n%s",
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

// TestExamples holds the alerts and the dashboard to the series there are: one that names
// another shows nothing, for ever.
func TestExamples(t *testing.T) {
	t.Parallel()
	known := make(map[string]metrics.Series)
	for _, s := range metrics.All() {
		known[s.Name] = s
	}
	selector := regexp.MustCompile(`(parley_[a-z_]+)(?:\{([^}]*)\})?`)
	label := regexp.MustCompile(`([a-z_]+)\s*!?=~?`)
	for _, name := range []string{"../../deploy/prometheus/parley.rules.yml", "../../deploy/grafana/parley.json"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found := selector.FindAllStringSubmatch(string(text), -1)
		if len(found) < 10 {
			t.Errorf("%s names %d series, want many", name, len(found))
		}
		for _, m := range found {
			s, ok := known[m[1]]
			for _, end := range []string{"_bucket", "_count", "_sum"} {
				if base, cut := strings.CutSuffix(m[1], end); !ok && cut && known[base].Kind == metrics.Histogram {
					s, ok = known[base], true
				}
			}
			if !ok {
				t.Errorf("%s names the series %s, which there is not", name, m[1])
			}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(s.Labels, l[1]) {
					t.Errorf("%s names the label %s of %s, which there is not", name, l[1], m[1])
				}
			}
		}
	}
}
