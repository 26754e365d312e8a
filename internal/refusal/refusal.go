// Package refusal is the one voice in which Parley says no: the error that clients
// see, its codes, and the form of its sentences. It owns no rule about what is
// refused, and knows neither GraphQL nor the database.
//
// Its one invariant: a code never changes its meaning; docs/protocol.md lists all.
//
// A message is one or more full sentences for people. A problem of a field is a
// phrase that completes the field's name: "must not be empty". What helps to find the
// cause goes into Err, which only the log sees.
package refusal

import (
	"errors"
	"fmt"
	"time"
)

// Code is the stable code of a refusal, extensions.code for a client.
type Code string

// The codes that rooms refuse with. The transport has a few of its own, for what is no
// operation at all.
const (
	// CodeUnauthenticated says that the credentials are not, or no longer, good.
	CodeUnauthenticated Code = "UNAUTHENTICATED"
	// CodeForbidden says that this may not be done here, by anyone like the caller.
	CodeForbidden Code = "FORBIDDEN"
	// CodeNotFound says that there is no such thing, or that it is somebody else's.
	CodeNotFound Code = "NOT_FOUND"
	// CodeBadUserInput says that the input is at fault; Error.Fields says where.
	CodeBadUserInput Code = "BAD_USER_INPUT"
	// CodeIdempotencyConflict says that a client key was used for something else.
	CodeIdempotencyConflict Code = "IDEMPOTENCY_CONFLICT"
	// CodeStaleHead says that a conversation has gone on. Extra: headId.
	CodeStaleHead Code = "STALE_HEAD"
	// CodeConversationBusy says that a reply is being written. Extras: messageId,
	// startedAt.
	CodeConversationBusy Code = "CONVERSATION_BUSY"
	// CodeQueueFull says that too many replies wait already.
	CodeQueueFull Code = "QUEUE_FULL"
	// CodeContextTooLong says that a message, with what has to be sent beside it, does not fit
	// into a prompt. Extras: limitTokens, neededTokens, and limitBytes, neededBytes where the
	// limit is Parley's own.
	CodeContextTooLong Code = "CONTEXT_TOO_LONG"
	// CodeModelRequired says that a model must be named. Extra: models.
	CodeModelRequired Code = "MODEL_REQUIRED"
	// CodeModelUnavailable says that the model server does not list its models, does not have
	// the one that is to answer, or gives no name or summary. Extra: model, where one is gone.
	CodeModelUnavailable Code = "MODEL_UNAVAILABLE"
	// CodeTooComplex says that an operation asks for more than one may.
	CodeTooComplex Code = "OPERATION_TOO_COMPLEX"
	// CodeRateLimited says when to try again, in Error.RetryAfter.
	CodeRateLimited Code = "RATE_LIMITED"
	// CodeOverloaded says that the server has more to do than it can, and when to try again.
	// Nothing was written.
	CodeOverloaded Code = "OVERLOADED"
	// CodeQuotaExceeded says that the caller has used what is allowed. Extras: quota, and
	// resetsOn where it begins anew by itself.
	CodeQuotaExceeded Code = "QUOTA_EXCEEDED"
	// CodeUnavailable says that something we depend on does not answer.
	CodeUnavailable Code = "UNAVAILABLE"
	// CodeInternal says that the server is at fault. Extra: id. Only graph uses it, for
	// errors that are no refusals.
	CodeInternal Code = "INTERNAL"
)

// Error is a refusal. Once made it is for reading only.
type Error struct {
	Code Code
	// Message is for people. It holds no secrets and no internals.
	Message string
	// Fields says what is wrong with each input field, by its name in the API. It is
	// set with BAD_USER_INPUT, always, and only there.
	Fields map[string]string
	// RetryAfter is how long to wait, in whole seconds, at least one. It is set with
	// RATE_LIMITED and OVERLOADED, and with QUOTA_EXCEEDED where waiting helps.
	RetryAfter time.Duration
	// Extras are further facts for the client, as docs/protocol.md lists them.
	Extras map[string]any
	// Err is the cause, for the log. It may be nil.
	Err error
}

// Error returns the code, the message and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Extensions is what a client gets beside the message.
func (e *Error) Extensions() map[string]any {
	out := map[string]any{"code": string(e.Code)}
	for name, value := range e.Extras {
		out[name] = value
	}
	if e.Fields != nil {
		out["fields"] = e.Fields
	}
	if e.RetryAfter > 0 {
		out["retryAfter"] = int(wholeSeconds(e.RetryAfter) / time.Second)
	}
	return out
}

// As returns the refusal in an error's chain, and whether there is one.
func As(err error) (*Error, bool) { return errors.AsType[*Error](err) }

// Is reports whether an error is a refusal with this code.
func Is(err error, code Code) bool {
	e, ok := As(err)
	return ok && e.Code == code
}

// Unauthenticated asks the caller to sign in. The cause may be nil.
func Unauthenticated(message string, cause error) *Error {
	return &Error{Code: CodeUnauthenticated, Message: message, Err: cause}
}

// Forbidden says what may not be done, and what to do instead.
func Forbidden(message string) *Error { return &Error{Code: CodeForbidden, Message: message} }

// NotFound says that there is no such thing, named as in "conversation".
func NotFound(what string) *Error {
	return &Error{Code: CodeNotFound, Message: "There is no such " + what + "."}
}

// BadInput is BAD_USER_INPUT about one field.
func BadInput(field, problem string) *Error {
	return badInput(map[string]string{field: problem})
}

// TooLong says that an answer would have more bytes than one may have.
func TooLong(limit int) *Error {
	return &Error{
		Code: CodeTooComplex,
		Message: fmt.Sprintf("The answer would have more than %d bytes. "+
			"Ask for fewer entries at once, and for each text once.", limit),
	}
}

// RateLimited says which limit was met, and adds when to come back. Who waits exactly
// as long as it says is let in.
func RateLimited(message string, wait time.Duration) *Error {
	wait = wholeSeconds(wait)
	return &Error{
		Code:       CodeRateLimited,
		Message:    fmt.Sprintf("%s Try again in %s.", message, inWords(wait)),
		RetryAfter: wait,
	}
}

// Overloaded says that the server has too much to do, and for how long. A client that waits
// and sends again with the same key loses nothing.
func Overloaded(wait time.Duration) *Error {
	wait = wholeSeconds(wait)
	return &Error{
		Code:       CodeOverloaded,
		Message:    fmt.Sprintf("The server has too much to do right now. Try again in %s.", inWords(wait)),
		RetryAfter: wait,
	}
}

// QuotaExceeded says which quota is used up, and when it is worth while to try again; it
// begins anew on resetsOn.
func QuotaExceeded(quota, message string, wait time.Duration, resetsOn time.Time) *Error {
	wait = wholeSeconds(wait)
	return &Error{
		Code:       CodeQuotaExceeded,
		Message:    fmt.Sprintf("%s Try again in %s.", message, inWords(wait)),
		RetryAfter: wait,
		Extras:     map[string]any{"quota": quota, "resetsOn": Instant(resetsOn)},
	}
}

// OutOfRoom says which quota is used up until something is deleted. The message says what.
func OutOfRoom(quota, message string) *Error {
	return &Error{Code: CodeQuotaExceeded, Message: message, Extras: map[string]any{"quota": quota}}
}

// Unavailable says that something we depend on does not answer, and that trying again
// may help.
func Unavailable(cause error) *Error {
	return &Error{Code: CodeUnavailable, Message: "The server cannot do this right now. Try again.", Err: cause}
}

// Internal is the answer to an error that is no refusal. The id is in the log too.
func Internal(id string, cause error) *Error {
	return &Error{Code: CodeInternal, Message: "Internal error.", Extras: map[string]any{"id": id}, Err: cause}
}

// Codes lists all codes, in the order of docs/protocol.md.
func Codes() []Code {
	return []Code{
		CodeUnauthenticated, CodeForbidden, CodeNotFound, CodeBadUserInput, CodeIdempotencyConflict, CodeStaleHead,
		CodeConversationBusy, CodeQueueFull, CodeContextTooLong, CodeModelRequired, CodeModelUnavailable,
		CodeTooComplex, CodeRateLimited, CodeOverloaded, CodeQuotaExceeded, CodeUnavailable, CodeInternal,
	}
}
