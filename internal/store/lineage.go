package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect"

	"parley/internal/version"
)

// ErrNewerSchema is returned by Migrate and Open for a database that a newer version has
// migrated in a way that this one cannot live with.
var ErrNewerSchema = errors.New("a newer version of Parley has changed this database, and this version cannot work on it")

// A migration says in a line of its own which older binaries can live with what it changes:
// those that know a migration and all before it.
//
//	-- parley:lives-with 20261126163427
//
// Without that line none can. What it says is written into the table migration_marks in the
// transaction of the migration, so that a binary which knows nothing of the migration can
// read it.
var livesWith = regexp.MustCompile(`(?m)^-- parley:lives-with (\d{14})$`)

// notWord is what has no place in a text of SQL.
var notWord = regexp.MustCompile(`[^A-Za-z0-9.+_-]`)

// marked adds the mark of each migration to its file. It knows no folders.
type marked struct{ fs.FS }

// ReadDir implements fs.ReadDirFS.
func (m marked) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(m.FS, name) }

// Open implements fs.FS.
func (m marked) Open(name string) (fs.File, error) {
	id, ok := migrationID(name)
	if !ok {
		return m.FS.Open(name)
	}
	text, err := fs.ReadFile(m.FS, name)
	if err != nil {
		return nil, err
	}
	oldest := id
	if found := livesWith.FindSubmatch(text); found != nil {
		if oldest, err = strconv.ParseInt(string(found[1]), 10, 64); err != nil {
			return nil, err
		}
	}
	mark := fmt.Sprintf(`
CREATE TABLE IF NOT EXISTS migration_marks (id bigint PRIMARY KEY, oldest bigint NOT NULL, parley text NOT NULL);
INSERT INTO migration_marks (id, oldest, parley) VALUES (%d, %d, '%s');
`, id, oldest, notWord.ReplaceAllString(version.Get().Number, "-"))
	text = append(slices.Clone(text), mark...)
	return &memoryFile{Reader: bytes.NewReader(text), name: path.Base(name), size: int64(len(text))}, nil
}

// memoryFile is a file that is read from memory.
type memoryFile struct {
	*bytes.Reader
	name string
	size int64
}

func (f *memoryFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *memoryFile) Close() error               { return nil }
func (f *memoryFile) Name() string               { return f.name }
func (f *memoryFile) Size() int64                { return f.size }
func (f *memoryFile) Mode() fs.FileMode          { return 0o444 }
func (f *memoryFile) ModTime() time.Time         { return time.Time{} }
func (f *memoryFile) IsDir() bool                { return false }
func (f *memoryFile) Sys() any                   { return nil }

// migrationID reads the number that the name of a migration's file begins with.
func migrationID(name string) (int64, bool) {
	digits, _, ok := strings.Cut(path.Base(name), "_")
	if !ok || path.Ext(name) != ".sql" {
		return 0, false
	}
	id, err := strconv.ParseInt(digits, 10, 64)
	return id, err == nil
}

// knownMigrations lists the ids of the migrations in a folder, in order.
func knownMigrations(folder fs.FS) ([]int64, error) {
	files, err := fs.Glob(folder, "*.sql")
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, name := range files {
		if id, ok := migrationID(name); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if len(ids) == 0 {
		return nil, errors.New("there are no migrations")
	}
	return ids, nil
}

// checkLineage refuses a database with a migration that is not known here, unless its mark
// says that this binary can live with it. Error: ErrNewerSchema.
func checkLineage(ctx context.Context, name string, db *sql.DB, folder fs.FS) error {
	known, err := knownMigrations(folder)
	if err != nil {
		return err
	}
	there, err := hasTable(ctx, name, db, "goose_db_version")
	if err != nil || !there {
		return err
	}
	applied, err := appliedMigrations(ctx, db)
	if err != nil {
		return err
	}
	unknown := without(applied, known)
	if len(unknown) == 0 {
		return nil
	}
	newest := known[len(known)-1]
	marks := make(map[int64]mark)
	if there, err = hasTable(ctx, name, db, "migration_marks"); err != nil {
		return err
	}
	if there {
		if marks, err = readMarks(ctx, db); err != nil {
			return err
		}
	}
	for _, id := range unknown {
		m, ok := marks[id]
		if ok && m.oldest <= newest {
			continue
		}
		by := "a version that has left no name"
		if ok {
			by = "version " + m.parley
		}
		return fmt.Errorf("%w: %s has applied the migration %d, and this is version %s, whose last one is %d. "+
			"Start that version or a later one, or restore the backup from before the upgrade",
			ErrNewerSchema, by, id, version.Get().Number, newest)
	}
	return nil
}

func (s *Store) checkLineage(ctx context.Context) error {
	folder, err := fs.Sub(migrations, migrationsOf(s.dialect))
	if err != nil {
		return err
	}
	return checkLineage(ctx, s.dialect, s.read, folder)
}

// appliedMigrations lists what a database has had, in order.
func appliedMigrations(ctx context.Context, db *sql.DB) (ids []int64, err error) {
	// goose begins its table with a row of its own, 0.
	rows, err := db.QueryContext(ctx,
		"SELECT DISTINCT version_id FROM goose_db_version WHERE is_applied AND version_id > 0 ORDER BY version_id")
	if err != nil {
		return nil, fmt.Errorf("read which migrations were applied: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read which migrations were applied: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// without returns the ids that are not among others.
func without(ids, others []int64) []int64 {
	return slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return slices.Contains(others, id) })
}

// mark is what a migration says to binaries that do not know it.
type mark struct {
	oldest int64  // The last migration that a binary must know to live with it.
	parley string // The version that has applied it.
}

func readMarks(ctx context.Context, db *sql.DB) (marks map[int64]mark, err error) {
	rows, err := db.QueryContext(ctx, "SELECT id, oldest, parley FROM migration_marks")
	if err != nil {
		return nil, fmt.Errorf("read the marks of migrations: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	marks = make(map[int64]mark)
	for rows.Next() {
		var id int64
		var m mark
		if err := rows.Scan(&id, &m.oldest, &m.parley); err != nil {
			return nil, fmt.Errorf("read the marks of migrations: %w", err)
		}
		marks[id] = m
	}
	return marks, rows.Err()
}

// hasTable reports whether there is a table.
func hasTable(ctx context.Context, name string, db *sql.DB, table string) (there bool, err error) {
	query := "SELECT to_regclass('" + table + "') IS NOT NULL"
	if name == dialect.SQLite {
		query = "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = '" + table + "'"
	}
	if err := db.QueryRowContext(ctx, query).Scan(&there); err != nil {
		return false, fmt.Errorf("look for the table %s: %w", table, err)
	}
	return there, nil
}
