package upstream_test

import (
	"errors"
	"testing"
	"time"

	"parley/internal/reply"
	"parley/internal/upstream"
	"parley/internal/upstream/upstreamtest"
)

// quiet throws text away.
type quiet struct{}

func (quiet) Append(reply.Channel, string) error { return nil }

// An aside is asked once, whatever comes of it, and nothing that comes of it is held against
// replies, or for them.
func TestAsides(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
		ask := func(aside bool) reply.Code {
			_, err := c.Generate(t.Context(), reply.Request{Model: "test", Aside: aside}, quiet{})
			failure, _ := errors.AsType[*reply.Error](err)
			if failure == nil {
				return ""
			}
			return failure.Code
		}
		s.Always(upstreamtest.Fail(500, "down"))
		began := time.Now()
		for i := range 30 {
			if code := ask(true); code != reply.CodeUnavailable || len(s.Requests()) != i+1 {
				t.Fatalf("got %q after %d calls, want a failure of the only one", code, len(s.Requests())-i)
			}
		}
		if passed := time.Since(began); passed != 0 {
			t.Errorf("asides have waited %v to be repeated", passed)
		}
		s.Always(upstreamtest.Reply("fine"))
		if code := ask(false); code != "" {
			t.Fatalf("a reply after asides that failed: %q", code)
		}
		// While replies are given a pause, an aside that ends well does not end it.
		s.Always(upstreamtest.Fail(500, "down"))
		for range 5 {
			ask(false)
		}
		calls := len(s.Requests())
		s.Always(upstreamtest.Reply("fine"))
		if code := ask(false); code != reply.CodeUnavailable || len(s.Requests()) != calls {
			t.Fatalf("got %q and %d calls more, want a breaker that is open", code, len(s.Requests())-calls)
		}
		if code := ask(true); code != "" {
			t.Errorf("an aside: got %q", code)
		}
		if code := ask(false); code != reply.CodeUnavailable {
			t.Errorf("got %q, want a breaker that has not heard of the aside", code)
		}
	})
}
