package graph_test

import (
	"context"
	"testing"
	"time"

	"parley/internal/reply"
)

// piece is something a model writes.
type piece struct {
	text      string
	reasoning bool
}

// pieceModel is a reply.Upstream that writes exactly the pieces the test hands it,
// which no HTTP server can do: half a rune does not survive JSON.
type pieceModel struct {
	closed  chan struct{}
	waiting chan *script // the scripts whose call has begun
}

// script is one call of the model.
type script struct {
	request reply.Request
	steps   chan piece
	taken   chan struct{}
	end     chan error
	result  reply.Result // is what the model says at its end; set before end is sent.
}

func newPieceModel() *pieceModel {
	return &pieceModel{closed: make(chan struct{}), waiting: make(chan *script, 1000)}
}

func (m *pieceModel) close() { close(m.closed) }

// Generate implements reply.Upstream.
func (m *pieceModel) Generate(ctx context.Context, request reply.Request, out reply.Output) (reply.Result, error) {
	s := &script{request: request, steps: make(chan piece), taken: make(chan struct{}), end: make(chan error),
		result: reply.Result{FinishReason: reply.FinishStop,
			Usage: &reply.Usage{PromptTokens: 7, CompletionTokens: 5}}}
	m.waiting <- s
	for {
		select {
		case <-ctx.Done():
			return reply.Result{}, context.Cause(ctx)
		case <-m.closed:
			return reply.Result{}, &reply.Error{Code: reply.CodeUnavailable}
		case err := <-s.end:
			return s.result, err
		case p := <-s.steps:
			channel := reply.Content
			if p.reasoning {
				channel = reply.Reasoning
			}
			if err := out.Append(channel, p.text); err != nil {
				return reply.Result{}, err
			}
			select {
			case s.taken <- struct{}{}:
			case <-ctx.Done():
				return reply.Result{}, context.Cause(ctx)
			}
		}
	}
}

// call waits for the next call of the model.
func (m *pieceModel) call(t testing.TB) *script {
	t.Helper()
	select {
	case s := <-m.waiting:
		return s
	case <-time.After(patience):
		t.Fatal("the model was not called")
		return nil
	}
}

// write has the model write a piece and returns when it is in the reply.
func (s *script) write(t testing.TB, pieces ...piece) {
	t.Helper()
	for _, p := range pieces {
		late := time.After(patience)
		select {
		case s.steps <- p:
		case <-late:
			t.Fatal("the model was not read")
		}
		select {
		case <-s.taken:
		case <-late:
			t.Fatal("a piece was not taken")
		}
	}
}

func (s *script) say(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		s.write(t, piece{text: text})
	}
}

// give ends the call well, with what else a model says.
func (s *script) give(t testing.TB, result reply.Result) {
	t.Helper()
	s.result = result
	s.finish(t, nil)
}

// finish ends the call, well when err is nil.
func (s *script) finish(t testing.TB, err error) {
	t.Helper()
	select {
	case s.end <- err:
	case <-time.After(patience):
		t.Fatal("the model's call has gone")
	}
}
