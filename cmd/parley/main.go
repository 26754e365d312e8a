// Command parley is the chat server and the operator's tool for it. This package
// reads the environment, wires the rooms together from top to bottom, and owns
// the order in which they start and stop. It holds no rules of the domain.
//
// What is where:
//
//	main.go                 the commands and how they end
//	config.go               everything that can be told, what depends on several settings, what is wrong with them
//	config_table.go         one row a variable: the parser, --help, the log and docs/configuration.md
//	config_parse.go         the forms of values
//	config_fixed.go         values that have no variable
//	serve.go                the server: its rooms, wired top to bottom
//	start.go, shutdown.go   the order of a start and of an end
//	database.go, bus.go, accounts.go, models.go, graphql.go   how each room is made
//	routes.go               what is answered under which path
//	pages.go                who opens the address of the API in a browser
//	health.go, peers.go     whether this process is fit for requests, and agrees with the others
//	framing.go              where requests end
//	debug.go                the program's profiles, on a listener of their own
//	housekeeping.go         what runs by itself
//	memory.go               memory is given back after a burst
//	greeting.go             what a person at the terminal reads
//	backup.go, user.go      the commands for operators
//	failpoints.go, failpoints_off.go   what only tests arm
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"parley/graph"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "parley:", err)
	stop()
	var usage usageError
	if errors.As(err, &usage) {
		os.Exit(2)
	}
	os.Exit(1)
}

const help = `Parley is a self-hosted chat backend for GraphQL frontends.

Usage: parley [COMMAND]

Commands:
  serve                  run the server (the default)
  backup DIR             copy SQLite's database and the keys into a new data folder, beside a running server
  migrate                bring the database's schema up to date and exit
  user add EMAIL         make an account; --name NAME, --password-stdin
  user list              list the accounts
  user passwd EMAIL      set a password and end the account's sessions; --password-stdin
  user disable EMAIL     lock an account out; user enable EMAIL lets it in again
  schema                 print the GraphQL schema
  version                print the version

Everything is configured by the environment:

`

// usageError is a call of the command that makes no sense.
type usageError string

func (e usageError) Error() string { return string(e) + " (see parley --help)" }

// run is the whole program, with everything it touches as an argument.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	armFailpoints(environ)
	command := "serve"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "help", "--help", "-h":
		if _, err := io.WriteString(stdout, help); err != nil {
			return err
		}
		return writeConfigHelp(stdout)
	case "version", "--version":
		_, err := fmt.Fprintln(stdout, "parley", version())
		return err
	case "schema":
		_, err := io.WriteString(stdout, graph.SDL())
		return err
	}
	switch {
	case command == "backup" && len(args) != 1:
		return usageError("backup: into which DIR?")
	case command != "backup" && command != "user" && len(args) > 0:
		return usageError(fmt.Sprintf("%s takes no arguments", command))
	}
	cfg, err := loadConfig(environ)
	if err != nil {
		return err
	}
	log := newLogger(cfg, stderr)
	switch command {
	case "serve":
		return serve(ctx, cfg, log, stdout)
	case "backup":
		return backupCommand(ctx, cfg, args[0], stdout)
	case "migrate":
		n, err := migrate(ctx, cfg)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(stdout, "%d migrations applied\n", n)
		return err
	case "user":
		return userCommand(ctx, cfg, log, args, stdin, stdout)
	}
	return usageError(fmt.Sprintf("there is no command %q", command))
}

// version is the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "development"
}
