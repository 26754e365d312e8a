package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/sqltool"
)

// checks are the rules that need no test. Known vulnerabilities are not among
// them: govulncheck needs its database from the network and turns red without
// any change here; run it by hand before a release.
func checks(ctx context.Context, r *run) error {
	return errors.Join(
		r.step("gofmt", func() error { return gofmt(ctx) }),
		r.step("go vet", func() error { return quiet(ctx, "go", "vet", "./...") }),
		r.step("go vet for macOS", func() error { return vetFor(ctx, "darwin") }),
		r.step("go vet for Windows", func() error { return vetFor(ctx, "windows") }),
		r.step("staticcheck", func() error { return quiet(ctx, "go", "tool", "staticcheck", "./...") }),
		r.step("generated code is current", func() error { return regenerate(ctx) }),
		r.step("migrations are unchanged", checkSums),
		r.step("migrations match the schema", func() error { return checkDrift(ctx, r) }),
	)
}

// vetFor compiles and vets for another system. The first time takes minutes, for the
// dependencies; the build cache keeps those.
func vetFor(ctx context.Context, system string) error {
	cmd := command(ctx, "go", "vet", "./...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system)
	_, err := output(cmd)
	return err
}

func gofmt(ctx context.Context) error {
	files, err := goFiles(".")
	if err != nil {
		return err
	}
	out, err := output(command(ctx, "gofmt", append([]string{"-l"}, files...)...))
	if err != nil {
		return err
	}
	if out != "" {
		return fmt.Errorf("not formatted; run gofmt -w on\n%s", out)
	}
	return nil
}

func goFiles(root string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "node_modules") {
			return fs.SkipDir
		}
		if !entry.IsDir() && filepath.Ext(name) == ".go" {
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// generated are the folders and files that make generate writes into.
var generated = []string{"ent", "graph", "docs/configuration.md"}

// regenerate generates in place and fails when that changes anything. It
// compares with the files as they were, not with the last commit, so that it
// also works on changes that are not committed, and outside of git.
func regenerate(ctx context.Context) error {
	before, err := fingerprint(generated...)
	if err != nil {
		return err
	}
	if err := quiet(ctx, "make", "--no-print-directory", "generate"); err != nil {
		return err
	}
	after, err := fingerprint(generated...)
	if err != nil {
		return err
	}
	changed := changes(before, after)
	if len(changed) == 0 {
		return nil
	}
	text := strings.Join(changed, "\n")
	if stat, err := exec.CommandContext(ctx, "git", append([]string{"diff", "--stat", "--"}, generated...)...).
		Output(); err == nil {
		text += "\n" + string(stat) // Without git the list alone must do.
	}
	return fmt.Errorf("generated code was not current and is now; commit it:\n%s", text)
}

// fingerprint hashes every file under the roots. A root that does not exist has
// no files.
func fingerprint(roots ...string) (map[string][sha256.Size]byte, error) {
	sums := make(map[string][sha256.Size]byte)
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && path == root {
				return nil
			}
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			sums[path] = sha256.Sum256(text)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return sums, nil
}

func changes(before, after map[string][sha256.Size]byte) []string {
	var list []string
	for path, sum := range after {
		switch old, ok := before[path]; {
		case !ok:
			list = append(list, "  new      "+path)
		case old != sum:
			list = append(list, "  changed  "+path)
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok {
			list = append(list, "  removed  "+path)
		}
	}
	sort.Strings(list)
	return list
}

const migrations = "internal/store/migrations"

// checkSums finds migrations that were edited after they were made.
func checkSums() error {
	dirs, err := filepath.Glob(migrations + "/*/atlas.sum")
	if err != nil || len(dirs) == 0 {
		return fmt.Errorf("no atlas.sum under %s: %w", migrations, err)
	}
	var errs []error
	for _, sum := range dirs {
		path := filepath.Dir(sum)
		dir, err := sqltool.NewGooseDir(path)
		if err == nil {
			err = migrate.Validate(dir)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}

// checkDrift makes a migration in a copy, which finds nothing to do when the
// migrations lead to the schema.
func checkDrift(ctx context.Context, r *run) error {
	copied := filepath.Join(r.dir, "drift", migrations)
	if err := os.CopyFS(copied, os.DirFS(migrations)); err != nil {
		return err
	}
	tool := filepath.Join(r.dir, "migrategen")
	if err := quiet(ctx, "go", "build", "-o", tool, "./internal/tools/migrategen"); err != nil {
		return err
	}
	before, err := filepath.Glob(copied + "/*/*.sql")
	if err != nil {
		return err
	}
	cmd := command(ctx, tool, "drift")
	cmd.Dir = filepath.Join(r.dir, "drift")
	if _, err := output(cmd); err != nil {
		return err
	}
	after, err := filepath.Glob(copied + "/*/*.sql")
	if err != nil {
		return err
	}
	var drift strings.Builder
	for _, path := range after {
		if strings.HasSuffix(path, "_drift.sql") {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&drift, "%s:\n%s\n", filepath.Base(filepath.Dir(path)), text)
		}
	}
	if len(after) != len(before) {
		return fmt.Errorf("ent/schema has changes without a migration; run make migration NAME=…\n%s", drift.String())
	}
	return nil
}
