package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"parley/internal/store"
)

// openDatabase opens the database and brings its schema up to date. A data folder is
// locked before and unlocked after: no other process has it open meanwhile.
func openDatabase(
	ctx context.Context, cfg config, log *slog.Logger,
) (_ *store.Store, closeAll func() error, err error) {
	var opened closers
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}()
	if cfg.DatabaseURL.IsZero() {
		lock, err := store.LockDataDir(cfg.DataDir)
		if errors.Is(err, store.ErrInUse) {
			return nil, nil, fmt.Errorf("%s (PARLEY_DATA_DIR): %w", cfg.DataDir, err)
		}
		if err != nil {
			return nil, nil, explain(cfg, err)
		}
		opened.add(lock.Close)
	}
	if n, err := migrate(ctx, cfg); err != nil {
		return nil, nil, err
	} else if n > 0 {
		log.InfoContext(ctx, "database migrated", "migrations", n)
	}
	db, err := store.Open(ctx, storeConfig(cfg), log)
	if err != nil {
		return nil, nil, explain(cfg, err)
	}
	opened.add(db.Close)
	return db, opened.close, nil
}

// storeConfig says which database the configuration means.
func storeConfig(cfg config) store.Config {
	c := store.Config{DatabaseURL: cfg.DatabaseURL.Reveal(), DataDir: cfg.DataDir, MaxConns: cfg.DBConns,
		SlowAfter: cfg.SlowAfter}
	if cfg.ClockAhead != 0 {
		c.Clock = func() time.Time { return time.Now().Add(cfg.ClockAhead) }
	}
	return c
}

// migrate brings the database's schema up to date. It is the first to notice that
// there is no database.
func migrate(ctx context.Context, cfg config) (applied int, err error) {
	n, err := store.Migrate(ctx, storeConfig(cfg))
	return n, explain(cfg, err)
}

// explain says which setting an error of the database is about, and what helps.
func explain(cfg config, err error) error {
	if err == nil {
		return nil
	}
	err = store.Explain(storeConfig(cfg), err)
	if cfg.DatabaseURL.IsZero() {
		return fmt.Errorf("database of PARLEY_DATA_DIR: %w", err)
	}
	return fmt.Errorf("database of PARLEY_DATABASE_URL: %w", err)
}
