package upstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"parley/internal/reply"
)

const (
	backoffBase = 500 * time.Millisecond
	backoffMax  = 8 * time.Second
	// retryFor is how long after the first try of a call the last one may begin.
	retryFor = 30 * time.Second

	budgetWindow = 60 * time.Second
	budgetMin    = 3  // retries that are always allowed within the window
	budgetShare  = 10 // one retry for this many requests
)

// retryable reports whether a call that wrote nothing may be repeated after err: one whose
// connection failed, and one that the server has not taken. What a server has received and is
// silent about, or has failed over, is not asked again: it may be paid for already.
func retryable(err *reply.Error) bool {
	switch err.Code {
	case reply.CodeUnavailable:
		return err.Status == 0 || busyStatus(err.Status)
	case reply.CodeRateLimited:
		return true
	case reply.CodeTruncated:
		return !errors.Is(err.Err, errCut) // The connection broke. One that ends may have said all.
	case reply.CodeUpstream:
		return busyStatus(err.Status)
	default:
		return false
	}
}

// statusOverloaded is the status of Anthropic's servers that have too much to do.
const statusOverloaded = 529

// busyStatus reports whether a status says that the request was not taken, but may be later.
func busyStatus(status int) bool {
	return status == http.StatusServiceUnavailable || status == statusOverloaded
}

// tellsWhen reports whether the server says when it is to be asked again, or that it is only
// starting. Such a server is not failing, and whoever waits for it does not burden it.
func tellsWhen(err *reply.Error) bool {
	return retryable(err) && err.Status != 0 && (err.RetryAfter > 0 || errors.Is(err.Err, errLoading))
}

// backoff returns how long to wait before the retry that follows n earlier ones, the call
// having begun so long ago, and false if the server asks for more patience than we have.
func backoff(n int, err *reply.Error, since time.Duration) (time.Duration, bool) {
	d := min(backoffBase<<n, backoffMax)
	d -= time.Duration(rand.Float64() * float64(d) / 4)
	if err.RetryAfter > 0 {
		d = max(err.RetryAfter, backoffBase)
	}
	return d, d <= retryFor-since
}

// wait blocks for d or until ctx ends, when it returns the cause.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// parseRetryAfter reads Retry-After-Ms and Retry-After, in seconds or as a date;
// 0 when there is none that makes sense.
func parseRetryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return positive(ms * float64(time.Millisecond))
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil {
		return positive(s * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil {
		return positive(float64(at.Sub(now)))
	}
	return 0
}

// positive turns nanoseconds into a duration of 0 up to a day, NaN into 0.
func positive(ns float64) time.Duration {
	if !(ns > 0) {
		return 0
	}
	return time.Duration(min(ns, float64(24*time.Hour)))
}

// budget bounds the retries of all calls together, so that a failing server does
// not get three times its usual load. It is safe for concurrent use.
type budget struct {
	mu       sync.Mutex // guards the fields below
	requests window
	retries  window
}

// request counts one call of Generate.
func (b *budget) request(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests.add(now, budgetWindow)
}

// retry takes one retry out of the budget, or reports that there is none left.
func (b *budget) retry(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	allowed := max(budgetMin, b.requests.sum(now, budgetWindow)/budgetShare)
	if b.retries.sum(now, budgetWindow) >= allowed {
		return false
	}
	b.retries.add(now, budgetWindow)
	return true
}
