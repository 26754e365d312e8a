package arch_test

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// firstWord finds the word that a sentence begins with.
var firstWord = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)(?:\.[A-Za-z0-9_]+)* `)

// checkDocNames finds doc comments that were written for another name: a function that
// was renamed or copied. A sentence of English begins with a capital, so a word that does
// not is a name, and must be that of the declaration; so must a word in CamelCase that
// the package declares. Of a word such as Close nobody can tell whether it is a name.
func checkDocNames(h *house) []string {
	var bad []string
	for _, sources := range h.byDir() {
		declared := make(map[string]bool)
		for _, s := range sources {
			for _, d := range declarations(s) {
				for _, name := range d.names {
					declared[name] = true
				}
			}
		}
		for _, s := range sources {
			if s.generated {
				continue
			}
			for _, d := range declarations(s) {
				m := firstWord.FindStringSubmatch(d.doc.Text())
				if m == nil || slices.Contains(d.names, m[1]) {
					continue
				}
				if isLower(m[1]) || isCamel(m[1]) && declared[m[1]] {
					bad = append(bad, h.at(s, d.node, "the comment of %s begins with %s, which is another name",
						strings.Join(d.names, ", "), m[1]))
				}
			}
		}
	}
	return bad
}

func isLower(word string) bool { return unicode.IsLower(rune(word[0])) }

// isCamel reports whether a word has a capital behind a small letter.
func isCamel(word string) bool { return len(words(word)) > 1 && strings.ToUpper(word) != word }

// declaration is something that can have a doc comment: a function, a method, a type, a
// field, or one or several variables or constants.
type declaration struct {
	node  ast.Node
	doc   *ast.CommentGroup
	names []string
}

// testName matches what go test calls. Their comments say what holds, of whatever it is.
var testName = regexp.MustCompile(`^(Test|Benchmark|Fuzz|Example)([^a-z]|$)`)

// declarations returns those of a file that stand outside functions, without tests.
func declarations(s *source) []declaration {
	var list []declaration
	add := func(node ast.Node, doc *ast.CommentGroup, names ...*ast.Ident) {
		d := declaration{node: node, doc: doc}
		for _, name := range names {
			d.names = append(d.names, name.Name)
		}
		list = append(list, d)
	}
	for _, d := range s.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if !s.test || !testName.MatchString(d.Name.Name) {
				add(d, d.Doc, d.Name)
			}
		case *ast.GenDecl:
			var group []*ast.Ident
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					add(spec, spec.Doc, spec.Name)
					group = append(group, spec.Name)
					fields(spec.Type, add)
				case *ast.ValueSpec:
					add(spec, spec.Doc, spec.Names...)
					group = append(group, spec.Names...)
				}
			}
			if len(group) > 0 {
				add(d, d.Doc, group...)
			}
		}
	}
	return list
}

// fields adds the fields of a struct and the methods of an interface, with those of
// structs inside.
func fields(t ast.Expr, add func(ast.Node, *ast.CommentGroup, ...*ast.Ident)) {
	ast.Inspect(t, func(n ast.Node) bool {
		if list, ok := n.(*ast.FieldList); ok {
			for _, f := range list.List {
				if len(f.Names) > 0 {
					add(f, f.Doc, f.Names...)
				}
			}
		}
		return true
	})
}
