package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"entgo.io/ent/dialect"
)

// ErrOldSchema is returned by CheckCurrent for a database that has not had all migrations.
var ErrOldSchema = errors.New("the database is older than this program")

// CheckCurrent reports whether the configured database is there and has had all
// migrations that this program knows. It makes nothing and changes nothing. Errors:
// ErrNoDatabase, also for a database without Parley's tables, and ErrOldSchema.
func CheckCurrent(ctx context.Context, cfg Config) error {
	if err := checkCurrent(ctx, cfg); err != nil {
		return fmt.Errorf("check the schema: %w", err)
	}
	return nil
}

func checkCurrent(ctx context.Context, cfg Config) (err error) {
	if cfg.DatabaseURL == "" {
		// Opening it would make one.
		if _, err := os.Stat(SQLitePath(cfg.DataDir)); errors.Is(err, fs.ErrNotExist) {
			return ErrNoDatabase
		}
	}
	name, db, err := openForMigration(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	folder, tables := "migrations/postgres", "SELECT count(*) FROM pg_tables WHERE tablename = 'goose_db_version' "+
		"AND schemaname = ANY (current_schemas(false))"
	if name == dialect.SQLite {
		folder, tables = "migrations/sqlite", "SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'"
	}
	var n int
	if err := db.QueryRowContext(ctx, tables).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return ErrNoDatabase
	}
	missing, err := missingMigrations(ctx, db, folder)
	if err != nil {
		return err
	}
	if missing > 0 {
		return fmt.Errorf("%w: migrations missing: %d", ErrOldSchema, missing)
	}
	return nil
}

// missingMigrations counts the migrations of a folder that a database has not had.
func missingMigrations(ctx context.Context, db *sql.DB, folder string) (missing int, err error) {
	rows, err := db.QueryContext(ctx, "SELECT version_id FROM goose_db_version WHERE is_applied")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var had []int64
	for rows.Next() {
		var version int64
		if err := rows.Scan(&version); err != nil {
			return 0, err
		}
		had = append(had, version)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	files, err := migrations.ReadDir(folder)
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		digits, _, _ := strings.Cut(f.Name(), "_")
		version, err := strconv.ParseInt(digits, 10, 64)
		if err == nil && !slices.Contains(had, version) {
			missing++
		}
	}
	return missing, nil
}
