package main

import (
	"fmt"
	"log/slog"
	"net/http"
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

// newModels makes the model servers, the catalog of what they offer, and the way from
// one to the other.
func newModels(
	cfg config, log *slog.Logger,
) (*catalog.Catalog, reply.Upstream, map[string]*upstream.Client, error) {
	offered := catalog.Config{Allowed: cfg.Models, Default: cfg.Model}
	upstreams, clients := make(map[string]reply.Upstream), make(map[string]*upstream.Client)
	if cfg.ElizaListed() {
		c, err := upstream.NewInProcess(eliza.Handler(elizaPace), log)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("built-in model: %w", err)
		}
		upstreams[builtIn], clients[builtIn] = c, c
		offered.Always = []catalog.Model{{ID: eliza.Model, Description: eliza.Description, Upstream: builtIn}}
	}
	if cfg.OpenAIBaseURL != "" {
		c, err := upstream.New(upstream.Config{
			BaseURL:     cfg.OpenAIBaseURL,
			APIKey:      cfg.OpenAIKey,
			Proxy:       http.ProxyFromEnvironment,
			MaxDuration: cfg.ReplyLimit,
		}, log)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("OPENAI_BASE_URL: %w", err)
		}
		upstreams[openAI], clients[openAI] = c, c
		offered.Upstream, offered.Source = openAI, c
	}
	models := catalog.New(offered)
	router, err := upstream.NewRouter(models, upstreams)
	return models, router, clients, err
}
