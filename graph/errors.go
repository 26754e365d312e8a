package graph

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"runtime/debug"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"parley/internal/auth"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/reply"
)

var errUnauthenticated = &auth.Error{
	Code:    auth.CodeUnauthenticated,
	Message: "Sign in first: this needs an access token.",
}

// ErrorPresenter turns every error into a GraphQL error with a stable
// extensions.code. What it does not know becomes INTERNAL: the client gets an id,
// the log gets the id and the error.
func ErrorPresenter(log *slog.Logger) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		out := present(err)
		if out.Path == nil {
			out.Path = graphql.GetPath(ctx)
		}
		if out.Extensions["code"] != "INTERNAL" {
			return out
		}
		if errors.Is(err, context.Canceled) {
			return out // The client has gone; nobody reads this.
		}
		id := string(pid.New(pid.Send)[4:])
		out.Extensions["id"] = id
		log.ErrorContext(ctx, "internal error", "error_id", id, "path", out.Path.String(), "err", err)
		return out
	}
}

func present(err error) *gqlerror.Error {
	var fromGQL *gqlerror.Error
	isGQL := errors.As(err, &fromGQL)
	refuse := func(code, message string) *gqlerror.Error {
		out := &gqlerror.Error{Message: message, Extensions: map[string]any{"code": code}}
		if isGQL {
			out.Path, out.Locations = fromGQL.Path, fromGQL.Locations
		}
		return out
	}
	var fromChat *chat.Error
	var fromAuth *auth.Error
	switch {
	case errors.As(err, &fromChat):
		out := refuse(string(fromChat.Code), fromChat.Message)
		for k, v := range fromChat.Extras {
			out.Extensions[k] = v
		}
		return out
	case errors.As(err, &fromAuth):
		out := refuse(string(fromAuth.Code), fromAuth.Message)
		if s := fromAuth.RetryAfter.Seconds(); s > 0 {
			out.Extensions["retryAfter"] = int(math.Ceil(s))
		}
		if len(fromAuth.Fields) > 0 {
			out.Extensions["fields"] = fromAuth.Fields
		}
		return out
	case errors.Is(err, reply.ErrBadCursor):
		out := refuse("BAD_USER_INPUT", "Invalid input: after is not a cursor of this message.")
		out.Extensions["fields"] = map[string]string{"after": "is not a cursor of this message"}
		return out
	case strings.HasSuffix(err.Error(), "introspection disabled"): // gqlgen's own, without a type.
		return refuse("FORBIDDEN", "This server does not describe its schema. It is in graph/schema of its source.")
	case isUnavailable(err):
		return refuse("UNAVAILABLE", "The server can not do this right now. Try again.")
	case isGQL && fromGQL.Err == nil && fromGQL.Extensions["code"] != nil:
		return fromGQL // The executor's own: a document that does not fit the schema.
	case isGQL && fromGQL.Rule != "":
		return fromGQL
	}
	return refuse("INTERNAL", "Internal error.")
}

// isUnavailable recognises a database that is down, full or overloaded.
func isUnavailable(err error) bool {
	var network net.Error
	var state interface{ SQLState() string }
	var sqlite interface {
		error
		Code() int
	}
	switch {
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &network):
		return true
	case strings.HasSuffix(err.Error(), "sql: database is closed"): // database/sql keeps this error to itself.
		return true
	case errors.As(err, &state):
		// 25006 is a write to a server that has become a standby.
		for _, class := range []string{"08", "25006", "40", "53", "55P03", "57", "58"} {
			if strings.HasPrefix(state.SQLState(), class) {
				return true
			}
		}
	case errors.As(err, &sqlite):
		switch sqlite.Code() & 0xff {
		case 5, 6, 10, 13, 14: // Busy, locked, input/output, full, cannot open.
			return true
		}
	}
	return false
}

// Recover turns a panic of a resolver into INTERNAL; the stack goes to the log.
func Recover(log *slog.Logger) graphql.RecoverFunc {
	return func(ctx context.Context, p any) error {
		log.ErrorContext(ctx, "panic in a resolver", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		return errors.New("panic in a resolver")
	}
}
