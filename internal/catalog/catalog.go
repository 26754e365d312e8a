package catalog

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
)

// Source lists the models that an upstream offers. It is safe for concurrent use, caches
// by itself, and gives the last list it has while it cannot get a new one.
type Source interface {
	Models(ctx context.Context) ([]string, error)
}

// rememberer is a source that can say what it would answer without asking anybody, and
// false when it would have to ask.
type rememberer interface {
	Remembered() ([]string, bool)
}

// renewer is a source that looks again for a name that it has not listed. Renewed reports
// whether it would not, as it did a moment ago.
type renewer interface {
	Renew(ctx context.Context) ([]string, error)
	Renewed() bool
}

// Config is what the operator says about models.
type Config struct {
	// Allowed are the models that may be used, the first being the default. Empty: what
	// Source lists.
	Allowed []string
	// Default is used when nobody names a model. Empty: the first of Allowed, else the
	// only one there is.
	Default string
	// Always are models that are offered in any case, such as the built-in one, each with
	// the upstream that serves it. The first is the default when there is nothing else.
	Always []Model
	// Upstream serves all other models. Empty: nobody does.
	Upstream string
	// ContextTokens is how much the models of Upstream can read at once, whatever anybody else
	// says. 0: what Source says.
	ContextTokens int
	// Source is asked when Allowed is empty. Nil: there is none.
	Source Source
}

// Catalog gives the snapshot of the moment. It is safe for concurrent use.
type Catalog struct {
	cfg     Config
	current atomic.Pointer[Snapshot]
}

// New returns a catalog that has not asked its source yet.
func New(cfg Config) *Catalog {
	c := &Catalog{cfg: cfg}
	c.current.Store(newSnapshot(cfg, cfg.Allowed))
	return c
}

// Models returns the models that may be used, the default marked. It returns
// *UnavailableError when the source gives no list and there is nothing else.
func (c *Catalog) Models(ctx context.Context) ([]Model, error) {
	s, err := c.refresh(ctx)
	if err != nil && len(s.models) == 0 {
		return nil, err
	}
	models := s.Models()
	for i := range models {
		models[i].ContextTokens, _ = c.contextTokens(models[i])
	}
	return models, nil
}

// Resolve returns the model that a name means, under the name that the server lists, and the
// default for the empty name. A name that is not in the list is looked up again before it is
// refused. It returns *RequiredError when there is no default, *UnknownError for a model that may
// not be used, and *UnavailableError when the source gives no list to decide by.
func (c *Catalog) Resolve(ctx context.Context, name string) (string, error) {
	if c.byOperator(name) {
		return c.defaultName(), nil // The operator's word stands without asking anybody.
	}
	s, unavailable := c.refresh(ctx)
	id, err := s.Resolve(name)
	if err != nil && unavailable != nil {
		return "", unavailable
	}
	if source, ok := c.cfg.Source.(renewer); ok && isUnknown(err) && len(c.cfg.Allowed) == 0 {
		if listed, failed := source.Renew(ctx); failed == nil {
			return c.of(s, listed).Resolve(name)
		}
	}
	return id, err
}

// byOperator reports whether a name means the default that the operator has given, which needs
// no list.
func (c *Catalog) byOperator(name string) bool {
	return c.cfg.Default != "" && len(c.cfg.Allowed) == 0 && (name == "" || name == c.cfg.Default)
}

func isUnknown(err error) bool {
	_, unknown := errors.AsType[*UnknownError](err)
	return unknown
}

// ResolveNow is Resolve for those who cannot wait, as within a transaction. It decides by
// what is known, and reports false when Resolve would have to ask the source.
func (c *Catalog) ResolveNow(name string) (id string, decided bool, err error) {
	if c.byOperator(name) {
		return c.defaultName(), true, nil
	}
	s := c.current.Load()
	if len(c.cfg.Allowed) == 0 && c.cfg.Source != nil {
		source, ok := c.cfg.Source.(rememberer)
		if !ok {
			return "", false, nil
		}
		listed, ok := source.Remembered()
		if !ok {
			return "", false, nil
		}
		s = c.of(s, listed)
	}
	id, err = s.Resolve(name)
	if source, ok := c.cfg.Source.(renewer); ok && isUnknown(err) && len(c.cfg.Allowed) == 0 && !source.Renewed() {
		return "", false, nil
	}
	return id, true, err
}

// defaultName is the configured default as the server called it when it was asked last.
func (c *Catalog) defaultName() string { return c.current.Load().nameOf(c.cfg.Default) }

// Upstream names the upstream that serves a model, and reports whether there is one. It
// asks nobody: a model that is listed no more is still served to those who have chosen it.
func (c *Catalog) Upstream(model string) (string, bool) { return c.current.Load().Upstream(model) }

// Upstreams names all upstreams that requests may go to.
func (c *Catalog) Upstreams() []string {
	var names []string
	for _, m := range c.cfg.Always {
		names = append(names, m.Upstream)
	}
	if c.cfg.Upstream != "" {
		names = append(names, c.cfg.Upstream)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// refresh returns the snapshot of what the source lists now. When that gives nothing it
// says so, returns what is offered without it, and leaves the snapshot of the others
// alone: it may be the caller that has no time.
func (c *Catalog) refresh(ctx context.Context) (*Snapshot, error) {
	s := c.current.Load()
	if len(c.cfg.Allowed) > 0 || c.cfg.Source == nil {
		return s, nil
	}
	listed, err := c.cfg.Source.Models(ctx)
	if err != nil {
		return withoutSource(c.cfg), &UnavailableError{Err: err}
	}
	return c.of(s, listed), nil
}

// of returns the snapshot of what is listed, which becomes that of the moment.
func (c *Catalog) of(s *Snapshot, listed []string) *Snapshot {
	if !s.lists(listed) {
		s = newSnapshot(c.cfg, listed)
		c.current.Store(s)
	}
	return s
}
