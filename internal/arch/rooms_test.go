package arch_test

import (
	"path"
	"slices"
	"strings"
)

// all as an arrow allows every room.
const all = "*"

// rooms lists every package and the rooms it may import: the arrows of the
// design. A package that is not here fails. Rooms that stand under another one
// count as part of it unless they have a line of their own.
//
// internal/pid is the ground floor: ids are values that every room speaks.
var rooms = map[string][]string{
	".":          {},
	"cmd/parley": {all},
	"graph": {"internal/chat", "internal/feed", "internal/reply", "internal/auth", "internal/viewer", "internal/pid",
		"internal/fact", "internal/refusal", "internal/budget", "internal/direct", "ent"},
	"internal/chat": {"internal/reply", "internal/usage", "ent", "internal/viewer", "internal/pid", "internal/fact",
		"internal/refusal", "internal/catalog", "internal/prompt", "internal/tally", "internal/text"},
	"internal/reply": {"internal/prompt", "internal/text", "internal/usage", "ent", "internal/viewer", "internal/pid",
		"internal/fact", "internal/refusal", "internal/complaint", "internal/tally", "internal/trace",
		"internal/stack"},
	"internal/store": {"ent", "internal/chat", "internal/reply", "internal/prompt", "internal/usage",
		"internal/auth", "internal/viewer", "internal/pid", "internal/budget", "internal/tally", "internal/complaint",
		"internal/version"},
	"internal/feed":   {"internal/reply", "ent", "internal/pid", "internal/fact", "internal/refusal"},
	"internal/prompt": {},
	"internal/usage":  {"ent", "internal/pid"},
	"internal/auth": {"ent", "internal/viewer", "internal/pid", "internal/fact", "internal/refusal",
		"internal/complaint", "internal/tally", "internal/text"},
	"internal/refusal": {},
	"internal/budget":  {"internal/refusal"},
	"internal/direct":  {},
	"internal/upstream": {"internal/reply", "internal/prompt", "internal/catalog", "internal/secret",
		"internal/complaint", "internal/hosts", "internal/tally", "internal/trace"},
	"internal/upstream/eliza":       {"internal/upstream/completions"},
	"internal/upstream/script":      {"internal/upstream/completions"},
	"internal/upstream/completions": {},
	"internal/bus":                  {"internal/fact", "internal/reply", "internal/pid", "internal/tally"},
	"internal/fact":                 {"ent", "internal/pid"},
	"internal/viewer":               {"internal/pid"},
	"internal/pid":                  {},
	"internal/stack":                {},
	"internal/text":                 {},
	"internal/transport": {"internal/budget", "internal/direct", "internal/refusal", "internal/complaint",
		"internal/hosts", "internal/tally", "internal/trace", "internal/stack"},
	"internal/session": {"internal/auth", "internal/complaint", "internal/hosts", "internal/refusal",
		"internal/transport"},
	"internal/hosts":      {},
	"internal/tally":      {},
	"internal/trace":      {},
	"internal/trace/otlp": {"internal/trace", "internal/complaint"},
	"internal/metrics": {"internal/chat", "internal/reply", "internal/auth", "internal/transport", "internal/store",
		"internal/upstream", "internal/bus", "internal/tally"},
	"internal/catalog":   {},
	"internal/secret":    {},
	"internal/version":   {},
	"internal/failpoint": {},
	"internal/complaint": {},
	"internal/arch":      {},
	"internal/tools":     {all},
	"ent":                {"ent/schema", "internal/pid"},
	"ent/schema":         {"ent", "internal/viewer", "internal/pid"},
	"web":                {},
	// The proof by fault. The four rooms know each other as little as they can: the judge
	// reads a history and nothing else, and a client cannot touch a process.
	"test/faults": {"test/faults/cluster", "test/faults/client", "test/faults/nemesis", "test/faults/judge",
		"test/faults/history", "test/faults/script", "test/faults/wait", "internal/store/storetest"},
	"test/faults/cluster": {"test/faults/history", "test/faults/script", "test/faults/wait", "internal/store"},
	"test/faults/client":  {"test/faults/history", "test/faults/script", "test/faults/wait"},
	"test/faults/nemesis": {"test/faults/cluster", "test/faults/history", "test/faults/wait"},
	"test/faults/judge":   {"test/faults/history", "test/faults/script"},
	"test/faults/history": {},
	"test/faults/script":  {},
	"test/faults/wait":    {},
	// They know the server from outside only.
	"test/perf":    {},
	"test/attacks": {"internal/store/storetest", "test/built"},
	"test/deploy":  {"test/built"},
	"test/built":   {},
	// Compiled into tests only.
	"internal/bus/bustest":           {all},
	"internal/refusal/refusaltest":   {all},
	"internal/reply/replytest":       {all},
	"internal/store/storetest":       {all},
	"internal/upstream/upstreamtest": {all},
	"internal/waittest":              {},
}

// testOnly lists the rooms that nothing shipped may import.
var testOnly = []string{
	"internal/arch", "internal/tools", "internal/bus/bustest", "internal/reply/replytest",
	"internal/store/storetest", "internal/refusal/refusaltest", "internal/upstream/upstreamtest", "ent/enttest",
	"internal/waittest",
	"test/faults", "test/perf", "test/attacks", "test/deploy", "test/built",
}

// vendors lists who alone may import the packages of others that a room hides.
var vendors = map[string][]string{
	"github.com/lib/pq":                 {"internal/store"},
	"modernc.org/sqlite":                {"internal/store"},
	"github.com/pressly/goose":          {"internal/store"},
	"github.com/nats-io":                {"internal/bus"},
	"github.com/sashabaranov/go-openai": {"internal/upstream"},
	"github.com/99designs/gqlgen":       {"graph", "internal/transport", "cmd/parley"},
	"github.com/vektah/gqlparser":       {"graph", "internal/transport"},
	"github.com/golang-jwt/jwt":         {"internal/auth"},
	"github.com/prometheus":             {"internal/metrics"},
	"go.opentelemetry.io":               {"internal/trace", "internal/trace/otlp"},
	"golang.org/x/crypto":               {"internal/auth"},
	"golang.org/x/net":                  {"internal/hosts"},
	"golang.org/x/text":                 {"internal/text"},
	"github.com/apparentlymart":         {"internal/text"},
	"entgo.io/ent/dialect/sql/schema":   {"internal/store", "ent"},
	"entgo.io/ent/dialect": {"internal/store", "ent", "ent/schema", "internal/chat", "internal/feed", "internal/reply",
		"internal/auth"},
	"github.com/google/go-cmp": {},
	"go.uber.org/goleak":       {},
	"testing":                  {},
	"net/http/httptest":        {},
}

// roomOf returns the longest room that a folder lies in.
func roomOf(dir string) (string, bool) {
	for d := dir; ; d = path.Dir(d) {
		if _, ok := rooms[d]; ok && (d != "." || dir == ".") {
			return d, true
		}
		if d == "." {
			return "", false
		}
	}
}

// checkRooms finds packages outside the table.
func checkRooms(h *house) []string {
	var bad []string
	for dir := range h.byDir() {
		switch room, ok := roomOf(dir); {
		case under(dir, "examples"): // Programs of their own.
		case !ok:
			bad = append(bad, dir+": no such room in the table of internal/arch; is there a room that owns this?")
		case room == "internal/chat" && dir != room, room == "internal/reply" && dir != room:
			bad = append(bad, dir+": a new room inside "+room+" needs a line in the table of internal/arch")
		}
	}
	return bad
}

// checkArrows finds imports of our packages that the table does not allow.
func checkArrows(h *house) []string {
	var bad []string
	for _, s := range h.sources {
		if s.test {
			continue
		}
		from, ok := roomOf(s.dir)
		if !ok {
			continue // checkRooms says so.
		}
		for _, spec := range s.ast.Imports {
			target, ours := strings.CutPrefix(importPath(spec), module+"/")
			if !ours {
				continue
			}
			to, _ := roomOf(target)
			switch {
			case isTestOnly(target) && !isTestOnly(s.dir) && !under(s.dir, "ent"):
				bad = append(bad, h.at(s, spec, "%s is for tests only", target))
			case to == from, to == "internal/failpoint", isTestOnly(target) && under(s.dir, "ent"):
			case slices.Contains(rooms[from], all), slices.Contains(rooms[from], to):
			default:
				bad = append(bad, h.at(s, spec, "%s may not import %s", from, target))
			}
		}
	}
	return bad
}

// checkVendors finds packages of others outside the room that hides them.
func checkVendors(h *house) []string {
	var bad []string
	for _, s := range h.shipped() {
		for _, spec := range s.ast.Imports {
			p := importPath(spec)
			owner := ""
			for v := range vendors {
				if under(p, v) && len(v) > len(owner) {
					owner = v
				}
			}
			if owner == "" {
				continue
			}
			if room, _ := roomOf(s.dir); !slices.Contains(vendors[owner], room) {
				bad = append(bad, h.at(s, spec, "%s belongs to %s only", p, orNobody(vendors[owner])))
			}
		}
	}
	return bad
}

func orNobody(rooms []string) string {
	if len(rooms) == 0 {
		return "tests"
	}
	return strings.Join(rooms, ", ")
}

var forbiddenNames = []string{"util", "utils", "common", "helper", "helpers", "model", "models", "type", "types",
	"config", "misc"}

// checkPackageNames finds packages that say nothing about what they own.
func checkPackageNames(h *house) []string {
	var bad []string
	for dir, sources := range h.byDir() {
		if dir == "graph/model" { // Generated, and gqlgen's own word.
			continue
		}
		name := strings.TrimSuffix(sources[0].ast.Name.Name, "_test")
		if slices.Contains(forbiddenNames, name) || slices.Contains(forbiddenNames, path.Base(dir)) {
			bad = append(bad, dir+": the package name "+name+" says nothing; name what it provides")
		}
	}
	return bad
}
