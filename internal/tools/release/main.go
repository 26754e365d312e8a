// Command release builds what a release offers for download into a new folder: an archive for
// each system with the binary, its licences and the configurations of deploy; the schema as SDL
// and as the answer to an introspection query; an SBOM; and the sums of all. The same commit,
// version and Go give the same bytes.
//
//	make release VERSION=v1.2.3
//
// What is where:
//
//	main.go       the order of things
//	build.go      the binaries
//	archive.go    the archives and the sums
//	modules.go    what is in the binaries, and under which licences
//	sbom.go       the same as CycloneDX
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/graph"
)

// sumsName is the file of sums, by which a folder is known as one of a release.
const sumsName = "SHA256SUMS"

// plan is what is to be built.
type plan struct {
	root    string // Of the repository.
	out     string // The folder; one of an earlier release is replaced.
	version string
	commit  string
	targets []target
	time    time.Time // Of all files.
}

// target is a system to build for.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "/" + t.arch }

// all are the systems of a release.
var all = []target{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"},
	{"windows", "arm64"},
}

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := plan{root: "."}
	flag.StringVar(&p.version, "version", "", "the version, such as v1.2.3")
	flag.StringVar(&p.commit, "commit", "", "the commit")
	flag.StringVar(&p.out, "out", "dist", "the folder to build into")
	targets := flag.String("targets", "", "systems such as linux/amd64, separated by blanks; all when empty")
	flag.Parse()
	err := p.setTargets(*targets)
	if err == nil {
		p.time, err = commitTime(ctx, p.root)
	}
	if err == nil {
		err = p.run(ctx, os.Stdout)
	}
	if err != nil {
		log.Fatalf("release: %v", err)
	}
}

func (p *plan) setTargets(text string) error {
	p.targets = all
	if strings.TrimSpace(text) == "" {
		return nil
	}
	p.targets = nil
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' }) {
		system, arch, _ := strings.Cut(word, "/")
		t := target{system, arch}
		if !slices.Contains(all, t) {
			return fmt.Errorf("no target %q; there are %v", word, all)
		}
		p.targets = append(p.targets, t)
	}
	return nil
}

// commitTime is when the commit was made, or SOURCE_DATE_EPOCH.
func commitTime(ctx context.Context, root string) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		cmd := exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct")
		cmd.Dir = root
		out, err := cmd.Output()
		if err != nil {
			return time.Time{}, fmt.Errorf("this is no clone of the repository, so set SOURCE_DATE_EPOCH: %w", err)
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// run builds everything. The sums come last: a folder that has them is whole.
func (p plan) run(ctx context.Context, say io.Writer) error {
	if p.version == "" || p.commit == "" {
		return errors.New("which VERSION and COMMIT? Name them where there is no clone of the repository")
	}
	if err := p.prepare(); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "parley-release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // Left-overs in the temporary folder harm nobody.
	var built []binary
	for _, t := range p.targets {
		b, err := p.build(ctx, work, t)
		if err != nil {
			return err
		}
		built = append(built, b)
		fmt.Fprintf(say, "%s built\n", t)
	}
	parts, err := findParts(ctx, p.root, built)
	if err != nil {
		return err
	}
	licences := licenceText(parts)
	for _, b := range built {
		if err := p.pack(b, licences); err != nil {
			return err
		}
	}
	bom, err := p.sbom(parts)
	if err != nil {
		return err
	}
	answer, err := graph.Introspection(ctx)
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"schema.graphql": []byte(graph.SDL()), "introspection.json": append(answer, '\n'),
		"licenses.txt": licences, "sbom.cdx.json": bom,
	} {
		if err := os.WriteFile(filepath.Join(p.out, name), text, 0o644); err != nil {
			return err
		}
	}
	if err := writeSums(p.out); err != nil {
		return err
	}
	fmt.Fprintf(say, "%s %s in %s\n", p.version, p.commit, p.out)
	return nil
}

// prepare makes the folder anew. One that is not of a release is left alone.
func (p plan) prepare() error {
	entries, err := os.ReadDir(p.out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	ours := slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.Name() == sumsName || strings.HasPrefix(e.Name(), "parley_")
	})
	if len(entries) > 0 && !ours {
		return fmt.Errorf("%s has files that are not of a release; name another folder", p.out)
	}
	if err := os.RemoveAll(p.out); err != nil {
		return err
	}
	return os.MkdirAll(p.out, 0o755)
}
