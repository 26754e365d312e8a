package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"parley/internal/catalog"
	"parley/internal/reply"
	"parley/internal/upstream"
	"parley/internal/upstream/eliza"
)

// elizaPace is the pause between two words of the built-in model, about twice the
// speed of the teletype it was written for: slow enough to be seen growing.
const elizaPace = 200 * time.Millisecond

// The upstreams, as the catalog names them.
const (
	builtIn = "built-in"
	openAI  = "openai"
)

// models are the model servers: the catalog of what they offer, the way to them, and who
// looks whether there is one.
type models struct {
	catalog *catalog.Catalog
	router  reply.Upstream
	watch   *modelWatch // Nil: the built-in model alone is always there.
	// clients are the model servers by name.
	clients map[string]*upstream.Client
}

func newModels(cfg config, log *slog.Logger) (m models, err error) {
	offered := catalog.Config{Allowed: cfg.Models, Default: cfg.Model, ContextTokens: cfg.ContextTokens}
	upstreams, clients := make(map[string]reply.Upstream), make(map[string]*upstream.Client)
	if cfg.ElizaListed() {
		c, err := upstream.NewInProcess(eliza.Handler(elizaPace), log)
		if err != nil {
			return models{}, fmt.Errorf("built-in model: %w", err)
		}
		upstreams[builtIn], clients[builtIn] = c, c
		offered.Always = []catalog.Model{{ID: eliza.Model, Description: eliza.Description, Upstream: builtIn}}
	}
	if cfg.OpenAIBaseURL != "" {
		c, err := upstream.New(upstream.Config{
			BaseURL:     cfg.OpenAIBaseURL,
			APIKey:      cfg.OpenAIKey,
			Proxy:       http.ProxyFromEnvironment,
			Silence:     cfg.Silence,
			ThinkTags:   cfg.ThinkTags,
			MaxDuration: cfg.ReplyLimit,
		}, log)
		if err != nil {
			return models{}, fmt.Errorf("OPENAI_BASE_URL: %w", err)
		}
		upstreams[openAI], clients[openAI] = c, c
		offered.Upstream, offered.Source = openAI, c
		m.watch = &modelWatch{url: cfg.OpenAIBaseURL, model: cfg.Model, allowed: cfg.Models, check: c.Check, log: log}
		if cfg.Model == eliza.Model && cfg.ElizaListed() {
			m.watch.model = ""
		}
		if cfg.ElizaListed() {
			m.watch.allowed = slices.DeleteFunc(slices.Clone(cfg.Models),
				func(n string) bool { return n == eliza.Model })
		}
	}
	m.catalog = catalog.New(offered)
	if m.watch != nil {
		m.watch.refresh = func(ctx context.Context) {
			_, _ = m.catalog.Models(ctx) // From memory. Without a list nothing changes.
		}
	}
	m.clients = clients
	m.router, err = upstream.NewRouter(m.catalog, upstreams)
	return m, err
}
