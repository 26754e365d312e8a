package graph

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/introspection"

	"parley/graph/generated"
)

// Introspection returns what a server in development answers to an introspection query, as
// {"data": …}, for code generators that do not read SDL.
func Introspection(ctx context.Context) ([]byte, error) {
	run := executor.New(generated.NewExecutableSchema(generated.Config{}))
	ctx = graphql.StartOperationTrace(ctx)
	operation, errs := run.CreateOperationContext(ctx, &graphql.RawParams{
		Query: introspection.NewQuery(introspection.QueryOptions{OneOf: true})})
	if errs != nil {
		return nil, fmt.Errorf("introspection: %w", errs)
	}
	operation.DisableIntrospection = false
	respond, ctx := run.DispatchOperation(ctx, operation)
	response := respond(ctx)
	if len(response.Errors) > 0 {
		return nil, fmt.Errorf("introspection: %w", response.Errors)
	}
	return json.MarshalIndent(map[string]any{"data": response.Data}, "", "  ")
}
