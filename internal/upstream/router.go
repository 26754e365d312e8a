package upstream

import (
	"context"
	"fmt"

	"parley/internal/catalog"
	"parley/internal/reply"
)

// Router sends each request to the upstream that the catalog names for its model. It is
// safe for concurrent use.
type Router struct {
	catalog   *catalog.Catalog
	upstreams map[string]reply.Upstream
}

// NewRouter returns a router to upstreams by their names in the catalog. It returns an
// error when one is missing.
func NewRouter(c *catalog.Catalog, upstreams map[string]reply.Upstream) (*Router, error) {
	for _, name := range c.Upstreams() {
		if upstreams[name] == nil {
			return nil, fmt.Errorf("the catalog names the upstream %q, which does not exist", name)
		}
	}
	return &Router{catalog: c, upstreams: upstreams}, nil
}

// Generate implements reply.Upstream. A model without an upstream, which means that
// the configuration has changed since the reply was asked for, is CodeModelUnavailable.
func (r *Router) Generate(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
	name, ok := r.catalog.Upstream(req.Model)
	if !ok {
		return reply.Result{}, &reply.Error{Code: reply.CodeModelUnavailable}
	}
	return r.upstreams[name].Generate(ctx, req, out)
}
