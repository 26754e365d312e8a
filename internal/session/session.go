// Package session owns the cookie in which the chat page keeps its refresh token, where no script of the page can read
// it: the three requests that put it there, exchange it for access tokens, and end what it opened. Nothing else reads
// the cookie. It knows nothing of GraphQL, and accounts only as far as Accounts goes.
//
// Its one invariant: a request does something only when a page of our own origin has made it. A browser sends the
// cookie for whoever asks, so the cookie alone proves nothing.
package session

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"parley/internal/auth"
	"parley/internal/complaint"
	"parley/internal/hosts"
	"parley/internal/refusal"
	"parley/internal/transport"
)

// Where the requests go.
const (
	Path        = "/session"
	RefreshPath = "/session/refresh"
)

// Mark is the header that every request must have, with any value. A page of another origin cannot send it without
// asking first, and is never told that it may.
const Mark = "Parley-Session"

// secureName is the name of the cookie over TLS: a browser takes one of this name from this very host only, with Secure
// and for all paths.
const secureName = "__Host-parley"

// bodyBytes is more than a refresh token and what stands around it.
const bodyBytes = 4 << 10

// Accounts is what this package needs of package auth, whose Service it is.
type Accounts interface {
	// Owns reports whether text is a refresh token of ours.
	Owns(text string) bool
	// Resume exchanges a refresh token that several tabs share.
	Resume(ctx context.Context, text string) (*auth.Tokens, error)
	// Supersede ends what the refresh token held has opened, unless next belongs to the same.
	Supersede(ctx context.Context, held, next string) error
	// SignOutHolder ends what a refresh token has opened.
	SignOutHolder(ctx context.Context, text string) error
}

// Config is what New needs.
type Config struct {
	// Accounts is nil while the server starts: every request is refused as UNAVAILABLE.
	Accounts Accounts
	// PlainName is the name of the cookie where there is no TLS, in development: of all servers of one machine each
	// needs its own, since cookies do not tell ports apart. Empty: there is always TLS, if only before a proxy.
	PlainName string
	// MaxAge is how long a session lives that nobody uses.
	MaxAge time.Duration
	// Log takes who was refused, and no tokens.
	Log *slog.Logger
}

// Handler answers the requests of Path and RefreshPath. It is safe for concurrent use.
type Handler struct {
	cfg Config
	// strangers are the origins that have been refused.
	strangers complaint.Names
}

// New returns a handler.
func New(cfg Config) *Handler { return &Handler{cfg: cfg} }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	serve, allowed := h.serve(r)
	switch {
	case serve == nil:
		w.Header().Set("Allow", allowed)
		h.refuse(w, r, http.StatusMethodNotAllowed, refusal.Forbidden("Use "+allowed+" here."))
	case !h.isOurs(r):
		h.strangers.Report(r.Context(), h.cfg.Log, r.Header.Get("Origin"), "session request refused",
			slog.String("origin", hosts.Quote(r.Header.Get("Origin"))))
		h.refuse(w, r, http.StatusForbidden, refusal.Forbidden("Only pages of this server itself may ask here."))
	case r.Header.Get(Mark) == "":
		h.refuse(w, r, http.StatusForbidden, refusal.Forbidden("The header "+Mark+" is missing."))
	case h.cfg.Accounts == nil:
		h.refuse(w, r, http.StatusServiceUnavailable, starting())
	default:
		serve(w, r)
	}
}

func starting() *refusal.Error {
	why := refusal.Unavailable(errors.New("the server is starting"))
	why.Message = "The server is starting."
	return why
}

// serve returns what answers a request, or nil and the methods that are answered.
func (h *Handler) serve(r *http.Request) (serve http.HandlerFunc, allowed string) {
	switch r.URL.Path + " " + r.Method {
	case Path + " " + http.MethodPost:
		return h.keep, ""
	case Path + " " + http.MethodDelete:
		return h.end, ""
	case RefreshPath + " " + http.MethodPost:
		return h.refresh, ""
	}
	if r.URL.Path == Path {
		return nil, "POST, DELETE"
	}
	return nil, "POST"
}

// isOurs reports whether a page of our own origin has made the request. Where a browser says so itself, that is what
// counts: a proxy may have changed the name of the host. Pages cannot write either header.
func (h *Handler) isOurs(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	_, host, ok := strings.Cut(r.Header.Get("Origin"), "://")
	return ok && strings.EqualFold(host, r.Host)
}

// keep puts a refresh token into the cookie. It comes from a sign-in of the page, which forgets it then. What the
// cookie has held ends: nobody else has it, and nobody could end it any more.
func (h *Handler) keep(w http.ResponseWriter, r *http.Request) {
	token, why := readToken(w, r)
	switch {
	case why != nil:
		h.refuse(w, r, http.StatusBadRequest, why)
	case !h.cfg.Accounts.Owns(token):
		h.refuse(w, r, http.StatusUnauthorized, refusal.Unauthenticated("Sign in to continue.", nil))
	default:
		if err := h.cfg.Accounts.Supersede(r.Context(), h.token(r), token); err != nil {
			h.refuseFor(w, r, err)
			return
		}
		http.SetCookie(w, h.cookie(r, token))
		w.WriteHeader(http.StatusNoContent)
	}
}

// readToken reads the body of keep.
func readToken(w http.ResponseWriter, r *http.Request) (string, *refusal.Error) {
	const field = "refreshToken"
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return "", refusal.BadInput(field, "must come in a body of the type application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyBytes))
	if err != nil {
		return "", refusal.BadInput(field, "must come in a short body")
	}
	var in struct {
		RefreshToken string `json:"refreshToken"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return "", refusal.BadInput(field, "must come in an object of JSON")
	}
	if in.RefreshToken == "" {
		return "", refusal.BadInput(field, "must not be empty")
	}
	return in.RefreshToken, nil
}

// refreshed is the answer to refresh.
type refreshed struct {
	AccessToken string `json:"accessToken"`
	ExpiresAt   string `json:"expiresAt"`
	// ExpiresIn is in seconds, for machines whose clock is wrong.
	ExpiresIn int `json:"expiresIn"`
}

// refresh exchanges the cookie for an access token and its successor. That there is no cookie is no refusal: a page
// asks before anybody has signed in.
func (h *Handler) refresh(w http.ResponseWriter, r *http.Request) {
	token := h.token(r)
	if token == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	tokens, err := h.cfg.Accounts.Resume(r.Context(), token)
	if err != nil {
		h.refuseFor(w, r, err)
		return
	}
	body, err := json.Marshal(refreshed{
		AccessToken: tokens.AccessToken,
		ExpiresAt:   refusal.Instant(tokens.ExpiresAt),
		ExpiresIn:   int(tokens.ExpiresIn / time.Second),
	})
	if err != nil {
		h.refuseFor(w, r, err)
		return
	}
	http.SetCookie(w, h.cookie(r, tokens.RefreshToken))
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // A client that does not take the answer shows the same cookie again.
}

// end ends the session of the cookie for everybody who holds it, and forgets it. When that cannot be done now, nothing
// has changed: a cookie that is forgotten first could never end its session.
func (h *Handler) end(w http.ResponseWriter, r *http.Request) {
	if token := h.token(r); token != "" {
		if err := h.cfg.Accounts.SignOutHolder(r.Context(), token); err != nil {
			h.refuseFor(w, r, err)
			return
		}
	}
	http.SetCookie(w, h.cookie(r, ""))
	// Not "cookies", which takes those of neighbours under the same domain too.
	w.Header().Set("Clear-Site-Data", `"storage"`)
	w.WriteHeader(http.StatusNoContent)
}

// token is what the cookie holds, "" without one.
func (h *Handler) token(r *http.Request) string {
	cookie, err := r.Cookie(h.name(r))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// cookie holds a refresh token; an empty one takes the cookie away.
func (h *Handler) cookie(r *http.Request, token string) *http.Cookie {
	c := &http.Cookie{
		Name: h.name(r), Value: token, Path: "/", MaxAge: int(h.cfg.MaxAge / time.Second),
		HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode,
	}
	if token == "" {
		c.MaxAge = -1
	}
	c.Secure = c.Name == secureName
	return c
}

// name is that of the cookie: the plain one where a server without TLS has one, and the page does not come by TLS that
// ends before it.
func (h *Handler) name(r *http.Request) string {
	if h.cfg.PlainName == "" || strings.HasPrefix(r.Header.Get("Origin"), "https://") {
		return secureName
	}
	return h.cfg.PlainName
}

// refuseFor answers an error of the accounts. A cookie that is good for nothing any more is taken away.
func (h *Handler) refuseFor(w http.ResponseWriter, r *http.Request, err error) {
	why, ok := refusal.As(err)
	if !ok {
		why = refusal.Unavailable(err)
	}
	status := http.StatusServiceUnavailable
	switch why.Code {
	case refusal.CodeUnauthenticated:
		status = http.StatusUnauthorized
		http.SetCookie(w, h.cookie(r, ""))
	case refusal.CodeRateLimited:
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(int(why.RetryAfter/time.Second)))
	}
	if status == http.StatusServiceUnavailable && r.Context().Err() == nil {
		h.cfg.Log.ErrorContext(r.Context(), "session request failed", "err", err)
	}
	h.refuse(w, r, status, why)
}

// refuse answers as GraphQL refuses.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, status int, why *refusal.Error) {
	transport.Refuse(w, r, h.cfg.Log, status, why)
}
