package transport

import (
	"bytes"
	"context"
	"io"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"parley/internal/budget"
	"parley/internal/refusal"
)

// answers are the responses of one operation, which it has begun. Each is counted while it
// is made, and refused when it is too long. One goroutine at a time uses them.
type answers struct {
	account   account
	budget    *budget.Budget
	kind      ast.Operation
	limit     int
	ctx       context.Context
	responses graphql.ResponseHandler
	// over is set when no other response follows.
	over bool
}

// dispatch begins an operation of a user on a connection, which holds conn bytes of
// answers. The caller calls written after each answer.
func (s *Server) dispatch(ctx context.Context, op *graphql.OperationContext, user string, conn *int64) *answers {
	kind := op.Operation.Operation
	a := &answers{
		account: account{ledger: s.ledger, user: user, conn: conn, patient: kind != ast.Query},
		kind:    kind,
		limit:   s.cfg.Limits.AnswerBytes,
	}
	a.budget = budget.New(a.limit, a.account.take)
	op.ResolverMiddleware = a.counting(op.ResolverMiddleware)
	op.RootResolverMiddleware = a.growing(op.RootResolverMiddleware)
	responses, opCtx := s.executor.DispatchOperation(ctx, op)
	a.responses, a.ctx = responses, budget.With(opCtx, a.budget)
	return a
}

// counting counts each field when it has been resolved. Nothing is resolved any more when
// they are too many.
func (a *answers) counting(inner graphql.FieldMiddleware) graphql.FieldMiddleware {
	return func(ctx context.Context, next graphql.Resolver) (any, error) {
		if why := a.budget.Refused(); why != nil {
			return nil, why
		}
		value, err := inner(ctx, next)
		if err != nil {
			return value, err
		}
		n := 0
		if field := graphql.GetFieldContext(ctx); field != nil && field.Field.Field != nil {
			n = len(field.Field.Alias)
		}
		if err := a.budget.Count(ctx, n+weight(value)); err != nil {
			return nil, err
		}
		return value, nil
	}
}

// weight is at least what a value has in JSON beside the fields in it, with the marks
// around it and its name.
func weight(value any) int {
	const marks, short = len(`"":,`), 32
	switch v := value.(type) {
	case string:
		return marks + budget.Text(v)
	case *string:
		if v != nil {
			return marks + budget.Text(*v)
		}
	case []string:
		n := marks
		for _, s := range v {
			n += budget.Text(s) + 1
		}
		return n
	}
	return marks + short
}

// growing makes place for the whole answer at once, when all its fields are resolved and
// the first one is encoded. What was refused is not encoded.
func (a *answers) growing(inner graphql.RootFieldMiddleware) graphql.RootFieldMiddleware {
	return func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
		m := inner(ctx, next)
		if m == graphql.Null || m == graphql.RequiredNull {
			return m
		}
		return graphql.WriterFunc(func(w io.Writer) {
			if a.budget.Refused() != nil {
				m = graphql.Null // Nobody gets it.
			}
			if b, ok := w.(*bytes.Buffer); ok && b.Available() == 0 && m != graphql.Null {
				b.Grow(a.budget.Weight())
			}
			m.MarshalGQL(w)
		})
	}
}

// next returns the next response, nil when there is none. It is good until the next call.
func (a *answers) next() *graphql.Response {
	if a.over {
		return nil
	}
	a.budget.Reset()
	response := a.responses(a.ctx)
	if response == nil {
		return nil
	}
	why := a.budget.Refused()
	if why == nil && len(response.Data) > a.limit {
		why = refusal.TooLong(a.limit)
	}
	if why != nil {
		// A subscription has left something out that its client does not know, and would
		// do so again.
		a.over = true
		response = &graphql.Response{Errors: gqlerror.List{a.instead(why)}}
	}
	a.account.keep(cap(response.Data))
	return response
}

// instead is what a client gets in place of an answer. A mutation has mostly been done.
func (a *answers) instead(why *refusal.Error) *gqlerror.Error {
	e := graphQLError(why)
	if a.kind == ast.Mutation {
		e.Message = "What was asked for has been done as far as the answer went. " + e.Message
	}
	return e
}

// written is called when the client has the response, or does not take it.
func (a *answers) written() { a.account.giveBack() }
