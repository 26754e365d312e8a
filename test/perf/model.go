package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

const modelName = "perf"

// calls is what the model server has been asked for since the last reset.
type calls struct {
	Calls    int // All of them.
	Replies  int // Different keys.
	Repeated int // Keys that were asked for more than once.
	Finished int // Calls that were written to their end.
	Largest  int // The bytes of the longest request.
}

// scripted is a model server that answers each question as its script says.
type scripted struct {
	mu       sync.Mutex // guards the fields below
	times    map[string]int
	finished int
	largest  int
}

// serveModel serves until ctx ends. It writes its address as the first line.
func serveModel(ctx context.Context, out io.Writer) error {
	debug.SetGCPercent(400) // What it costs is taken from the servers under test.
	m := &scripted{times: make(map[string]int)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", m.answer)
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"object":"list","data":[{"id":%q,"object":"model"}]}`, modelName) // It may have gone.
	})
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(m.calls()) // The reader may have gone.
	})
	mux.HandleFunc("POST /reset", func(http.ResponseWriter, *http.Request) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.times, m.finished, m.largest = make(map[string]int), 0, 0
	})
	return serve(ctx, mux, out)
}

// serve serves on a free port of the loopback interface until ctx ends, and says where.
func serve(ctx context.Context, handler http.Handler, out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })() // Its error changes nothing any more.
	if _, err := fmt.Fprintln(out, listener.Addr()); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (m *scripted) calls() calls {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := calls{Replies: len(m.times), Finished: m.finished, Largest: m.largest}
	for _, n := range m.times {
		c.Calls += n
		if n > 1 {
			c.Repeated++
		}
	}
	return c
}

func (m *scripted) answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // The caller has gone.
	}
	s, err := parseScript(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	m.times[s.key]++
	m.largest = max(m.largest, len(body))
	m.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	if speak(w, r, s) == nil {
		m.mu.Lock()
		m.finished++
		m.mu.Unlock()
	}
}

const (
	eventHead = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"` + modelName +
		`","choices":[{"index":0,"delta":{"content":"`
	eventTail = "\"},\"finish_reason\":null}]}\n\n"
	eventLast = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"` + modelName +
		`","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
)

// speak writes the tokens one by one, as model servers do: each is flushed, at its time
// where there is a gap, however late the one before it was.
func speak(w http.ResponseWriter, r *http.Request, s script) error {
	flush := http.NewResponseController(w).Flush
	tag, event := tagOf(s.key), []byte(nil)
	begin := time.Now()
	for n := range s.tokens {
		if s.gap > 0 && n > 0 {
			if err := until(r.Context(), begin.Add(time.Duration(n)*s.gap)); err != nil {
				return err
			}
		}
		event = append(event[:0], eventHead...)
		event = appendToken(event, n, time.Now().UnixMicro(), tag, s.size)
		event = append(event, eventTail...)
		if _, err := w.Write(event); err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, eventLast)
	return err
}

// until waits for a time, or for the end of ctx, which is an error.
func until(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
