// Command parley is the chat server and the operator's tool for it. This package
// reads the environment, wires the rooms together from top to bottom, and owns
// the order in which they start and stop. It holds no rules of the domain.
//
// What is where:
//
//	main.go                 how the program ends
//	command.go, commands.go how it is called, and one row a command
//	config.go               everything that can be told, what depends on several settings, what is wrong with them
//	config_read.go          what the environment and the files it names say
//	config_table.go, config_limits.go   one row a variable: the parser, --help, the log and docs/configuration.md
//	config_print.go         --help and docs/configuration.md, made of the table
//	config_parse.go         the forms of values
//	config_fixed.go         values that have no variable
//	config_show.go          the command that prints and checks them
//	serve.go                the server: its rooms, wired top to bottom
//	start.go, shutdown.go   the order of a start and of an end
//	database.go, bus.go, accounts.go, models.go, graphql.go   how each room is made
//	builtin.go              the models that run in this process
//	routes.go               what is answered under which path
//	gate.go                 who may ask a development server, and under which name
//	modelwatch.go           whether the model server can be used
//	pages.go                who opens the address of the API in a browser
//	site.go                 what the chat page is told before anybody signs in, and which operations it has
//	health.go, peers.go     whether this process is fit for requests, and agrees with the others
//	framing.go              where requests end
//	log.go                  the log, and the access log
//	traces.go               spans, for who collects them
//	metrics.go              metrics and profiles, on a listener of their own
//	housekeeping.go         what runs by itself
//	memory.go               memory is given back after the start and after a burst
//	binary_linux.go,
//	binary_other.go         pages of the binary are let go of after the start
//	greeting.go             what a person at the terminal reads
//	backup.go, user.go, user_list.go, probe.go   the commands for operators
//	failpoints.go, failpoints_off.go   what only tests arm
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
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
