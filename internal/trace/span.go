package trace

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Tracer makes spans. A nil one makes none, nor do those who go on from there.
type Tracer struct{ tracer oteltrace.Tracer }

// NewTracer returns a tracer whose spans go to a provider.
func NewTracer(p oteltrace.TracerProvider) *Tracer { return &Tracer{p.Tracer(scope)} }

// scope names the program among those that make spans.
const scope = "parley"

// Attr is a name with a value that no person wrote.
type Attr = attribute.KeyValue

// Text returns an attribute.
func Text(name, value string) Attr { return attribute.String(name, value) }

// Number returns an attribute.
func Number(name string, value int) Attr { return attribute.Int(name, value) }

// Span is a part of the work, from its start to End. A zero one is none, which costs nothing.
type Span struct{ span oteltrace.Span }

// Serve begins the span of work that another program has asked for.
func (t *Tracer) Serve(ctx context.Context, name string, attrs ...Attr) (context.Context, Span) {
	return t.begin(ctx, name, oteltrace.SpanKindServer, attrs)
}

// Part begins the span of a part of the work, which may outlive the rest.
func (t *Tracer) Part(ctx context.Context, name string, attrs ...Attr) (context.Context, Span) {
	return t.begin(ctx, name, oteltrace.SpanKindInternal, attrs)
}

func (t *Tracer) begin(
	ctx context.Context, name string, kind oteltrace.SpanKind, attrs []Attr,
) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	options := []oteltrace.SpanStartOption{oteltrace.WithSpanKind(kind), oteltrace.WithAttributes(attrs...)}
	if isMade(ctx) {
		options = append(options, oteltrace.WithNewRoot()) // Nobody exports the span before.
	}
	ctx, span := t.tracer.Start(ctx, name, options...)
	return ctx, Span{span}
}

// Call begins the span of what another program is asked for, if what goes on in ctx has one.
func Call(ctx context.Context, name string, attrs ...Attr) (context.Context, Span) {
	parent := oteltrace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, Span{}
	}
	tracer := parent.TracerProvider().Tracer(scope)
	ctx, span := tracer.Start(ctx, name, oteltrace.WithSpanKind(oteltrace.SpanKindClient),
		oteltrace.WithAttributes(attrs...))
	return ctx, Span{span}
}

// Set adds attributes.
func (s Span) Set(attrs ...Attr) {
	if s.span != nil {
		s.span.SetAttributes(attrs...)
	}
}

// Name gives the span another name than it began with.
func (s Span) Name(name string) {
	if s.span != nil {
		s.span.SetName(name)
	}
}

// Fail notes that the work has failed, and the code that says why. It takes no text: that of
// an error may be somebody's.
func (s Span) Fail(code string) {
	if s.span != nil {
		s.span.SetStatus(codes.Error, code)
		s.span.SetAttributes(attribute.String("error.type", code))
	}
}

// End ends the span.
func (s Span) End() {
	if s.span != nil {
		s.span.End()
	}
}
