package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"parley/internal/auth"
	"parley/internal/bus"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/store"
	"parley/internal/viewer"
)

// userCommand keeps accounts from the command line, beside a running server or
// without one.
func userCommand(
	ctx context.Context, cfg config, log *slog.Logger, args []string, stdin io.Reader, stdout io.Writer,
) (err error) {
	if len(args) == 0 {
		return usageError("user needs one of add, list, passwd, disable, enable")
	}
	action := args[0]
	if !slices.Contains([]string{"add", "list", "passwd", "disable", "enable"}, action) {
		return usageError(fmt.Sprintf("there is no command user %s", action))
	}
	flags := flag.NewFlagSet("user "+action, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	name := flags.String("name", "", "")
	fromStdin := flags.Bool("password-stdin", false, "")
	email, err := parseUserFlags(flags, args[1:])
	if err != nil {
		return usageError(fmt.Sprintf("user %s: %v", action, err))
	}
	if (action == "list") != (email == "") {
		return usageError(fmt.Sprintf("user %s: which EMAIL?", action))
	}

	if _, err := migrate(ctx, cfg); err != nil {
		return err
	}
	db, err := store.Open(ctx, storeConfig(cfg), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// Nobody listens on this bus. A running server finds out within seconds, as it
	// looks at revoked sessions by itself.
	keys, err := readKeys(cfg)
	if err != nil {
		return err
	}
	accounts, err := newAuth(cfg, keys, db, bus.NewLocal(), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx = viewer.AsAdmin(ctx)
	switch action {
	case "add", "passwd":
		return setPassword(ctx, accounts, action, email, *name, *fromStdin, stdin, stdout)
	case "list":
		return listUsers(ctx, accounts, stdout)
	default: // disable and enable
		if err := accounts.SetDisabled(ctx, email, action == "disable"); err != nil {
			return forTerminal(err)
		}
		_, err := fmt.Fprintf(stdout, "%s is %sd\n", email, action)
		return err
	}
}

// parseUserFlags takes flags before and after the address.
func parseUserFlags(flags *flag.FlagSet, args []string) (email string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return "", err
		}
		if flags.NArg() == 0 {
			return email, nil
		}
		if email != "" {
			return "", fmt.Errorf("unexpected argument %q", flags.Arg(0))
		}
		email, args = flags.Arg(0), flags.Args()[1:]
	}
}

// setPassword makes an account or gives it a new password: the first line of stdin,
// or one made here and shown once.
func setPassword(
	ctx context.Context, accounts *auth.Service, action, email, name string, fromStdin bool, stdin io.Reader,
	stdout io.Writer,
) error {
	password := rand.Text()
	if fromStdin {
		line, err := bufio.NewReader(stdin).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read password: %w", err)
		}
		password = strings.TrimRight(line, "\r\n")
	}
	if action == "add" {
		u, err := accounts.AddUser(ctx, email, name, password)
		if err != nil {
			return forTerminal(err)
		}
		email = *u.Email
	} else if err := accounts.SetPassword(ctx, email, password); err != nil {
		return forTerminal(err)
	}
	if fromStdin {
		_, err := fmt.Fprintf(stdout, "%s can sign in\n", email)
		return err
	}
	_, err := fmt.Fprintf(stdout, "%s can sign in with the password %s\n", email, password)
	return err
}

// userPage is how many accounts are read at once.
const userPage = 500

func listUsers(ctx context.Context, accounts *auth.Service, stdout io.Writer) error {
	for after := pid.ID(""); ; {
		users, err := accounts.ListUsers(ctx, after, userPage)
		if err != nil {
			return forTerminal(err)
		}
		for _, u := range users {
			account, state := string(u.ID), "enabled"
			switch {
			case u.Email != nil:
				account = *u.Email
			case u.Issuer != nil && u.Subject != nil:
				account = *u.Subject + " of " + *u.Issuer
			}
			if u.DisabledAt != nil {
				state = "disabled"
			}
			_, err := fmt.Fprintf(stdout, "%s\t%s\t%s\t%q\t%s\n", u.ID, account, state, u.Name, u.CreatedAt.UTC().
				Format(time.RFC3339))
			if err != nil {
				return err
			}
			after = u.ID
		}
		if len(users) < userPage {
			return nil
		}
	}
}

// forTerminal shows an operator what a user would be shown, and the cause.
func forTerminal(err error) error {
	e, refused := refusal.As(err)
	if !refused {
		return err
	}
	if e.Err != nil {
		return fmt.Errorf("%s (%w)", e.Message, e.Err)
	}
	return errors.New(e.Message)
}
