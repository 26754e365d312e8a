package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrNoDatabase is returned by Backup for a data folder without a database.
var ErrNoDatabase = errors.New("there is no database")

// Backup copies SQLite's database from one data folder into another, which is
// there. The copy is that of one moment, whatever is written meanwhile; a server on
// the first folder goes on. It appears under its name when it is whole, checked and on
// the disk, and after an error not at all. Error: ErrNoDatabase.
func Backup(ctx context.Context, from, to string) error {
	if err := backup(ctx, from, to); err != nil {
		return fmt.Errorf("back up %s: %w", SQLitePath(from), err)
	}
	return nil
}

func backup(ctx context.Context, from, to string) (err error) {
	source := SQLitePath(from)
	// Opening it would make one.
	if _, err := os.Stat(source); errors.Is(err, fs.ErrNotExist) {
		return ErrNoDatabase
	} else if err != nil {
		return err
	}
	// A leading slash keeps SQLite from taking the name for a URI.
	partial, err := filepath.Abs(filepath.Join(to, sqliteName+".partial"))
	if err != nil {
		return err
	}
	// Made here so that it is never readable by others. SQLite writes to an empty file
	// as to none.
	file, err := os.OpenFile(partial, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			_ = os.Remove(partial) // Not there any more when the renaming went well.
		}
	}()
	if err := vacuumInto(ctx, source, partial); err != nil {
		return err
	}
	if err := checkCopy(ctx, partial); err != nil {
		return fmt.Errorf("check the copy: %w", err)
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(partial, SQLitePath(to)); err != nil {
		return err
	}
	return SyncDir(to)
}

// vacuumInto has SQLite write what a reader sees now.
func vacuumInto(ctx context.Context, source, target string) (err error) {
	db, err := sql.Open("sqlite", sqliteDSN(source, "1"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", target)
	return err
}

// checkCopy looks at every page of a copy, and whether its rows point at rows.
func checkCopy(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return errors.New(verdict)
	}
	return checkForeignKeys(ctx, db)
}

// SyncDir makes the names in a folder survive a power cut.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
