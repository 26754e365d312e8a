package catalog

// ContextTokens returns the most tokens that a prompt and its reply may have together with a
// model, and false when nobody has said. What the operator says comes first. It implements
// reply.Windows and asks nobody.
func (c *Catalog) ContextTokens(model string) (tokens int, known bool) {
	if name, ok := c.Upstream(model); c.cfg.ContextTokens == 0 || !ok || name != c.cfg.Upstream {
		return 0, false
	}
	return c.cfg.ContextTokens, true
}
