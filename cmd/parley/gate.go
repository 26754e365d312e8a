package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"parley/internal/auth"
	"parley/internal/complaint"
	"parley/internal/hosts"
	"parley/internal/refusal"
	"parley/internal/trace"
	"parley/internal/transport"
)

// gate keeps a development server to its developer: what comes through a proxy from
// elsewhere is refused, and so is what comes under a name that a stranger may have pointed
// here (DNS rebinding). In production names are the proxy's business, and nothing is refused.
// See docs/adr/0018-open-and-closed.md.
type gate struct {
	cfg config
	log *slog.Logger
	// strangers are the names that have been refused.
	strangers *complaint.Names
}

// keepGate returns a handler that lets through to next what may come in.
func keepGate(cfg config, log *slog.Logger, next http.Handler) http.Handler {
	if cfg.Mode != development {
		return next
	}
	g := gate{cfg: cfg, log: log, strangers: new(complaint.Names)}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, why, attrs := g.judge(r)
		if why == nil {
			next.ServeHTTP(w, r)
			return
		}
		g.refuse(w, r, status, why, attrs)
	})
}

// refuse answers a request that may not come in, and says so in the log. What never comes to
// the GraphQL server, which writes the line of its requests, gets that line here.
func (g gate) refuse(w http.ResponseWriter, r *http.Request, status int, why *refusal.Error, attrs []slog.Attr) {
	began, ctx := time.Now(), r.Context()
	if trace.ID(ctx) == "" {
		ctx = trace.Begin(ctx, r.Header)
	}
	g.strangers.Report(ctx, g.log, attrs[0].String(), "request refused",
		append(attrs, slog.String("why", why.Message))...)
	if r.URL.Path != graphqlPath {
		plainText(w, status, why.Message+"\n")
		return
	}
	transport.Refuse(w, r, g.log, status, why)
	if tell := tellAccess(g.cfg, g.log); tell != nil {
		tell(ctx, transport.Exchange{
			Way: transport.WayHTTP, Status: status, Code: string(why.Code), Took: time.Since(began),
		})
	}
}

// judge says why a request may not come in, with what of it is to blame, or returns no error.
func (g gate) judge(r *http.Request) (status int, why *refusal.Error, attrs []slog.Attr) {
	if said, reason := hosts.ReadTrail(r.Header).Leaves(g.cfg.Hosts); reason != hosts.Stays {
		return http.StatusForbidden, refusal.Forbidden(g.proxied(said, reason)), []slog.Attr{
			slog.String("header", said.Header), slog.String("value", hosts.Quote(said.Value))}
	}
	if name, ok := hosts.Name(r.Host); ok && g.cfg.answersTo(name) || isProbe(r) {
		return 0, nil, nil
	}
	return http.StatusMisdirectedRequest, refusal.Forbidden(g.cfg.unknownHost(r.Host)), []slog.Attr{
		slog.String("host", hosts.Quote(r.Host))}
}

// isProbe reports whether a request asks only whether the server is there. Load balancers ask
// under an address, or under no name at all.
func isProbe(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" }

// proxied says what a header of a proxy has to do with it, and the way out.
func (g gate) proxied(said hosts.Said, reason hosts.Reason) string {
	text := fmt.Sprintf("This request came through a proxy (%s: %s), and this is a development server: its accounts "+
		"and its schema are open. Set PARLEY_MODE=production to serve others than yourself.",
		said.Header, hosts.Quote(said.Value))
	switch reason {
	case hosts.FromNetwork:
		text += " To try your own page from another device of your network, set PARLEY_HOSTS to the name or address " +
			"under which it is opened there."
	case hosts.UnderName:
		text += " If the proxy is a development server of your own, " + g.cfg.allowing(said.Value) + "."
	case hosts.FromNobody:
		text += " If the proxy is a development server of your own, let it send X-Forwarded-For, or no header of this kind."
	}
	return text
}

// unknownHost is said under a name that is not known.
func (c config) unknownHost(host string) string {
	if host == "" {
		return "The request names no host, and a development server answers under known names only."
	}
	return fmt.Sprintf("This development server does not answer under the host name %s. If it is yours, %s.",
		hosts.Quote(host), c.allowing(host))
}

// allowing says how to allow a host, which a stranger may have written.
func (c config) allowing(host string) string {
	name, ok := hosts.Name(host)
	switch {
	case !ok:
		return "PARLEY_HOSTS allows names, such as PARLEY_HOSTS=chat.local"
	case c.Hosts.Empty():
		return "set PARLEY_HOSTS=" + name
	}
	return fmt.Sprintf("add %s to PARLEY_HOSTS", name)
}

// answersTo reports whether a development server answers under a name, as hosts.Name returns
// it. One that listens on the network is also known by its addresses and by names without a
// dot, which no stranger can have pointed here.
func (c config) answersTo(name string) bool {
	return hosts.Local(name) || c.Hosts.Match(name) || !c.Loopback() && hosts.Fixed(name)
}

// refusesOrigin says why pages of another origin may not call; nil is that they may.
func (c config) refusesOrigin(origin string) *refusal.Error {
	origin = strings.ToLower(origin)
	host, isWeb := hosts.Origin(origin)
	switch {
	case slices.Contains(c.AllowedOrigins, origin), c.AllowLocalOrigins && isWeb && hosts.Local(host),
		c.Mode == development && isWeb && c.Hosts.Match(host):
		return nil
	case c.Mode == development && isWeb:
		return refusal.Forbidden(fmt.Sprintf("Pages of the origin %s may not call this server. If they are yours, %s.",
			hosts.Quote(origin), c.allowing(host)))
	case origin == "null":
		return refusal.Forbidden("Pages without an origin (Origin: null), such as files, may not call this server: " +
			"serve the page by a web server, such as one on localhost.")
	}
	return refusal.Forbidden(fmt.Sprintf("Pages of the origin %s may not call this server. If they are yours, "+
		"name the origin in PARLEY_ALLOWED_ORIGINS.", hosts.Quote(origin)))
}

// withClientAddr puts the address of the client into the context, by which attempts are
// counted. X-Forwarded-For is believed from trusted proxies only. The developer of a
// development server is not limited.
func (s *server) withClientAddr(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr := clientAddr(r.RemoteAddr, r.Header.Values("X-Forwarded-For"), s.cfg.TrustedProxies)
		ctx := auth.WithClientAddr(r.Context(), addr)
		if s.cfg.isDeveloper(addr, r.Header) {
			ctx = auth.Unlimited(ctx)
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// isDeveloper reports whether a request comes from the machine of a development server, as
// far as its address and all that proxies say can tell. A proxy on this machine is not its
// client.
func (c config) isDeveloper(addr netip.Addr, h http.Header) bool {
	return c.Mode == development && addr.IsLoopback() && hosts.ReadTrail(h).Local() &&
		!slices.ContainsFunc(c.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// socketContext is the context of a socket, which outlives its request.
func socketContext(r *http.Request) context.Context {
	ctx := auth.WithClientAddr(context.Background(), auth.ClientAddr(r.Context()))
	if auth.IsUnlimited(r.Context()) {
		ctx = auth.Unlimited(ctx)
	}
	return ctx
}

// countedAddr is what is counted for the client of a request while nobody is known.
func countedAddr(r *http.Request) string {
	if auth.IsUnlimited(r.Context()) {
		return ""
	}
	return auth.CountedAddr(auth.ClientAddr(r.Context()))
}
