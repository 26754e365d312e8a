package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"

	"parley/internal/complaint"
	"parley/internal/hosts"
	"parley/internal/metrics"
)

// serveMetrics serves the metrics on a listener of their own, when the configuration names
// one. The caller closes it.
func serveMetrics(ctx context.Context, cfg config, m *metrics.Metrics, log *slog.Logger) (closeAll func(), err error) {
	if cfg.MetricsAddr == "" {
		return func() {}, nil
	}
	listener, err := listen("PARLEY_METRICS_ADDR", cfg.MetricsAddr, "127.0.0.1:9091")
	if err != nil {
		return nil, err
	}
	web := newWebServer(ctx, boundBodies(metricsRoutes(cfg, m, log), bodyLimit), log)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = web.Serve(listener) // Until it is closed; without metrics the server serves on.
	}()
	log.InfoContext(ctx, "metrics are served", "url", "http://"+listener.Addr().String()+metricsPath)
	return func() {
		_ = web.Close() // Whoever reads has to do without the rest.
		<-ended
	}, nil
}

const (
	metricsPath = "/metrics"
	pprofPath   = "/debug/pprof/"
)

// metricsRoutes is everything that the listener for metrics answers. Profiles show what is in
// memory: they are there in development, for this machine, and only under its names: no page
// may point its own name here. Nor does a proxy lead there.
func metricsRoutes(cfg config, m *metrics.Metrics, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+metricsPath, m.Handler())
	if cfg.Mode == development && isLoopback(cfg.MetricsAddr) {
		profiles := http.NewServeMux()
		profiles.HandleFunc("GET "+pprofPath, pprof.Index) // The named profiles too, such as heap.
		profiles.HandleFunc("GET "+pprofPath+"cmdline", pprof.Cmdline)
		profiles.HandleFunc("GET "+pprofPath+"profile", pprof.Profile)
		profiles.HandleFunc("GET "+pprofPath+"symbol", pprof.Symbol)
		profiles.HandleFunc("GET "+pprofPath+"trace", pprof.Trace)
		strangers := new(complaint.Names)
		mux.HandleFunc(pprofPath, func(w http.ResponseWriter, r *http.Request) {
			name, ok := hosts.Name(r.Host)
			if !ok || !hosts.Local(name) || !hosts.ReadTrail(r.Header).None() {
				strangers.Report(r.Context(), log, r.Host, "request for profiles refused",
					slog.String("host", hosts.Quote(r.Host)))
				plainText(w, http.StatusMisdirectedRequest, fmt.Sprintf("Profiles are served under localhost, "+
					"without a proxy, and not under the host name %s.\n", hosts.Quote(r.Host)))
				return
			}
			profiles.ServeHTTP(w, r)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		plainText(w, http.StatusNotFound, "Metrics are at "+metricsPath+".\n")
	})
	return mux
}

// show has the rooms shown.
func (s *server) show(m *metrics.Metrics) {
	r := &metrics.Rooms{Auth: s.auth, Chat: s.chat, Replies: s.replies, Store: s.store, Transport: s.graphql,
		Upstreams: s.upstreams, Bus: s.local, NATS: s.nats,
		Up: func() bool { return s.store.Ping(context.Background()) == nil }}
	if s.nats != nil {
		r.Bus = s.nats.Local
	}
	m.Show(r)
}

// countedModels are the models that have series of their own: those that the configuration
// names. What a model server lists has no bound.
func countedModels(cfg config) []string {
	models := append([]string{}, cfg.Models...)
	if cfg.Model != "" {
		models = append(models, cfg.Model)
	}
	for _, b := range builtInModels(cfg) {
		models = append(models, b.ID)
	}
	return models
}
