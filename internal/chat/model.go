package chat

import (
	"context"
	"errors"
	"fmt"

	"parley/internal/catalog"
	"parley/internal/refusal"
)

// Model is a model that may be used.
type Model = catalog.Model

// Models returns the models that may be used, the default marked. It returns
// MODEL_UNAVAILABLE when the model server does not answer and nothing is known.
func (s *Service) Models(ctx context.Context) ([]Model, error) {
	models, err := s.catalog.Models(ctx)
	return models, modelRefusal(err)
}

// resolveModel returns the model to use: the first of the wanted names that is set, or
// the default. It returns BAD_USER_INPUT for a model that may not be used,
// MODEL_REQUIRED with the names when none is set and there is no default, and
// MODEL_UNAVAILABLE when the model server does not answer.
func (s *Service) resolveModel(ctx context.Context, wanted ...*string) (string, error) {
	id, err := s.catalog.Resolve(ctx, wantedModel(wanted...))
	return id, modelRefusal(err)
}

// wantedModel is the first of the names that is set, "" for the default.
func wantedModel(wanted ...*string) string {
	for _, w := range wanted {
		if w != nil && *w != "" {
			return *w
		}
	}
	return ""
}

// unlessRemembered turns the refusal of a name that nobody has sent, as a conversation remembers
// it, into MODEL_UNAVAILABLE: the model is gone since.
func unlessRemembered(err error, wanted *string, name string) error {
	var unknown *catalog.UnknownError
	if errors.As(err, &unknown) && wantedModel(wanted) == "" {
		return modelGone(name)
	}
	return modelRefusal(err)
}

// modelRefusal says to the user what the catalog says.
func modelRefusal(err error) error {
	var unavailable *catalog.UnavailableError
	var required *catalog.RequiredError
	var unknown *catalog.UnknownError
	switch {
	case errors.As(err, &unavailable):
		return modelUnavailable(unavailable.Err)
	case errors.As(err, &required):
		return modelRequired(required.Models)
	case errors.As(err, &unknown):
		return refusal.BadInput("model",
			fmt.Sprintf("must be one of the %d models that the query models lists", unknown.Known))
	}
	return err
}
