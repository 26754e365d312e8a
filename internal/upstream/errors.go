package upstream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley/internal/reply"
	"parley/internal/secret"
)

// classifier gives the error bodies of model servers a code. Nothing of a body is the text of
// an error. The log gets the server's words without keys, addresses and pieces of the prompt.
type classifier struct {
	key secret.Text
}

// errLoading says that the server will answer when it has started: llama.cpp, TabbyAPI and
// Hugging Face say so of a model.
var errLoading = errors.New("the model is being loaded")

// errWrongPath says that the server does not know where it was asked.
var errWrongPath = errors.New("the model server has no such path")

// status returns the error for an answer whose status is not 200.
func (c classifier) status(status int, header http.Header, body []byte) *reply.Error {
	r := readRefusal(body)
	err := &reply.Error{Status: status, RetryAfter: parseRetryAfter(header, time.Now())}
	if code, ok := r.special(status); ok {
		err.Code = code
		return r.on(err, nil)
	}
	var cause error
	switch {
	case r.wrongPath(status):
		err.Code, cause = reply.CodeProtocol, errWrongPath
	case status >= 500 || status == http.StatusConflict:
		err.Code = reply.CodeUnavailable
		if r.says("loading") && busyStatus(status) {
			cause = errLoading
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
		cause = errors.New("the status is neither 200 nor an error")
	}
	return r.on(err, cause)
}

// on puts into an error what a refusal says beside its code: the limit of a context, and its
// words for the log.
func (r *refusal) on(err *reply.Error, cause error) *reply.Error {
	if err.Code == reply.CodeContextTooLong {
		err.ContextTokens = r.limit()
	}
	err.Err = &said{cause: cause, words: r.words, kinds: kindWords(r.kinds), window: r.window}
	return err
}

var errReported = errors.New("the model server reported an error in the stream")

// frame returns the error that a frame of a stream reports.
func (c classifier) frame(data []byte, header http.Header) *reply.Error {
	r := readRefusal(data)
	err := &reply.Error{Code: reply.CodeUpstream, Status: http.StatusOK,
		RetryAfter: parseRetryAfter(header, time.Now())}
	if r.status != 0 {
		err.Status = r.status
	}
	if code, ok := r.special(r.status); ok {
		err.Code = code
		return r.on(err, errReported)
	}
	switch {
	case r.status >= 500:
	case r.status == http.StatusTooManyRequests:
		err.Code = reply.CodeRateLimited
	case r.status == http.StatusUnauthorized || r.status == http.StatusForbidden:
		err.Code = reply.CodeUnauthorized
	case r.status == http.StatusRequestTimeout:
		err.Code = reply.CodeTimeout
	case r.status == http.StatusConflict:
	case r.status >= 400 || r.kind("invalid_request", "badrequesterror", "not_found", "invalid_argument"):
		err.Code = reply.CodeRejected
	}
	return r.on(err, errReported)
}

// log notes an error in a stream, for debugging: the words it has for its kind, such as
// model_not_found, and nothing else. What it says in sentences may be a piece of the prompt, and
// a frame that cannot be read one of the reply.
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
