package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// part is something of others that is in the binaries.
type part struct {
	ecosystem string // golang, or npm.
	name      string
	version   string
	licence   string // By its name in SPDX, as far as it was found out.
	text      string // Of the licence and notices. Empty for npm: all are in webText.
	targets   []string
}

// webLicences lists what the pages of the binary are made of, as the bundler found it, one file a page.
const webLicences = "web/dist/*/licenses.md.gz"

// findParts lists what the binaries say that they are made of, with the licences from the
// module cache. A module without a licence is an error.
func findParts(ctx context.Context, root string, built []binary) ([]part, error) {
	parts := make(map[string]*part)
	for _, b := range built {
		for _, m := range b.info.Deps {
			if m.Replace != nil {
				return nil, fmt.Errorf("%s is replaced, and nothing says what that is", m.Path)
			}
			key := m.Path + " " + m.Version
			if parts[key] == nil {
				parts[key] = &part{ecosystem: "golang", name: m.Path, version: m.Version}
			}
			parts[key].targets = append(parts[key].targets, b.String())
		}
	}
	folders, err := moduleFolders(ctx, root)
	if err != nil {
		return nil, err
	}
	var list []part
	for key, p := range parts {
		if p.licence, p.text, err = readLicences(folders[key]); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		list = append(list, *p)
	}
	std, err := goItself(ctx, built)
	if err != nil {
		return nil, err
	}
	web, err := webParts(root)
	if err != nil {
		return nil, err
	}
	list = append(append(list, std), web...)
	slices.SortFunc(list, func(a, b part) int {
		return strings.Compare(a.ecosystem+a.name+a.version, b.ecosystem+b.name+b.version)
	})
	return list, nil
}

// moduleFolders is where the module cache has each module.
func moduleFolders(ctx context.Context, root string) (map[string]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Version}}\t{{.Dir}}", "all")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	folders := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		key, dir, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		folders[key] = dir
	}
	return folders, nil
}

// goItself is Go's runtime and library, which are in each binary.
func goItself(ctx context.Context, built []binary) (part, error) {
	p := part{ecosystem: "golang", name: "std"}
	for _, b := range built {
		p.version = strings.TrimPrefix(b.info.GoVersion, "go")
		p.targets = append(p.targets, b.String())
	}
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return p, fmt.Errorf("go env: %w", err)
	}
	p.licence, p.text, err = readLicences(strings.TrimSpace(string(out)))
	if errors.Is(err, errNoLicence) { // Debian's Go has it elsewhere. It is the same for all.
		p.licence, p.text, err = "BSD-3-Clause", "Go's own licence: https://go.dev/LICENSE\n", nil
	}
	return p, err
}

var (
	licenceName  = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|authors)([.-].*)?$`)
	errNoLicence = errors.New("no licence was found")
)

// readLicences reads the files at the top of a module that say under which terms it stands.
func readLicences(dir string) (name, text string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", "", err
	}
	var all strings.Builder
	for _, entry := range entries {
		if entry.IsDir() || !licenceName.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return "", "", err
		}
		if found := nameLicence(string(raw)); name == "" {
			name = found
		}
		fmt.Fprintf(&all, "%s\n\n", strings.TrimSpace(strings.ReplaceAll(string(raw), "\r\n", "\n")))
	}
	if name == "" {
		return "", "", fmt.Errorf("%s: %w", filepath.Base(dir), errNoLicence)
	}
	return name, all.String(), nil
}

// nameLicence tells the licences apart that are in use here, "" for others: a person must
// read those first, and add them.
func nameLicence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	has := func(s string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(s)) }
	switch {
	case has("Apache License") && has("Version 2.0"):
		return "Apache-2.0"
	case has("Mozilla Public License") && has("2.0"):
		return "MPL-2.0"
	case has("Permission is hereby granted, free of charge, to any person obtaining a copy"):
		return "MIT"
	case has("Redistribution and use in source and binary forms") && has("endorse or promote"):
		return "BSD-3-Clause"
	case has("Redistribution and use in source and binary forms"):
		return "BSD-2-Clause"
	case has("Permission to use, copy, modify, and/or distribute this software for any purpose"),
		has("Permission to use, copy, modify, and distribute this software for any purpose"):
		return "ISC"
	}
	return ""
}

var webHeading = regexp.MustCompile(`(?m)^## (\S+) - (\S+) \((.*)\)$`)

// webText is the bundler's lists of all pages.
func webText(root string) (string, error) {
	names, err := filepath.Glob(filepath.Join(root, webLicences))
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		unpacked, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return "", err
		}
		if _, err := io.Copy(&all, unpacked); err != nil {
			return "", err
		}
		all.WriteString("\n\n")
	}
	return all.String(), nil
}

func webParts(root string) ([]part, error) {
	text, err := webText(root)
	if err != nil {
		return nil, err
	}
	var list []part
	at := webHeading.FindAllStringSubmatchIndex(text, -1)
	seen := make(map[string]bool) // Several pages have the same parts.
	for i, m := range at {
		heading := text[m[0]:m[1]]
		if seen[heading] {
			continue
		}
		seen[heading] = true
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		list = append(list, part{
			ecosystem: "npm", name: text[m[2]:m[3]], version: text[m[4]:m[5]], licence: text[m[6]:m[7]],
			text: strings.TrimSpace(text[m[1]:end]) + "\n\n",
		})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s names nothing", webLicences)
	}
	return list, nil
}

// licenceText is the file of all licences.
func licenceText(parts []part) []byte {
	var b bytes.Buffer
	b.WriteString("Parley is under the Apache License 2.0 (LICENSE). Its binary holds these works of others,\n" +
		"with their licences and notices.\n")
	for _, p := range parts {
		title := fmt.Sprintf("%s %s (%s, %s)", p.name, p.version, p.ecosystem, p.licence)
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s", title, strings.Repeat("=", len(title)), p.text)
	}
	return b.Bytes()
}
