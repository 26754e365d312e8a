package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"entgo.io/ent/dialect"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// migrationTimeout bounds one migration run on Postgres, where rewriting a large
// table takes longer than any other statement may.
const migrationTimeout = 15 * time.Minute

// Migrate brings the schema of the configured database up to date and returns
// how many migrations it applied. Replicas may start it at the same time: on
// Postgres an advisory lock lets one go first. It opens connections of its own. Error:
// ErrNewerSchema, before anything is changed.
func Migrate(ctx context.Context, cfg Config) (int, error) {
	n, err := migrateFrom(ctx, cfg, migrations)
	if err != nil {
		return n, fmt.Errorf("migrate: %w", err)
	}
	return n, nil
}

// migrateFrom applies the migrations of files, which holds migrations/<dialect>/.
func migrateFrom(ctx context.Context, cfg Config, files fs.FS) (applied int, err error) {
	name, db, err := openForMigration(cfg)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	kind := goose.DialectPostgres
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if name == dialect.SQLite {
		kind = goose.DialectSQLite3
	} else {
		// Asked for again every second, not goose's five: replicas start one after the
		// other here.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(migrationTimeout/time.Second)))
		if err != nil {
			return 0, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	sub, err := fs.Sub(files, migrationsOf(name))
	if err != nil {
		return 0, err
	}
	if err := checkLineage(ctx, name, db, sub); err != nil {
		return 0, err
	}
	provider, err := goose.NewProvider(kind, db, marked{sub}, options...)
	if err != nil {
		return 0, err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return len(results), err
	}
	if name == dialect.SQLite && len(results) > 0 {
		if err := checkForeignKeys(ctx, db); err != nil {
			return len(results), fmt.Errorf("after the migrations: %w", err)
		}
	}
	return len(results), nil
}

// migrationsOf is the folder of a dialect's migrations.
func migrationsOf(name string) string {
	if name == dialect.SQLite {
		return "migrations/sqlite"
	}
	return "migrations/postgres"
}

func openForMigration(cfg Config) (string, *sql.DB, error) {
	if cfg.DatabaseURL != "" {
		settings, err := postgresSettings(cfg.DatabaseURL, migrationTimeout, migrationTimeout)
		if err != nil {
			return "", nil, err
		}
		return dialect.Postgres, sql.OpenDB(&connector{settings: settings, silence: silenceOf(settings)}), nil
	}
	path, err := makeSQLiteFile(cfg.DataDir)
	if err != nil {
		return "", nil, err
	}
	// Foreign keys are off while tables are rebuilt: dropping the old table would
	// cascade to its children, and switching them off inside goose's transaction
	// does nothing. They are checked afterwards.
	db, err := sql.Open("sqlite", sqliteDSN(path, "0"))
	if err != nil {
		return "", nil, err
	}
	db.SetMaxOpenConns(1)
	return dialect.SQLite, db, nil
}

func checkForeignKeys(ctx context.Context, db *sql.DB) (err error) {
	rows, err := db.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return fmt.Errorf("check foreign keys: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if rows.Next() {
		var table, parent string
		var row, key any
		if err := rows.Scan(&table, &row, &parent, &key); err != nil {
			return fmt.Errorf("check foreign keys: %w", err)
		}
		return fmt.Errorf("a row of %s points at no row of %s", table, parent)
	}
	return rows.Err()
}
