package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The codes of an Error. They are those of docs/protocol.md.
const (
	// CodeUnauthenticated says that the credentials are not, or no longer, good.
	CodeUnauthenticated = "UNAUTHENTICATED"
	// CodeForbidden says that this may not be done here, by anyone like the caller.
	CodeForbidden = "FORBIDDEN"
	// CodeNotFound says that the operator named no existing account.
	CodeNotFound = "NOT_FOUND"
	// CodeBadUserInput says that the input is at fault; Error.Fields says where.
	CodeBadUserInput = "BAD_USER_INPUT"
	// CodeRateLimited says when to try again, in Error.RetryAfter.
	CodeRateLimited = "RATE_LIMITED"
	// CodeUnavailable says that something we depend on does not answer.
	CodeUnavailable = "UNAVAILABLE"
)

// ErrExpired is wrapped by the Error for an expired access token, and is the cause
// of a context from Service.Bind that ended with its access token.
var ErrExpired = errors.New("access token expired")

// ErrRevoked is wrapped by the Error for a revoked AuthSession or a disabled user,
// and is the cause of a context from Service.Bind that ended for that reason.
var ErrRevoked = errors.New("access revoked")

// Error is the only error type the methods of Service return.
type Error struct {
	// Code is one of the codes above.
	Code string
	// Message is for the user. It holds no secrets and no internals.
	Message string
	// Fields says what is wrong with each input field, by its name in the API. It
	// is set with BAD_USER_INPUT only.
	Fields map[string]string
	// RetryAfter is how long to wait. It is set with RATE_LIMITED only.
	RetryAfter time.Duration
	// Err is the cause, for the log. It may be nil.
	Err error
}

// Error returns the code, the message and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Code + ": " + e.Message
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func unauthenticated(message string, cause error) *Error {
	return &Error{Code: CodeUnauthenticated, Message: message, Err: cause}
}

// errCredentials is the one answer to every failed sign-in, whatever the reason.
func errCredentials() *Error {
	return unauthenticated("The e-mail address or the password is wrong.", nil)
}

func errNotSignedIn(cause error) *Error {
	return unauthenticated("Sign in to continue.", cause)
}

func errTokenExpired(cause error) *Error {
	return unauthenticated("The access token has expired.", errors.Join(ErrExpired, cause))
}

func errRevoked(reason string) *Error {
	return unauthenticated("Sign in again to continue.", fmt.Errorf("%w: %s", ErrRevoked, reason))
}

func errForbidden(message string) *Error {
	return &Error{Code: CodeForbidden, Message: message}
}

func errRateLimited(wait time.Duration, what string) *Error {
	// Whole seconds, upwards: who waits exactly this long is let in.
	wait = (wait + time.Second - 1).Truncate(time.Second)
	return &Error{
		Code:       CodeRateLimited,
		Message:    fmt.Sprintf("Too many attempts. Try again in %s.", wait),
		RetryAfter: wait,
		Err:        fmt.Errorf("limit: %s", what),
	}
}

// unavailable wraps an error of the store. An *Error passes through unchanged.
func unavailable(operation string, cause error) error {
	if e, ok := errors.AsType[*Error](cause); ok {
		return e
	}
	return &Error{
		Code:    CodeUnavailable,
		Message: "The service cannot answer right now. Try again.",
		Err:     fmt.Errorf("%s: %w", operation, cause),
	}
}

// problems collects what is wrong with an input, so that all of it is said at once.
type problems map[string]string

func (p problems) add(field, problem string) {
	if problem != "" {
		p[field] = problem
	}
}

// err returns nil when nothing is wrong.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	lines := make([]string, 0, len(p))
	for field, problem := range p {
		lines = append(lines, field+": "+problem)
	}
	slices.Sort(lines)
	return &Error{Code: CodeBadUserInput, Message: strings.Join(lines, " "), Fields: p}
}
