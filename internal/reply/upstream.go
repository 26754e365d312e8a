package reply

import (
	"context"
	"fmt"
	"time"

	"parley/internal/prompt"
)

// Upstream is a model server. It is safe for concurrent use.
type Upstream interface {
	// Generate runs the model once on req and writes the pieces of the reply to
	// out, in order, as they arrive. It blocks until the model has finished and
	// calls out only before it returns, from one goroutine.
	//
	// A nil error means that completion was proven by a finish reason or by the
	// end marker of the protocol; a stream that just ends is ErrTruncated.
	// Result holds whatever is known, also beside an error. When ctx ends,
	// Generate returns promptly with an error that wraps context.Cause(ctx). All
	// other errors are *Error. It repeats a failed call by itself, a few times,
	// while it has written nothing to out.
	Generate(ctx context.Context, req Request, out Output) (Result, error)
}

// Output takes the pieces of a reply. A piece is never empty, is valid UTF-8
// except that a rune may be split over two pieces, and holds no NUL.
type Output interface {
	// Append appends to one of the reply's texts. A non-nil error (the reply is over
	// its limit, or may not be written any more) must end Generate, which returns it.
	Append(c Channel, piece string) error
}

// Request is one call of a model.
type Request struct {
	Model string
	// Messages are what package prompt made of the visible line.
	Messages   []prompt.Message
	Parameters Parameters
}

// FinishReason is why a model stopped.
type FinishReason string

// The finish reasons Parley stores. A reason it does not know is Stop.
const (
	FinishStop          FinishReason = "STOP"
	FinishLength        FinishReason = "LENGTH"
	FinishContentFilter FinishReason = "CONTENT_FILTER"
	FinishToolCalls     FinishReason = "TOOL_CALLS"
)

// Usage counts a call's tokens. Estimated says that the model server did not
// count and the numbers are a guess from the length of the text.
type Usage struct {
	PromptTokens     int
	CompletionTokens int
	CachedTokens     int // Part of PromptTokens; 0 when not told.
	ReasoningTokens  int // Part of CompletionTokens; 0 when not told.
	Estimated        bool
}

// Result is what is known of a call beside its text.
type Result struct {
	FinishReason FinishReason // "" when the model did not say.
	Usage        *Usage       // nil when the model server did not count.
	Model        string       // the model the server says it ran; "" when it does not say.
}

// Code names why a reply failed. Codes are stored with the message and shown to
// clients; a code never changes its meaning.
type Code string

// The codes of failed replies.
const (
	// CodeUnavailable: the model server cannot be reached or answers 5xx.
	CodeUnavailable Code = "UPSTREAM_UNAVAILABLE"
	// CodeTimeout: the model server stopped answering within its time limits.
	CodeTimeout Code = "UPSTREAM_TIMEOUT"
	// CodeTruncated: the stream ended without proof that the reply was complete.
	CodeTruncated Code = "UPSTREAM_TRUNCATED"
	// CodeProtocol: the answer is not what the protocol allows (HTML, bad JSON, a redirect).
	CodeProtocol Code = "UPSTREAM_PROTOCOL"
	// CodeRateLimited: the model server asks to slow down (429).
	CodeRateLimited Code = "UPSTREAM_RATE_LIMITED"
	// CodeQuota: the operator's account at the model server is used up.
	CodeQuota Code = "UPSTREAM_QUOTA"
	// CodeUnauthorized: the model server refuses the operator's key (401, 403).
	CodeUnauthorized Code = "UPSTREAM_UNAUTHORIZED"
	// CodeRejected: the model server refuses the request itself (400, 404, 413, 422).
	CodeRejected Code = "UPSTREAM_REJECTED"
	// CodeContextTooLong: the conversation does not fit into the model's context.
	CodeContextTooLong Code = "CONTEXT_TOO_LONG"
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
	// CodeDeleted: the conversation was deleted during the reply.
	CodeDeleted Code = "DELETED"
	// CodeInternal: a fault of this server.
	CodeInternal Code = "INTERNAL"
)

// Error is a failed call of a model. Its text may be logged but holds nothing
// the model server wrote; only Code is shown to clients.
type Error struct {
	Code       Code
	Status     int           // HTTP status of the model server, 0 when there was none.
	RetryAfter time.Duration // as the model server asked, 0 when it did not.
	Err        error         // the cause, for the log; nil when there is none.
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
