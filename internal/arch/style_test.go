package arch_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest a file may be before it is split.
const (
	maxLines     = 600
	maxTestLines = 1000
)

// checkPackageDocs finds hand-written packages without a doc comment that opens
// the way go doc expects.
func checkPackageDocs(h *house) []string {
	var bad []string
	for dir, sources := range h.byDir() {
		onlyTests := !slices.ContainsFunc(sources, func(s *source) bool { return !s.test })
		written, documented, want := false, false, ""
		for _, s := range sources {
			if s.test != onlyTests {
				continue
			}
			written = written || !s.generated
			name := strings.TrimSuffix(s.ast.Name.Name, "_test")
			want = "Package " + name + " "
			if name == "main" {
				want = "Command " + path.Base(dir) + " "
			}
			documented = documented || s.ast.Doc != nil && strings.HasPrefix(s.ast.Doc.Text(), want)
		}
		if written && !documented {
			bad = append(bad, fmt.Sprintf("%s: no doc comment that begins with %q", dir, want))
		}
	}
	return bad
}

// mapFrom is how many files a package may have before its doc comment has to say what is
// where.
const mapFrom = 6

// checkMaps finds large packages whose doc comment does not name each of their files, so
// that a map cannot grow old.
func checkMaps(h *house) []string {
	var bad []string
	for dir, sources := range h.byDir() {
		var names, missing []string
		var doc strings.Builder
		for _, s := range sources {
			if s.test || s.generated || strings.HasSuffix(s.path, ".resolvers.go") {
				continue
			}
			names = append(names, path.Base(s.path))
			if s.ast.Doc != nil {
				doc.WriteString(s.ast.Doc.Text())
			}
		}
		onMap := make(map[string]bool)
		for _, name := range goFileName.FindAllString(doc.String(), -1) {
			onMap[name] = true
		}
		for _, name := range names {
			if !onMap[name] && name != "doc.go" {
				missing = append(missing, name)
			}
		}
		if slices.Sort(missing); len(names) >= mapFrom && len(missing) > 0 {
			bad = append(bad, dir+": the doc comment of the package names no "+strings.Join(missing, ", "))
		}
	}
	return bad
}

var goFileName = regexp.MustCompile(`[a-z0-9_.]+\.go\b`)

// checkLength finds hand-written files that hold more than one concept.
func checkLength(h *house) []string {
	var bad []string
	for _, s := range h.sources {
		most := maxLines
		if s.test {
			most = maxTestLines
		}
		if !s.generated && s.lines > most {
			bad = append(bad, fmt.Sprintf("%s: %d lines, the most is %d; split it by concept", s.path, s.lines, most))
		}
	}
	return bad
}

// The widest a line may be, a tab counting for four columns, and from which width on a text
// in quotation marks is an excuse: it is not torn.
const (
	maxColumns = 120
	longText   = 60
)

// checkWidth finds lines of Go, of scripts and of the schema that are too wide to be read beside
// another window. A long text may make its line longer, and so may an address in a
// comment; what is generated keeps the form of its generator.
func checkWidth(h *house) []string {
	var bad []string
	report := func(name, text string, excused func(line int) bool) {
		for i, line := range strings.Split(text, "\n") {
			if n := columns(line); n > maxColumns && !excused(i+1) {
				bad = append(bad, fmt.Sprintf("%s:%d: %d columns, the most is %d", name, i+1, n, maxColumns))
			}
		}
	}
	for _, s := range h.sources {
		if s.generated {
			continue
		}
		excused := make(map[int]bool)
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
				from, to := h.fset.Position(text.Pos()).Line, h.fset.Position(text.End()).Line
				for line := from; line <= to; line++ {
					excused[line] = excused[line] || to > from || columns(text.Value) >= longText
				}
			}
			if f, ok := n.(*ast.FuncDecl); ok && strings.HasSuffix(s.path, ".resolvers.go") {
				excused[h.fset.Position(f.Pos()).Line] = true // gqlgen writes these lines anew.
			}
			return true
		})
		for _, group := range s.ast.Comments {
			for _, c := range group.List {
				if strings.Contains(c.Text, "://") || strings.HasPrefix(c.Text, "//go:") {
					excused[h.fset.Position(c.Pos()).Line] = true
				}
			}
		}
		report(s.path, s.text, func(line int) bool { return excused[line] })
	}
	for name, text := range h.scripts {
		lines := strings.Split(text, "\n")
		report(name, text, func(line int) bool { return longQuote.MatchString(lines[line-1]) })
	}
	for name, text := range h.graphql {
		if under(name, "graph/schema") && path.Base(name) != "released.graphql" {
			report(name, text, func(int) bool { return false })
		}
	}
	return bad
}

// longQuote is a text in quotation marks, or the rest of one, and an address.
var longQuote = regexp.MustCompile(`'[^']{58,}'|"[^"]{58,}"|` + "`[^`]{59,}" + `|://`)

func columns(line string) int { return utf8.RuneCountInString(line) + 3*strings.Count(line, "\t") }

// checkExportedDocs finds exported names without a doc comment. Methods of
// unexported types are left out: they serve an interface, which has the comment.
func checkExportedDocs(h *house) []string {
	var bad []string
	report := func(s *source, name *ast.Ident) {
		if name.IsExported() {
			bad = append(bad, h.at(s, name, "%s has no doc comment", name.Name))
		}
	}
	for _, s := range h.sources {
		if s.test || s.generated {
			continue
		}
		for _, d := range s.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && (d.Recv == nil || ast.IsExported(receiver(d))) {
					report(s, d.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if d.Doc == nil && spec.Doc == nil {
							report(s, spec.Name)
						}
					case *ast.ValueSpec:
						for _, name := range spec.Names {
							if d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
								report(s, name)
							}
						}
					}
				}
			}
		}
	}
	return bad
}

// receiver names the type a method belongs to.
func receiver(d *ast.FuncDecl) string {
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// forbiddenWords have another word in the glossary.
var forbiddenWords = map[string]string{
	"thread": "conversation", "threads": "conversations",
	"chunk": "delta or piece", "chunks": "deltas or pieces",
	"bot": "assistant or model", "bots": "assistants or models",
	"chatbot": "assistant", "chatbots": "assistants",
}

// allowedWords lists identifiers, by file, that an interface of somebody else
// forces on us.
var allowedWords = map[string][]string{}

// checkWords finds identifiers with a word that the glossary replaces. Names
// that others declared are not ours to choose: what stands behind a dot is
// checked where it is declared.
func checkWords(h *house) []string {
	var bad []string
	for _, s := range h.sources {
		if s.generated {
			continue
		}
		foreign := make(map[*ast.Ident]bool)
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				foreign[n.Sel] = true
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok {
					foreign[key] = true
				}
			case *ast.Ident:
				if foreign[n] || slices.Contains(allowedWords[s.path], n.Name) {
					break
				}
				if better := forbiddenWord(n.Name); better != "" {
					bad = append(bad, h.at(s, n, "%s: the word of the glossary is %s", n.Name, better))
				}
			}
			return true
		})
	}
	for name, text := range h.graphql {
		for _, id := range graphqlIdentifier.FindAllString(graphqlNoise.ReplaceAllString(text, " "), -1) {
			if better := forbiddenWord(id); better != "" && !slices.Contains(allowedWords[name], id) {
				bad = append(bad, fmt.Sprintf("%s: %s: the word of the glossary is %s", name, id, better))
			}
		}
	}
	return bad
}

var (
	// Descriptions, strings and comments.
	graphqlNoise      = regexp.MustCompile(`(?s)""".*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*`)
	graphqlIdentifier = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
)

// forbiddenWord returns what to say instead of a word in the identifier, or "".
func forbiddenWord(identifier string) string {
	for _, w := range words(identifier) {
		if better := forbiddenWords[w]; better != "" {
			return better
		}
	}
	return ""
}

// words splits an identifier: threadID, THREAD_ID and HTTPThread hold "thread".
func words(identifier string) []string {
	var list []string
	var word []rune
	runes := []rune(identifier)
	flush := func() {
		if len(word) > 0 {
			list = append(list, strings.ToLower(string(word)))
			word = nil
		}
	}
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r):
			flush()
			continue
		case unicode.IsUpper(r) && i > 0 && unicode.IsLower(runes[i-1]),
			unicode.IsUpper(r) && i+1 < len(runes) && unicode.IsLower(runes[i+1]):
			flush()
		}
		word = append(word, r)
	}
	flush()
	return list
}

// checkInit finds init functions: they run unasked, and cannot be given anything.
func checkInit(h *house) []string {
	var bad []string
	for _, s := range h.sources {
		if s.generated {
			continue
		}
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				bad = append(bad, h.at(s, f, "init function; wire it in cmd/parley"))
			}
		}
	}
	return bad
}

// checkGlobals finds uses of what a package must be given: contexts and loggers.
func checkGlobals(h *house) []string {
	var bad []string
	for _, s := range h.shipped() {
		if under(s.dir, "cmd") {
			continue
		}
		s.selections(func(node ast.Node, pkg, name string) {
			switch {
			case pkg == "context" && (name == "Background" || name == "TODO"):
				bad = append(bad, h.at(s, node, "context.%s; take the caller's context, or the one of Start", name))
			case pkg == "log" && name != "Logger":
				bad = append(bad, h.at(s, node, "log.%s; take a *slog.Logger", name))
			case pkg == "log/slog" && slices.Contains(defaultLogger, name):
				bad = append(bad, h.at(s, node, "slog.%s logs to the default logger; take a *slog.Logger", name))
			case pkg == "os" && slices.Contains([]string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}, name):
				bad = append(bad, h.at(s, node, "os.%s; only cmd/parley reads the environment", name))
			}
		})
	}
	return bad
}

var defaultLogger = []string{
	"Default", "SetDefault", "Log", "LogAttrs", "With",
	"Debug", "DebugContext", "Info", "InfoContext", "Warn", "WarnContext", "Error", "ErrorContext",
}
