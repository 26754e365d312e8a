package transport

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"parley/internal/refusal"
	"parley/internal/trace"
)

// Exchange is what one operation came to, or a request without one, or a socket. It has
// nothing that its client wrote but the name of an operation, which is one by the grammar of
// GraphQL and no longer than MaxOperationName.
type Exchange struct {
	// Way is how it came: WayHTTP and its fellows.
	Way string
	// Kind is "query", "mutation" or "subscription"; "upgrade" for a request that opens a
	// socket, and "socket" for a socket that has ended; "" for a request that was refused
	// before it was known what it asks for.
	Kind string
	// Status is that of HTTP, 0 for an operation on a socket, and the close code of a socket.
	Status int
	// Operation is the name that the client gave it.
	Operation string
	// User is who asked; "" for nobody.
	User string
	// Code is that of the first error; "" when there was none.
	Code string
	Took time.Duration

	began time.Time
	span  trace.Span
}

// The ways on which operations come. A query or a mutation whose answer was asked for as a
// stream came by HTTP all the same.
const (
	WayHTTP      = "http"
	WaySSE       = "sse"
	WayMultipart = "multipart"
	WayWebSocket = "websocket"
)

// The kinds of an Exchange that has no operation.
const (
	kindUpgrade = "upgrade"
	kindSocket  = "socket"
)

// MaxOperationName bounds the names of operations that others are told.
const MaxOperationName = 64

type exchangeKey struct{}

// exchangeOf returns that of the operation or request that goes on in ctx.
func exchangeOf(ctx context.Context) *Exchange {
	if e, ok := ctx.Value(exchangeKey{}).(*Exchange); ok {
		return e
	}
	return &Exchange{} // Whoever did not begin one wants to know nothing.
}

// begin notes that an operation or a request begins. The caller calls over.
func (s *Server) begin(ctx context.Context, e *Exchange, way string) context.Context {
	e.Way, e.began = way, time.Now()
	ctx, e.span = s.cfg.Tracer.Serve(ctx, "graphql", trace.Text("parley.way", way))
	return context.WithValue(ctx, exchangeKey{}, e)
}

// over notes that it has ended, and tells who wants to know.
func (s *Server) over(ctx context.Context, e *Exchange) {
	e.Took = time.Since(e.began)
	s.meters.count(e)
	if e.Code != "" {
		e.span.Fail(e.Code)
	}
	e.span.End()
	if s.cfg.Ended != nil {
		s.cfg.Ended(ctx, *e)
	}
}

// asks notes which operation it is. Nothing of a document that does not parse is kept.
func (e *Exchange) asks(op *graphql.OperationContext) {
	if op == nil || op.Operation == nil {
		return
	}
	e.Kind = string(op.Operation.Operation)
	name := op.Operation.Name
	// A piece of the document would keep all of it, for as long as a span waits to be exported.
	e.Operation = strings.Clone(name[:min(len(name), MaxOperationName)])
	e.span.Name(strings.TrimSpace(e.Kind + " " + e.Operation))
	e.span.Set(trace.Text("graphql.operation.type", e.Kind), trace.Text("graphql.operation.name", e.Operation))
}

// fails notes the first error.
func (e *Exchange) fails(errs gqlerror.List) {
	if len(errs) == 0 || e.Code != "" {
		return
	}
	code, ok := errs[0].Extensions["code"].(string)
	if !ok {
		code = string(refusal.CodeInternal) // One that nobody has presented.
	}
	e.Code = code
}

// wayOf returns the way of a stream.
func wayOf(f format) string {
	if f == formatMultipart {
		return WayMultipart
	}
	return WaySSE
}

// upgrades reports whether a request asks for a socket.
func upgrades(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// traced is what a client says about the trace of what it asks for on a socket.
type traced struct{ parent, state string }

// traceOf finds it in the extensions of an operation or the payload of connection_init.
func traceOf(m map[string]any) traced {
	parent, _ := m[trace.Parent].(string)
	state, _ := m[trace.State].(string)
	return traced{parent, state}
}

// in returns a context for an operation of a client that has said so; the last word counts.
func (c *socket) in(ctx context.Context, extensions map[string]any) context.Context {
	for _, t := range []traced{traceOf(extensions), c.traced} {
		if traced, ok := trace.From(ctx, t.parent, t.state); ok {
			return traced
		}
	}
	return trace.Make(ctx)
}

// remember keeps what the client says about the trace of a socket, if it is valid: an
// idle socket holds no more of it than that.
func (c *socket) remember(t traced) {
	if _, ok := trace.From(c.unwatched, t.parent, t.state); ok {
		c.traced = traced{strings.Clone(t.parent), strings.Clone(t.state)}
	}
}

// left notes the code with which a client closes the socket. It is the first that counts.
func (c *socket) left(err error) {
	code := websocket.CloseStatus(err)
	if code < 0 {
		code = websocket.StatusAbnormalClosure // Without a word.
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.status = code
	}
}

// report tells of the end of the socket.
func (c *socket) report() {
	c.mu.Lock()
	status, ours := c.status, c.ours
	c.mu.Unlock()
	ctx := c.in(c.unwatched, nil)
	if why := c.refusedFor(status); ours && why != "" {
		c.server.refusedSocket(ctx, why)
	}
	if c.server.cfg.Ended != nil {
		c.server.cfg.Ended(ctx, Exchange{Way: WayWebSocket, Kind: kindSocket, Status: int(status), User: c.user,
			Took: time.Since(c.began)})
	}
}

// isStream reports whether an exchange lasts for as long as its client likes.
func (e *Exchange) isStream() bool { return e.Kind == string(ast.Subscription) || e.Kind == kindSocket }
