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

	"parley/internal/auth"
	"parley/internal/bus"
	"parley/internal/refusal"
	"parley/internal/store"
	"parley/internal/viewer"
)

// accounts opens the database that the configuration means, for a command that keeps
// accounts, beside a running server or without one. It says on standard error which
// database that is, and makes and changes none: the wrong one would be.
func (p *program) accounts(ctx context.Context) (_ *auth.Service, closeAll func() error, err error) {
	cfg, log, err := p.configured()
	if err != nil {
		return nil, nil, err
	}
	if _, err := fmt.Fprintln(p.stderr, "Database:", store.Describe(storeConfig(cfg))); err != nil {
		return nil, nil, err
	}
	switch err := store.CheckCurrent(ctx, storeConfig(cfg)); {
	case errors.Is(err, store.ErrNoDatabase):
		return nil, nil, errNoDatabase(cfg)
	case errors.Is(err, store.ErrOldSchema):
		return nil, nil, fmt.Errorf("%w: start the server of this version first, or run parley migrate",
			store.ErrOldSchema)
	case err != nil:
		return nil, nil, explain(cfg, err)
	}
	db, err := store.Open(ctx, storeConfig(cfg), log)
	if err != nil {
		return nil, nil, explain(cfg, err)
	}
	// Nothing here signs a token, so the server's keys are left alone. And nobody listens
	// on this bus: a running server finds out within seconds, as it looks at revoked
	// sessions by itself.
	accounts, err := newAuth(cfg, auth.GenerateKeyring(), db, bus.NewLocal(), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return accounts, db.Close, nil
}

// errNoDatabase says where there is none, and what to do.
func errNoDatabase(cfg config) error {
	if cfg.DatabaseURL.IsZero() {
		return fmt.Errorf("%w at %s: set PARLEY_DATA_DIR, or PARLEY_DATABASE_URL, as for the server, or start the server once",
			store.ErrNoDatabase, store.SQLitePath(cfg.DataDir))
	}
	return errors.New("the database of PARLEY_DATABASE_URL has no tables of Parley: is it the server's? Else start the " +
		"server once, or run parley migrate")
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
