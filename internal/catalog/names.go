package catalog

import (
	"slices"
	"strings"
)

// Servers call a model by more than they ask to be called: Ollama and others list
// llama3.2:latest and take llama3.2, Gemini lists models/gemini-2.5-flash and takes
// gemini-2.5-flash.
const (
	latestTag    = ":latest"
	modelsPrefix = "models/"
)

// bare is a name without what a server adds to every name.
func bare(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(name, modelsPrefix), latestTag)
}

// Same reports whether two names mean one model where both are not listed.
func Same(a, b string) bool { return a == b || a != "" && b != "" && bare(a) == bare(b) }

// find returns the place of the model that a name means, or -1: the one with exactly this
// name, else the first that is called so.
func (s *Snapshot) find(name string) int {
	if i := s.findExactly(name); i >= 0 {
		return i
	}
	return slices.IndexFunc(s.models, func(m Model) bool { return Same(m.ID, name) })
}

// findExactly returns the place of the model with exactly this name, or -1.
func (s *Snapshot) findExactly(id string) int {
	return slices.IndexFunc(s.models, func(m Model) bool { return m.ID == id })
}

// nameOf returns the name under which a model is listed, or the name as it is.
func (s *Snapshot) nameOf(name string) string {
	if i := s.find(name); i >= 0 {
		return s.models[i].ID
	}
	return name
}
