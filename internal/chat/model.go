package chat

import (
	"context"
	"fmt"
	"slices"

	"parley/internal/refusal"
)

// ModelSource lists the models an upstream offers. It is safe for concurrent use
// and caches by itself.
type ModelSource interface {
	Models(ctx context.Context) ([]string, error)
}

// Model is a model that may be used.
type Model struct {
	ID string
	// Description says what kind of thing it is; empty when nothing is known.
	Description string
	Default     bool
}

// Catalog decides which models may be used. It is safe for concurrent use.
type Catalog struct {
	// Allowed is the operator's list, the first being the default. Empty: what the
	// source lists.
	Allowed []string
	// Default is used when neither a send nor a conversation names a model.
	Default string
	// Source is asked when Allowed is empty. Nil: there is none.
	Source ModelSource
	// Always are models offered in any case, such as the built-in one. The first is
	// the default when there is nothing else.
	Always []Model
}

// List returns the models that may be used, the default marked. It returns
// MODEL_UNAVAILABLE when the model server does not answer and nothing is cached.
func (c *Catalog) List(ctx context.Context) ([]Model, error) {
	models, err := c.list(ctx)
	if err != nil && len(models) == 0 {
		return nil, err
	}
	return models, nil
}

// list is List that also says, beside the models that are always there, that the
// model server does not answer.
func (c *Catalog) list(ctx context.Context) ([]Model, error) {
	ids := c.Allowed
	var unavailable error
	if len(ids) == 0 && c.Source != nil {
		var err error
		if ids, err = c.Source.Models(ctx); err != nil {
			ids, unavailable = nil, modelUnavailable(err)
		}
	}
	var models []Model
	for _, id := range ids {
		models = append(models, Model{ID: id})
	}
	for _, m := range c.Always {
		if i := slices.IndexFunc(models, func(have Model) bool { return have.ID == m.ID }); i >= 0 {
			models[i].Description = m.Description
			continue
		}
		models = append(models, m)
	}
	def := c.Default
	switch {
	case def != "":
	case len(c.Allowed) > 0:
		def = c.Allowed[0]
	case unavailable != nil: // The built-in model does not step in for one that is down.
	case len(models) == 1, len(models) > 0 && len(models) == len(c.Always):
		def = models[0].ID
	}
	for i := range models {
		models[i].Default = models[i].ID == def
	}
	return models, unavailable
}

// Resolve returns the model to use: the first of the wanted names that is set, or
// the default. It returns BAD_USER_INPUT for a model that may not be used,
// MODEL_REQUIRED with the names when none is set and there is no default, and
// MODEL_UNAVAILABLE when the model server does not answer.
func (c *Catalog) Resolve(ctx context.Context, wanted ...*string) (string, error) {
	want := ""
	for _, w := range wanted {
		if w != nil && *w != "" {
			want = *w
			break
		}
	}
	if want == "" && c.Default != "" && len(c.Allowed) == 0 {
		return c.Default, nil // The operator's word stands without asking the model server.
	}
	models, unavailable := c.list(ctx)
	names := make([]string, 0, len(models))
	for _, m := range models {
		if m.ID == want || want == "" && m.Default {
			return m.ID, nil
		}
		names = append(names, m.ID)
	}
	if unavailable != nil {
		return "", unavailable
	}
	if want == "" {
		return "", modelRequired(names)
	}
	return "", refusal.BadInput("model",
		fmt.Sprintf("must be one of the %d models that the query models lists", len(names)))
}

// Models returns the models that may be used; errors as Catalog.List.
func (s *Service) Models(ctx context.Context) ([]Model, error) {
	return s.models.List(ctx)
}
