package arch_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "parley"

// source is one parsed Go file.
type source struct {
	path      string // From the root of the repository, with slashes.
	dir       string
	test      bool // A _test.go file.
	generated bool
	lines     int
	text      string
	ast       *ast.File
}

// house is the repository as the rules see it.
type house struct {
	fset    *token.FileSet
	sources []*source
	graphql map[string]string // Text by path.
	scripts map[string]string // Likewise: JavaScript, TypeScript and shell.
}

// load parses all our Go and GraphQL files. It leaves out what is no part of the
// house: hidden folders, testdata, packages installed by npm, modules of their own,
// and what the examples are built into.
func load(fsys fs.FS) (*house, error) {
	h := &house{fset: token.NewFileSet(), graphql: make(map[string]string), scripts: make(map[string]string)}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules") {
				return fs.SkipDir
			}
			if under(name, "examples") && slices.Contains([]string{"dist", "generated", "__generated__"}, base) {
				return fs.SkipDir // Made by running them, and not kept.
			}
			if under(name, "web/chat/src") && base == "generated" {
				return fs.SkipDir // Made from the documents beside it.
			}
			if _, err := fs.Stat(fsys, path.Join(name, "go.mod")); name != "." && err == nil {
				return fs.SkipDir
			}
			return nil
		}
		ext := path.Ext(name)
		script := slices.Contains([]string{".js", ".mjs", ".ts", ".tsx", ".sh"}, ext) && !under(name, "web/dist")
		if ext != ".go" && ext != ".graphql" && !script {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if script {
			h.scripts[name] = string(text)
			return nil
		}
		if ext == ".graphql" {
			h.graphql[name] = string(text)
			return nil
		}
		file, err := parser.ParseFile(h.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		h.sources = append(h.sources, &source{
			path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
			generated: ast.IsGenerated(file), lines: strings.Count(string(text), "\n"), text: string(text), ast: file,
		})
		return nil
	})
	return h, err
}

// plant makes a house of a few files written down in a test.
func plant(t *testing.T, files map[string]string) *house {
	t.Helper()
	h, err := load(mapFS(files))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// shipped lists the hand-written files that are compiled into the binary.
func (h *house) shipped() []*source {
	return slices.DeleteFunc(slices.Clone(h.sources), func(s *source) bool {
		return s.test || s.generated || isTestOnly(s.dir) || under(s.dir, "internal/tools")
	})
}

// byDir groups the files, tests included, by folder.
func (h *house) byDir() map[string][]*source {
	dirs := make(map[string][]*source)
	for _, s := range h.sources {
		dirs[s.dir] = append(dirs[s.dir], s)
	}
	return dirs
}

func (h *house) at(s *source, node ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: ", s.path, h.fset.Position(node.Pos()).Line) + fmt.Sprintf(format, args...)
}

// imports maps the names under which a file uses packages to their paths.
func (s *source) imports() map[string]string {
	byName := make(map[string]string)
	for _, spec := range s.ast.Imports {
		p := importPath(spec)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		byName[name] = p
	}
	return byName
}

// selections calls found for every use of a name of an imported package.
func (s *source) selections(found func(node ast.Node, pkg, name string)) {
	imports := s.imports()
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				if pkg, ok := imports[x.Name]; ok {
					found(sel, pkg, sel.Sel.Name)
				}
			}
		}
		return true
	})
}

func importPath(spec *ast.ImportSpec) string {
	p, _ := strconv.Unquote(spec.Path.Value) // The parser has accepted it.
	return p
}

// under reports whether a folder or import path is parent or lies in it.
func under(p, parent string) bool {
	return p == parent || strings.HasPrefix(p, parent+"/")
}

// isTestOnly reports whether a folder holds helpers for tests: storetest of
// store, for example.
func isTestOnly(dir string) bool {
	return slices.ContainsFunc(testOnly, func(t string) bool { return under(dir, t) })
}
