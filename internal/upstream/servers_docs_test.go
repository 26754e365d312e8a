package upstream_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/model-servers.md instead of comparing them")

// docs/model-servers.md has what TestServers tests, and nothing else.
func TestServersTable(t *testing.T) {
	const (
		path  = "../../docs/model-servers.md"
		begin = "<!-- Made from internal/upstream/testdata/servers by make generate. Do not edit below. -->\n"
	)
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, got, ok := strings.Cut(string(page), begin)
	if !ok {
		t.Fatalf("%s has no line %q", path, begin)
	}
	want := serversMarkdown(readServers(t))
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s is not what testdata/servers says; run make generate", path)
	}
}

// Each named server has a stream, a list of models where it has one, and the refusals that all
// have.
func TestServersAreWhole(t *testing.T) {
	t.Parallel()
	for _, s := range readServers(t) {
		if s.base == "" {
			continue
		}
		for _, id := range []string{"stream", "too-long", "key", "no-model", "models"} {
			if s.file == "perplexity" && id == "models" || s.file == "sglang" && id == "no-model" {
				continue // It has no list; it answers to any name.
			}
			if !slices.ContainsFunc(s.rows, func(r row) bool { return r.id == id }) {
				t.Errorf("%s has no row %s", s.file, id)
			}
		}
		if len(s.collect("dropped")) == 0 && len(s.collect("learns")) == 0 && !s.has("format") && !s.has("grammar") {
			t.Errorf("%s has no refusal of a parameter", s.file)
		}
	}
}

// Each kind of trouble has three cases beside those that were reported first.
func TestKindsAreWhole(t *testing.T) {
	t.Parallel()
	counts := map[string]int{}
	for _, s := range readServers(t) {
		for _, r := range s.rows {
			if s.file == "kinds" {
				counts[r.one("kind")]++
			}
		}
	}
	for i := range kinds {
		if kind := fmt.Sprint(i + 1); counts[kind] < 3 {
			t.Errorf("got %d cases of kind %s, want at least 3", counts[kind], kind)
		}
	}
}

// kinds are the kinds of trouble, by number.
var kinds = []string{
	"What ends a reply", "What carries the text", "Errors anywhere", "Tool calls that nobody asked for",
	"Patience and repeats", "Parameters that are refused", "What the operator is told", "What a refusal means",
	"The list of models", "Counted tokens",
}

func (s *modelServer) has(id string) bool {
	return slices.ContainsFunc(s.rows, func(r row) bool { return r.id == id })
}

// collect returns the words that the rows have in a field, each once, in order.
func (s *modelServer) collect(field string) []string {
	var words []string
	for _, r := range s.rows {
		for _, value := range r.fields[field] {
			list := strings.Fields(value)
			if field == "learns" {
				list = []string{value}
			}
			for _, w := range list {
				if !slices.Contains(words, w) {
					words = append(words, w)
				}
			}
		}
	}
	slices.Sort(words)
	return words
}

func serversMarkdown(servers []*modelServer) string {
	var b strings.Builder
	b.WriteString("\n## What works, what is left out, what is learnt\n\n" +
		"| Server | Base URL | Thinking | Tokens counted | Sources | Limit known from | Left out, and said | Learnt |\n" +
		"|---|---|---|---|---|---|---|---|\n")
	for _, s := range servers {
		if s.base == "" {
			continue
		}
		fmt.Fprintf(&b, "| [%s](%s) | `%s` | %s | %s | %s | %s | %s | %s |\n", s.name, s.docs, s.base,
			yes(len(s.collect("reasoning")) > 0), s.counted(), yes(len(s.collect("citation")) > 0), s.limits(),
			list(append(s.collect("dropped"), lower(s.collect("omitted"))...)), list(s.collect("learns")))
	}
	b.WriteString("\n## Refusals, by server\n\n| Server | Told apart |\n|---|---|\n")
	for _, s := range servers {
		if s.base == "" {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s |\n", s.name, list(quote(s.collect("code"))))
	}
	for i, kind := range kinds {
		fmt.Fprintf(&b, "\n## %d. %s\n\n| Case | Outcome | Source |\n|---|---|---|\n", i+1, kind)
		for _, s := range servers {
			for _, r := range s.rows {
				if r.one("kind") == fmt.Sprint(i+1) {
					fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(r.one("about")), r.outcome(), source(r))
				}
			}
		}
	}
	b.WriteString("\n## Each server, row by row\n")
	for _, s := range servers {
		if s.base == "" {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n| Row | What it is | Outcome | Source |\n|---|---|---|---|\n", s.name)
		for _, r := range s.rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.id, cell(r.one("about")), r.outcome(), source(r))
		}
	}
	return b.String()
}

// outcome says in short what becomes of a row.
func (r row) outcome() string {
	var parts []string
	switch code := r.one("code"); {
	case r.one("models") != "":
		return "the models " + list(quote(strings.Fields(r.one("models"))))
	case code != "" && r.one("text") != "":
		parts = append(parts, "`"+code+"`, and the text so far")
	case code != "":
		parts = append(parts, "`"+code+"`")
	default:
		parts = append(parts, "the text")
	}
	if n := r.one("learnt"); n != "" {
		parts = append(parts, "the limit "+n+" is learnt")
	}
	if r.one("reasoning") != "" {
		parts = append(parts, "thoughts apart")
	}
	if finish := r.one("finish"); finish != "" && finish != "none" {
		parts = append(parts, "ended by `"+finish+"`")
	}
	if n := len(r.fields["citation"]); n == 1 {
		parts = append(parts, "a source")
	} else if n > 1 {
		parts = append(parts, fmt.Sprintf("%d sources", n))
	}
	if usage := r.one("usage"); usage != "" {
		parts = append(parts, "tokens "+usage)
	}
	for _, field := range []string{"omitted", "dropped"} {
		if values := r.one(field); values != "" {
			parts = append(parts, "without "+list(quote(strings.Fields(values))))
		}
	}
	if learns := r.one("learns"); learns != "" {
		parts = append(parts, "learnt: "+learns)
	}
	return strings.Join(parts, "; ")
}

// counted says which tokens the server is known to count.
func (s *modelServer) counted() string {
	var parts []string
	for _, part := range []string{"cached=", "write=", "reasoning="} {
		if slices.ContainsFunc(s.collect("usage"), func(w string) bool { return strings.HasPrefix(w, part) }) {
			parts = append(parts, map[string]string{
				"cached=": "cached", "write=": "written to the cache", "reasoning=": "thinking",
			}[part])
		}
	}
	switch {
	case len(s.collect("usage")) == 0:
		return "no"
	case len(parts) == 0:
		return "yes"
	}
	return "yes, also " + strings.Join(parts, ", ")
}

// limits says where the limit of a model is known from.
func (s *modelServer) limits() string {
	var parts []string
	if slices.ContainsFunc(s.collect("models"), func(w string) bool { return strings.Contains(w, "=") }) {
		parts = append(parts, "`/models`")
	}
	if len(s.collect("learnt")) > 0 {
		parts = append(parts, "a refusal")
	}
	if len(parts) == 0 {
		return "`PARLEY_CONTEXT_TOKENS` only"
	}
	return strings.Join(parts, ", ")
}

func source(r row) string {
	s := r.one("source")
	if !strings.HasPrefix(s, "https://") {
		return cell(s)
	}
	name := strings.TrimPrefix(s, "https://")
	if path, ok := strings.CutPrefix(name, "github.com/"); ok {
		name = path
	} else if host, _, ok := strings.Cut(name, "/"); ok {
		name = host
	}
	return "[" + name + "](" + s + ")"
}

// cell makes a text fit for a table, whose words are no HTML.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(s)
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func list(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

func quote(words []string) []string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "`" + w + "`"
	}
	return quoted
}

func lower(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.ToLower(w)
	}
	return out
}
