package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"parley/internal/trace"
	"parley/internal/transport"
)

// newLogger writes the log in the configured form, each line with the trace it belongs to.
func newLogger(cfg config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == logJSON {
		options.ReplaceAttr = seconds
		return slog.New(trace.Logged(slog.NewJSONHandler(w, options)))
	}
	return slog.New(trace.Logged(slog.NewTextHandler(w, options)))
}

// seconds writes durations in JSON as numbers that a program can compare, of seconds: those
// of slog are of nanoseconds.
func seconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.Float64(a.Key, a.Value.Duration().Seconds())
	}
	return a
}

// tellAccess returns what writes the access log; nil when there is none.
func tellAccess(cfg config, log *slog.Logger) func(ctx context.Context, e transport.Exchange) {
	if cfg.AccessLog != on {
		return nil
	}
	return func(ctx context.Context, e transport.Exchange) {
		if told, ok := ctx.Value(toldKey{}).(*atomic.Bool); ok {
			told.Store(true)
		}
		logAccess(ctx, log, e)
	}
}

// toldKey is that of whether a request has its line in the access log.
type toldKey struct{}

// logAccess writes the line of the access log for an exchange.
func logAccess(ctx context.Context, log *slog.Logger, e transport.Exchange) {
	attrs := make([]slog.Attr, 0, 7)
	attrs = append(attrs, slog.String("way", e.Way), slog.Int("status", e.Status))
	for _, a := range []struct{ name, value string }{
		{"kind", e.Kind}, {"operation", e.Operation}, {"code", e.Code}, {"user_id", e.User},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	log.LogAttrs(ctx, slog.LevelInfo, "request", append(attrs, slog.Duration("took", e.Took))...)
}

// withAccessLog writes a line for each request that gets none from tellAccess, as those get
// that come to package transport or that the gate refuses there: with its route in mux, not
// with the path, which anybody may write.
func withAccessLog(mux *http.ServeMux, next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, route := mux.Handler(r)
		ctx := trace.Begin(r.Context(), r.Header)
		told := new(atomic.Bool)
		began := time.Now()
		answer := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, r.WithContext(context.WithValue(ctx, toldKey{}, told)))
		if told.Load() {
			return
		}
		level := slog.LevelInfo
		switch {
		case route == "":
			route = "none"
		case (route == healthRoute || route == readyRoute) && answer.status == http.StatusOK:
			level = slog.LevelDebug // Somebody asks all the time.
		}
		log.LogAttrs(ctx, level, "request", slog.String("way", transport.WayHTTP), slog.String("route", route),
			slog.Int("status", answer.status), slog.Duration("took", time.Since(began)))
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap serves http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
