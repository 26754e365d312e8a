// Command faults runs seeded schedules of faults against the real server and says
// what broke; with -takeover it measures how long replies stand still when their
// replica is gone. It needs a Postgres server on which it may make databases:
//
//	go run ./internal/tools/withpostgres go run ./internal/faulttest/faults -seeds 1-200 -parallel 4
//
// Run it from the root of the repository.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"parley/internal/faulttest"
	"parley/internal/store/storetest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	seeds := flag.String("seeds", "1-200", "the seeds to run, 17 or 1-200")
	parallel := flag.Int("parallel", 4, "how many schedules run side by side")
	figures := flag.Bool("takeover", false, "measure takeovers with the default lease instead")
	race := flag.Bool("race", false, "build the server with the race detector")
	flag.Parse()
	o := faulttest.Options{Parallel: *parallel, Postgres: os.Getenv(storetest.URLVariable), Root: ".", Race: *race}
	if *figures {
		return faulttest.Figures(ctx, o, os.Stdout)
	}
	var err error
	if o.First, o.Last, err = faulttest.ParseSeeds(*seeds); err != nil {
		return err
	}
	return faulttest.Run(ctx, o, os.Stdout)
}
