// Package trace says which piece of work belongs to which, across processes: it reads and
// writes the trace context of W3C, puts it on every line of the log, and makes spans of the
// work where somebody collects them. It hides the API of OpenTelemetry; its SDK is in package
// otlp, which only a server starts that is told where to export to.
//
// Its one invariant: a span has names, numbers and ids, and nothing that a person wrote.
package trace

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// The headers of the trace context, which are also the names under which clients of
// WebSockets send it.
const (
	Parent = "traceparent"
	State  = "tracestate"
)

// The bounds of what is read. Version 00 of traceparent has 55 bytes, and a tracestate of
// 512 has to be passed on by everybody.
const (
	maxParent = 64
	maxState  = 512
)

// Begin returns a context for work that somebody asks for: a part of the trace that the
// headers name, or of one of its own when they name none, or one that is not valid. Whether
// the trace is sampled is the caller's word; of our own we say so, since the log has it.
func Begin(ctx context.Context, h http.Header) context.Context {
	if parents := h.Values(Parent); len(parents) == 1 {
		if c, ok := From(ctx, parents[0], strings.Join(h.Values(State), ",")); ok {
			return c
		}
	}
	return Make(ctx)
}

// From returns a context for a part of the trace that a client names in a message, or false
// when that is none. A tracestate that is not valid, or too long, is left out.
func From(ctx context.Context, parent, state string) (context.Context, bool) {
	if len(parent) > maxParent || len(parent) == 0 {
		return ctx, false
	}
	carrier := propagation.MapCarrier{Parent: parent}
	if state != "" && len(state) <= maxState {
		carrier[State] = state
	}
	read := propagation.TraceContext{}.Extract(context.WithoutCancel(ctx), carrier)
	sc := oteltrace.SpanContextFromContext(read)
	if !sc.IsValid() || !sc.IsRemote() || sc.TraceID().String() != parent[3:35] {
		return ctx, false
	}
	return oteltrace.ContextWithRemoteSpanContext(ctx, sc), true
}

// Make returns a context for work that begins a trace.
func Make(ctx context.Context) context.Context {
	var trace oteltrace.TraceID
	var span oteltrace.SpanID
	_, _ = rand.Read(trace[:]) // It never fails; it ends the process instead.
	_, _ = rand.Read(span[:])  // Likewise.
	made := oteltrace.NewSpanContext(oteltrace.SpanContextConfig{
		TraceID: trace, SpanID: span, TraceFlags: oteltrace.FlagsSampled,
	})
	return oteltrace.ContextWithRemoteSpanContext(context.WithValue(ctx, madeKey{}, made), made)
}

type madeKey struct{}

// isMade reports whether the trace of ctx is one of Make's, of which there is no span yet.
func isMade(ctx context.Context) bool {
	made, ok := ctx.Value(madeKey{}).(oteltrace.SpanContext)
	return ok && made.SpanID() == oteltrace.SpanContextFromContext(ctx).SpanID()
}

// Follow returns a context for work that outlives what asked for it: a part of the same
// trace, and nothing else of it. What was asked for without a trace begins one.
func Follow(ctx, asked context.Context) context.Context {
	if span := oteltrace.SpanFromContext(asked); span.SpanContext().IsValid() {
		return oteltrace.ContextWithSpan(ctx, span)
	}
	return Make(ctx)
}

// ID returns the id of the trace that work belongs to, and "" for work of none.
func ID(ctx context.Context) string {
	if sc := oteltrace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}

// Send puts the trace into the headers of a request to somebody else.
func Send(ctx context.Context, h http.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
}
