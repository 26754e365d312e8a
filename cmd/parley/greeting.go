package main

import (
	"fmt"
	"io"
	"net"

	"parley/internal/store"
	"parley/internal/upstream/eliza"
	"parley/internal/upstream/script"
	"parley/internal/version"
)

// greet tells the person at the terminal where to go.
func greet(cfg config, stdout io.Writer, addr net.Addr) {
	url := "http://" + addr.String()
	line := func(format string, args ...any) {
		_, _ = fmt.Fprintf(stdout, format+"\n", args...) // Without a terminal there is nobody to greet.
	}
	line("Parley is listening on %s (%s mode, version %s)", url, cfg.Mode, version.Get().Number)
	if cfg.Page == on {
		line("  Chat       %s/", url)
	}
	if cfg.Mode == development {
		line("  GraphiQL   %s/graphiql", url)
	}
	line("  GraphQL    %s/graphql", url)
	if cfg.Mode == development {
		line("  Schema     %s/schema.graphql", url)
	}
	if cfg.DatabaseURL.IsZero() {
		line("  Database   SQLite, %s", store.SQLitePath(cfg.DataDir))
	} else {
		line("  Database   Postgres")
	}
	if cfg.OpenAIBaseURL != "" {
		line("  Models     %s", cfg.OpenAIBaseURL)
	}
	if cfg.ElizaListed() {
		line("  Models     %q: %s", eliza.Model, eliza.Description)
		if cfg.OpenAIBaseURL == "" {
			line("             Set OPENAI_API_KEY or OPENAI_BASE_URL to talk to a real model.")
		}
	}
	if cfg.ScriptListed() {
		line("             %q: for building frontends; send it /help", script.Model)
	}
	if cfg.SignUpOpen {
		line("  Sign-up    open")
	} else {
		line("  Sign-up    closed; make accounts with: parley user add EMAIL")
	}
}
