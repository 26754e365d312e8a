package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// postgresVariable names the Postgres server on which databases may be made.
const postgresVariable = "PARLEY_TEST_POSTGRES_URL"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "model":
		err = serveModel(ctx, os.Stdout)
	case len(os.Args) > 2 && os.Args[1] == "relay":
		err = serveRelay(ctx, os.Args[2], os.Stdout)
	case len(os.Args) > 4 && os.Args[1] == "bare":
		err = serveBare(ctx, os.Args[2], os.Args[3], os.Args[4], os.Stdout)
	default:
		err = run(ctx, os.Args[1:], os.Stdout)
	}
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "perf:", err)
		os.Exit(1)
	}
}

// options is what the command line says.
type options struct {
	only      []string
	databases []string
	short     bool
	rounds    int
	binary    string
	streams   int
	overload  time.Duration
	soak      time.Duration
	environ   []string
	profiles  string
	bare      bool
	verbose   bool
}

func parseOptions(args []string, output io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("perf", flag.ContinueOnError)
	flags.SetOutput(output)
	only := flags.String("only", "", "the modes to run, separated by commas: "+strings.Join(modeNames(), ", "))
	databases := flags.String("database", "sqlite,postgres", "the databases to run on")
	flags.BoolVar(&o.short, "short", false, "the form of a minute: "+strings.Join(shortModes, ", "))
	flags.IntVar(&o.rounds, "rounds", 0, "how often each target takes its turn; 0: 3, and 2 in the short form")
	flags.StringVar(&o.binary, "binary", "", "the binary of another version, which takes turns with this one")
	flags.IntVar(&o.streams, "streams", 2000, "the most streams that are begun at once")
	flags.DurationVar(&o.overload, "overload", time.Minute, "how long an overload lasts")
	flags.DurationVar(&o.soak, "soak", 10*time.Minute, "how long a soak lasts")
	flags.Func("env", "a variable `NAME=VALUE` for the versions that know it; may be repeated", func(v string) error {
		o.environ = append(o.environ, v)
		return nil
	})
	flags.StringVar(&o.profiles, "profile", "",
		"a folder for processor profiles of the servers, which then run in development mode and cost more")
	flags.BoolVar(&o.bare, "bare", false, "measure the least server that stores what it is sent, too: the floor")
	flags.BoolVar(&o.verbose, "v", false, "also print every round")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	} else if o.short {
		o.only = shortModes
	} else {
		for _, m := range modes {
			if !m.alone {
				o.only = append(o.only, m.name)
			}
		}
	}
	for _, name := range o.only {
		if !slices.Contains(modeNames(), name) {
			return options{}, fmt.Errorf("-only: there is no mode %q, but %s", name, strings.Join(modeNames(), ", "))
		}
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o700); err != nil {
			return options{}, err
		}
	}
	o.databases = strings.Split(*databases, ",")
	for _, name := range o.databases {
		if name != sqliteName && name != postgresName {
			return options{}, fmt.Errorf("-database: %q is neither %s nor %s", name, sqliteName, postgresName)
		}
	}
	if o.rounds == 0 {
		o.rounds = 3
		if o.short {
			o.rounds = 2
		}
	}
	return o, nil
}

// run measures what the options ask for and writes the table.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parseOptions(args, out)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, o, os.Getenv(postgresVariable), os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	var failed []error
	for _, m := range modes {
		if !slices.Contains(o.only, m.name) {
			continue
		}
		b.say("%s …", m.name)
		began := time.Now()
		if err := m.run(ctx, b); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", m.name, err)) // The others say something still.
		}
		if ctx.Err() != nil {
			break
		}
		b.say("%s took %v", m.name, time.Since(began).Round(100*time.Millisecond))
	}
	if b.wrong > 0 {
		failed = append(failed, fmt.Errorf("%d replies did not arrive as they were written", b.wrong))
	}
	if b.broken > 0 {
		failed = append(failed, fmt.Errorf("%d rules did not hold", b.broken))
	}
	return errors.Join(b.write(out), errors.Join(failed...))
}
