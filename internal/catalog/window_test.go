package catalog_test

import (
	"testing"

	"parley/internal/catalog"
	"parley/internal/reply"
)

var _ reply.Windows = (*catalog.Catalog)(nil)

func TestContextTokens(t *testing.T) {
	t.Parallel()
	always := []catalog.Model{{ID: "eliza", Upstream: "built-in"}}
	c := catalog.New(catalog.Config{Allowed: []string{"m"}, Always: always, Upstream: "openai", ContextTokens: 4096})
	if n, known := c.ContextTokens("m"); n != 4096 || !known {
		t.Errorf("the limit of m is %d, %t; want the operator's 4096", n, known)
	}
	if n, known := c.ContextTokens("eliza"); known {
		t.Errorf("the limit of the built-in model is %d, want none: the operator's is of the model server", n)
	}
}

// What the source knows counts for its models, under each of their names, where the operator says
// nothing.
func TestContextTokensOfTheSource(t *testing.T) {
	t.Parallel()
	r := &renewing{remembering: remembering{listing("models/m:latest", "n"), true},
		windows: map[string]int{"models/m:latest": 8192, "eliza": 1}}
	cfg := catalog.Config{Always: []catalog.Model{{ID: "eliza", Upstream: "built-in"}}, Upstream: "server", Source: r}
	c := catalog.New(cfg)
	models, err := c.Models(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"models/m:latest": 8192, "n": 0, "eliza": 0}
	for _, m := range models {
		if m.ContextTokens != want[m.ID] {
			t.Errorf("%s is listed with %d tokens, want %d", m.ID, m.ContextTokens, want[m.ID])
		}
	}
	for name, tokens := range map[string]int{"m": 8192, "models/m:latest": 8192, "n": 0, "eliza": 0, "x": 0} {
		if n, known := c.ContextTokens(name); n != tokens || known != (tokens > 0) {
			t.Errorf("the limit of %s is %d, %t; want %d", name, n, known, tokens)
		}
	}
	cfg.ContextTokens = 512
	if n, known := catalog.New(cfg).ContextTokens("m"); n != 512 || !known {
		t.Errorf("the limit is %d, %t; want the operator's 512", n, known)
	}
}
