package transport

import (
	"log/slog"
	"net/http"
	"strings"

	"parley/internal/hosts"
)

// allowedHeaders are those a page of another origin may send that asks for none: ours, and
// those that common clients add by themselves.
const allowedHeaders = "Accept, Authorization, Cache-Control, Content-Type, Last-Event-ID, X-Requested-With, " +
	"Apollo-Require-Preflight, GraphQL-Require-Preflight, X-Apollo-Operation-Name, X-Apollo-Operation-Id, " +
	"Apollographql-Client-Name, Apollographql-Client-Version, Traceparent, Tracestate"

// allowOrigin applies the same-origin rule with the operator's exceptions, for
// WebSockets too, to which browsers apply none. It returns false when it has
// answered. No credentials of the browser are ever allowed: tokens are the only
// ones there are.
func (s *Server) allowOrigin(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	w.Header().Add("Vary", "Origin")
	if origin != "" && !sameOrigin(origin, r) {
		if why := s.cfg.RefuseOrigin(origin); why != nil {
			s.strangers.Report(r.Context(), s.cfg.Log, origin, "origin refused",
				slog.String("origin", hosts.Quote(origin)), slog.String("why", why.Message))
			s.refuseWith(w, r, http.StatusForbidden, graphQLError(why))
			return false
		}
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	}
	if r.Method != http.MethodOptions {
		return true
	}
	w.Header().Set("Allow", allowedMethods)
	w.Header().Set("Access-Control-Allow-Methods", allowedMethods)
	w.Header().Add("Vary", "Access-Control-Request-Headers")
	w.Header().Set("Access-Control-Allow-Headers", headersFor(r.Header.Values("Access-Control-Request-Headers")))
	w.Header().Set("Access-Control-Max-Age", "600")
	exchangeOf(r.Context()).Status = http.StatusNoContent
	w.WriteHeader(http.StatusNoContent)
	return false
}

// maxAsked bounds the headers that a page asks for; no page sends that many.
const maxAsked = 1 << 10

// headersFor are the headers that a page may send: those that it asks for, since the origin is
// what decides, and no header of a request means more than what it says. The names of tracing,
// of an application and of its proxies are nothing that this server could list.
func headersFor(asked []string) string {
	list := strings.Join(asked, ",")
	if list == "" || len(list) > maxAsked {
		return allowedHeaders
	}
	names := strings.Split(list, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if names[i] == "" || strings.ContainsFunc(names[i], notInToken) {
			return allowedHeaders
		}
	}
	return strings.Join(names, ", ")
}

// notInToken reports whether the name of a header has no such character (RFC 9110, 5.6.2).
func notInToken(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') &&
		!strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

func sameOrigin(origin string, r *http.Request) bool {
	_, host, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(host, r.Host)
}
