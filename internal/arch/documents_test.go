package arch_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"
)

var (
	// link is the target of a Markdown link, without its anchor.
	link = regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
	// anchored is the target of a link to a part of a document: the file, if there is one, and
	// the anchor.
	anchored = regexp.MustCompile(`\]\(([^)#:\s]*)#([^)\s]+)\)`)
	// heading is a heading of Markdown. Lines of code that begin with # are harmless here.
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	// unanchored is what GitHub leaves out when it makes an anchor of a heading.
	unanchored = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	// sourceFile is a file of ours that a walk through the code names.
	sourceFile = regexp.MustCompile("`([a-z_./]+/[a-z_.]+\\.(?:go|graphql|md))`")
)

// brokenPointers finds links of the documents, and files named by ARCHITECTURE.md,
// that are not there.
func brokenPointers(house fs.FS) ([]string, error) {
	var bad []string
	err := documentsOf(house, func(name, text string) {
		missing := func(target string) {
			if _, err := fs.Stat(house, target); err != nil {
				bad = append(bad, name+": there is no "+target)
			}
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if target := m[1]; !strings.Contains(target, ":") {
				missing(path.Join(path.Dir(name), target))
			}
		}
		if name == "ARCHITECTURE.md" {
			for _, m := range sourceFile.FindAllStringSubmatch(text, -1) {
				missing(m[1])
			}
		}
	})
	return bad, err
}

func TestDocumentsPointToFiles(t *testing.T) {
	t.Parallel()
	bad, err := brokenPointers(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bad {
		t.Error(b)
	}
}

func TestDocumentsPointToFilesFindsViolations(t *testing.T) {
	t.Parallel()
	bad, err := brokenPointers(fstest.MapFS{
		"ARCHITECTURE.md": {Data: []byte("`a/b.go` `a/gone.go` [one](docs/one.md#part) [web](https://example.com)")},
		"a/b.go":          {},
		"docs/one.md":     {Data: []byte("[up](../ARCHITECTURE.md) [here](#part) [two](two.md) `a/gone.go`")},
		".hidden/x.md":    {Data: []byte("[three](three.md)")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ARCHITECTURE.md: there is no a/gone.go", "docs/one.md: there is no docs/two.md"}
	if !slices.Equal(bad, want) {
		t.Errorf("got %q, want %q", bad, want)
	}
}

// documentsOf calls check with each Markdown file of a house: its name and its text.
func documentsOf(house fs.FS, check func(name, text string)) error {
	return fs.WalkDir(house, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".md":
			return nil
		}
		text, err := fs.ReadFile(house, name)
		if err == nil {
			check(name, string(text))
		}
		return err
	})
}

// brokenAnchors finds links to parts of documents that have no such heading.
func brokenAnchors(house fs.FS) ([]string, error) {
	anchors := make(map[string]map[string]bool)
	err := documentsOf(house, func(name, text string) {
		anchors[name] = make(map[string]bool)
		for _, m := range heading.FindAllStringSubmatch(text, -1) {
			plain := unanchored.ReplaceAllString(strings.ToLower(m[1]), "")
			anchors[name][strings.ReplaceAll(plain, " ", "-")] = true
		}
	})
	if err != nil {
		return nil, err
	}
	var bad []string
	err = documentsOf(house, func(name, text string) {
		for _, m := range anchored.FindAllStringSubmatch(text, -1) {
			target := name
			if m[1] != "" {
				target = path.Join(path.Dir(name), m[1])
			}
			// A file that is not there is found by brokenPointers.
			if headings, ok := anchors[target]; ok && !headings[m[2]] {
				bad = append(bad, name+": "+target+" has no part "+m[2])
			}
		}
	})
	return bad, err
}

// wideLines finds lines of prose that are too wide. Code, tables and pictures cannot be broken.
func wideLines(house fs.FS) ([]string, error) {
	var bad []string
	err := documentsOf(house, func(name, text string) {
		code := false
		for i, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				code = !code
			}
			width := utf8.RuneCountInString(line)
			if !code && width > maxColumns && !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "![") {
				bad = append(bad, fmt.Sprintf("%s:%d: %d columns, the most is %d", name, i+1, width, maxColumns))
			}
		}
	})
	return bad, err
}

// unnamedRooms finds folders of code of which ARCHITECTURE.md does not say what they are for.
func unnamedRooms(house fs.FS) ([]string, error) {
	text, err := fs.ReadFile(house, "ARCHITECTURE.md")
	if err != nil {
		return nil, err
	}
	rooms, err := fs.Glob(house, "*/*/*.go")
	if err != nil {
		return nil, err
	}
	var bad []string
	for _, file := range rooms {
		room := path.Dir(file)
		if top := path.Dir(room); top != "cmd" && top != "internal" && top != "test" || slices.Contains(bad, room) {
			continue
		}
		if !strings.Contains(string(text), "`"+room+"`") {
			bad = append(bad, room)
		}
	}
	return bad, nil
}

func TestDocumentsAreWhole(t *testing.T) {
	t.Parallel()
	for _, find := range []func(fs.FS) ([]string, error){brokenAnchors, wideLines, unnamedRooms} {
		bad, err := find(os.DirFS("../.."))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bad {
			t.Error(b)
		}
	}
}

func TestDocumentsAreWholeFindsViolations(t *testing.T) {
	t.Parallel()
	wide := strings.Repeat("x", maxColumns+1)
	house := fstest.MapFS{
		"ARCHITECTURE.md": {Data: []byte("`internal/a` [b](docs/b.md#its-part) [c](docs/b.md#gone) [d](#d)\n")},
		"docs/b.md":       {Data: []byte("## Its `part`\n\n" + wide + "\n| " + wide + "\n```\n" + wide + "\n```\n")},
		"internal/a/a.go": {}, "internal/b/b.go": {}, "internal/b/c.go": {}, "graph/b/b.go": {},
	}
	for _, c := range []struct {
		find func(fs.FS) ([]string, error)
		want []string
	}{
		{brokenAnchors, []string{
			"ARCHITECTURE.md: docs/b.md has no part gone", "ARCHITECTURE.md: ARCHITECTURE.md has no part d",
		}},
		{wideLines, []string{"docs/b.md:3: 121 columns, the most is 120"}},
		{unnamedRooms, []string{"internal/b"}},
	} {
		if bad, err := c.find(house); err != nil || !slices.Equal(bad, c.want) {
			t.Errorf("got %q, %v, want %q", bad, err, c.want)
		}
	}
}
