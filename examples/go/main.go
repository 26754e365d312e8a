// Command parley-example sends a message to Parley and prints the reply while it
// grows. The code to copy is in client.go and follow.go.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

//go:generate go tool genqlient

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	c := newClient(cmp.Or(os.Getenv("PARLEY_URL"), "http://127.0.0.1:8080") + "/graphql")
	question := "I had a dream about the sea"
	if len(args) > 0 {
		question = args[0]
	}

	var err error
	if email, password := os.Getenv("PARLEY_EMAIL"), os.Getenv("PARLEY_PASSWORD"); email != "" && password != "" {
		err = c.signIn(ctx, SignInInput{Email: email, Password: password})
	} else {
		err = c.signUp(ctx, SignUpInput{Email: rand.Text() + "@example.com", Password: rand.Text(), Name: new("Ada")})
	}
	if err != nil {
		return err
	}

	sent, err := c.send(ctx, SendMessageInput{Content: question, ClientKey: new(rand.Text())})
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}

	shown := ""
	final, err := c.follow(ctx, sent.SendMessage.Reply.Id, func(text string) {
		more, grows := strings.CutPrefix(text, shown)
		if !grows {
			more = "\n" + text // The server died, and the reply is written once more.
		}
		fmt.Print(more)
		shown = text
	})
	fmt.Println()
	if err != nil {
		return err
	}
	if final.Status != MessageStatusCompleted {
		reason := ""
		if final.Error != nil {
			reason = final.Error.Message
		}
		return fmt.Errorf("%s: %s", final.Status, reason)
	}
	return nil
}
