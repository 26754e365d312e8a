package main

import (
	"context"
	"fmt"
	"log/slog"

	"parley/internal/trace"
	"parley/internal/trace/otlp"
	"parley/internal/version"
)

// startTraces begins to export spans when the configuration says where to. The caller calls
// end.
func startTraces(ctx context.Context, cfg config, log *slog.Logger) (tracer *trace.Tracer, end func(), err error) {
	if cfg.TracesURL == "" {
		return nil, func() {}, nil // A nil tracer makes no spans.
	}
	if tracer, end, err = otlp.Start(ctx, cfg.TracesURL, version.Get().Number, log); err != nil {
		return nil, nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	return tracer, end, nil
}
