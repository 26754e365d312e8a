package transport

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"parley/internal/hosts"
)

// serveOperation serves one operation over HTTP: a single result as JSON, or a
// stream.
func (s *Server) serveOperation(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	w.Header().Add("Vary", "Accept-Encoding")
	accepts := parseAccept(r.Header.Values("Accept"))
	if len(accepts) == 0 {
		s.refuseHeader(w, r, http.StatusNotAcceptable, "Accept",
			"The answer can be application/graphql-response+json or "+
				"application/json, and for subscriptions text/event-stream or multipart/mixed;subscriptionSpec=1.0, and "+
				"none of them is in Accept: "+hosts.Quote(r.Header.Get("Accept"))+".")
		return
	}
	identity, err := s.identify(r)
	if err != nil {
		presented := s.cfg.ErrorPresenter(r.Context(), err)
		code, _ := presented.Extensions["code"].(string)
		s.refuse(w, r, http.StatusServiceUnavailable, code, presented.Message)
		return
	}
	defer identity.end()
	exchangeOf(r.Context()).User = identity.User
	params, err := s.read(w, r, identity.User != "")
	var bad *badRequest
	if errors.As(err, &bad) && bad.header != "" {
		s.refuseHeader(w, r, bad.status, bad.header, bad.message)
		return
	}
	if errors.As(err, &bad) {
		s.refuse(w, r, bad.status, "BAD_REQUEST", bad.message)
		return
	}
	params.Headers = r.Header

	ctx := identity.Context
	op, errs := s.prepare(ctx, params)
	if len(errs) > 0 {
		s.answerRequestError(w, r.WithContext(ctx), accepts, op, errs)
		return
	}
	end, full := s.underway.begin(identity.User, op, s.cost(op))
	defer end()
	switch {
	case full != nil:
		w.Header().Set("Retry-After", strconv.Itoa(full.Extensions["retryAfter"].(int)))
		s.refuseWith(w, r, http.StatusTooManyRequests, full)
	case isSubscription(op):
		s.serveSubscription(ctx, w, r, accepts, op, identity.User)
	default:
		s.serveResult(ctx, w, r, accepts, op, identity.User)
	}
}

// read reads the operation of a request. Only who has signed in may send much.
func (s *Server) read(w http.ResponseWriter, r *http.Request, known bool) (*graphql.RawParams, error) {
	for _, name := range []string{"Authorization", "Content-Type"} {
		if len(r.Header.Values(name)) > 1 {
			return nil, errTwice
		}
	}
	switch {
	case r.Method != http.MethodPost:
		return readGET(r.URL)
	case known:
		return readPOST(w, r, int64(s.cfg.Limits.BodyBytes))
	}
	return readPOST(w, r, maxStrangersBody)
}

// identify asks who holds the request's token. One that is not good makes the request
// nobody's: signing in and refreshing must work beside one that has run out, and what
// needs a user says so by itself.
func (s *Server) identify(r *http.Request) (Identity, error) {
	token := bearer(r.Header.Get("Authorization"))
	if token == "" && r.Method == http.MethodGet {
		// EventSource can send no headers. See docs/adr/0006-get.md.
		token = tokenInURL(r.URL)
	}
	identity, err := s.cfg.Authenticate(r.Context(), token)
	if errors.Is(err, ErrForbidden) {
		return identity, nil
	}
	return identity, err
}

// answerRequestError answers a request that was not executed. As application/json
// the status is 200 whatever is wrong with the document, since that is what clients
// from before graphql-response+json expect (GraphQL over HTTP, 6.4.1).
func (s *Server) answerRequestError(
	w http.ResponseWriter, r *http.Request, accepts []accepted, op *graphql.OperationContext, errs gqlerror.List,
) {
	response := s.requestError(r.Context(), op, errs)
	f := forResult(accepts)
	if !f.isJSON() {
		s.streamOnce(w, r, f, response, false)
		return
	}
	status := http.StatusOK
	if f == formatResponse {
		status = http.StatusBadRequest
	}
	s.writeJSON(w, r, status, f, response, false)
}

// serveResult serves a query or a mutation.
func (s *Server) serveResult(
	ctx context.Context, w http.ResponseWriter, r *http.Request, accepts []accepted, op *graphql.OperationContext,
	user string,
) {
	if r.Method != http.MethodPost {
		if op.Operation.Operation == ast.Mutation {
			w.Header().Set("Allow", "POST")
			s.refuse(w, r, http.StatusMethodNotAllowed, "BAD_REQUEST", "A mutation needs POST.")
			return
		}
		if !forcesPreflight(r) {
			s.refuseHeader(w, r, http.StatusBadRequest, "GraphQL-Require-Preflight",
				"A query by GET needs a header that pages of other origins cannot send by themselves, such as "+
					"GraphQL-Require-Preflight: 1.")
			return
		}
	}
	// The token was good when the operation began, and that is enough for one result:
	// it must not be lost because a send waited for its reply meanwhile.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(r.Context(), cancel)()
	a := s.dispatch(ctx, op, user, new(int64))
	defer a.written()
	response := a.next()
	if response == nil { // The context has ended: nobody reads this.
		response = &graphql.Response{Errors: gqlerror.List{coded("UNAVAILABLE", "The request was given up.")}}
	}
	f := forResult(accepts)
	if !f.isJSON() {
		s.streamOnce(w, r, f, response, true)
		return
	}
	// What a mutation answers may hold tokens, and stands beside what was sent: its length is
	// to say no more than that.
	s.writeResult(w, r, http.StatusOK, f, response, true, op.Operation.Operation == ast.Query)
}

// serveSubscription serves a stream of results.
func (s *Server) serveSubscription(
	ctx context.Context, w http.ResponseWriter, r *http.Request, accepts []accepted, op *graphql.OperationContext,
	user string,
) {
	f := forStream(accepts)
	if f == formatNone {
		s.refuseHeader(w, r, http.StatusNotAcceptable, "Accept",
			"A subscription needs a WebSocket (graphql-transport-ws), "+
				"or Accept: text/event-stream, or Accept: multipart/mixed;subscriptionSpec=1.0.")
		return
	}
	exchangeOf(ctx).Way = wayOf(f)
	if r.Method == http.MethodHead {
		exchangeOf(ctx).Status = http.StatusOK
		w.Header().Set("Content-Type", f.contentType())
		return
	}
	leave, why := s.admitStream(r, user)
	if why != nil {
		s.turnAway(w, r, why)
		return
	}
	defer leave()
	defer s.meters.view(wayOf(f))()
	st := s.openStream(ctx, w, f)
	st.enter()
	defer st.leave()
	a := s.dispatch(st.ctx, op, user, new(int64))
	defer a.written()
	for {
		response := a.next()
		if response == nil {
			break
		}
		if err := st.send(response, true); err != nil {
			break
		}
		a.written()
	}
	if st.ctx.Err() != nil {
		// A clean end would look like the end of the operation.
		panic(http.ErrAbortHandler)
	}
	st.complete()
}

// admitStream takes a place for a stream, of its user or of its client's address, or says
// why there is none. The caller calls leave.
func (s *Server) admitStream(r *http.Request, user string) (leave func(), why *denial) {
	if user != "" {
		return func() { s.admission.leaveUser(user) }, s.admission.takeUser(user)
	}
	addr := s.addressOf(r)
	return func() { s.admission.leaveAddr(addr) }, s.admission.takeAddr(addr)
}

// streamOnce answers with one result in the form of a stream.
func (s *Server) streamOnce(
	w http.ResponseWriter, r *http.Request, f format, response *graphql.Response, executed bool,
) {
	st := s.openStream(r.Context(), w, f)
	defer st.leave()
	if st.send(response, executed) == nil {
		st.complete()
	}
}
