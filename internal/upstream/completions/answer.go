package completions

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Answer is the answer to a request. It is used by one goroutine. Its methods report false
// when the client has gone away; there is nothing more to do then.
type Answer struct {
	w     http.ResponseWriter
	r     *http.Request
	req   Request
	frame map[string]any
	// message is what is collected for a client that wants no stream.
	message map[string]any
}

// Begin begins the answer to a request, with an id of its own. It sends nothing yet.
func Begin(w http.ResponseWriter, r *http.Request, req Request, id string) *Answer {
	return &Answer{w: w, r: r, req: req,
		frame:   map[string]any{"id": id, "created": time.Now().Unix(), "model": req.Model},
		message: map[string]any{"role": "assistant", "content": ""},
	}
}

// Open sends what comes before the first piece. It must be called once.
func (a *Answer) Open() bool {
	if !a.req.Stream {
		return true
	}
	a.frame["object"] = "chat.completion.chunk"
	a.w.Header().Set("Content-Type", "text/event-stream")
	a.w.Header().Set("Cache-Control", "no-store")
	return a.choice(map[string]any{"role": "assistant", "content": ""}, nil)
}

// Text sends a piece of the reply.
func (a *Answer) Text(piece string) bool { return a.Delta("content", piece) }

// Delta sends a member of a delta. Texts of a member follow one another; of anything else
// the last one counts for a client that wants no stream.
func (a *Answer) Delta(member string, value any) bool {
	if a.req.Stream {
		return a.choice(map[string]any{member: value}, nil)
	}
	if piece, ok := value.(string); ok {
		held, _ := a.message[member].(string)
		value = held + piece
	}
	a.message[member] = value
	return true
}

// Pause waits before the next piece. A client that wants no stream does not wait.
func (a *Answer) Pause(d time.Duration) bool {
	if d <= 0 || !a.req.Stream {
		return a.r.Context().Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-a.r.Context().Done():
		return false
	case <-timer.C:
		return true
	}
}

// Hang says nothing more until the client goes away. It blocks.
func (a *Answer) Hang() { <-a.r.Context().Done() }

// Usage is what a reply has cost.
type Usage struct {
	// Completion counts all tokens of the reply, and Reasoning those of them that were thought.
	Completion, Reasoning int
}

// End says that the reply is whole, why it ended and, unless usage is nil, what it has cost.
func (a *Answer) End(reason string, usage *Usage) {
	var counted map[string]any
	if usage != nil {
		prompt := a.req.promptTokens()
		counted = map[string]any{"prompt_tokens": prompt, "completion_tokens": usage.Completion,
			"total_tokens": prompt + usage.Completion}
		if usage.Reasoning > 0 {
			counted["completion_tokens_details"] = map[string]any{"reasoning_tokens": usage.Reasoning}
		}
	}
	if !a.req.Stream {
		a.frame["object"], a.frame["usage"] = "chat.completion", counted
		a.frame["choices"] = []any{map[string]any{"index": 0, "message": a.message, "finish_reason": reason}}
		writeJSON(a.w, http.StatusOK, a.frame)
		return
	}
	if !a.choice(map[string]any{}, reason) {
		return
	}
	if counted != nil && a.req.StreamOptions.IncludeUsage {
		a.frame["choices"], a.frame["usage"] = []any{}, counted
		if !a.send(encode(a.frame)) {
			return
		}
	}
	a.send("[DONE]")
}

// Fail reports an error in the middle of the reply, which ends it. A client that wants no
// stream gets it in place of the reply.
func (a *Answer) Fail(status int, kind, code, message string) {
	if !a.req.Stream {
		Refuse(a.w, status, kind, code, message)
		return
	}
	a.send(encode(problem(kind, code, message)))
}

func (a *Answer) choice(delta map[string]any, finish any) bool {
	a.frame["choices"] = []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}}
	return a.send(encode(a.frame))
}

func (a *Answer) send(payload string) bool {
	_, err := io.WriteString(a.w, "data: "+payload+"\n\n")
	return err == nil && http.NewResponseController(a.w).Flush() == nil
}

// Models answers with a list of one model.
func Models(w http.ResponseWriter, model, description string) {
	writeJSON(w, http.StatusOK, map[string]any{
		"object": "list",
		"data": []any{map[string]any{
			"id": model, "object": "model", "created": 0, "owned_by": "parley", "description": description,
		}},
	})
}

// Refuse answers with an error.
func Refuse(w http.ResponseWriter, status int, kind, code, message string) {
	writeJSON(w, status, problem(kind, code, message))
}

func problem(kind, code, message string) map[string]any {
	return map[string]any{"error": map[string]any{"message": message, "type": kind, "code": code, "param": nil}}
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("completions: " + err.Error()) // Maps of strings and numbers always encode.
	}
	return string(b)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, encode(v)) // The client went away.
}
