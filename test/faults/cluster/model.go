package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"parley/test/faults/history"
	"parley/test/faults/script"
)

// modelName is the only model of the scripted model server.
const modelName = "scripted"

// Model is a server that speaks OpenAI's streaming chat completions. It says what
// the question is the script of, and writes down every call.
type Model struct {
	history  *history.History
	listener net.Listener
	server   *http.Server
	served   chan struct{}

	mu    sync.Mutex // guards calls and what is in it
	calls map[string][]*Span
}

// Span is when a call began and, once it has, ended.
type Span struct {
	From, To time.Duration
	Ended    bool
}

// startModel serves on a free port of the loopback interface. The caller closes it.
func startModel(h *history.History) (*Model, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &Model{history: h, listener: l, served: make(chan struct{}), calls: make(map[string][]*Span)}
	m.server = &http.Server{Handler: m, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(m.served)
		_ = m.server.Serve(l) // Ends when it is closed.
	}()
	return m, nil
}

func (m *Model) addr() string { return m.listener.Addr().String() }

func (m *Model) close() {
	_ = m.server.Close() // Nothing to be done about connections that resist.
	<-m.served
}

// ServeHTTP answers a completion.
func (m *Model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // The caller has gone.
	}
	var prompt struct {
		Messages []struct{ Role, Content string }
	}
	if err := json.Unmarshal(body, &prompt); err != nil || len(prompt.Messages) == 0 {
		http.Error(w, "no prompt", http.StatusBadRequest)
		return
	}
	var q script.Question
	ok := false
	// The last message may ask for the rest of an answer.
	for at := len(prompt.Messages) - 1; at >= 0 && !ok; at-- {
		if prompt.Messages[at].Role == "user" {
			q, ok = script.Parse(prompt.Messages[at].Content)
		}
	}
	if !ok {
		http.Error(w, "no script", http.StatusBadRequest)
		return
	}
	at := &Span{From: m.history.Now()}
	m.mu.Lock()
	m.calls[q.Key] = append(m.calls[q.Key], at)
	c := &history.Call{Key: q.Key, Take: len(m.calls[q.Key]), Canaries: script.Canaries(body)}
	m.mu.Unlock()
	m.speak(w, r, q, c)
	m.mu.Lock()
	at.To, at.Ended = m.history.Now(), true
	m.mu.Unlock()
	m.history.AddAt(history.Record{Op: history.OpCall, From: at.From, At: at.To, Call: c})
}

// Take returns when a call for a key took place, counted from 1, and false when it
// has not begun yet.
func (m *Model) Take(key string, n int) (Span, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.calls[key]) < n {
		return Span{}, false
	}
	return *m.calls[key][n-1], true
}

// speak writes the answer word by word.
func (m *Model) speak(w http.ResponseWriter, r *http.Request, q script.Question, c *history.Call) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	tick := time.NewTicker(max(q.Pace, time.Millisecond))
	defer tick.Stop()
	for _, piece := range q.Pieces(c.Take) {
		if !writeEvent(w, map[string]any{"delta": map[string]string{"content": piece}, "index": 0}) || flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
	c.Finished = writeEvent(w, map[string]any{"delta": map[string]string{}, "index": 0, "finish_reason": "stop"})
	_, _ = io.WriteString(w, "data: [DONE]\n\n") // The caller may have gone.
}

func writeEvent(w io.Writer, choice map[string]any) bool {
	text, err := json.Marshal(map[string]any{
		"id": "c", "object": "chat.completion.chunk", "created": 1, "model": modelName, "choices": []any{choice},
	})
	if err != nil {
		return false
	}
	_, err = fmt.Fprintf(w, "data: %s\n\n", text)
	return err == nil
}
