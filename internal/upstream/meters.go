package upstream

import (
	"context"
	"errors"
	"strings"
	"time"

	"parley/internal/reply"
	"parley/internal/tally"
	"parley/internal/trace"
)

// Meters count the calls of one model server. They are safe for concurrent use.
type Meters struct {
	// Took is how long calls took, from the request to the end of the text, by the code they
	// ended with, in small letters: "ok" for none, "ended" for one that this side ended.
	Took *tally.Set[tally.Histogram]
	// Running is how many calls are under way.
	Running tally.Gauge
	// Retries counts calls that were made again.
	Retries tally.Counter
}

// What a call comes to beside a code.
const (
	callOK    = "ok"
	callEnded = "ended"
)

func newMeters() *Meters {
	names := []string{callOK, callEnded}
	for _, code := range []reply.Code{reply.CodeUnavailable, reply.CodeTimeout, reply.CodeTruncated, reply.CodeProtocol,
		reply.CodeRateLimited, reply.CodeQuota, reply.CodeUnauthorized, reply.CodeRejected, reply.CodeModelUnavailable,
		reply.CodeContentFilter, reply.CodeContextTooLong, reply.CodeUpstream, reply.CodeLimit, reply.CodeInternal} {
		names = append(names, strings.ToLower(string(code)))
	}
	return &Meters{Took: tally.NewSet(tally.NewLong, names...)}
}

// Meters returns what the client counts.
func (c *Client) Meters() *Meters { return c.meters }

// Paused reports whether calls fail at once, since the server has failed too often.
func (c *Client) Paused() bool {
	c.breaker.mu.Lock()
	defer c.breaker.mu.Unlock()
	return c.breaker.open
}

// call counts a call that begins. The caller calls done with what it came to.
func (m *Meters) call(ctx context.Context, model string) (_ context.Context, done func(err error)) {
	began := time.Now()
	m.Running.Add(1)
	asked := ctx
	ctx, span := trace.Call(ctx, "chat", trace.Text("gen_ai.operation.name", "chat"),
		trace.Text("gen_ai.request.model", model))
	return ctx, func(err error) {
		m.Running.Add(-1)
		code := callOK
		var failure *reply.Error
		switch {
		case err == nil:
		case errors.As(err, &failure):
			code = strings.ToLower(string(failure.Code))
		case asked.Err() != nil:
			code = callEnded
		default:
			code = tally.Other
		}
		m.Took.Of(code).Since(began)
		if code != callOK && code != callEnded {
			span.Fail(code)
		}
		span.End()
	}
}
