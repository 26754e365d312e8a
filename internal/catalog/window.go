package catalog

// windows is a source that knows how much its models can read, as far as it was told.
type windows interface {
	ContextTokens(model string) (tokens int, known bool)
}

// ContextTokens returns the most tokens that a prompt and its reply may have together with a
// model, and false when nobody has said. What the operator says comes first, then the source; a
// model that is always there says it itself. It implements reply.Windows and asks nobody.
func (c *Catalog) ContextTokens(model string) (tokens int, known bool) {
	s := c.current.Load()
	if i := s.find(model); i >= 0 {
		return c.contextTokens(s.models[i])
	}
	upstream, ok := s.Upstream(model)
	if !ok {
		return 0, false
	}
	return c.contextTokens(Model{ID: model, Upstream: upstream})
}

func (c *Catalog) contextTokens(m Model) (tokens int, known bool) {
	if m.Upstream != c.cfg.Upstream {
		return m.ContextTokens, m.ContextTokens > 0
	}
	if c.cfg.ContextTokens > 0 {
		return c.cfg.ContextTokens, true
	}
	if source, ok := c.cfg.Source.(windows); ok {
		return source.ContextTokens(m.ID)
	}
	return 0, false
}
