// Package transport serves a GraphQL schema over HTTP, Server-Sent Events and
// WebSocket, on one URL. It knows GraphQL and gqlgen's executor, not chat: who a
// token belongs to is answered by a function it is given.
//
// Its one invariant: what a client sent is checked before gqlgen sees it, and is
// neither echoed nor logged.
package transport

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// The limits of a request.
const (
	maxBody        = 1 << 20
	maxTokens      = 2000
	cachedQueries  = 500
	maxSocketFrame = 1 << 20
)

// patience is how long the server waits for clients.
type patience struct {
	init  time.Duration // for connection_init
	ping  time.Duration // between two pings of a socket
	pong  time.Duration // for the answer to a ping
	write time.Duration // for a client to take one message or event
	sse   time.Duration // between two comments that keep a stream open
}

var defaultPatience = patience{
	init:  10 * time.Second,
	ping:  20 * time.Second,
	pong:  10 * time.Second,
	write: 5 * time.Second,
	sse:   12 * time.Second,
}

// Config is what a Server needs. All but AllowedHost is required.
type Config struct {
	Schema         graphql.ExecutableSchema
	ErrorPresenter graphql.ErrorPresenterFunc
	Recover        graphql.RecoverFunc
	Operations     graphql.OperationMiddleware
	// Authenticate returns a context for whoever holds the token, which may be
	// empty; it ends when the token does. ErrForbidden means that the token is not
	// good. The server calls end when the request or socket is over.
	Authenticate func(ctx context.Context, token string) (_ context.Context, end func(), err error)
	// AllowedOrigin says which web pages of other origins may call.
	AllowedOrigin func(origin string) bool
	// AllowedHost refuses requests for unknown host names when it is set: a page
	// that points its own name at this machine gets nowhere.
	AllowedHost func(host string) bool
	// Development switches introspection and suggestions on.
	Development bool
	Log         *slog.Logger
}

// ErrForbidden is returned by Config.Authenticate for a token that is not good.
var ErrForbidden = errors.New("the token is not good")

// Server serves GraphQL. It is safe for concurrent use.
type Server struct {
	cfg     Config
	wait    patience
	handler *handler.Server

	// mu guards the fields below.
	mu       sync.Mutex
	sockets  map[*socket]struct{}
	streams  map[*stream]struct{}
	stopping bool
}

// New returns a server. It panics when a required field is missing.
func New(cfg Config) *Server { return newServer(cfg, defaultPatience) }

func newServer(cfg Config, wait patience) *Server {
	if cfg.Schema == nil || cfg.ErrorPresenter == nil || cfg.Recover == nil || cfg.Operations == nil ||
		cfg.Authenticate == nil || cfg.AllowedOrigin == nil || cfg.Log == nil {
		panic("transport: incomplete Config")
	}
	s := &Server{
		cfg:     cfg,
		wait:    wait,
		sockets: make(map[*socket]struct{}),
		streams: make(map[*stream]struct{}),
	}
	h := handler.New(cfg.Schema)
	limit := int64(maxSocketFrame)
	h.AddTransport(transport.Websocket{
		Implementation:   upgrader{s},
		InitFunc:         s.initSocket,
		InitTimeout:      wait.init,
		PayloadReadLimit: &limit,
	})
	h.AddTransport(eventStream{transport.SSE{KeepAlivePingInterval: wait.sse}})
	h.AddTransport(transport.POST{})
	h.SetQueryCache(lru.New[*ast.QueryDocument](cachedQueries))
	h.SetParserTokenLimit(maxTokens)
	h.SetErrorPresenter(cfg.ErrorPresenter)
	h.SetRecoverFunc(cfg.Recover)
	h.SetDisableSuggestion(!cfg.Development)
	if !cfg.Development {
		h.SetValidationRulesFn(rulesWithoutSuggestions)
	}
	if cfg.Development {
		h.Use(extension.Introspection{})
	}
	h.AroundOperations(refuseStreamOverPOST)
	h.AroundOperations(cfg.Operations)
	s.handler = h
	return s
}

// rulesWithoutSuggestions are the rules a document is checked by. gqlgen's switch
// leaves suggestions in the errors of three of them.
func rulesWithoutSuggestions() *rules.Rules {
	r := rules.NewDefaultRules()
	r.ReplaceRule(rules.KnownArgumentNamesRule.Name, rules.KnownArgumentNamesRuleWithoutSuggestions.RuleFunc)
	r.ReplaceRule(rules.KnownTypeNamesRule.Name, rules.KnownTypeNamesRuleWithoutSuggestions.RuleFunc)
	r.ReplaceRule(rules.ValuesOfCorrectTypeRule.Name, rules.ValuesOfCorrectTypeRuleWithoutSuggestions.RuleFunc)
	return r
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if s.cfg.AllowedHost != nil && !s.cfg.AllowedHost(r.Host) {
		refuse(w, http.StatusMisdirectedRequest, "FORBIDDEN", "This server does not answer under this host name.")
		return
	}
	if !s.allowOrigin(w, r) {
		return
	}
	switch {
	case r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		s.serveSocket(w, r)
	case r.Method == http.MethodPost:
		r.Header.Del("Upgrade") // Some clients offer HTTP/2 with it, and gqlgen would take it for a WebSocket.
		s.servePost(w, r)
	default:
		w.Header().Set("Allow", "POST, OPTIONS")
		refuse(w, http.StatusMethodNotAllowed, "BAD_REQUEST", "Send the operation by POST, or open a WebSocket.")
	}
}

// Close ends all sockets and streams, telling their clients to come back, and
// refuses new ones. It returns when all have been told.
func (s *Server) Close() {
	s.mu.Lock()
	s.stopping = true
	sockets, streams := s.sockets, s.streams
	s.sockets, s.streams = make(map[*socket]struct{}), make(map[*stream]struct{})
	s.mu.Unlock()
	var told sync.WaitGroup
	for c := range sockets {
		told.Go(func() { c.end(closeRestart, "restarting") })
	}
	for c := range streams {
		c.cancel(errRestart)
	}
	told.Wait()
}

var errRestart = errors.New("the server is restarting")

// allowOrigin applies the same-origin rule with the operator's exceptions. It
// returns false when it has answered.
func (s *Server) allowOrigin(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	w.Header().Add("Vary", "Origin")
	switch {
	case sameOrigin(origin, r):
	case s.cfg.AllowedOrigin(origin):
		w.Header().Set("Access-Control-Allow-Origin", origin)
	default:
		refuse(w, http.StatusForbidden, "FORBIDDEN", "Pages of this origin may not call this server. See PARLEY_ALLOWED_ORIGINS.")
		return false
	}
	if r.Method == http.MethodOptions {
		w.Header().Set("Access-Control-Allow-Methods", "POST, OPTIONS")
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept")
		w.Header().Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return false
	}
	return true
}

func sameOrigin(origin string, r *http.Request) bool {
	_, host, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(host, r.Host)
}

// refuse answers with one GraphQL error and no data.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	writeError(w, code, message)
}

func writeError(w http.ResponseWriter, code, message string) {
	// A client that does not take the answer has gone.
	_ = json.NewEncoder(w).Encode(map[string]any{
		"errors": []*gqlerror.Error{{Message: message, Extensions: map[string]any{"code": code}}},
	})
}

// refuseStreamOverPOST keeps a subscription from running on a transport that would
// deliver its first event only.
func refuseStreamOverPOST(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx).Operation
	if op == nil || op.Operation != ast.Subscription || streaming(ctx) {
		return next(ctx)
	}
	return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{{
		Message:    "A subscription needs a WebSocket (graphql-transport-ws) or a POST with Accept: text/event-stream.",
		Extensions: map[string]any{"code": "BAD_REQUEST"},
	}}})
}

type streamingKey struct{}

func withStreaming(ctx context.Context) context.Context {
	return context.WithValue(ctx, streamingKey{}, true)
}

func streaming(ctx context.Context) bool { return ctx.Value(streamingKey{}) != nil }
