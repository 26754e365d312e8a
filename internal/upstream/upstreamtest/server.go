// Package upstreamtest is a scripted model server for tests. It speaks OpenAI's
// chat completion protocol, does in each request exactly what its script says,
// including every way of failing, and records what it was asked.
//
// It owns no behaviour of its own: without a script it repeats what the user
// said. Its one invariant: nothing in it waits for the clock, so a test that uses
// it needs no sleep. It is used over a socket (Start) or, as an http.Handler,
// inside the process.
package upstreamtest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Message is one message of a prompt.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Request is one request for a completion as the server received it.
type Request struct {
	Header http.Header `json:"-"`
	Body   []byte      `json:"-"` // as sent
	// The members of the body that tests ask for most. Use Body for others.
	Model    string    `json:"model"`
	Messages []Message `json:"messages"`
	Stream   bool      `json:"stream"`
}

// LastUser returns the content of the last message by the user, "" without one.
func (r Request) LastUser() string {
	for i := len(r.Messages) - 1; i >= 0; i-- {
		if r.Messages[i].Role == "user" {
			return r.Messages[i].Content
		}
	}
	return ""
}

// Script is what the server does in one request. It runs in the goroutine of the
// request; the answer ends when it returns.
type Script func(c *Call)

// Server is the model server. It is an http.Handler and safe for concurrent use.
type Server struct {
	changed chan struct{} // closed and replaced whenever the records change
	closing chan struct{} // closed by Close; ends every Hang

	mu        sync.Mutex // guards the fields below and changed
	script    Script
	queue     []Script
	models    []string
	requests  []Request
	lists     int
	running   int
	cancelled int
	closed    bool
}

// New returns a server that repeats what the user said and has one model, "test".
// Close it if a script may hang; Start does so by itself.
func New() *Server {
	return &Server{
		changed: make(chan struct{}),
		closing: make(chan struct{}),
		script:  Say(func(r Request) string { return "You said: " + r.LastUser() }),
		models:  []string{"test"},
	}
}

// Start serves a new server on a loopback port for the length of the test and
// returns it with the base URL to call it at.
func Start(tb testing.TB) (s *Server, baseURL string) {
	tb.Helper()
	s = New()
	server := httptest.NewServer(s)
	tb.Cleanup(func() {
		s.Close()
		server.CloseClientConnections()
		server.Close()
	})
	return s, server.URL + "/v1"
}

// Close ends every script that hangs. It may be called twice.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
}

// Always sets the script of all requests that Next has no script for.
func (s *Server) Always(script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Next queues scripts for the coming requests, one each.
func (s *Server) Next(scripts ...Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, scripts...)
}

// SetModels sets the list of models.
func (s *Server) SetModels(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models = names
}

// Requests returns the requests for completions so far, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request{}, s.requests...)
}

// Lists returns how often the list of models was asked for.
func (s *Server) Lists() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists
}

// Cancelled returns how many requests ended because the client went away while
// their script ran.
func (s *Server) Cancelled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cancelled
}

// Running returns how many scripts run now.
func (s *Server) Running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// Wait blocks until ok, called after every change of the records, reports true,
// or until ctx ends, when it returns the cause. ok may call the server.
func (s *Server) Wait(ctx context.Context, ok func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if ok() {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// update changes the records and wakes Wait.
func (s *Server) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/models"):
		s.serveModels(w)
	case strings.HasSuffix(r.URL.Path, "/chat/completions") && r.Method == http.MethodPost:
		s.serveCompletion(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) serveModels(w http.ResponseWriter) {
	type model struct {
		ID     string `json:"id"`
		Object string `json:"object"`
	}
	list := struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{"list", []model{}}
	s.update(func() {
		s.lists++
		for _, name := range s.models {
			list.Data = append(list.Data, model{name, "model"})
		}
	})
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list) // The client went away.
}

func (s *Server) serveCompletion(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // The client went away.
	}
	request := Request{Header: r.Header.Clone(), Body: body}
	if err := json.Unmarshal(body, &request); err != nil {
		http.Error(w, `{"error":{"message":"the body is not JSON","type":"invalid_request_error"}}`,
			http.StatusBadRequest)
		return
	}
	var script Script
	s.update(func() {
		s.requests = append(s.requests, request)
		s.running++
		script = s.script
		if len(s.queue) > 0 {
			script, s.queue = s.queue[0], s.queue[1:]
		}
	})
	defer s.update(func() {})
	defer func() {
		// Also when the script panics to cut the answer.
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running--
		if r.Context().Err() != nil {
			s.cancelled++
		}
	}()
	script(&Call{Request: request, w: w, r: r, closing: s.closing})
}
