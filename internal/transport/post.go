package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql/handler/transport"
)

// servePost serves one operation, as JSON or as a stream of events.
func (s *Server) servePost(w http.ResponseWriter, r *http.Request) {
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	ctx, end, err := s.cfg.Authenticate(r.Context(), bearer(r.Header.Get("Authorization")))
	switch {
	case errors.Is(err, ErrForbidden):
		// Signing in and refreshing must work beside a token that has run out; what
		// needs a user says UNAUTHENTICATED by itself.
		ctx, end, err = s.cfg.Authenticate(r.Context(), "")
		if err == nil {
			break
		}
		fallthrough
	case err != nil:
		presented := s.cfg.ErrorPresenter(r.Context(), err)
		code, _ := presented.Extensions["code"].(string)
		refuse(w, http.StatusServiceUnavailable, code, presented.Message)
		return
	}
	defer end()
	if !wantsStream(r) {
		s.handler.ServeHTTP(w, r.WithContext(ctx))
		return
	}
	s.serveStream(ctx, w, r)
}

// readBody returns a body that is one JSON object and nothing else.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "BAD_REQUEST", "The Content-Type must be application/json.")
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "BAD_REQUEST", "The body may have at most 1 MiB.")
		return nil, false
	case err != nil:
		refuse(w, http.StatusBadRequest, "BAD_REQUEST", "The body could not be read.")
		return nil, false
	}
	var params struct {
		Query         *string         `json:"query"`
		OperationName *string         `json:"operationName"`
		Variables     json.RawMessage `json:"variables"`
		Extensions    json.RawMessage `json:"extensions"`
	}
	if err := json.Unmarshal(body, &params); err != nil || params.Query == nil ||
		!objectOrNull(params.Variables) || !objectOrNull(params.Extensions) {
		refuse(w, http.StatusBadRequest, "BAD_REQUEST",
			"The body must be one JSON object with a text query, and variables and extensions that are objects.")
		return nil, false
	}
	return body, true
}

// objectOrNull looks at the first byte only: the rest has been parsed already.
func objectOrNull(raw json.RawMessage) bool {
	return len(raw) == 0 || raw[0] == '{' || string(raw) == "null"
}

// bearer returns the token of an Authorization header, or "".
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// wantsStream reports whether events are the only answer the client takes. Some
// clients list them for every query beside JSON.
func wantsStream(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "text/event-stream") && !strings.Contains(accept, "json")
}

// eventStream is gqlgen's SSE with our idea of who wants it.
type eventStream struct{ transport.SSE }

// Supports implements graphql.Transport.
func (eventStream) Supports(r *http.Request) bool {
	return r.Method == http.MethodPost && wantsStream(r)
}

// serveStream serves Server-Sent Events until the operation, the client, the token
// or the server ends.
func (s *Server) serveStream(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancelCause(withStreaming(ctx))
	defer cancel(nil)
	st := &stream{ResponseWriter: w, control: http.NewResponseController(w), wait: s.wait.write, ctx: ctx, cancel: cancel}
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "The server is restarting.")
		return
	}
	s.streams[st] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.streams, st)
		s.mu.Unlock()
	}()
	w.Header().Set("X-Accel-Buffering", "no")
	s.handler.ServeHTTP(st, r.WithContext(ctx))
	if ctx.Err() != nil {
		// A clean end would look like the end of the reply.
		panic(http.ErrAbortHandler)
	}
	// The connection may serve more. If it is broken, that shows by itself.
	_ = st.control.SetWriteDeadline(time.Time{})
}

// stream is a response whose writes have a deadline and stop when its context
// does.
type stream struct {
	http.ResponseWriter
	control *http.ResponseController
	wait    time.Duration
	ctx     context.Context
	cancel  context.CancelCauseFunc
}

// Write implements http.ResponseWriter.
func (st *stream) Write(b []byte) (int, error) {
	if st.ctx.Err() != nil {
		return 0, context.Cause(st.ctx)
	}
	// More than a buffer goes out at once, and the last deadline may have passed
	// while there was nothing to say.
	if err := st.control.SetWriteDeadline(time.Now().Add(st.wait)); err != nil {
		return 0, err
	}
	return st.ResponseWriter.Write(b)
}

// Flush implements http.Flusher, with a deadline: a client that does not read is
// let go.
func (st *stream) Flush() {
	if st.ctx.Err() != nil {
		return
	}
	err := st.control.SetWriteDeadline(time.Now().Add(st.wait))
	if err == nil {
		err = st.control.Flush()
	}
	if err != nil {
		st.cancel(err)
	}
}
