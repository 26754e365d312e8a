// Command demo shows what happens to a chat when a server dies in the middle of a reply: it starts two replicas of
// Parley on a Postgres and a NATS that both last as long as it does, and a front that leads to the one that lives.
// Enter kills the replica that serves, or starts it again.
//
//	go run ./internal/tools/withpostgres go run ./internal/tools/demo
//
// It needs an empty Postgres database in PARLEY_TEST_POSTGRES_URL, as withpostgres makes one. What else is set in the
// environment goes to the replicas, such as OPENAI_BASE_URL.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

// settings are where everything is.
type settings struct {
	front    string    // the address of the front
	replicas [2]string // those of the replicas
	binary   string    // Empty: built here.
	database string
}

// run runs the demo until ctx ends, or the person has enough.
func run(ctx context.Context, args []string, keys io.Reader, out io.Writer) error {
	s := settings{database: os.Getenv("PARLEY_TEST_POSTGRES_URL")}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&s.front, "front", "127.0.0.1:8090", "the address to open")
	flags.StringVar(&s.replicas[0], "one", "127.0.0.1:8091", "the address of replica 1")
	flags.StringVar(&s.replicas[1], "two", "127.0.0.1:8092", "the address of replica 2")
	flags.StringVar(&s.binary, "binary", "", "the server; built when it is not given")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.database == "" {
		return errors.New("there is no Postgres: run make demo, which starts one (it needs Debian's package postgresql)")
	}
	return s.show(ctx, keys, out)
}

// show starts all there is, and ends it.
func (s settings) show(ctx context.Context, keys io.Reader, out io.Writer) error {
	dir, err := os.MkdirTemp("", "parley-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // Left-overs in the temporary folder harm nobody.
	if s.binary == "" {
		s.binary = filepath.Join(dir, "parley")
		build := exec.CommandContext(ctx, "go", "build", "-o", s.binary, "./cmd/parley")
		if text, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, text)
		}
	}
	d, err := start(ctx, s, dir)
	if err != nil {
		if ctx.Err() != nil {
			return nil // Told to end, which is what the error says in its way.
		}
		return err
	}
	defer d.close()
	d.greet(out)
	return d.play(ctx, lines(ctx, keys), out)
}

// lines are what the person enters; the channel is closed when there is no more.
func lines(ctx context.Context, keys io.Reader) <-chan string {
	entered := make(chan string)
	go func() { // It ends with the input: nobody can be kept from waiting for a key.
		defer close(entered)
		for scan := bufio.NewScanner(keys); scan.Scan(); {
			select {
			case entered <- scan.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return entered
}

// greet says what there is to do.
func (d *demo) greet(out io.Writer) {
	say(out, `Two replicas of Parley run on one Postgres and one NATS.

  Open       http://%s/   (in two windows, if you like: both show the same)
  Replica 1  http://%s/
  Replica 2  http://%s/

  1. Make an account, and send:  /tokens 600 /slow 50
  2. While the reply grows, press Enter here: the replica that serves you is killed (SIGKILL).
     The other one takes the reply over, and the page goes on.
  3. Press Enter again to start it anew.

  Ctrl-C, or q and Enter, ends everything, and leaves nothing behind.
`, d.front.addr(), d.replicas[0].addr, d.replicas[1].addr)
}

// play does what the person enters, until ctx ends.
func (d *demo) play(ctx context.Context, entered <-chan string, out io.Writer) error {
	var dead *replica
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, more := <-entered:
			switch {
			case !more:
				entered = nil // Nobody presses keys; signals still end it.
			case line == "q":
				return nil
			case dead == nil:
				dead = d.serving()
				dead.kill()
				say(out, "Replica %d is dead. The other one takes over what it was writing, within %v.\n"+
					"Enter starts it again.", dead.number, lease)
			default:
				if err := dead.start(ctx); err != nil {
					return err
				}
				say(out, "Replica %d is back. Enter kills the one that serves you now.", dead.number)
				dead = nil
			}
		case r := <-d.ended:
			if r != dead && !r.isAlive() { // It may have been killed, and started again since.
				return fmt.Errorf("replica %d has ended by itself:\n%s", r.number, r.tail())
			}
		}
	}
}

func say(out io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(out, format+"\n", args...) // Without a terminal there is nobody to tell.
}
