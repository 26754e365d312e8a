package upstream

import (
	"context"

	"parley/internal/reply"
)

// Router sends each request to the upstream its model belongs to. It is safe for
// concurrent use as long as its fields are not changed.
type Router struct {
	// Models gives some models an upstream of their own.
	Models map[string]reply.Upstream
	// Default serves all others. Nil: there are none.
	Default reply.Upstream
}

// Generate implements reply.Upstream. A model without an upstream, which means that
// the configuration has changed since the reply was asked for, is CodeRejected.
func (r Router) Generate(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
	if u, ok := r.Models[req.Model]; ok {
		return u.Generate(ctx, req, out)
	}
	if r.Default == nil {
		return reply.Result{}, &reply.Error{Code: reply.CodeRejected}
	}
	return r.Default.Generate(ctx, req, out)
}
