package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// binary is a binary that was built, with what it says of itself.
type binary struct {
	target
	path string
	info *buildinfo.BuildInfo
}

// name is what the program is called on its system.
func (b binary) name() string {
	if b.os == "windows" {
		return "parley.exe"
	}
	return "parley"
}

// build builds one binary, with nothing of this machine in it.
func (p plan) build(ctx context.Context, work string, t target) (binary, error) {
	b := binary{target: t, path: filepath.Join(work, t.os+"_"+t.arch)}
	flags := "-s -w -X parley/internal/version.number=" + p.version + " -X parley/internal/version.commit=" + p.commit
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", b.path,
		"./cmd/parley")
	cmd.Dir = p.root
	// Of the environment only where things are, not what would change the result.
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "GOFLAGS", "GOEXPERIMENT", "GOFIPS140":
		default:
			cmd.Env = append(cmd.Env, entry)
		}
	}
	cmd.Env = append(cmd.Env, "CGO_ENABLED=0", "GOWORK=off", "GOOS="+t.os, "GOARCH="+t.arch, "GOAMD64=v1",
		"GOARM64=v8.0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return b, fmt.Errorf("%s: go build: %w\n%s", t, err, out)
	}
	var err error
	b.info, err = buildinfo.ReadFile(b.path)
	return b, err
}
