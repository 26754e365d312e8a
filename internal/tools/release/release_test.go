package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const repository = "../../.."

// Two builds of one version are the same, byte for byte, from two folders and with other
// things in the environment, and hold what a release promises.
func TestRelease(t *testing.T) {
	here := target{runtime.GOOS, runtime.GOARCH}
	p := plan{root: repository, version: "v1.2.3", commit: "c0ffee", targets: []target{here},
		time: time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC)}
	build := func(root string) map[string][]byte {
		p.root, p.out = root, filepath.Join(t.TempDir(), "dist")
		if err := p.run(t.Context(), io.Discard); err != nil {
			t.Fatal(err)
		}
		return readAll(t, p.out)
	}
	files := build(repository)
	t.Setenv("TZ", "Asia/Kathmandu")
	t.Setenv("GOFLAGS", "-tags=parley_other")
	again := build(copyOf(t))
	if len(again) != len(files) {
		t.Errorf("the second build has %d files, the first %d", len(again), len(files))
	}
	for name, text := range files {
		if !bytes.Equal(text, again[name]) {
			t.Errorf("%s is another one in the second build", name)
		}
	}
	archive := "parley_v1.2.3_" + here.os + "_" + here.arch + ".tar.gz"
	for _, name := range []string{archive, "SHA256SUMS", "introspection.json", "licenses.txt", "sbom.cdx.json"} {
		if len(files[name]) == 0 {
			t.Errorf("there is no %s among %d files", name, len(files))
		}
	}
	checkSums(t, files)
	checkArchive(t, files[archive])
	checkBOM(t, files["sbom.cdx.json"], string(files["licenses.txt"]))
	if !strings.Contains(string(files["schema.graphql"]), "sendMessage(") {
		t.Error("the schema has no sendMessage")
	}
}

func readAll(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, entry := range entries {
		if files[entry.Name()], err = os.ReadFile(filepath.Join(dir, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// copyOf is the repository as far as a release needs it, in another folder.
func copyOf(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"cmd", "ent", "graph", "internal", "deploy", "web/dist"} {
		if err := os.CopyFS(filepath.Join(root, name), os.DirFS(filepath.Join(repository, name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "web/web.go", "web/chat.go", "LICENSE", "README.md",
		"CHANGELOG.md"} {
		text, err := os.ReadFile(filepath.Join(repository, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(root, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func checkSums(t *testing.T, files map[string][]byte) {
	t.Helper()
	var want []string
	for name, text := range files {
		if name != sumsName {
			want = append(want, fmt.Sprintf("%x  %s", sha256.Sum256(text), name))
		}
	}
	got := strings.Split(strings.TrimSpace(string(files[sumsName])), "\n")
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got the sums %q, want %q", got, want)
	}
}

// checkArchive runs the binary that is in the archive.
func checkArchive(t *testing.T, archive []byte) {
	t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	dir, names := t.TempDir(), []string{}
	for members := tar.NewReader(unpacked); ; {
		header, err := members.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Uname != "" {
			t.Errorf("%s belongs to %d %q", header.Name, header.Uid, header.Uname)
		}
		_, name, _ := strings.Cut(header.Name, "/")
		names = append(names, name)
		if name != "parley" {
			continue
		}
		text, err := io.ReadAll(members)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, header.FileInfo().Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"parley", "LICENSE", "README.md", "licenses.txt", "deploy/systemd/parley.service"} {
		if !slices.Contains(names, want) {
			t.Errorf("the archive has no %s: %v", want, names)
		}
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "parley"), "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "parley v1.2.3\ncommit c0ffee\n") {
		t.Errorf("parley version of the archive: %v\n%s", err, out)
	}
}

func checkBOM(t *testing.T, text []byte, licences string) {
	t.Helper()
	var b bom
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for _, c := range b.Components {
		found[c.Name] = true
		if c.Version == "" || len(c.Licenses) != 1 || c.Licenses[0].Expression == "" ||
			!strings.HasPrefix(c.PURL, "pkg:") {
			t.Errorf("the SBOM has %+v, want a version, a licence and an address", c)
		}
		if !strings.Contains(licences, "\n"+c.Name+" "+c.Version+" (") {
			t.Errorf("licenses.txt has no %s %s", c.Name, c.Version)
		}
	}
	// The database, NATS, Go itself, and the page.
	for _, name := range []string{"modernc.org/sqlite", "github.com/nats-io/nats.go", "std", "react", "monaco-editor"} {
		if !found[name] {
			t.Errorf("the SBOM has no %s", name)
		}
	}
	// What only tests need is not in the binary.
	if found["go.uber.org/goleak"] || b.Metadata.Component.Version != "v1.2.3" {
		t.Errorf("the SBOM is that of something else: %+v", b.Metadata)
	}
}

func TestZip(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	at := time.Date(2026, 11, 26, 1, 2, 4, 0, time.UTC)
	if err := writeZip(&archive, []file{{"a/parley.exe", []byte("x"), 0o755}}, at); err != nil {
		t.Fatal(err)
	}
	read, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	if err != nil || len(read.File) != 1 {
		t.Fatalf("got %v, want one file", err)
	}
	if f := read.File[0]; f.Name != "a/parley.exe" || f.Mode() != 0o755 || !f.Modified.Equal(at) {
		t.Errorf("got %s %v %v", f.Name, f.Mode(), f.Modified)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 6, " ": 6, "linux/amd64": 1, "linux/amd64 windows/arm64": 2, "plan9": -1,
	} {
		var p plan
		err := p.setTargets(text)
		if (err != nil) != (want < 0) || err == nil && len(p.targets) != want {
			t.Errorf("%q: got %v, %v, want %d targets", text, p.targets, err, want)
		}
	}
}

// A folder of somebody else is not removed.
func TestPrepare(t *testing.T) {
	t.Parallel()
	p := plan{out: t.TempDir()}
	path := filepath.Join(p.out, "thesis.txt")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.prepare(); err == nil {
		t.Error("a folder with other files was taken")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	p.out = filepath.Join(p.out, "dist")
	err := errors.Join(p.prepare(), os.WriteFile(filepath.Join(p.out, sumsName), nil, 0o600), p.prepare())
	if err != nil {
		t.Errorf("a folder of a release was not taken: %v", err)
	}
}

func TestNameLicence(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Apache License\n  Version 2.0, January 2004":                                   "Apache-2.0",
		"Permission is hereby granted, free of\ncharge, to any person obtaining a copy": "MIT",
		"Redistribution and use in source and binary forms, to endorse or promote":      "BSD-3-Clause",
		"Redistribution and use in source and binary forms":                             "BSD-2-Clause",
		"All rights reserved": "",
	} {
		if got := nameLicence(text); got != want {
			t.Errorf("%.40q: got %q, want %q", text, got, want)
		}
	}
}
