package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"parley/graph"
	"parley/internal/auth"
	"parley/internal/refusal"
	"parley/internal/transport"
	"parley/internal/viewer"
	"parley/web"
)

// routes is everything the server answers.
func routes(cfg config, ready *readiness, graphql http.Handler) http.Handler {
	mux := http.NewServeMux()
	if cfg.Mode == development {
		graphql = toGraphiQL(graphql)
	}
	mux.Handle("/graphql", graphql)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plainText(w, http.StatusOK, "ok\n") })
	mux.Handle("GET /readyz", ready)
	sdl := graph.SDL()
	if cfg.Mode == development {
		mux.HandleFunc("GET /schema.graphql", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "*") // As public as the source it comes from.
			plainText(w, http.StatusOK, sdl)
		})
		graphiql := web.GraphiQL()
		mux.Handle("/graphiql", graphiql)
		mux.Handle("/graphiql/", graphiql)
		mux.Handle("GET /{$}", http.RedirectHandler("graphiql", http.StatusFound))
	}
	return boundBodies(mux, bodyLimit)
}

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
		return transport.Identity{}, transport.ErrForbidden
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

// withClientAddr puts the address of the client into the context, by which
// attempts are counted. X-Forwarded-For is believed from trusted proxies only.
func (s *server) withClientAddr(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr := clientAddr(r.RemoteAddr, r.Header.Values("X-Forwarded-For"), s.cfg.TrustedProxies)
		next.ServeHTTP(w, r.WithContext(auth.WithClientAddr(r.Context(), addr)))
	})
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
			next, ok := parseHop(hop)
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

// parseHop reads an address as proxies write it: 192.0.2.1, 192.0.2.1:4711, 2001:db8::1,
// [2001:db8::1] or [2001:db8::1]:4711.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if len(text) > len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%interface]:65535") {
		return netip.Addr{}, false
	}
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap(), true
	}
	if inside, ok := strings.CutPrefix(text, "["); ok {
		if inside, ok = strings.CutSuffix(inside, "]"); ok {
			text = inside
		}
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil
}

// allowsOrigin says which pages of other origins may call.
func (c config) allowsOrigin(origin string) bool {
	origin = strings.ToLower(origin)
	if slices.Contains(c.AllowedOrigins, origin) {
		return true
	}
	if !c.AllowLocalOrigins {
		return false
	}
	scheme, host, ok := strings.Cut(origin, "://")
	return ok && (scheme == "http" || scheme == "https") && isLocal(host)
}

// hostCheck refuses unknown host names on a development machine, so that a page
// which points its own name at it gets nowhere. Behind a proxy the name is the
// proxy's business.
func (c config) hostCheck() func(string) bool {
	if c.Mode != development || !c.Loopback() {
		return nil
	}
	return isLocal
}

// isLocal reports whether host, with or without a port, is this machine.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// newLogger writes the log in the configured form.
func newLogger(cfg config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == logJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
