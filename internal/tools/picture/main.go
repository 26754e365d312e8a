// Command picture records a reply of the real server and draws it, at its own
// speed, as the animated picture of README.md.
//
//	go run ./internal/tools/picture >docs/reply.svg
//
// It builds Parley, starts it on a free port with an empty data folder and the
// built-in model, signs up, says hello, sends a message, follows the reply over
// Server-Sent Events and notes when each event arrives (record.go). Then it draws the two
// operations, the events and the growing text (draw.go). Everything in the picture
// but its labels is what was sent or came back.
//
// Its one invariant: it draws nothing unless the reply was followed to its end.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	r, err := record(ctx)
	if err != nil {
		return err
	}
	return draw(os.Stdout, r)
}
