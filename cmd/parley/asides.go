package main

// titleSetting is the row of the table for the model that names conversations.
func titleSetting() variable {
	return variable{
		name:     "PARLEY_TITLE_MODEL",
		accepted: "the name of a model, which clients need not be offered",
		meaning:  "The model that names conversations. Unset: each keeps the beginning of its first question as its name.",
		example:  "gpt-4.1-nano",
		parse:    func(c *config, v string) error { c.TitleModel = v; return nil },
		show:     func(c config) any { return c.TitleModel },
	}
}

// makesNoSummaries reports whether a model has nothing to say of others' talk: ELIZA has not.
// The model for building frontends has.
func (m models) makesNoSummaries(model string) bool {
	name, ok := m.catalog.Upstream(model)
	return ok && name == builtIn
}
