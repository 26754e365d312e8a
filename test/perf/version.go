package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// version is a binary under test.
type version struct {
	name   string // In the head of a column: "before", "now".
	path   string
	commit string
	help   string
}

// build builds the server of this source into a folder.
func build(ctx context.Context, dir string) (*version, error) {
	v := &version{name: "now", path: filepath.Join(dir, "parley")}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", v.path, "parley/cmd/parley")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	if err := v.inspect(ctx); err != nil {
		return nil, err
	}
	v.commit = commitHere(ctx)
	return v, nil
}

// commitHere asks git: the go command writes no commit into what it builds in a worktree.
func commitHere(ctx context.Context) string {
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=10", "HEAD").Output()
	if err != nil {
		return unknownCommit
	}
	commit := strings.TrimSpace(string(head))
	changes, err := exec.CommandContext(ctx, "git", "status", "--porcelain").Output()
	if err != nil || len(changes) > 0 {
		commit += withChanges
	}
	return commit
}

const (
	unknownCommit = "unknown commit"
	withChanges   = " with changes"
)

// other takes a binary that is there already.
func other(ctx context.Context, path string) (*version, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	v := &version{name: "before", path: path}
	return v, v.inspect(ctx)
}

// inspect asks the binary for the commit it was built from and its variables.
func (v *version) inspect(ctx context.Context) error {
	v.commit = unknownCommit
	info, err := buildinfo.ReadFile(v.path)
	if err != nil {
		return fmt.Errorf("%s: %w", v.path, err)
	}
	changed := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.commit = s.Value[:min(len(s.Value), 10)]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = withChanges
		}
	}
	v.commit += changed
	help := exec.CommandContext(ctx, v.path, "--help")
	help.Env = []string{}
	out, err := help.Output()
	if err != nil {
		return fmt.Errorf("%s --help: %w", v.path, err)
	}
	v.help = string(out)
	if !strings.Contains(v.help, "PARLEY_ADDR") {
		return errors.New(v.path + " is no Parley: its help names no PARLEY_ADDR")
	}
	return nil
}

// known returns the variables, NAME=VALUE, that this version knows.
func (v *version) known(variables []string) []string {
	var list []string
	for _, w := range variables {
		if name, _, _ := strings.Cut(w, "="); strings.Contains(v.help, "\n  "+name+"\n") {
			list = append(list, w)
		}
	}
	return list
}
