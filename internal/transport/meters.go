package transport

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/internal/refusal"
	"parley/internal/tally"
)

// Meters count what a Server does. They are safe for concurrent use.
type Meters struct {
	// Operations are those that have ended, by their kind and the code they ended with, in
	// small letters; "ok" for none.
	Operations *tally.Set[tally.Counters]
	// Took is how long queries and mutations took, by their way.
	Took *tally.Set[tally.Histogram]
	// Viewers are the subscriptions that go on, by their way.
	Viewers *tally.Set[tally.Gauge]
	// Limits counts what was refused because somebody wants too much, by what.
	Limits *tally.Counters
	// Overload counts answers for which the process had no room.
	Overload tally.Counter
	// Refused counts sockets that were refused, or closed because of what their client did,
	// by why.
	Refused *tally.Counters
}

func newMeters() *Meters {
	codes := []string{ok, "bad_request", strings.ToLower(codeValidation), strings.ToLower(codeParse)}
	for _, code := range refusal.Codes() {
		codes = append(codes, strings.ToLower(string(code)))
	}
	return &Meters{
		Operations: tally.NewSet(func() *tally.Counters { return tally.NewCounters(codes...) },
			string(ast.Query), string(ast.Mutation), string(ast.Subscription)),
		Took:    tally.NewSet(tally.NewQuick, WayHTTP, WayWebSocket),
		Viewers: tally.NewSet(func() *tally.Gauge { return new(tally.Gauge) }, WayWebSocket, WaySSE, WayMultipart),
		Limits: tally.NewCounters(limitSockets, limitRequests, limitSubscriptions, limitFields, limitOperations,
			limitMessages, limitAnswers),
		Refused: tally.NewCounters(refusedFull, refusedRestart, refusedOrigin, refusedHandshake,
			refusedToken, refusedProtocol, refusedSilent, refusedUnavailable),
	}
}

// ok stands for the code of what had none.
const ok = "ok"

// gqlgen's codes of documents that are wrong.
const (
	codeValidation = "GRAPHQL_VALIDATION_FAILED"
	codeParse      = "GRAPHQL_PARSE_FAILED"
)

// What there may be too much of.
const (
	limitSockets       = "sockets"
	limitRequests      = "requests"
	limitSubscriptions = "subscriptions"
	limitFields        = "subscribed_fields"
	limitOperations    = "operations"
	limitMessages      = "messages"
	limitAnswers       = "answers"
)

// Why sockets are refused.
const (
	refusedFull        = "too_many"
	refusedRestart     = "restart"
	refusedOrigin      = "origin"
	refusedHandshake   = "handshake"
	refusedToken       = "token"
	refusedProtocol    = "protocol"
	refusedSilent      = "silent"
	refusedUnavailable = "try_later"
)

// Meters returns what the server counts.
func (s *Server) Meters() *Meters { return s.meters }

// Members returns how many sockets and streams are open.
func (s *Server) Members() int {
	s.admission.mu.Lock()
	defer s.admission.mu.Unlock()
	return len(s.admission.inside)
}

// noRoom counts an answer that found none, for want of its user's or of the process's.
func (m *Meters) noRoom(full error) {
	switch {
	case m == nil: // A ledger by itself.
	case refusal.Is(full, refusal.CodeOverloaded):
		m.Overload.Inc()
	default:
		m.Limits.Of(limitAnswers).Inc()
	}
}

// view counts a subscription that begins. The caller calls end.
func (m *Meters) view(way string) (end func()) {
	viewers := m.Viewers.Of(way)
	viewers.Add(1)
	return func() { viewers.Add(-1) }
}

// count counts what has ended. A socket is no operation, and a stream takes as long as its
// client likes.
func (m *Meters) count(e *Exchange) {
	if e.Kind == kindUpgrade || e.Kind == kindSocket {
		return
	}
	code := ok
	if e.Code != "" {
		code = strings.ToLower(e.Code)
	}
	m.Operations.Of(e.Kind).Of(code).Inc()
	if e.Kind != "" && !e.isStream() {
		m.Took.Of(e.Way).Took(e.Took)
	}
}

// refusedFor says why a socket that this server has closed with a code was refused, or its
// client sent away; "" for the usual ends, such as that of a token. It is for the reader.
func (c *socket) refusedFor(code websocket.StatusCode) string {
	switch code {
	case closeForbidden:
		switch {
		case !c.acked:
			return refusedToken
		case c.user == "":
			return refusedSilent // Nobody has signed in on it.
		}
	case closeNoInit:
		return refusedSilent
	case closeTryLater:
		return refusedUnavailable
	case closeBadMessage, closeNoAck, closeSubprotocol, closeDuplicate, closeSecondInit:
		return refusedProtocol
	}
	return ""
}

// refusedRequest says why a request for a socket was refused with this status.
func refusedRequest(status int) string {
	switch status {
	case http.StatusForbidden:
		return refusedOrigin
	case http.StatusTooManyRequests:
		return refusedFull
	case http.StatusServiceUnavailable:
		return refusedRestart
	}
	return refusedHandshake
}

// refusedAgain is how often the log says that sockets are refused for one reason.
const refusedAgain = time.Minute

// refusedSocket counts a socket that was refused, and says so in the log.
func (s *Server) refusedSocket(ctx context.Context, why string) {
	s.meters.Refused.Of(why).Inc()
	s.refused.Say(ctx, s.cfg.Log, why, "sockets refused")
}
