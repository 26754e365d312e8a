package eliza

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds a request; it is above any conversation that Parley sends.
const maxBody = 256 << 20

// Handler returns a model server with ELIZA as its only model: POST
// …/chat/completions, streamed or not, and GET …/models. It honours max_tokens,
// max_completion_tokens and stop, for which each word is a token, and ignores the
// other parameters. A streamed reply comes word by word with a pause of pace
// between two words, and ends early when the client goes away.
func Handler(pace time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", serveModels)
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		serveCompletion(w, r, pace)
	})
	return mux
}

func serveModels(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"object": "list",
		"data": []any{map[string]any{
			"id": Model, "object": "model", "created": 0, "owned_by": "parley", "description": Description,
		}},
	})
}

// request is the part of a request that matters here.
type request struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string  `json:"role"`
		Content content `json:"content"`
	} `json:"messages"`
	Stream        bool `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens           *int  `json:"max_tokens"`
	MaxCompletionTokens *int  `json:"max_completion_tokens"`
	Stop                stops `json:"stop"`
}

// content is a string or an array of parts, of which the texts count.
type content string

// UnmarshalJSON implements json.Unmarshaler.
func (c *content) UnmarshalJSON(b []byte) error {
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(b, &parts) == nil {
		for _, p := range parts {
			*c += content(p.Text)
		}
		return nil
	}
	return json.Unmarshal(b, (*string)(c))
}

// stops is a string or an array of strings.
type stops []string

// UnmarshalJSON implements json.Unmarshaler.
func (s *stops) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*s = stops{""}
		return json.Unmarshal(b, &(*s)[0])
	}
	return json.Unmarshal(b, (*[]string)(s))
}

func serveCompletion(w http.ResponseWriter, r *http.Request, pace time.Duration) {
	var req request
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil || json.Unmarshal(body, &req) != nil {
		writeError(w, http.StatusBadRequest, "invalid_request_error", "invalid_body",
			"The body is not a chat completion request.")
		return
	}
	if req.Model != Model {
		writeError(w, http.StatusNotFound, "invalid_request_error", "model_not_found", "The only model here is "+Model+
			".")
		return
	}
	var said []string
	promptWords := 0
	for _, m := range req.Messages {
		promptWords += len(strings.Fields(string(m.Content)))
		if m.Role == "user" {
			said = append(said, string(m.Content))
		}
	}
	limit := req.MaxTokens
	if req.MaxCompletionTokens != nil {
		limit = req.MaxCompletionTokens
	}
	words, reason := shape(Respond(said), req.Stop, limit)
	usage := map[string]any{
		"prompt_tokens": promptWords, "completion_tokens": len(words), "total_tokens": promptWords + len(words),
	}
	answer := map[string]any{"id": "eliza-" + strconv.Itoa(len(said)), "created": time.Now().Unix(), "model": Model}
	if !req.Stream {
		answer["object"] = "chat.completion"
		answer["choices"] = []any{map[string]any{
			"index":         0,
			"message":       map[string]any{"role": "assistant", "content": strings.Join(words, "")},
			"finish_reason": reason,
		}}
		answer["usage"] = usage
		writeJSON(w, http.StatusOK, answer)
		return
	}
	answer["object"] = "chat.completion.chunk"
	stream(r.Context(), w, pace, answer, words, reason, func() map[string]any {
		if req.StreamOptions.IncludeUsage {
			return usage
		}
		return nil
	}())
}

// stream sends the words and what ends a reply. It returns when the client goes
// away.
func stream(
	ctx context.Context, w http.ResponseWriter, pace time.Duration, answer map[string]any, words []string,
	reason string, usage map[string]any,
) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	send := func(payload string) bool {
		_, err := io.WriteString(w, "data: "+payload+"\n\n")
		return err == nil && http.NewResponseController(w).Flush() == nil
	}
	frame := func(delta map[string]any, finish any) bool {
		answer["choices"] = []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}}
		return send(encode(answer))
	}
	if !frame(map[string]any{"role": "assistant", "content": ""}, nil) {
		return
	}
	for i, word := range words {
		if i > 0 && !pause(ctx, pace) {
			return
		}
		if !frame(map[string]any{"content": word}, nil) {
			return
		}
	}
	if !frame(map[string]any{}, reason) {
		return
	}
	if usage != nil {
		answer["choices"], answer["usage"] = []any{}, usage
		if !send(encode(answer)) {
			return
		}
	}
	send("[DONE]")
}

// pause waits for d and reports whether the client is still there.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// shape cuts a reply at the first stop text and at the limit of words, and splits
// it into words with the space before them.
func shape(reply string, stop []string, limit *int) (words []string, reason string) {
	for _, s := range stop {
		if s == "" {
			continue
		}
		if before, _, found := strings.Cut(reply, s); found {
			reply = before
		}
	}
	for i, word := range strings.SplitAfter(reply, " ") {
		if word == "" {
			continue
		}
		if limit != nil && *limit > 0 && i >= *limit {
			return words, "length"
		}
		words = append(words, word)
	}
	return words, "stop"
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("eliza: " + err.Error()) // Maps of strings and numbers always encode.
	}
	return string(b)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, encode(v)) // The client went away.
}

func writeError(w http.ResponseWriter, status int, kind, code, message string) {
	writeJSON(w, status, map[string]any{"error": map[string]any{"message": message, "type": kind, "code": code,
		"param": nil}})
}
