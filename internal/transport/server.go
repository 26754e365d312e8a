package transport

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"parley/internal/complaint"
	"parley/internal/refusal"
	"parley/internal/trace"
)

// Config is what a Server needs. Fields without a default named beside them are
// required.
type Config struct {
	Schema         graphql.ExecutableSchema
	ErrorPresenter graphql.ErrorPresenterFunc
	Recover        graphql.RecoverFunc
	// Operations surrounds every operation. Nil: nothing does.
	Operations graphql.OperationMiddleware
	// Authenticate says who holds a token, which may be empty. ErrForbidden means
	// that the token is not good, and comes with nobody's identity, by whose context the
	// schema may know that; any other error, that this cannot be said now.
	Authenticate func(ctx context.Context, token string) (Identity, error)
	// ClientAddr names what is counted for the client's address while nobody is known on
	// a socket or stream; "" is not counted. Nil: none is.
	ClientAddr func(r *http.Request) string
	// SocketContext returns the context of a socket, which outlives its request and should
	// hold no more of that than is needed: each open page has one. Nil: all values of the
	// request's.
	SocketContext func(r *http.Request) context.Context
	// RefuseOrigin says why web pages of another origin may not call, to whoever made the
	// page. Nil is that they may.
	RefuseOrigin func(origin string) *refusal.Error
	// Development switches introspection and suggestions on.
	Development bool
	// Limits bounds what one request may ask for. Zero fields take the default.
	Limits Limits
	// Documents are the operations known beforehand. Nil: there are none.
	Documents *Documents
	// Ended is told of each operation, request and socket when it is over, in a context that
	// has its trace. It must not wait for anything. Nil: nobody wants to know.
	Ended func(ctx context.Context, e Exchange)
	// Tracer makes spans of operations. Nil: there are none.
	Tracer *trace.Tracer
	// Log takes what is odd. Of what a client sent it gets only the origin or the header for
	// which a request is refused, quoted and cut.
	Log *slog.Logger
}

// Identity is who is asking.
type Identity struct {
	// Context is derived from the one given to Authenticate and ends with the token.
	Context context.Context
	// User is the same for all tokens of one user, and empty for nobody.
	User string
	// End is called once when the request or socket is over. Nil: nothing to do.
	End func()
}

func (i Identity) end() {
	if i.End != nil {
		i.End()
	}
}

// ErrForbidden is returned by Config.Authenticate for a token that is not good.
var ErrForbidden = errors.New("the token is not good")

// errRestart is the cause of streams that end because the server does.
var errRestart = errors.New("the server is restarting")

// Server serves GraphQL. It is safe for concurrent use.
type Server struct {
	cfg       Config
	executor  *executor.Executor
	checked   *lru.LRU[string] // documents that have passed the limits of their shape
	timing    timing
	admission *admission
	underway  *underway
	ledger    *ledger
	// compressor is for answers that are not streams.
	compressor *compressor
	// strangers are the origins and the headers that have been refused.
	strangers complaint.Names
	meters    *Meters
	refused   *complaint.Refrain
}

// timing holds what tests shorten.
type timing struct {
	init  time.Duration // until connection_init, and after one without a token
	ping  time.Duration // between control pings
	pong  time.Duration // until the answer to one
	write time.Duration // for a short write to a client, and for each stretch of a long one
	grace time.Duration // for a long write altogether, beside what its length takes
	room  time.Duration // that a query waits until its answer has room
	beat  time.Duration // between heartbeats on HTTP streams and legacy sockets
	read  time.Duration // for the body of a request
	// goodbye is how long Close waits for clients to answer.
	goodbye time.Duration
}

func defaultTiming() timing {
	return timing{
		init:  10 * time.Second,
		ping:  20 * time.Second,
		pong:  10 * time.Second,
		write: 10 * time.Second,
		grace: 30 * time.Second,
		room:  5 * time.Second,
		beat:  12 * time.Second,
		read:  15 * time.Second,

		goodbye: 2 * time.Second,
	}
}

// cachedDocuments bounds the documents that are kept parsed. Each is at most
// Limits.DocumentBytes long.
const cachedDocuments = 500

// New returns a server. It panics when a required field is missing.
func New(cfg Config) *Server { return newServer(cfg, defaultTiming()) }

func newServer(cfg Config, t timing) *Server {
	if cfg.Schema == nil || cfg.ErrorPresenter == nil || cfg.Recover == nil ||
		cfg.Authenticate == nil || cfg.RefuseOrigin == nil || cfg.Log == nil {
		panic("transport: incomplete Config")
	}
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.SocketContext == nil {
		cfg.SocketContext = func(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }
	}
	m := newMeters()
	s := &Server{
		cfg:       cfg,
		executor:  executor.New(cfg.Schema),
		checked:   lru.New[string](cachedDocuments),
		timing:    t,
		admission: newAdmission(cfg.Limits.SocketsPerAddr, cfg.Limits.SocketsPerUser),
		underway:  newUnderway(cfg.Limits, m.Limits),
		ledger:    newLedger(cfg.Limits, t.room),

		compressor: newCompressor(),
		meters:     m,
		refused:    complaint.NewRefrain(refusedAgain),
	}
	s.ledger.meters = m
	s.executor.SetQueryCache(lru.New[*ast.QueryDocument](cachedDocuments))
	s.executor.SetParserTokenLimit(cfg.Limits.Tokens)
	s.executor.SetErrorPresenter(cfg.ErrorPresenter)
	s.executor.SetRecoverFunc(cfg.Recover)
	s.executor.SetDisableSuggestion(!cfg.Development)
	if cfg.Development {
		s.executor.Use(extension.Introspection{})
	} else {
		s.executor.SetDefaultRulesFn(rulesWithoutSuggestions)
	}
	if cfg.Operations != nil {
		s.executor.AroundOperations(cfg.Operations)
	}
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
	e := &Exchange{}
	ctx := s.begin(trace.Begin(r.Context(), r.Header), e, WayHTTP)
	r = r.WithContext(ctx)
	// Also when a stream is broken off by a panic.
	defer func() { s.over(ctx, e) }()
	if upgrades(r) {
		e.Way, e.Kind = WayWebSocket, kindUpgrade
		defer func() {
			if e.Status != http.StatusSwitchingProtocols {
				s.refusedSocket(ctx, refusedRequest(e.Status))
			}
		}()
	}
	if !s.check(w, r) {
		return
	}
	switch {
	case e.Kind == kindUpgrade:
		s.serveSocket(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodPost:
		s.serveOperation(w, r)
	default:
		w.Header().Set("Allow", allowedMethods)
		s.refuse(w, r, http.StatusMethodNotAllowed, "BAD_REQUEST", "Send the operation by POST, or open a WebSocket.")
	}
}

const allowedMethods = "GET, POST, OPTIONS"

// check sets what every answer has, and checks the origin. It returns false when it has
// answered.
func (s *Server) check(w http.ResponseWriter, r *http.Request) bool {
	if r.ContentLength != 0 {
		// However the request is answered, net/http reads the rest of its body first,
		// and would wait for it for ever. A writer without deadlines just has none.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.timing.read))
	}
	setSecurityHeaders(w.Header())
	return s.allowOrigin(w, r)
}

func setSecurityHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
}

// prepare makes an operation of what a client sent. The errors it returns are about
// the request: nothing has been executed.
func (s *Server) prepare(ctx context.Context, p *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	if err := s.cfg.Documents.resolve(p); err != nil {
		return nil, gqlerror.List{err}
	}
	query, err := s.checkDocument(ctx, p.Query)
	if err != nil {
		return nil, gqlerror.List{err}
	}
	p.Query = query
	op, errs := s.executor.CreateOperationContext(graphql.StartOperationTrace(ctx), p)
	exchangeOf(ctx).asks(op)
	if len(errs) > 0 {
		return op, errs
	}
	if err := s.checkOperation(op); err != nil {
		return op, gqlerror.List{err}
	}
	return op, nil
}

// requestError is the response to a request that was not executed.
func (s *Server) requestError(ctx context.Context, op *graphql.OperationContext, errs gqlerror.List) *graphql.Response {
	if op == nil {
		op = &graphql.OperationContext{RecoverFunc: s.cfg.Recover}
	}
	return s.executor.DispatchError(graphql.WithOperationContext(ctx, op), errs)
}

// isSubscription reports whether an operation gives several responses.
func isSubscription(op *graphql.OperationContext) bool {
	return op.Operation.Operation == ast.Subscription
}
