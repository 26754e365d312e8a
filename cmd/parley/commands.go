package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime"

	"parley/graph"
	"parley/internal/version"
)

// commands are the rows of the table, in the order of parley --help. Those of one group
// share their first word.
var commands = []subcommand{
	{
		name:    "serve",
		summary: "run the server (the default)",
		prepare: func(*flag.FlagSet) action { return serveCommand },
	},
	{
		name: "backup", arguments: "DIR",
		summary: "copy SQLite's database and the keys into a new data folder, beside a running server",
		more: "DIR is made, or is an empty folder. A server that is started with PARLEY_DATA_DIR=DIR goes on\n" +
			"from the moment of the backup. Postgres is backed up with pg_dump.",
		prepare: func(*flag.FlagSet) action { return backupCommand },
	},
	{
		name:    "config",
		summary: "print the settings in force and where they come from, and check them without starting",
		more: "Secrets are not shown. The status is 1 when a server would not start with these settings.\n" +
			"The database, NATS and the model server are not asked.",
		prepare: configCommand,
	},
	{
		name:    "migrate",
		summary: "bring the database's schema up to date and exit",
		more:    "The server does so by itself when it starts.",
		prepare: func(*flag.FlagSet) action { return migrateCommand },
	},
	{
		name: "user add", arguments: "EMAIL",
		summary: "make an account",
		more:    "Without --password-stdin a password is made up and printed.",
		prepare: func(flags *flag.FlagSet) action { return setPasswordCommand(flags, true) },
	},
	{
		name: "user list", arguments: "[FILTER]",
		summary: "list the accounts, or those with FILTER in address, name or id",
		more:    "LAST SIGN-IN is the last time that a password was used; refreshed sessions do not count.",
		prepare: listUsersCommand,
	},
	{
		name: "user passwd", arguments: "EMAIL",
		summary: "set a password and end the account's sessions",
		more:    "Without --password-stdin a password is made up and printed.",
		prepare: func(flags *flag.FlagSet) action { return setPasswordCommand(flags, false) },
	},
	{
		name: "user disable", arguments: "EMAIL",
		summary: "lock an account out; EMAIL may be the id of the user, for those of other issuers",
		prepare: func(*flag.FlagSet) action { return setDisabledCommand(true) },
	},
	{
		name: "user enable", arguments: "EMAIL",
		summary: "let an account in again",
		prepare: func(*flag.FlagSet) action { return setDisabledCommand(false) },
	},
	{
		name:    "health",
		summary: "ask the server on this machine whether it is ready, or alive",
		more: "The server is that of PARLEY_ADDR; no other variable is read. It prints what /readyz says, and the\n" +
			"status is 1 when the server is not ready. It is the probe of an image that has no shell.",
		prepare: healthCommand,
	},
	{
		name:    "schema",
		summary: "print the GraphQL schema",
		prepare: func(*flag.FlagSet) action { return schemaCommand },
	},
	{
		name:    "version",
		summary: "print the version and the commit",
		prepare: func(*flag.FlagSet) action { return versionCommand },
	},
}

func serveCommand(ctx context.Context, p *program, _ []string) error {
	cfg, log, err := p.configured()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer onHangup(ctx, log, cancel)()
	return serve(ctx, cfg, log, p.stdout)
}

func migrateCommand(ctx context.Context, p *program, _ []string) error {
	cfg, _, err := p.configured()
	if err != nil {
		return err
	}
	n, err := migrate(ctx, cfg)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%d migrations applied\n", n)
	return err
}

func schemaCommand(_ context.Context, p *program, _ []string) error {
	_, err := io.WriteString(p.stdout, graph.SDL())
	return err
}

func versionCommand(_ context.Context, p *program, _ []string) error {
	v := version.Get()
	_, err := fmt.Fprintf(p.stdout, "parley %s\ncommit %s\n%s %s/%s\n", v.Number, v.Commit, v.Go, runtime.GOOS,
		runtime.GOARCH)
	return err
}
