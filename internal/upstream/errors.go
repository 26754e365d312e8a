package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"parley/internal/reply"
	"parley/internal/secret"
)

// classifier gives the error bodies of model servers a code. Nothing of a body
// ends up in an error; the log gets its words for the kind, at debug level.
type classifier struct {
	key secret.Text
}

// refusal is an error body, in the spellings that servers use:
// {"error":{"message","type","code"}}, {"error":"text"}, the same members at the
// top, and {"detail":...}.
type refusal struct {
	status  int    // a number in code that is an HTTP status
	kinds   string // codes and types, lower case, each between spaces
	message string // lower case
}

func readRefusal(body []byte) refusal {
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		var text string
		if json.Unmarshal(body, &text) != nil {
			text = string(body)
		}
		return refusal{kinds: " ", message: strings.ToLower(text)}
	}
	r := refusal{kinds: " "}
	r.members(top)
	var inner map[string]json.RawMessage
	if json.Unmarshal(top["error"], &inner) == nil {
		r.members(inner)
		var azure map[string]json.RawMessage
		if json.Unmarshal(inner["innererror"], &azure) == nil {
			r.members(azure)
		}
	} else {
		r.message += " " + strings.ToLower(string(top["error"]))
	}
	return r
}

func (r *refusal) members(m map[string]json.RawMessage) {
	for _, name := range []string{"code", "type", "status"} {
		var text string
		var number int
		switch {
		case json.Unmarshal(m[name], &number) == nil:
			if number >= 400 && number < 600 {
				r.status = number
			}
		case json.Unmarshal(m[name], &text) == nil:
			r.kinds += strings.ToLower(text) + " "
		}
	}
	for _, name := range []string{"message", "detail", "param"} {
		r.message += " " + strings.ToLower(string(m[name]))
	}
}

func (r *refusal) kind(words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(r.kinds, w) })
}

func (r *refusal) says(phrases ...string) bool {
	return slices.ContainsFunc(phrases, func(p string) bool { return strings.Contains(r.message, p) })
}

// special returns the code of a refusal that its words, not its status, decide.
func (r *refusal) special(status int) (reply.Code, bool) {
	switch {
	case r.kind("insufficient_quota", "insufficient_user_quota", "billing", "spend_limit_exceeded",
		"credit_balance", "payment_required", "insufficient_balance", "quota_exceeded "),
		status == http.StatusPaymentRequired:
		return reply.CodeQuota, true
	case status >= 500:
		// Not a refusal, whatever words it is made of.
		return "", false
	case r.kind("context_length_exceeded", "context_window_exceeded", "exceed_context_size",
		"model_max_prompt_tokens_exceeded"):
		return reply.CodeContextTooLong, true
	case r.kind("content_filter", "content_policy", "responsibleaipolicyviolation", "data_inspection_failed",
		"moderation"):
		return reply.CodeContentFilter, true
	case status != http.StatusTooManyRequests && status != http.StatusUnauthorized && r.says(
		"maximum context length", "context length exceeded", "context window", "available context size",
		"prompt is too long", "input is too long", "reduce the length of the messages"):
		return reply.CodeContextTooLong, true
	}
	return "", false
}

// errLoading says that the server will answer when it has started: llama.cpp, TabbyAPI and
// Hugging Face say so of a model.
var errLoading = errors.New("the model is being loaded")

// status returns the error for an answer whose status is not 200.
func (classifier) status(status int, header http.Header, body []byte) *reply.Error {
	r := readRefusal(body)
	err := &reply.Error{Status: status, RetryAfter: parseRetryAfter(header, time.Now())}
	if code, ok := r.special(status); ok {
		err.Code = code
		return err
	}
	switch {
	case status >= 500 || status == http.StatusConflict:
		err.Code = reply.CodeUnavailable
		if r.says("loading") && busyStatus(status) {
			err.Err = errLoading
		}
	case status == http.StatusRequestTimeout:
		err.Code = reply.CodeTimeout
	case status == http.StatusTooManyRequests:
		err.Code = reply.CodeRateLimited
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		err.Code = reply.CodeUnauthorized
	case status >= 400:
		err.Code = reply.CodeRejected
	default:
		// Redirects among them: a wrong base URL.
		err.Code = reply.CodeProtocol
		err.Err = errors.New("the status is neither 200 nor an error")
	}
	return err
}

var errReported = errors.New("the model server reported an error in the stream")

// frame returns the error that a frame of a stream reports.
func (classifier) frame(data []byte, header http.Header) *reply.Error {
	r := readRefusal(data)
	err := &reply.Error{Code: reply.CodeUpstream, Status: http.StatusOK, Err: errReported,
		RetryAfter: parseRetryAfter(header, time.Now())}
	if r.status != 0 {
		err.Status = r.status
	}
	if code, ok := r.special(r.status); ok {
		err.Code = code
		return err
	}
	switch {
	case r.status >= 500:
	case r.status == http.StatusTooManyRequests || r.kind("rate_limit", "too_many_requests", "resource_exhausted"):
		err.Code = reply.CodeRateLimited
	case r.status == http.StatusUnauthorized || r.status == http.StatusForbidden ||
		r.kind("invalid_api_key", "authentication_error", "permission_error", "unauthorized"):
		err.Code = reply.CodeUnauthorized
	case r.status == http.StatusRequestTimeout:
		err.Code = reply.CodeTimeout
	case r.status == http.StatusConflict:
	case r.status >= 400 || r.kind("invalid_request", "badrequesterror", "not_found", "invalid_argument"):
		err.Code = reply.CodeRejected
	}
	return err
}

// maxLoggedBytes bounds what is logged of an error.
const maxLoggedBytes = 2 << 10

// log notes an error of the model server, for debugging: the words it has for its kind, such
// as model_not_found, and nothing else. What it says in sentences may be a piece of the
// prompt, and a frame that cannot be read one of the reply.
func (c classifier) log(ctx context.Context, logger *slog.Logger, status int, body []byte) {
	if logger.Enabled(ctx, slog.LevelDebug) {
		logger.DebugContext(ctx, "model server reported an error", "status", status, "kinds",
			kindWords(readRefusal(body).kinds), "bytes", len(body))
	}
}

// knownKinds are the words of OpenAI, Azure, Anthropic, Gemini, OpenRouter, vLLM, llama.cpp
// and Ollama that are logged. A list, since a server may answer with what it was asked.
var knownKinds = []string{
	"api_error", "authentication_error", "badrequesterror", "billing_hard_limit_reached", "content_filter",
	"content_policy_violation", "context_length_exceeded", "context_window_exceeded", "data_inspection_failed",
	"deploymentnotfound", "engine_overloaded", "exceed_context_size_error", "insufficient_balance",
	"insufficient_quota", "internal", "internal_error", "internal_server_error", "invalid_api_key",
	"invalid_argument", "invalid_request", "invalid_request_error", "invalid_type", "invalid_value",
	"missing_required_parameter", "model_not_found", "not_found", "not_found_error", "notfounderror",
	"overloaded_error", "permission_denied", "permission_error", "quota_exceeded", "rate_limit_error",
	"rate_limit_exceeded", "requests", "resource_exhausted", "responsibleaipolicyviolation", "server_error",
	"service_unavailable", "timeout", "tokens", "too_many_requests", "unauthorized", "unavailable",
	"unavailable_error", "unknown_parameter", "unsupported_parameter", "unsupported_value",
}

// kindWords returns those of the kinds that are known, each once.
func kindWords(kinds string) []string {
	var words []string
	for _, w := range strings.Fields(kinds) {
		if slices.Contains(knownKinds, w) && !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	return words
}

var keyPattern = regexp.MustCompile(`(?i)\b(sk|pk|rk|key|gsk|xai)-[a-z0-9_*.-]+|bearer\s+[^\s"',}]+`)

// redact returns the start of text without anything that looks like a key.
func (c classifier) redact(text []byte) string {
	s := string(text)
	// Servers repeat a key masked, or escaped, so also pieces of it.
	s = c.key.Blot(s)
	// Cut afterwards: half a key would not be recognised.
	s = keyPattern.ReplaceAllString(s, secret.Redacted)
	if len(s) > maxLoggedBytes {
		s = s[:maxLoggedBytes]
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
