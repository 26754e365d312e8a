// Command migrategen writes the next migration of both dialects from the
// difference between the migrations so far and ent/schema.
//
//	go run ./internal/tools/withpostgres go run ./internal/tools/migrategen NAME
//
// After a statement was added to it by hand, -sum in place of NAME writes atlas.sum
// anew. That is for migrations which no release has yet.
//
// The SQL is to be read before it is committed: migrations are forward only, and
// the generated Down sections are cut off because those of SQLite's table
// rebuilds are wrong. Columns that ent/schema lists as Leaving are not dropped.
//
// A new migration says that a binary of the version before can live with it. Where that is
// not true, its own id goes in the place of the other one (docs/operations.md, Upgrading).
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/sqltool"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	_ "github.com/lib/pq"
	_ "modernc.org/sqlite"

	entmigrate "parley/ent/migrate"
	"parley/internal/store/storetest"
)

const root = "internal/store/migrations"

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: migrategen NAME | -sum")
	}
	if os.Args[1] == "-sum" {
		if err := sum(); err != nil {
			log.Fatalf("migrategen: %v", err)
		}
		return
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatalf("migrategen: %v", err)
	}
}

func run(ctx context.Context, name string) error {
	url := os.Getenv("PARLEY_TEST_POSTGRES_URL")
	if url == "" {
		return errors.New("PARLEY_TEST_POSTGRES_URL is not set; run it through internal/tools/withpostgres")
	}
	version := time.Now().UTC().Format("20060102150405")
	for _, d := range []struct{ dialect, driver, dsn, dir string }{
		{dialect.SQLite, "sqlite", "file:dev?mode=memory&cache=shared&_fk=1", "sqlite"},
		{dialect.Postgres, "postgres", url, "postgres"},
	} {
		if err := diff(ctx, d.dialect, d.driver, d.dsn, filepath.Join(root, d.dir), version, name); err != nil {
			return fmt.Errorf("%s: %w", d.dialect, err)
		}
	}
	return nil
}

func diff(ctx context.Context, dialectName, driver, dsn, path, version, name string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // A development database that is thrown away.
	dir, err := sqltool.NewGooseDir(path)
	if err != nil {
		return err
	}
	before, err := dir.Files()
	if err != nil {
		return err
	}
	m, err := schema.NewMigrate(entsql.OpenDB(dialectName, db),
		schema.WithDir(dir),
		schema.WithFormatter(sqltool.GooseFormatter),
		schema.WithMigrationMode(schema.ModeReplay),
		schema.WithDropColumn(true),
		schema.WithDropIndex(true),
		schema.WithDiffHook(storetest.KeepLeaving),
		schema.WithDialect(dialectName),
	)
	if err != nil {
		return err
	}
	if err := m.NamedDiff(ctx, name, entmigrate.Tables...); err != nil {
		if errors.Is(err, migrate.ErrNoPlan) {
			return nil
		}
		return err
	}
	after, err := dir.Files()
	if err != nil {
		return err
	}
	if len(after) == len(before) {
		return nil
	}
	// One version for both dialects, and no way back.
	last := after[len(after)-1].Name()
	text, err := os.ReadFile(filepath.Join(path, last))
	if err != nil {
		return err
	}
	up, _, _ := strings.Cut(string(text), "-- +goose Down")
	if err := os.Remove(filepath.Join(path, last)); err != nil {
		return err
	}
	known, _, _ := strings.Cut(before[len(before)-1].Name(), "_")
	up = strings.Replace(up, "-- +goose Up\n", "-- +goose Up\n-- parley:lives-with "+known+"\n", 1)
	if err := os.WriteFile(filepath.Join(path, version+"_"+name+".sql"), []byte(up), 0o644); err != nil {
		return err
	}
	return writeSum(dir)
}

func sum() error {
	for _, name := range []string{"sqlite", "postgres"} {
		dir, err := sqltool.NewGooseDir(filepath.Join(root, name))
		if err != nil {
			return err
		}
		if err := writeSum(dir); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func writeSum(dir migrate.Dir) error {
	sum, err := dir.Checksum()
	if err != nil {
		return err
	}
	return migrate.WriteSumFile(dir, sum)
}
