package transport

import (
	"net/http"
	"strings"
)

// allowedHeaders are those a page of another origin may send: ours, and those that
// common clients add by themselves.
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
		if !s.cfg.AllowedOrigin(origin) {
			s.refuse(w, r, http.StatusForbidden, "FORBIDDEN", "Pages of this origin may not call this server.")
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
	w.Header().Set("Access-Control-Allow-Headers", allowedHeaders)
	w.Header().Set("Access-Control-Max-Age", "600")
	exchangeOf(r.Context()).Status = http.StatusNoContent
	w.WriteHeader(http.StatusNoContent)
	return false
}

func sameOrigin(origin string, r *http.Request) bool {
	_, host, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(host, r.Host)
}
