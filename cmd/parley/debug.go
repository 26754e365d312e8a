package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"

	"parley/internal/complaint"
	"parley/internal/hosts"
)

// serveDebug serves the program's profiles on a listener of their own, when the
// configuration names one. The caller closes it.
func serveDebug(ctx context.Context, cfg config, log *slog.Logger) (closeDebug func(), err error) {
	if cfg.DebugAddr == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", cfg.DebugAddr)
	if err != nil {
		return nil, fmt.Errorf("listen on PARLEY_DEBUG_ADDR: %w", err)
	}
	web := newWebServer(ctx, debugRoutes(log), log)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = web.Serve(listener) // Until it is closed; without profiles the server serves on.
	}()
	log.InfoContext(ctx, "profiles are served", "url", "http://"+listener.Addr().String()+pprofPath)
	return func() {
		_ = web.Close() // Whoever reads a profile has to do without the rest.
		<-ended
	}, nil
}

const pprofPath = "/debug/pprof/"

// debugRoutes is everything that the listener for debugging answers, and only under the
// names of this machine: no page may point its own name here. Nor does a proxy lead here.
func debugRoutes(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pprofPath, pprof.Index) // The named profiles too, such as heap.
	mux.HandleFunc("GET "+pprofPath+"cmdline", pprof.Cmdline)
	mux.HandleFunc("GET "+pprofPath+"profile", pprof.Profile)
	mux.HandleFunc("GET "+pprofPath+"symbol", pprof.Symbol)
	mux.HandleFunc("GET "+pprofPath+"trace", pprof.Trace)
	strangers := new(complaint.Names)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := hosts.Name(r.Host)
		if !ok || !hosts.Local(name) || !hosts.ReadTrail(r.Header).None() {
			strangers.Report(r.Context(), log, r.Host, "request for profiles refused",
				slog.String("host", hosts.Quote(r.Host)))
			plainText(w, http.StatusMisdirectedRequest, fmt.Sprintf("Profiles are served under localhost, "+
				"without a proxy, and not under the host name %s.\n", hosts.Quote(r.Host)))
			return
		}
		mux.ServeHTTP(w, r)
	})
}
