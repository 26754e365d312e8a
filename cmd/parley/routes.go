package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/graph"
	"parley/internal/auth"
	"parley/internal/hosts"
	"parley/internal/refusal"
	"parley/internal/session"
	"parley/internal/transport"
	"parley/internal/version"
	"parley/internal/viewer"
	"parley/web"
)

// routes is everything the server answers.
func routes(cfg config, log *slog.Logger, ready *readiness, graphql, sessions http.Handler) http.Handler {
	mux := http.NewServeMux()
	if cfg.Mode == development {
		graphql = toGraphiQL(graphql)
	}
	mux.Handle(graphqlPath, graphql)
	running := version.Get()
	alive := fmt.Sprintf("ok\nversion: %s\ncommit: %s\n", running.Number, running.Commit)
	mux.HandleFunc(healthRoute, func(w http.ResponseWriter, _ *http.Request) { plainText(w, http.StatusOK, alive) })
	mux.Handle(readyRoute, ready)
	if cfg.Mode == development {
		mux.Handle("GET /schema.graphql", schemaPage())
		graphiql := web.GraphiQL()
		mux.Handle("/graphiql", graphiql)
		mux.Handle("/graphiql/", graphiql)
		if cfg.Page == off {
			mux.HandleFunc("GET /{$}", redirectToGraphiQL)
		}
	}
	if cfg.Page == on {
		page := web.NewChat(cfg.SiteName)
		for _, pattern := range page.Patterns() {
			mux.Handle(pattern, page)
		}
		mux.Handle(session.Path, sessions)
		mux.Handle(session.RefreshPath, sessions)
	}
	all := keepGate(cfg, log, mux)
	if cfg.AccessLog == on {
		all = withAccessLog(mux, all, log)
	}
	return boundBodies(all, bodyLimit)
}

// schemaPage serves the SDL, compressed to who takes that.
func schemaPage() http.Handler {
	sdl := graph.SDL()
	compressed := sync.OnceValue(func() string {
		var b strings.Builder
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, sdl) // A strings.Builder takes everything.
		_ = z.Close()
		return b.String()
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // As public as the source it comes from.
		w.Header().Set("Vary", "Accept-Encoding")
		if !transport.AcceptsGzip(r.Header) {
			plainText(w, http.StatusOK, sdl)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		plainText(w, http.StatusOK, compressed())
	})
}

// The routes that something else rests on.
const (
	graphqlPath = "/graphql"
	healthRoute = "GET /healthz"
	readyRoute  = "GET /readyz"
)

// bodyLimit is how long the body of a request may take.
const bodyLimit = 15 * time.Second

// boundBodies keeps a body that never comes from holding its connection: net/http
// reads the rest of it before it answers, whichever route it was for. GraphQL lifts
// the deadline when it has read all.
func boundBodies(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// The writer of a real connection has deadlines; any other has nothing to hold.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
		}
		next.ServeHTTP(w, r)
	})
}

func plainText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // A client that does not take the answer has gone.
}

// authenticate turns a token into a context for its user. No token is nobody.
func (s *server) authenticate(ctx context.Context, token string) (transport.Identity, error) {
	if token == "" {
		return transport.Identity{Context: ctx}, nil
	}
	p, err := s.auth.Authenticate(ctx, token)
	if refusal.Is(err, refusal.CodeUnauthenticated) {
		return transport.Identity{Context: auth.WithRefused(ctx, err)}, transport.ErrForbidden
	}
	if err != nil {
		return transport.Identity{}, err
	}
	ctx, end := s.auth.Bind(ctx, p)
	return transport.Identity{
		Context: viewer.AsUser(auth.WithPrincipal(ctx, p), p.UserID),
		User:    string(p.UserID),
		End:     end,
	}, nil
}

// maxHops is how many proxies a request may have come through. What lies before is not
// looked at.
const maxHops = 32

// clientAddr walks from the peer backwards through the proxies that are trusted,
// and returns the first address that is not one. Some proxies write a port too.
func clientAddr(remote string, forwarded []string, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap()
	isTrusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	hops := 0
	for _, header := range slices.Backward(forwarded) {
		for rest, more := header, true; more; hops++ {
			if hops == maxHops || !isTrusted(addr) {
				return addr
			}
			var hop string
			hop, rest, more = cutLast(rest)
			next, ok := hosts.ParseHop(hop)
			if !ok {
				return addr // Whoever wrote this is not to be believed any further.
			}
			addr = next
		}
	}
	return addr
}

// cutLast cuts the last entry off a list, and reports whether there are others before it.
func cutLast(list string) (last, before string, more bool) {
	at := strings.LastIndexByte(list, ',')
	if at < 0 {
		return list, "", false
	}
	return list[at+1:], list[:at], true
}
