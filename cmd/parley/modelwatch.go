package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"parley/internal/catalog"
	"parley/internal/hosts"
	"parley/internal/upstream"
)

// modelWatch finds out at the start whether the model server can be used, says what is wrong
// with it, and looks again until it can. Nobody waits for it. What fails later is said by
// package upstream.
type modelWatch struct {
	url     string
	model   string   // The default, if one is configured.
	allowed []string // Likewise the models that may be used.
	check   func(context.Context) (upstream.Found, error)
	// refresh makes the catalog take over what was found.
	refresh func(context.Context)
	log     *slog.Logger
	// failing is whether something is wrong, as far as is known.
	failing atomic.Bool
}

// How long a look may take, and how long it is until the next one.
const (
	modelLook      = 20 * time.Second
	modelLookFirst = 5 * time.Second
	modelLookLast  = 2 * time.Minute
)

// run looks until nothing is wrong or ctx ends.
func (m *modelWatch) run(ctx context.Context) {
	var said string
	for pause := modelLookFirst; ; pause = min(2*pause, modelLookLast) {
		found, err := m.look(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			m.failing.Store(false)
			text := "model server answers"
			if said != "" {
				text = "model server can be used now"
			}
			m.log.InfoContext(ctx, text, "url", m.url, "models", len(found.Models))
			return
		case err.Error() != said:
			said = err.Error()
			m.failing.Store(true)
			m.log.WarnContext(ctx, "model server cannot be used as it is configured", "url", m.url, "why", said)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (m *modelWatch) look(ctx context.Context) (upstream.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, modelLook)
	defer cancel()
	found, err := m.check(ctx)
	if err != nil {
		return found, err
	}
	if found.Listed {
		m.refresh(ctx)
	}
	return found, m.missing(found)
}

// missing says which of the configured models a server does not have.
func (m *modelWatch) missing(found upstream.Found) error {
	switch {
	case !found.Listed && len(m.allowed) == 0 && m.model == "":
		return errors.New("it has no list of models: name those that it has in PARLEY_MODELS, or one in PARLEY_MODEL")
	case !found.Listed:
		return nil
	case len(found.Models) == 0:
		return errors.New("it lists no models: load one, such as by ollama pull llama3.2")
	}
	for _, name := range append([]string{m.model}, m.allowed...) {
		if name == "" || hasModel(found.Models, name) {
			continue
		}
		variable := "PARLEY_MODEL"
		if len(m.allowed) > 0 {
			variable = "PARLEY_MODELS"
		}
		return fmt.Errorf("%s names %s, which is not in its list: %s", variable, hosts.Quote(name),
			someOf(found.Models))
	}
	return nil
}

func hasModel(listed []string, name string) bool {
	for _, id := range listed {
		if catalog.Same(id, name) {
			return true
		}
	}
	return false
}

// someOf shows the start of a list.
func someOf(names []string) string {
	const most = 8
	var quoted []string
	for _, name := range names[:min(len(names), most)] {
		quoted = append(quoted, hosts.Quote(name))
	}
	text := strings.Join(quoted, ", ")
	if n := len(names) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// note is what the readiness of the server says about it, to anybody; "" is nothing. Where
// the model server is stands in the log.
func (m *modelWatch) note() string {
	if m == nil || !m.failing.Load() {
		return ""
	}
	return "the model server cannot be used as it is configured; the log says why"
}
