package arch_test

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"

	"github.com/lib/pq/pqerror"

	"parley/internal/refusal"
	"parley/internal/refusal/refusaltest"
)

// checkRefusals finds errors for clients that are not made by internal/refusal: a code
// spelt out, a type beside refusal.Error, a GraphQL error made elsewhere than in
// graph/errors.go. The transport answers by itself what is no operation at all, and a
// reply that has failed is data with codes of its own.
func checkRefusals(h *house) []string {
	var bad []string
	for _, s := range h.shipped() {
		room, _ := roomOf(s.dir)
		if room == "internal/refusal" || room == "internal/transport" {
			continue
		}
		s.literals(func(node *ast.BasicLit, text string) {
			ofReply := room == "internal/reply" && text == "INTERNAL"
			if slices.Contains(refusal.Codes(), refusal.Code(text)) && !ofReply {
				bad = append(bad, h.at(s, node, "%s is a code of clients; use internal/refusal", text))
			}
		})
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && hasFields(spec.Type, "Code", "Message") {
				bad = append(bad, h.at(s, spec, "%s is a second kind of refusal; use refusal.Error", spec.Name.Name))
			}
			return true
		})
		if s.path == "graph/errors.go" {
			continue
		}
		s.selections(func(node ast.Node, pkg, name string) {
			if pkg == "github.com/vektah/gqlparser/v2/gqlerror" {
				bad = append(bad, h.at(s, node, "gqlerror.%s; return a refusal, graph/errors.go presents it", name))
			}
		})
	}
	return bad
}

func hasFields(expr ast.Expr, names ...string) bool {
	typ, ok := expr.(*ast.StructType)
	if !ok {
		return false
	}
	var fields []string
	for _, f := range typ.Fields.List {
		for _, name := range f.Names {
			fields = append(fields, name.Name)
		}
	}
	return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(fields, name) })
}

// checkVoice finds refusals that do not speak as the others: messages that are no full
// sentences, problems that do not complete the name of a field.
func checkVoice(h *house) []string {
	var bad []string
	for _, s := range h.shipped() {
		if !slices.ContainsFunc(s.ast.Imports, func(spec *ast.ImportSpec) bool {
			return importPath(spec) == module+"/internal/refusal"
		}) {
			continue
		}
		report := func(node ast.Node, faults []string) {
			for _, f := range faults {
				bad = append(bad, h.at(s, node, "%s", f))
			}
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				name := calledName(n)
				switch {
				case slices.Contains(takeMessages, name):
					if text, ok := wording(n.Args[0]); ok {
						report(n, refusaltest.Sentences(text))
					}
				case name == "refusal.BadInput", strings.HasSuffix(name, ".Add") && len(n.Args) == 2:
					if text, ok := wording(n.Args[1]); ok {
						report(n, refusaltest.Phrase(text))
					}
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Message" {
					if text, ok := wording(n.Value); ok {
						report(n, refusaltest.Sentences(text))
					}
				}
			}
			return true
		})
	}
	return bad
}

// takeMessages are the constructors whose first argument is a message.
var takeMessages = []string{"refusal.Unauthenticated", "refusal.Forbidden", "refusal.RateLimited"}

func calledName(call *ast.CallExpr) string {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := sel.X.(*ast.Ident); ok {
		return x.Name + "." + sel.Sel.Name
	}
	return "." + sel.Sel.Name
}

// wording returns the text of an argument, as far as it stands in the source: with a verb
// of fmt in place of each value.
func wording(expr ast.Expr) (string, bool) {
	if call, ok := expr.(*ast.CallExpr); ok && calledName(call) == "fmt.Sprintf" {
		expr = call.Args[0]
	}
	text, ok := expr.(*ast.BasicLit)
	if !ok || text.Kind != token.STRING {
		return "", false
	}
	s, _ := strconv.Unquote(text.Value) // The parser has accepted it.
	return s, true
}

// checkCannot finds "cannot" in two words, which says something else. The built-in model
// knows how people write.
func checkCannot(h *house) []string {
	var bad []string
	report := func(path, text string) {
		for i, line := range strings.Split(text, "\n") {
			if strings.Contains(strings.ToLower(line), "can "+"not") {
				bad = append(bad, path+":"+strconv.Itoa(i+1)+": cannot is one word")
			}
		}
	}
	for _, s := range h.sources {
		if !s.generated && s.path != "internal/upstream/eliza/script.go" && !under(s.dir, "internal/refusal") &&
			!under(s.dir, "internal/arch") {
			report(s.path, s.text)
		}
	}
	for path, text := range h.graphql {
		report(path, text)
	}
	return bad
}

// dialectNames are what tells the databases and their states apart.
var dialectNames = map[string][]string{
	"entgo.io/ent/dialect": {"Postgres", "SQLite", "MySQL"},
	"database/sql":         {"ErrConnDone"},
	"database/sql/driver":  {"ErrBadConn"},
}

// checkDialect finds rooms that know which database there is, or what its errors mean:
// codes of Postgres, of SQLite and of database/sql. They belong to the store, and ent
// is generated for both.
func checkDialect(h *house) []string {
	var bad []string
	for _, s := range h.shipped() {
		if room, _ := roomOf(s.dir); room == "internal/store" || room == "ent" || room == "ent/schema" {
			continue
		}
		s.selections(func(node ast.Node, pkg, name string) {
			if slices.Contains(dialectNames[pkg], name) {
				bad = append(bad, h.at(s, node, "%s tells databases apart; ask the store", name))
			}
		})
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.Name == "SQLState" {
				bad = append(bad, h.at(s, id, "SQLState is a code of Postgres; ask store.IsUnavailable"))
			}
			return true
		})
		s.literals(func(node *ast.BasicLit, text string) {
			switch {
			case pqerror.Code(text).Name() != "" && len(text) == 5:
				bad = append(bad, h.at(s, node, "%q is a code of Postgres; ask store.IsUnavailable", text))
			case strings.Contains(text, "SQLITE_"), strings.Contains(text, "sql: "), strings.HasPrefix(text, "pq: "):
				bad = append(bad, h.at(s, node, "%q is an error of a database; ask store.IsUnavailable", text))
			}
		})
	}
	return bad
}

// literals calls found for every text in quotation marks, imports and tags aside.
func (s *source) literals(found func(node *ast.BasicLit, text string)) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				text, _ := strconv.Unquote(n.Value) // The parser has accepted it.
				found(n, text)
			}
		}
		return true
	})
}
