package upstream_test

import (
	"context"
	"errors"
	"testing"

	"parley/internal/catalog"
	"parley/internal/reply"
	"parley/internal/upstream"
)

// named is an upstream that answers with its name.
type named string

// Generate implements reply.Upstream.
func (n named) Generate(context.Context, reply.Request, reply.Output) (reply.Result, error) {
	return reply.Result{Model: string(n)}, nil
}

func TestRouter(t *testing.T) {
	t.Parallel()
	always := []catalog.Model{{ID: "eliza", Upstream: "built-in"}}
	for _, tt := range []struct {
		upstream, model string
		want            string // Empty: rejected.
	}{
		{"server", "eliza", "built-in"},
		{"server", "anything", "server"},
		{"", "eliza", "built-in"},
		{"", "anything", ""},
	} {
		router, err := upstream.NewRouter(catalog.New(catalog.Config{Always: always, Upstream: tt.upstream}),
			map[string]reply.Upstream{"built-in": named("built-in"), "server": named("server")})
		if err != nil {
			t.Fatal(err)
		}
		result, err := router.Generate(t.Context(), reply.Request{Model: tt.model}, nil)
		var failed *reply.Error
		switch {
		case tt.want == "" && (!errors.As(err, &failed) || failed.Code != reply.CodeModelUnavailable):
			t.Errorf("%s: got %v, want CodeModelUnavailable", tt.model, err)
		case tt.want != "" && (err != nil || result.Model != tt.want):
			t.Errorf("%s: got the upstream %q, %v, want %q", tt.model, result.Model, err, tt.want)
		}
	}
	if _, err := upstream.NewRouter(catalog.New(catalog.Config{Upstream: "server"}), nil); err == nil {
		t.Error("a catalog that names an upstream which does not exist is taken")
	}
}
