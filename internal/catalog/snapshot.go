package catalog

import "slices"

// Model is a model that may be used.
type Model struct {
	ID string
	// Description says what kind of thing it is; empty when nothing is known.
	Description string
	// Upstream names who serves it.
	Upstream string
	// Default is whether it is used when nobody names one.
	Default bool
	// ContextTokens is how many tokens a prompt and its reply may have together; 0 when nobody
	// has said.
	ContextTokens int
}

// Snapshot is what may be used at one moment. It never changes.
type Snapshot struct {
	listed   []string // What it was made of, beside the configuration.
	models   []Model
	upstream string // Of models that are not among them.
}

// newSnapshot makes the snapshot of models that are allowed or listed.
func newSnapshot(cfg Config, listed []string) *Snapshot {
	s := withoutDefault(cfg, listed)
	switch {
	case cfg.Default != "":
		s.offer(cfg)
	case len(cfg.Allowed) > 0:
		s.setDefault(cfg.Allowed[0])
	case len(s.models) == 1, len(s.models) > 0 && len(s.models) == len(cfg.Always):
		s.setDefault(s.models[0].ID)
	}
	return s
}

// withoutSource makes the snapshot of what is left while the source gives no list. The
// built-in model does not step in for one that is away.
func withoutSource(cfg Config) *Snapshot {
	s := withoutDefault(cfg, nil)
	s.offer(cfg)
	return s
}

// offer makes the configured model the default. It is offered whether it is listed or not: the
// operator knows, and some servers have no list.
func (s *Snapshot) offer(cfg Config) {
	if cfg.Default != "" && len(cfg.Allowed) == 0 && cfg.Source != nil && s.find(cfg.Default) < 0 {
		s.models = append([]Model{{ID: cfg.Default, Upstream: cfg.Upstream}}, s.models...)
	}
	s.setDefault(cfg.Default)
}

func withoutDefault(cfg Config, listed []string) *Snapshot {
	s := &Snapshot{listed: slices.Clone(listed), upstream: cfg.Upstream}
	for _, id := range listed {
		s.models = append(s.models, Model{ID: id, Upstream: cfg.Upstream})
	}
	for _, m := range cfg.Always {
		m.Default = false
		if i := s.findExactly(m.ID); i >= 0 {
			s.models[i] = m
			continue
		}
		s.models = append(s.models, m)
	}
	return s
}

// setDefault makes the model that a name means the default, and all others not.
func (s *Snapshot) setDefault(name string) {
	def := s.find(name)
	for i := range s.models {
		s.models[i].Default = i == def
	}
}

// lists reports whether it was made of these.
func (s *Snapshot) lists(listed []string) bool { return slices.Equal(s.listed, listed) }

// Models returns the models that may be used. The caller owns the slice.
func (s *Snapshot) Models() []Model { return slices.Clone(s.models) }

// Resolve returns the listed name of the model that a name means, and of the default for the
// empty name. It returns *RequiredError or *UnknownError.
func (s *Snapshot) Resolve(name string) (string, error) {
	if name != "" {
		if i := s.find(name); i >= 0 {
			return s.models[i].ID, nil
		}
		return "", &UnknownError{Known: len(s.models)}
	}
	names := make([]string, 0, len(s.models))
	for _, m := range s.models {
		if m.Default {
			return m.ID, nil
		}
		names = append(names, m.ID)
	}
	return "", &RequiredError{Models: names}
}

// Upstream names the upstream that serves a model, listed or not, and reports whether
// there is one.
func (s *Snapshot) Upstream(model string) (string, bool) {
	if i := s.find(model); i >= 0 {
		return s.models[i].Upstream, s.models[i].Upstream != ""
	}
	return s.upstream, s.upstream != ""
}
