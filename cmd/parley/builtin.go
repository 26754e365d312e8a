package main

import (
	"log/slog"
	"time"

	"parley/internal/catalog"
	"parley/internal/upstream"
	"parley/internal/upstream/eliza"
	"parley/internal/upstream/script"
)

// elizaPace is the pause between two words of the built-in model, about twice the
// speed of the teletype it was written for: slow enough to be seen growing.
const elizaPace = 200 * time.Millisecond

// builtInModel is a model whose server runs in this process.
type builtInModel struct {
	catalog.Model
	client func(*slog.Logger) (*upstream.Client, error)
}

// builtInModels are those that the configuration offers.
func builtInModels(cfg config) []builtInModel {
	var all []builtInModel
	if cfg.ElizaListed() {
		all = append(all, builtInModel{
			catalog.Model{ID: eliza.Model, Description: eliza.Description, Upstream: builtIn},
			func(log *slog.Logger) (*upstream.Client, error) {
				return upstream.NewInProcess(eliza.Handler(elizaPace), log)
			},
		})
	}
	if cfg.ScriptListed() {
		all = append(all, builtInModel{
			catalog.Model{ID: script.Model, Description: script.Description, Upstream: scripted, Trial: true},
			func(log *slog.Logger) (*upstream.Client, error) {
				limits := upstream.Config{Silence: cfg.Silence, MaxDuration: cfg.ReplyLimit}
				return upstream.NewScripted(script.Handler(), limits, log)
			},
		})
	}
	return all
}

// ScriptListed reports whether the model for building frontends is offered: when asked for,
// or in development.
func (c config) ScriptListed() bool {
	return c.Script == on || c.Script == auto && c.Mode == development
}

// BuiltIn reports whether a name is that of a built-in model that is offered.
func (c config) BuiltIn(model string) bool {
	return model == eliza.Model && c.ElizaListed() || model == script.Model && c.ScriptListed()
}
