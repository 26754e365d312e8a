package auth

import (
	"errors"
	"fmt"
	"time"

	"parley/internal/refusal"
)

// ErrExpired is wrapped by the refusal of an expired access token, and is the cause
// of a context from Service.Bind that ended with its access token.
var ErrExpired = errors.New("access token expired")

// ErrRevoked is wrapped by the refusal of a revoked AuthSession or a disabled user,
// and is the cause of a context from Service.Bind that ended for that reason.
var ErrRevoked = errors.New("access revoked")

// errCredentials is the one answer to every failed sign-in, whatever the reason.
func errCredentials() *refusal.Error {
	return refusal.Unauthenticated("The e-mail address or the password is wrong.", nil)
}

func errNotSignedIn(cause error) *refusal.Error {
	return refusal.Unauthenticated("Sign in to continue.", cause)
}

func errTokenExpired(cause error) *refusal.Error {
	return refusal.Unauthenticated("The access token has expired.", errors.Join(ErrExpired, cause))
}

func errRevoked(reason string) *refusal.Error {
	return refusal.Unauthenticated("Sign in again to continue.", fmt.Errorf("%w: %s", ErrRevoked, reason))
}

func errRateLimited(wait time.Duration, what string) *refusal.Error {
	e := refusal.RateLimited("There were too many attempts.", wait)
	e.Err = fmt.Errorf("limit: %s", what)
	return e
}

// unavailable wraps an error of the store. A refusal passes through unchanged.
func unavailable(operation string, cause error) error {
	if e, ok := refusal.As(cause); ok {
		return e
	}
	return refusal.Unavailable(fmt.Errorf("%s: %w", operation, cause))
}
