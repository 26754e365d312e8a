// Package graph is the GraphQL face: the schema in schema/*.graphql, resolvers of
// a few lines that call chat, auth and reply, and the one place where errors
// become GraphQL errors. It holds no rules. UTF-16 exists only here.
//
// Its one invariant: a resolver answers about another user's row as about one that
// does not exist.
//
// What is where, beside schema/*.graphql and the resolvers of each file there:
//
//	resolver.go       what resolvers call, and who is asking
//	account.go, conversation.go, message.go, branch.go, context.go, event.go, schema.go   what resolvers of
//	each domain share
//	input.go, parameters.go   inputs in the words of chat
//	page.go           connections
//	ask.go, batch.go  how lists load their children by what is selected
//	seen.go           why an answer tells one state of an object
//	delta.go          how the deltas of a reply are written, without the executor
//	feed.go           how feeds and watchers become streams of events
//	source.go         how one waits for the next of them, without a goroutine
//	errors.go         how errors become GraphQL errors: the only place
//	sdl.go            the schema as text
//	introspection.go  the same as an answer to an introspection query
package graph

import (
	"context"
	"log/slog"

	"github.com/99designs/gqlgen/graphql"

	"parley/graph/generated"
	"parley/graph/model"
	"parley/internal/auth"
	"parley/internal/chat"
	"parley/internal/feed"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/viewer"
)

// Resolver is what the resolvers call. All fields are required.
type Resolver struct {
	Accounts *auth.Service
	Chat     *chat.Service
	Replies  *reply.Engine
	Feeds    *feed.Service
	// Site is what is told to everybody. It is not changed.
	Site *model.Site
	// Unavailable reports whether an error says that the database cannot answer now, and
	// may later: only the store knows its errors.
	Unavailable func(error) bool
	Log         *slog.Logger
}

// NewSchema returns the executable schema.
func NewSchema(r *Resolver) graphql.ExecutableSchema {
	return generated.NewExecutableSchema(generated.Config{Schema: served(), Resolvers: r})
}

// unknown is the answer to what needs a user and has none: why the token is not valid, where
// there was one.
func unknown(ctx context.Context) error {
	if err := auth.Refused(ctx); err != nil {
		return err
	}
	return errSignIn()
}

// userID returns who is asking, or UNAUTHENTICATED.
func userID(ctx context.Context) (pid.ID, error) {
	if v, ok := viewer.From(ctx); ok {
		if id, ok := v.User(); ok {
			return id, nil
		}
	}
	return "", unknown(ctx)
}

// principal returns the credential of the request, or UNAUTHENTICATED.
func principal(ctx context.Context) (auth.Principal, error) {
	if p, ok := auth.PrincipalFrom(ctx); ok {
		return p, nil
	}
	return auth.Principal{}, unknown(ctx)
}
