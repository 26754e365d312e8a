package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"parley/ent"
	"parley/internal/auth"
	"parley/internal/pid"
	"parley/internal/text"
)

// userPage is how many accounts are read at once.
const userPage = 500

// listedUser is a row of parley user list.
type listedUser struct {
	ID string `json:"id"`
	// Account is the e-mail address, or the subject at an external issuer.
	Account      string     `json:"account"`
	Issuer       string     `json:"issuer,omitempty"`
	Name         string     `json:"name"`
	Disabled     bool       `json:"disabled"`
	CreatedAt    time.Time  `json:"createdAt"`
	LastSignInAt *time.Time `json:"lastSignInAt"`
}

func listed(u *ent.User) listedUser {
	row := listedUser{ID: string(u.ID), Name: u.Name, Disabled: u.DisabledAt != nil,
		CreatedAt: u.CreatedAt.UTC().Truncate(time.Second)}
	switch {
	case u.Email != nil:
		row.Account = *u.Email
	case u.Issuer != nil && u.Subject != nil:
		row.Account, row.Issuer = *u.Subject, *u.Issuer
	}
	if u.LastSignInAt != nil {
		at := u.LastSignInAt.UTC().Truncate(time.Second)
		row.LastSignInAt = &at
	}
	return row
}

// matches reports whether a filter is part of what names the user, whatever the case and
// however its characters are composed.
func (u listedUser) matches(filter string) bool {
	for _, value := range []string{u.Account, u.Issuer, u.Name, u.ID} {
		if strings.Contains(folded(value), folded(filter)) {
			return true
		}
	}
	return false
}

func folded(s string) string { return text.Spelling(strings.ToLower(s)) }

func listUsersCommand(flags *flag.FlagSet) action {
	asJSON := flags.Bool("json", false, "print an object a line instead of a table")
	return asOperator(func(ctx context.Context, accounts *auth.Service, p *program, args []string) error {
		filter := ""
		if len(args) > 0 {
			filter = args[0]
		}
		if *asJSON {
			lines := json.NewEncoder(p.stdout)
			lines.SetEscapeHTML(false)
			return eachUser(ctx, accounts, filter, func(u listedUser) error { return lines.Encode(u) })
		}
		return writeUserTable(p.stdout, func(row func(listedUser) error) error {
			return eachUser(ctx, accounts, filter, row)
		})
	})
}

// eachUser calls do with every account that the filter leaves, a page after the other.
func eachUser(ctx context.Context, accounts *auth.Service, filter string, do func(listedUser) error) error {
	for after := pid.ID(""); ; {
		users, err := accounts.ListUsers(ctx, after, userPage)
		if err != nil {
			return forTerminal(err)
		}
		for _, u := range users {
			after = u.ID
			if row := listed(u); row.matches(filter) {
				if err := do(row); err != nil {
					return err
				}
			}
		}
		if len(users) < userPage {
			return nil
		}
	}
}

// writeUserTable writes a header and a line for each user. Names are quoted: they are the
// users' own words.
func writeUserTable(w io.Writer, each func(row func(listedUser) error) error) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(table, "ID\tACCOUNT\tSTATE\tCREATED\tLAST SIGN-IN\tNAME"); err != nil {
		return err
	}
	err := each(func(u listedUser) error {
		account, state, last := u.Account, "enabled", "-"
		if u.Issuer != "" {
			account += " of " + u.Issuer
		}
		if u.Disabled {
			state = "disabled"
		}
		if u.LastSignInAt != nil {
			last = u.LastSignInAt.Format(time.RFC3339)
		}
		_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%q\n", u.ID, printable(account), state,
			u.CreatedAt.Format(time.RFC3339), last, u.Name)
		return err
	})
	if err != nil {
		return err
	}
	return table.Flush()
}

// printable is a text in which nothing moves the cursor of a terminal: subjects come from
// elsewhere.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
