package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"parley/internal/store"
)

// errPostgresBackup says what to do instead.
var errPostgresBackup = errors.New(
	"the database is Postgres (PARLEY_DATABASE_URL): back it up with pg_dump, and keep the keys of access tokens beside the dump, which are " +
		"PARLEY_AUTH_KEYS or, when that is not set, the file " + keysName + " in PARLEY_DATA_DIR")

// backupCommand makes a folder that a server can be started on: the database as it is
// at one moment, and the keys. It works beside a running server.
func backupCommand(ctx context.Context, p *program, args []string) error {
	cfg, _, err := p.configured()
	if err != nil {
		return err
	}
	dir := args[0]
	if !cfg.DatabaseURL.IsZero() {
		return errPostgresBackup
	}
	if isMissing(dir) && isMissing(store.SQLitePath(cfg.DataDir)) {
		return errNoDatabase(cfg) // No folder is made for it.
	}
	if err := makeBackupDir(dir, store.SyncDir); err != nil {
		return err
	}
	keys := filepath.Join(dir, keysName)
	hasKeys, err := copyKeys(filepath.Join(cfg.DataDir, keysName), keys)
	if err != nil {
		return fmt.Errorf("copy the keys of access tokens: %w", err)
	}
	// The database comes last: a folder that holds it is whole.
	if err := store.Backup(ctx, cfg.DataDir, dir); err != nil {
		if hasKeys {
			err = errors.Join(err, os.Remove(keys))
		}
		if errors.Is(err, store.ErrNoDatabase) {
			return errNoDatabase(cfg)
		}
		return explain(cfg, err)
	}
	return report(p.stdout, cfg, dir, hasKeys)
}

func isMissing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// makeBackupDir makes the folder, and those above it that are missing. It calls sync
// with each that has got a new name, to have that safe on the disk. A folder that is
// there must be empty.
func makeBackupDir(dir string, sync func(dir string) error) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("backup: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("backup: %s is not empty; name a new folder for each backup", dir)
	}
	changed, err := parentsToChange(dir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for _, parent := range changed {
		if err := sync(parent); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	return nil
}

// parentsToChange lists the folders that get a new name when a folder is made with
// those above it. Its own parent is among them in any case: whoever has made the
// folder just now has perhaps not made its name safe.
func parentsToChange(dir string) ([]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	parents := []string{filepath.Dir(dir)}
	for {
		last := parents[len(parents)-1]
		if _, err := os.Stat(last); !errors.Is(err, fs.ErrNotExist) {
			return parents, err
		}
		parents = append(parents, filepath.Dir(last))
	}
}

// copyKeys copies the file of the keys and reports whether there is one.
func copyKeys(from, to string) (copied bool, err error) {
	keys, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, err
	}
	_, err = f.Write(keys)
	return true, errors.Join(err, f.Sync(), f.Close())
}

// report says what has been written, and what else is needed.
func report(stdout io.Writer, cfg config, dir string, hasKeys bool) error {
	info, err := os.Stat(store.SQLitePath(dir))
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s: %d bytes, checked\n", store.SQLitePath(dir), info.Size())
	if hasKeys {
		text += filepath.Join(dir, keysName) + ": the keys of access tokens; keep them secret\n"
	}
	if !cfg.AuthKeys.IsZero() {
		text += "The keys of access tokens are in PARLEY_AUTH_KEYS: keep them beside this backup.\n"
	}
	_, err = fmt.Fprintf(stdout,
		"%sTo restore it, start parley with PARLEY_DATA_DIR=%s, or with a copy of that folder.\n", text, shellWord(dir))
	return err
}
