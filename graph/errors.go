package graph

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"parley/internal/refusal"
)

// errSignIn is the answer to what needs a user and has none.
func errSignIn() *refusal.Error {
	return refusal.Unauthenticated("Sign in first: this needs an access token.", nil)
}

// ErrorPresenter turns every error into a GraphQL error with a stable
// extensions.code. What it does not know becomes INTERNAL: the client gets an id,
// the log gets the id and the error. unavailable reports whether an error says that
// the database cannot answer now, and may later.
func ErrorPresenter(log *slog.Logger, unavailable func(error) bool) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		out := present(ctx, err, unavailable)
		if out.Path == nil {
			out.Path = graphql.GetPath(ctx)
		}
		// When the client has gone nobody reads this.
		if id, internal := out.Extensions["id"]; internal && !errors.Is(err, context.Canceled) {
			log.ErrorContext(ctx, "internal error", "error_id", id, "path", clip(out.Path.String()), "err", err)
		}
		return out
	}
}

// maxPath bounds what the log has of where an error arose: aliases are the client's.
const maxPath = 200

func clip(path string) string { return path[:min(len(path), maxPath)] }

func present(ctx context.Context, err error, unavailable func(error) bool) *gqlerror.Error {
	var fromGQL *gqlerror.Error
	isGQL := errors.As(err, &fromGQL)
	refused, ok := refusal.As(err)
	switch {
	case ok:
	case strings.HasSuffix(err.Error(), "introspection disabled"): // gqlgen's own, without a type.
		refused = refusal.Forbidden("This server does not describe its schema. It is in graph/schema of its source.")
	case unavailable(err):
		refused = refusal.Unavailable(err)
	case isGQL && (fromGQL.Rule != "" || fromGQL.Err == nil && fromGQL.Extensions["code"] != nil):
		return fromGQL // The executor's own: a document that does not fit the schema.
	case isGQL && argumentOf(ctx, fromGQL.Path) != "":
		refused = refusal.BadInput(argumentOf(ctx, fromGQL.Path), "has a value that does not fit the schema")
		fromGQL.Path = nil // That of the field, as with other refusals.
	default:
		refused = refusal.Internal(rand.Text(), err)
	}
	out := &gqlerror.Error{Message: refused.Message, Extensions: refused.Extensions()}
	if isGQL {
		out.Path, out.Locations = fromGQL.Path, fromGQL.Locations
	}
	return out
}

// argumentOf returns the name of the input field that a path leads to, "" when it leads to no
// argument of the field that is being resolved. The check of variables takes a value of an enum
// in any letters, and only reading it finds that there is none of this name.
func argumentOf(ctx context.Context, path ast.Path) string {
	field := graphql.GetFieldContext(ctx)
	if field == nil || len(path) <= len(field.Path()) {
		return ""
	}
	inside := path[len(field.Path()):]
	if len(inside) > 1 && inside[0] == ast.PathName("input") {
		inside = inside[1:]
	}
	return inside.String()
}

// Recover turns a panic of a resolver into INTERNAL; the stack goes to the log.
func Recover(log *slog.Logger) graphql.RecoverFunc {
	return func(ctx context.Context, p any) error {
		log.ErrorContext(ctx, "panic in a resolver", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		return errors.New("panic in a resolver")
	}
}
