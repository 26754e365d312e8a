package script

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"parley/internal/upstream/completions"
)

// refusal is a way in which model servers fail.
type refusal struct {
	name       string
	status     int
	kind, code string
	message    string
}

// refusals is a table, and read only. What passes is to be repeated in a minute, which is
// more than Parley waits: it is told at once.
var refusals = []refusal{
	{"unavailable", http.StatusServiceUnavailable, "server_error", "service_unavailable", "Overloaded."},
	{"timeout", http.StatusRequestTimeout, "timeout", "timeout", "This took too long."},
	{"protocol", http.StatusOK, "", "", "<html><title>Welcome</title></html>"},
	{"rate", http.StatusTooManyRequests, "rate_limit_error", "rate_limit_exceeded", "Too many requests."},
	{"quota", http.StatusTooManyRequests, "insufficient_quota", "insufficient_quota", "You have no money left."},
	{"key", http.StatusUnauthorized, "invalid_request_error", "invalid_api_key", "This key is not known."},
	{"rejected", http.StatusBadRequest, "invalid_request_error", "invalid_value", "This cannot be asked for."},
	{"model", http.StatusNotFound, "invalid_request_error", "model_not_found", "There is no such model any more."},
	// It names no limit: Parley would keep to it from then on.
	{"too-long", http.StatusBadRequest, "invalid_request_error", "context_length_exceeded",
		"The conversation is too long for this model."},
	{"filter", http.StatusBadRequest, "invalid_request_error", "content_filter", "This content is filtered."},
}

// ErrorNames are the ways of failing that /error knows.
func ErrorNames() []string {
	names := make([]string, 0, len(refusals))
	for _, r := range refusals {
		names = append(names, r.name)
	}
	return names
}

func refusalNamed(name string) refusal {
	for _, r := range refusals {
		if r.name == name {
			return r
		}
	}
	return refusal{name: name, status: http.StatusInternalServerError, kind: "server_error", code: "internal_error",
		message: "The script says so."}
}

// Handler returns a model server with the script as its only model: POST …/chat/completions,
// streamed or not, and GET …/models. It honours max_tokens, max_completion_tokens and stop,
// and ignores the other parameters. An answer ends early when the client goes away.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		completions.Models(w, Model, Description)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		req, ok := completions.Read(w, r, Model)
		if !ok {
			return
		}
		said := req.Said("user")
		if len(said) == 0 {
			said = []string{"/help"}
		}
		answer := completions.Begin(w, r, req, "script-"+strconv.Itoa(len(said)))
		p := planOf(said, req.Said("assistant"))
		if answer.Pause(p.wait) {
			serve(w, req, answer, p)
		}
	})
	return mux
}

// planOf is the plan for what the user has said last, beside what was answered.
func planOf(said, answered []string) plan {
	last := said[len(said)-1]
	if text, ok := aside(last); ok {
		return plan{text: text, reason: "stop"}
	}
	if goesOn(last) && len(said) > 1 && len(answered) > 0 {
		return rest(said[len(said)-2], answered[len(answered)-1])
	}
	return read(last)
}

// serve gives an answer to a plan.
func serve(w http.ResponseWriter, req completions.Request, answer *completions.Answer, p plan) {
	if p.refusal != "" && p.ending != failed {
		refuse(w, refusalNamed(p.refusal))
		return
	}
	if !answer.Open() || !think(answer, p) {
		return
	}
	pieces, reason := req.Shape(p.pieces())
	if reason == "stop" {
		reason = p.reason
	}
	if p.ending != whole {
		pieces = pieces[:min(p.after, len(pieces))]
	}
	for i, piece := range pieces {
		if i > 0 && !answer.Pause(p.pace) || !answer.Text(piece) {
			return
		}
	}
	switch p.ending {
	case failed:
		e := refusalNamed(p.refusal)
		answer.Fail(e.status, e.kind, e.code, e.message)
		return
	case cut:
		return
	case hung:
		answer.Hang()
		return
	case whole:
	}
	if p.cited && !answer.Delta("annotations", annotations(pieces)) ||
		p.pictured && !answer.Delta("images", images()) {
		return
	}
	usage := &completions.Usage{Completion: len(pieces) + p.thought, Reasoning: p.thought}
	if p.uncounted {
		usage = nil
	}
	answer.End(reason, usage)
}

// think sends the reasoning.
func think(answer *completions.Answer, p plan) bool {
	pace := p.pace
	if p.thinking > 0 {
		pace = p.thinking / time.Duration(p.thought)
	}
	for _, piece := range thoughts(p.thought) {
		if !answer.Delta("reasoning_content", piece) || !answer.Pause(pace) {
			return false
		}
	}
	return true
}

func refuse(w http.ResponseWriter, e refusal) {
	if e.status == http.StatusOK {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, e.message) // The client went away.
		return
	}
	w.Header().Set("Retry-After", "60")
	completions.Refuse(w, e.status, e.kind, e.code, e.message)
}
