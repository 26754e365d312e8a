package arch_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var (
	// link is the target of a Markdown link, without its anchor.
	link = regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
	// sourceFile is a file of ours that a walk through the code names.
	sourceFile = regexp.MustCompile("`([a-z_./]+/[a-z_.]+\\.(?:go|graphql|md))`")
)

// brokenPointers finds links of the documents, and files named by ARCHITECTURE.md,
// that are not there.
func brokenPointers(house fs.FS) ([]string, error) {
	var bad []string
	err := fs.WalkDir(house, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != "." && (entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".")) {
			return fs.SkipDir
		}
		if entry.IsDir() || path.Ext(name) != ".md" {
			return nil
		}
		text, err := fs.ReadFile(house, name)
		if err != nil {
			return err
		}
		missing := func(target string) {
			if _, err := fs.Stat(house, target); err != nil {
				bad = append(bad, name+": there is no "+target)
			}
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if target := string(m[1]); !strings.Contains(target, ":") {
				missing(path.Join(path.Dir(name), target))
			}
		}
		if name == "ARCHITECTURE.md" {
			for _, m := range sourceFile.FindAllSubmatch(text, -1) {
				missing(string(m[1]))
			}
		}
		return nil
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
