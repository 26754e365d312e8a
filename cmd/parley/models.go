package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"parley/internal/catalog"
	"parley/internal/reply"
	"parley/internal/upstream"
)

// The upstreams, as the catalog names them.
const (
	builtIn  = "built-in"
	scripted = "scripted"
	openAI   = "openai"
)

// models are the model servers: the catalog of what they offer, the way to them, and who
// looks whether there is one.
type models struct {
	catalog *catalog.Catalog
	router  reply.Upstream
	watch   *modelWatch // Nil: the built-in models alone are always there.
	// clients are the model servers by name.
	clients map[string]*upstream.Client
}

func newModels(cfg config, log *slog.Logger) (m models, err error) {
	offered := catalog.Config{Allowed: cfg.Models, Default: cfg.Model, ContextTokens: cfg.ContextTokens}
	upstreams, clients := make(map[string]reply.Upstream), make(map[string]*upstream.Client)
	for _, b := range builtInModels(cfg) {
		c, err := b.client(log)
		if err != nil {
			return models{}, fmt.Errorf("built-in model %s: %w", b.ID, err)
		}
		upstreams[b.Upstream], clients[b.Upstream] = c, c
		offered.Always = append(offered.Always, b.Model)
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
		if cfg.BuiltIn(cfg.Model) {
			m.watch.model = ""
		}
		m.watch.allowed = slices.DeleteFunc(slices.Clone(cfg.Models), cfg.BuiltIn)
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

// makesNoSummaries reports whether a model has nothing to say of others' talk: ELIZA has not.
// The model for building frontends has.
func (m models) makesNoSummaries(model string) bool {
	name, ok := m.catalog.Upstream(model)
	return ok && name == builtIn
}
