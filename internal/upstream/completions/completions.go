// Package completions is OpenAI's chat completion protocol as the model servers in this
// process speak it: eliza and script.
//
// It owns the request (Read), the answer, streamed or not (Answer), the list of models
// (Models) and refusals (Refuse). It does not own what is said, nor the client's half of
// the protocol, which is package upstream; it knows nothing of Parley.
//
// Its one invariant: an answer that was not given to its end by End holds neither a finish
// reason nor an end marker, so that nobody takes it for a whole one.
package completions

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
)

// maxBody bounds a request; it is above any conversation that Parley sends.
const maxBody = 256 << 20

// Request is the part of a request that matters here.
type Request struct {
	Model         string    `json:"model"`
	Messages      []Message `json:"messages"`
	Stream        bool      `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens           *int  `json:"max_tokens"`
	MaxCompletionTokens *int  `json:"max_completion_tokens"`
	Stop                stops `json:"stop"`
}

// Message is one message of a request.
type Message struct {
	Role    string  `json:"role"`
	Content content `json:"content"`
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

// Read reads a request for a model. When there is none it has answered, and reports false.
func Read(w http.ResponseWriter, r *http.Request, model string) (Request, bool) {
	var req Request
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil || json.Unmarshal(body, &req) != nil {
		Refuse(w, http.StatusBadRequest, "invalid_request_error", "invalid_body",
			"The body is not a chat completion request.")
		return Request{}, false
	}
	if req.Model != model {
		Refuse(w, http.StatusNotFound, "invalid_request_error", "model_not_found", "The only model here is "+model+".")
		return Request{}, false
	}
	return req, true
}

// Said are the texts of one role, oldest first.
func (r Request) Said(role string) []string {
	var said []string
	for _, m := range r.Messages {
		if m.Role == role {
			said = append(said, string(m.Content))
		}
	}
	return said
}

// promptTokens counts each word as a token.
func (r Request) promptTokens() int {
	n := 0
	for _, m := range r.Messages {
		n += len(strings.Fields(string(m.Content)))
	}
	return n
}

// Shape cuts a reply, of which each piece is a token, at the first stop text and at the
// limit of tokens, as the request asks. It returns the finish reason, too.
func (r Request) Shape(pieces []string) (cut []string, reason string) {
	if place := r.stopsAt(pieces); place >= 0 {
		pieces = slices.Clone(pieces)
		for i, p := range pieces {
			if place <= len(p) {
				pieces = append(pieces[:i], p[:place])
				break
			}
			place -= len(p)
		}
		pieces = slices.DeleteFunc(pieces, func(p string) bool { return p == "" })
	}
	limit := r.MaxTokens
	if r.MaxCompletionTokens != nil {
		limit = r.MaxCompletionTokens
	}
	if limit != nil && *limit > 0 && len(pieces) > *limit {
		return pieces[:*limit], "length"
	}
	return pieces, "stop"
}

// stopsAt returns the place of the first stop text, or -1.
func (r Request) stopsAt(pieces []string) int {
	place := -1
	if len(r.Stop) == 0 {
		return place
	}
	text := strings.Join(pieces, "")
	for _, s := range r.Stop {
		if i := strings.Index(text, s); s != "" && i >= 0 && (place < 0 || i < place) {
			place = i
		}
	}
	return place
}
