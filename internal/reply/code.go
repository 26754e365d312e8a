package reply

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley/internal/prompt"
	"parley/internal/refusal"
)

// Code names why a reply failed. Codes are stored with the message and shown to
// clients; a code never changes its meaning.
type Code string

// The codes of failed replies.
const (
	// CodeUnavailable: the model server cannot be reached or answers 5xx.
	CodeUnavailable Code = "UPSTREAM_UNAVAILABLE"
	// CodeTimeout: the model server was silent for longer than is allowed.
	CodeTimeout Code = "UPSTREAM_TIMEOUT"
	// CodeTruncated: the stream ended without proof that the reply was complete.
	CodeTruncated Code = "UPSTREAM_TRUNCATED"
	// CodeProtocol: the answer is not what the protocol allows (HTML, bad JSON, a redirect, a
	// path that does not exist, nothing, a call of a tool that was not offered).
	CodeProtocol Code = "UPSTREAM_PROTOCOL"
	// CodeRateLimited: the model server asks to slow down (429).
	CodeRateLimited Code = "UPSTREAM_RATE_LIMITED"
	// CodeQuota: the operator's account at the model server is used up.
	CodeQuota Code = "UPSTREAM_QUOTA"
	// CodeUnauthorized: the model server refuses the operator's key (401, 403).
	CodeUnauthorized Code = "UPSTREAM_UNAUTHORIZED"
	// CodeRejected: the model server refuses the request itself (400, 404, 413, 422), with words
	// that mean none of the other codes, and no parameter could be left out.
	CodeRejected Code = "UPSTREAM_REJECTED"
	// CodeModelUnavailable: the model server has no such model, or has it no more.
	CodeModelUnavailable = Code(refusal.CodeModelUnavailable)
	// CodeContextTooLong: the conversation does not fit into the model's context.
	CodeContextTooLong = Code(refusal.CodeContextTooLong)
	// CodeContentFilter: the model server refuses to answer this content.
	CodeContentFilter Code = "CONTENT_FILTER"
	// CodeUpstream: the model server reported an error of its own in mid-stream.
	CodeUpstream Code = "UPSTREAM_ERROR"
	// CodeLimit: the reply is longer, or took longer, than this server allows.
	CodeLimit Code = "LIMIT"
	// CodeCrashed: the server running the reply died too often.
	CodeCrashed Code = "CRASHED"
	// CodeRestarted: the server restarted during the reply and does not repeat it.
	CodeRestarted Code = "RESTARTED"
	// CodeDeleted: the reply was deleted while it was written, alone or with its conversation.
	CodeDeleted Code = "DELETED"
	// CodeInternal: a fault of this server.
	CodeInternal Code = "INTERNAL"
)

// WithholdsQuestion reports whether no later prompt holds the question whose reply failed so:
// the model server refused what it says, and would refuse it again.
func (c Code) WithholdsQuestion() bool { return slices.Contains(withholding[:], c) }

var withholding = [...]Code{CodeContextTooLong, CodeContentFilter, CodeRejected}

// Refused reports whether a reply was refused because of what it was asked, by the code it has
// failed with, or else by its finish reason: a filter has left nothing of it.
func Refused(status prompt.Status, why Code, content string) bool {
	switch status {
	case prompt.Failed:
		return why.WithholdsQuestion()
	case prompt.Completed:
		return why == Code(FinishContentFilter) && strings.TrimSpace(content) == ""
	}
	return false
}

// Explain returns a sentence for people about why a reply failed, and whether
// sending again may help.
func Explain(c Code) (message string, retryable bool) {
	switch c {
	case CodeUnavailable:
		return "The model server cannot be reached, or has failed. Send again in a while.", true
	case CodeTimeout:
		return "The model server stopped answering. Send again, or choose another model.", true
	case CodeTruncated:
		return "The reply was cut off before its end. Send again.", true
	case CodeProtocol:
		return "The model server gave an answer that makes no sense. Send again; if it stays so, tell whoever runs this server.", true
	case CodeRateLimited:
		return "The model server is busy. Send again in a while.", true
	case CodeQuota:
		return "The account at the model server is used up. Tell whoever runs this server, or choose another model.", false
	case CodeUnauthorized:
		return "The model server does not accept this server's key. Tell whoever runs this server, or choose another model.", false
	case CodeRejected:
		return "The model server refused the request. Change the parameters or the message, or choose another model.", false
	case CodeModelUnavailable:
		return "The model server does not have this model. Choose another one.", false
	case CodeContextTooLong:
		return "The conversation is too long for this model. Choose one with a larger context, or start a new conversation.", false
	case CodeContentFilter:
		return "The model server refuses to answer this. Write it in other words.", false
	case CodeUpstream:
		return "The model server failed in the middle of the reply. Send again.", true
	case CodeLimit:
		return "The reply became longer, or took longer, than this server allows. Ask for less at once.", false
	case CodeCrashed:
		return "The server failed several times over this reply. Send again.", true
	case CodeRestarted:
		return "The server restarted in the middle of the reply. Send again.", true
	case CodeDeleted:
		return "The reply was deleted while it was written.", false
	}
	return "The reply failed. Send again.", true
}

// Error is a failed call of a model. Its text may be logged but holds nothing
// the model server wrote; only Code is shown to clients.
type Error struct {
	Code       Code
	Status     int           // HTTP status of the model server, 0 when there was none.
	RetryAfter time.Duration // as the model server asked, 0 when it did not.
	// ContextTokens is the limit that a refusal for CodeContextTooLong named, 0 when it named none.
	ContextTokens int
	Err           error // the cause, for the log; nil when there is none.
}

// Error implements error.
func (e *Error) Error() string {
	text := string(e.Code)
	if e.Status != 0 {
		text += fmt.Sprintf(" (HTTP %d)", e.Status)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// reachedNoModel reports whether nothing can have been charged for a call that failed so before
// any text: the server was not reached, or has refused it. One that is silent may have begun.
func (e *Error) reachedNoModel() bool {
	switch e.Code {
	case CodeRateLimited, CodeQuota, CodeUnauthorized, CodeRejected, CodeModelUnavailable, CodeContextTooLong:
		return true
	case CodeUnavailable:
		return e.Status == 0 || e.Status >= 400
	}
	return e.Status >= 400
}

// sawNoModel reports whether a call has failed for a reason that has nothing to do with what was
// asked, before any model saw it: the same may go well in an hour.
func (e *Error) sawNoModel() bool {
	switch e.Code {
	case CodeRateLimited, CodeQuota, CodeUnauthorized, CodeModelUnavailable:
		return true
	case CodeUnavailable:
		dial, ok := errors.AsType[*net.OpError](e.Err)
		return ok && dial.Op == "dial" || e.Status == http.StatusBadGateway ||
			e.Status == http.StatusServiceUnavailable
	}
	return false
}
