package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

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
	takeover := flag.Bool("takeover", false, "measure takeovers with the default lease instead")
	upgrade := flag.Bool("upgrade", false, "replace replicas of the version before, instead of faults")
	race := flag.Bool("race", false, "build the server with the race detector")
	flag.Parse()
	o := options{parallel: *parallel, postgres: os.Getenv(storetest.URLVariable), root: ".", race: *race,
		upgrade: *upgrade}
	if *takeover {
		return measureFigures(ctx, o, os.Stdout)
	}
	var err error
	if o.first, o.last, err = parseSeeds(*seeds); err != nil {
		return err
	}
	return runSeeds(ctx, o, os.Stdout)
}
