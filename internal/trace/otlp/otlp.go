// Package otlp exports spans by OTLP over HTTP. It is the only package that has the SDK of
// OpenTelemetry, and does nothing before Start: a server without a collector has neither its
// goroutine nor its queue.
//
// Its one invariant: nobody waits for the collector. What does not fit into the queue of the
// SDK is lost.
package otlp

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"parley/internal/complaint"
	"parley/internal/trace"
)

// tracesPath is where collectors take spans, below their endpoint.
const tracesPath = "/v1/traces"

// endLimit bounds how long the last spans may take to leave.
const endLimit = 3 * time.Second

// troubleAgain is how often the log says that spans do not leave.
const troubleAgain = time.Minute

// Start begins to export to a collector, in a goroutine of the SDK. The SDK reads its other
// variables, such as OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS and OTEL_SERVICE_NAME,
// by itself. The caller calls end, which sends what is left.
func Start(
	ctx context.Context, endpoint, version string, log *slog.Logger,
) (tracer *trace.Tracer, end func(), err error) {
	otel.SetLogger(logr.FromSlogHandler(wordless{log.Handler()}))
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint+tracesPath))
	if err != nil {
		return nil, nil, fmt.Errorf("export spans: %w", err)
	}
	who, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "parley"), attribute.String("service.version", version)),
		resource.WithFromEnv())
	if err != nil {
		log.WarnContext(ctx, "OTEL_RESOURCE_ATTRIBUTES cannot be read; spans go without", "err", err)
	}
	refrain := complaint.NewRefrain(troubleAgain)
	// The SDK has one place for this, for the whole process.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		refrain.Say(ctx, log, "export", "spans are lost", "err", err)
	}))
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(who))
	return trace.NewTracer(provider), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.WarnContext(ctx, "the last spans are lost", "err", err)
		}
	}, nil
}

// wordless takes the log of the SDK, and says what an error is about and no more: where a
// variable is wrong, the SDK gives its value, such as a header with a key.
type wordless struct{ slog.Handler }

// Enabled implements slog.Handler.
func (wordless) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

// Handle implements slog.Handler.
func (w wordless) Handle(ctx context.Context, r slog.Record) error {
	said := slog.NewRecord(r.Time, slog.LevelWarn, "OpenTelemetry cannot use a variable", r.PC)
	said.AddAttrs(slog.String("about", r.Message))
	return w.Handler.Handle(ctx, said)
}

// WithAttrs implements slog.Handler.
func (w wordless) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup implements slog.Handler.
func (w wordless) WithGroup(string) slog.Handler { return w }
