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
	"strings"
	"time"

	"parley/internal/auth"
	"parley/internal/bus"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/store"
	"parley/internal/viewer"
)

// accounts opens the database that the configuration means, for a command that keeps
// accounts, beside a running server or without one.
func (p *program) accounts(ctx context.Context) (_ *auth.Service, closeAll func() error, err error) {
	cfg, log, err := p.configured()
	if err != nil {
		return nil, nil, err
	}
	if _, err := migrate(ctx, cfg); err != nil {
		return nil, nil, err
	}
	db, err := store.Open(ctx, storeConfig(cfg), log)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	keys, err := readKeys(cfg)
	if err != nil {
		return nil, nil, err
	}
	// Nobody listens on this bus. A running server finds out within seconds, as it
	// looks at revoked sessions by itself.
	accounts, err := newAuth(cfg, keys, db, bus.NewLocal(), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	return accounts, db.Close, nil
}

// asOperator makes an action of what an operator does with the accounts.
func asOperator(
	do func(ctx context.Context, accounts *auth.Service, p *program, args []string) error,
) action {
	return func(ctx context.Context, p *program, args []string) (err error) {
		accounts, closeAll, err := p.accounts(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeAll()) }()
		return do(viewer.AsAdmin(ctx), accounts, p, args)
	}
}

func setDisabledCommand(disabled bool) action {
	done := "enabled"
	if disabled {
		done = "disabled"
	}
	return asOperator(func(ctx context.Context, accounts *auth.Service, p *program, args []string) error {
		if err := accounts.SetDisabled(ctx, args[0], disabled); err != nil {
			return forTerminal(err)
		}
		_, err := fmt.Fprintf(p.stdout, "%s is %s\n", args[0], done)
		return err
	})
}

func setPasswordCommand(flags *flag.FlagSet, add bool) action {
	name := new(string)
	if add {
		flags.StringVar(name, "name", "", "the `NAME` that others see")
	}
	fromStdin := flags.Bool("password-stdin", false, "take the first line of standard input as the password")
	return asOperator(func(ctx context.Context, accounts *auth.Service, p *program, args []string) error {
		return setPassword(ctx, accounts, add, args[0], *name, *fromStdin, p)
	})
}

// setPassword makes an account or gives it a new password: the first line of stdin,
// or one made here and shown once.
func setPassword(
	ctx context.Context, accounts *auth.Service, add bool, email, name string, fromStdin bool, p *program,
) error {
	password := rand.Text()
	if fromStdin {
		line, err := bufio.NewReader(p.stdin).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read password: %w", err)
		}
		password = strings.TrimRight(line, "\r\n")
	}
	if add {
		u, err := accounts.AddUser(ctx, email, name, password)
		if err != nil {
			return forTerminal(err)
		}
		email = *u.Email
	} else if err := accounts.SetPassword(ctx, email, password); err != nil {
		return forTerminal(err)
	}
	if fromStdin {
		_, err := fmt.Fprintf(p.stdout, "%s can sign in\n", email)
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "%s can sign in with the password %s\n", email, password)
	return err
}

// userPage is how many accounts are read at once.
const userPage = 500

func listUsersCommand(ctx context.Context, p *program, args []string) error {
	return asOperator(listUsers)(ctx, p, args)
}

func listUsers(ctx context.Context, accounts *auth.Service, p *program, _ []string) error {
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
			_, err := fmt.Fprintf(p.stdout, "%s\t%s\t%s\t%q\t%s\n", u.ID, account, state, u.Name, u.CreatedAt.UTC().
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
