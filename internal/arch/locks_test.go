package arch_test

import (
	"go/ast"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// makers lists who may make which viewer, and who may step around the policies.
// A worker of a reply runs as the reply's owner; the purposes see rows of
// everybody, so each stays in the room that needs it.
var makers = map[string][]string{
	module + "/internal/viewer.AsUser":      {"internal/reply", "cmd/parley"},
	module + "/internal/viewer.AsSignIn":    {"internal/auth"},
	module + "/internal/viewer.AsSweep":     {"internal/reply", "internal/chat"},
	module + "/internal/viewer.AsAdmin":     {"internal/auth", "cmd/parley"},
	module + "/ent/privacy.DecisionContext": {},
	"entgo.io/ent/privacy.DecisionContext":  {},
}

// checkMakers finds viewers made outside the rooms that may make them. A mention
// counts like a call, so that passing the function on does not help.
func checkMakers(h *house) []string {
	var bad []string
	for _, s := range h.shipped() {
		for _, spec := range s.ast.Imports {
			if spec.Name != nil && spec.Name.Name == "." {
				bad = append(bad, h.at(s, spec, "a dot import hides who is called"))
			}
		}
		room, _ := roomOf(s.dir)
		s.selections(func(node ast.Node, pkg, name string) {
			allowed, guarded := makers[pkg+"."+name]
			if guarded && !slices.Contains(allowed, room) {
				bad = append(bad, h.at(s, node, "%s may be used by %s only", name, orNobody(allowed)))
			}
		})
	}
	return bad
}

// checkMakersKnown finds ways to make a viewer that the table does not list.
func checkMakersKnown(h *house) []string {
	var bad []string
	for _, s := range h.shipped() {
		if s.dir != "internal/viewer" {
			continue
		}
		for _, d := range s.ast.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "As") {
				continue
			}
			if _, ok := makers[module+"/internal/viewer."+f.Name.Name]; !ok {
				bad = append(bad, h.at(s, f, "%s is not in the table of who may make which viewer", f.Name.Name))
			}
		}
	}
	return bad
}

// checkEdgePredicates finds Has…-edge predicates in the rooms that query on
// behalf of users: the privacy policies do not reach into the joined table.
func checkEdgePredicates(h *house) []string {
	var bad []string
	for _, s := range h.shipped() {
		if room, _ := roomOf(s.dir); !slices.Contains([]string{"internal/chat", "internal/reply", "internal/auth"},
			room) {
			continue
		}
		s.selections(func(node ast.Node, pkg, name string) {
			rest, isHas := strings.CutPrefix(name, "Has")
			first, _ := utf8.DecodeRuneInString(rest)
			if isHas && unicode.IsUpper(first) && strings.HasPrefix(pkg, module+"/ent/") {
				bad = append(bad, h.at(s, node, "%s escapes the privacy policies; compare the foreign key", name))
			}
		})
	}
	return bad
}
