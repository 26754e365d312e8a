package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"parley/internal/auth"
)

// shownSetting is a row of parley config.
type shownSetting struct {
	Name  string `json:"name"`
	Value string `json:"value"` // A secret shows only that it is set.
	// Source is default, environment or file.
	Source string `json:"source"`
	File   string `json:"file,omitempty"`
}

// shownProblem is something that keeps a server from starting.
type shownProblem struct {
	Name     string `json:"name,omitempty"`
	Problem  string `json:"problem"`
	Accepted string `json:"accepted,omitempty"`
}

// shownConfig is what parley config --json prints.
type shownConfig struct {
	OK       bool           `json:"ok"`
	Settings []shownSetting `json:"settings"`
	Notes    []string       `json:"notes"`
	Problems []shownProblem `json:"problems"`
}

// configCommand prints what is in force and checks it, as far as that goes without a
// database, a model server or a port.
func configCommand(flags *flag.FlagSet) action {
	asJSON := flags.Bool("json", false, "print an object instead of lines")
	return func(_ context.Context, p *program, _ []string) error {
		env := readEnvironment(p.environ)
		cfg, err := env.load(p.environ)
		if err == nil {
			err = checkFiles(cfg)
		}
		shown := showConfig(cfg, env, err)
		write := shown.writeText
		if *asJSON {
			write = shown.writeJSON
		}
		return errors.Join(write(p.stdout), err)
	}
}

// checkFiles reports what is wrong with the files that the configuration names. It makes
// none of them.
func checkFiles(cfg config) error {
	_, err := readDocuments(cfg)
	errs := []error{err}
	needsFolder := cfg.DatabaseURL.IsZero() || cfg.AuthKeys.IsZero()
	if info, err := os.Stat(cfg.DataDir); needsFolder && err == nil && !info.IsDir() {
		errs = append(errs, &configError{Name: "PARLEY_DATA_DIR", Problem: cfg.DataDir + " is a file, not a folder"})
	} else if path := filepath.Join(cfg.DataDir, keysName); cfg.AuthKeys.IsZero() {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			if _, err := auth.LoadOrCreateKeyring(path); err != nil {
				errs = append(errs, fmt.Errorf("keys of access tokens: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}

func showConfig(cfg config, env environment, err error) shownConfig {
	shown := shownConfig{OK: err == nil, Notes: append([]string{}, cfg.Notes...), Problems: []shownProblem{}}
	for _, v := range variables {
		row := shownSetting{Name: v.name, Value: fmt.Sprint(v.show(cfg)), Source: "default"}
		if s, ok := env.settings[v.name]; ok {
			row.Source, row.File = "environment", s.file
			if s.file != "" {
				row.Source = "file"
			}
		}
		shown.Settings = append(shown.Settings, row)
	}
	for _, e := range unjoin(err) {
		problem := shownProblem{Problem: e.Error()}
		if c, ok := errors.AsType[*configError](e); ok {
			problem = shownProblem(*c)
		}
		shown.Problems = append(shown.Problems, problem)
	}
	return shown
}

// unjoin takes apart what errors.Join has joined.
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, unjoin(e)...)
	}
	return all
}

func (s shownConfig) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

func (s shownConfig) writeText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "VARIABLE\tSOURCE\tVALUE") // Flush returns what went wrong.
	for _, row := range s.Settings {
		source := row.Source
		if row.File != "" {
			source = "file " + row.File
		}
		value := row.Value
		if value == "" {
			value = "-"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", row.Name, source, value)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var end strings.Builder
	for _, note := range s.Notes {
		fmt.Fprintf(&end, "\nwarning: %s\n", note)
	}
	if s.OK {
		end.WriteString("\nA server would start with this, as far as can be told without a database and a model server.\n")
	}
	_, err := io.WriteString(w, end.String())
	return err
}
