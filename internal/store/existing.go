package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	there, err := hasTable(ctx, name, db, "goose_db_version")
	if err != nil {
		return err
	}
	if !there {
		return ErrNoDatabase
	}
	folder, err := fs.Sub(migrations, migrationsOf(name))
	if err != nil {
		return err
	}
	known, err := knownMigrations(folder)
	if err != nil {
		return err
	}
	applied, err := appliedMigrations(ctx, db)
	if err != nil {
		return err
	}
	if missing := without(known, applied); len(missing) > 0 {
		return fmt.Errorf("%w: migrations missing: %d", ErrOldSchema, len(missing))
	}
	return nil
}
