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
