package upstream_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/reply"
	"parley/internal/upstream"
	"parley/internal/upstream/upstreamtest"
)

// bubble runs test with the clock of a synctest bubble, a scripted server inside
// the process and a client of it with the default limits.
func bubble(t *testing.T, test func(t *testing.T, s *upstreamtest.Server, c *upstream.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := upstreamtest.New()
		c, err := upstream.NewInProcess(s, discard())
		if err != nil {
			t.Fatal(err)
		}
		test(t, s, c)
		c.Close()
		s.Close()
		synctest.Wait()
	})
}

func TestRetry(t *testing.T) {
	t.Parallel()
	status := func(status int, header ...string) upstreamtest.Script {
		return func(c *upstreamtest.Call) {
			h := http.Header{}
			for i := 0; i < len(header); i += 2 {
				h.Set(header[i], header[i+1])
			}
			c.Fail(status, h, `{"error":{"message":"x"}}`)
		}
	}
	raw := func(s string) upstreamtest.Script { return func(c *upstreamtest.Call) { c.Raw(s) } }
	for _, test := range []struct {
		name     string
		script   upstreamtest.Script
		requests int // when every request fails so
		min, max time.Duration
		code     reply.Code
	}{
		{"500", status(500), 3, 1125 * time.Millisecond, 1500 * time.Millisecond, reply.CodeUnavailable},
		{"502", status(502), 3, 0, 2 * time.Second, reply.CodeUnavailable},
		{"408", status(408), 3, 0, 2 * time.Second, reply.CodeTimeout},
		{"409", status(409), 3, 0, 2 * time.Second, reply.CodeUnavailable},
		{"429", status(429), 3, 0, 2 * time.Second, reply.CodeRateLimited},
		{"429, after 2 s", status(429, "Retry-After", "2"), 3, 4 * time.Second, 4 * time.Second, reply.CodeRateLimited},
		{"429, after 1500 ms", status(429, "Retry-After-Ms", "1500", "Retry-After", "9"), 3, 3 * time.Second,
			3 * time.Second, reply.CodeRateLimited},
		{"503, after 30 s", status(503, "Retry-After", "30"), 3, time.Minute, time.Minute, reply.CodeUnavailable},
		{"503, after a minute", status(503, "Retry-After", "60"), 1, 0, 0, reply.CodeUnavailable},
		{"cut", upstreamtest.Cut, 3, 0, 2 * time.Second, reply.CodeUnavailable},
		{"cut before text", func(c *upstreamtest.Call) { c.Raw(": hi\n\n"); c.Cut() }, 3, 0, 2 * time.Second,
			reply.CodeTruncated},
		{"empty", raw(""), 3, 0, 2 * time.Second, reply.CodeProtocol},
		{"web page", raw("<html>"), 3, 0, 2 * time.Second, reply.CodeProtocol},
		{"error frame", raw("data: {\"error\":{\"message\":\"x\"}}\n\n"), 3, 0, 2 * time.Second, reply.CodeUpstream},
		{"hang before header", upstreamtest.Hang, 3, 3 * time.Minute, 4 * time.Minute, reply.CodeTimeout},
		{"hang before text", func(c *upstreamtest.Call) { c.Raw(": hi\n\n"); c.Hang() }, 3, 3 * time.Minute,
			182 * time.Second, reply.CodeTimeout},
		{"400", status(400), 1, 0, 0, reply.CodeRejected},
		{"401", status(401), 1, 0, 0, reply.CodeUnauthorized},
		{"403", status(403), 1, 0, 0, reply.CodeUnauthorized},
		{"404", status(404), 1, 0, 0, reply.CodeRejected},
		{"413", status(413), 1, 0, 0, reply.CodeRejected},
		{"422", status(422), 1, 0, 0, reply.CodeRejected},
		{"302", status(302, "Location", "http://elsewhere/"), 1, 0, 0, reply.CodeProtocol},
		{"quota", upstreamtest.Fail(429, "insufficient_quota"), 1, 0, 0, reply.CodeQuota},
		{"context", upstreamtest.Fail(400, "context_length_exceeded"), 1, 0, 0, reply.CodeContextTooLong},
		{"content", upstreamtest.Fail(400, "content_filter"), 1, 0, 0, reply.CodeContentFilter},
		{"cut after text", upstreamtest.Then("some", upstreamtest.Cut), 1, 0, 0, reply.CodeTruncated},
		{"cut after reasoning", func(c *upstreamtest.Call) { c.Reasoning("hm"); c.Cut() }, 1, 0, 0,
			reply.CodeTruncated},
		{"hang after text", upstreamtest.Then("some", upstreamtest.Hang), 1, time.Minute, time.Minute,
			reply.CodeTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
				s.Always(test.script)
				began := time.Now()
				_, _, err := generate(t, c)
				took := time.Since(began)
				wantCode(t, err, test.code)
				if n := len(s.Requests()); n != test.requests {
					t.Errorf("got %d requests, want %d", n, test.requests)
				}
				if took < test.min || took > test.max {
					t.Errorf("took %v, want %v to %v", took, test.min, test.max)
				}
			})
			bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
				s.Next(test.script)
				out, _, err := generate(t, c)
				if test.requests == 1 {
					wantCode(t, err, test.code)
				} else if got, want := out.text.String(), "You said: hello"; err != nil || got != want {
					t.Errorf("after one failure: got %q, %v, want %q", got, err, want)
				}
			})
		})
	}
}

// A character that an attempt left unfinished does not leak into the next one.
func TestRetryForgetsHeldBytes(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
		s.Next(func(c *upstreamtest.Call) {
			c.Raw("data: {\"choices\":[{\"delta\":{\"content\":\"\xe2\x82\"}}]}\n\n")
			c.Cut()
		})
		out, _, err := generate(t, c)
		if got, want := out.text.String(), "You said: hello"; err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
}

func TestBudget(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
		s.Always(upstreamtest.Fail(429, "rate_limit_exceeded")) // Keeps the breaker closed.
		const calls = 200
		for range calls {
			_, _, err := generate(t, c)
			wantCode(t, err, reply.CodeRateLimited)
			time.Sleep(100 * time.Millisecond) // The bubble's clock.
		}
		if n := len(s.Requests()); n > calls*11/10+3 || n < calls+3 {
			t.Errorf("got %d requests for %d calls, want at most a tenth and 3 more", n, calls)
		}
		time.Sleep(2 * time.Minute)
		before := len(s.Requests())
		_, _, _ = generate(t, c)
		if n := len(s.Requests()) - before; n != 3 {
			t.Errorf("got %d requests after the window, want 3", n)
		}
	})
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
		s.Always(upstreamtest.Fail(500, "x"))
		for len(s.Requests()) < 5 {
			_, _, err := generate(t, c)
			wantCode(t, err, reply.CodeUnavailable)
		}
		opened := time.Now()
		_, _, err := generate(t, c)
		wantCode(t, err, reply.CodeUnavailable)
		if took := time.Since(opened); took != 0 || len(s.Requests()) != 5 {
			t.Errorf("open: took %v and %d requests, want 0 and 5", took, len(s.Requests()))
		}

		// One probe after 10 s; a failure keeps it open for another 10 s.
		time.Sleep(10 * time.Second)
		_, _, err = generate(t, c)
		wantCode(t, err, reply.CodeUnavailable)
		if n := len(s.Requests()); n != 6 {
			t.Errorf("got %d requests after the first probe, want 6", n)
		}

		// While a probe runs nobody else gets through.
		time.Sleep(10 * time.Second)
		pieces := make(chan string)
		s.Always(upstreamtest.Pieces(pieces))
		probe := make(chan error)
		go func() {
			_, err := c.Generate(t.Context(), request("hello"), &output{})
			probe <- err
		}()
		pieces <- "well"
		_, _, err = generate(t, c)
		wantCode(t, err, reply.CodeUnavailable)
		close(pieces)
		if err := <-probe; err != nil {
			t.Errorf("probe: %v", err)
		}
		if _, _, err := generate(t, c); err != nil {
			t.Errorf("after the probe: %v", err)
		}
		if n := len(s.Requests()); n != 8 {
			t.Errorf("got %d requests in all, want 8", n)
		}
	})
}

func TestBreakerRate(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
		open := false
		for range 30 {
			// Two failures, one success: never five in a row, but more than half.
			s.Next(upstreamtest.Fail(500, "x"), upstreamtest.Fail(500, "x"))
			before := len(s.Requests())
			_, _, _ = generate(t, c)
			if open = len(s.Requests()) == before; open {
				break
			}
		}
		if !open {
			t.Error("the breaker stayed closed at a failure rate of two thirds")
		}
	})
}

// Refusals, stops and poisonous prompts say nothing about the server's health.
func TestBreakerStaysClosed(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]upstreamtest.Script{
		"400": upstreamtest.Fail(400, "x"),
		"401": upstreamtest.Fail(401, "x"),
		"429": upstreamtest.Fail(429, "insufficient_quota"),
		"cut": upstreamtest.Then("some", upstreamtest.Cut),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
				s.Always(script)
				for range 40 {
					_, _, _ = generate(t, c)
				}
				if n := len(s.Requests()); n != 40 {
					t.Errorf("got %d requests, want 40", n)
				}
			})
		})
	}
	t.Run("stopped probe", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
			s.Always(upstreamtest.Fail(500, "x"))
			for len(s.Requests()) < 5 {
				_, _, _ = generate(t, c)
			}
			time.Sleep(11 * time.Second)
			s.Always(upstreamtest.Hang)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, _ = c.Generate(ctx, request("hello"), &output{})
			s.Always(upstreamtest.Reply("well"))
			if _, _, err := generate(t, c); err != nil {
				t.Errorf("after a stopped probe: %v", err)
			}
		})
	})
}

var errStopped = errors.New("stopped by the user")

// Whatever a call is doing, it ends at once with the cause of its context.
func TestCancel(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]upstreamtest.Script{
		"before header":   upstreamtest.Hang,
		"before text":     func(c *upstreamtest.Call) { c.Raw(": hi\n\n"); c.Hang() },
		"after text":      upstreamtest.Then("some", upstreamtest.Hang),
		"between retries": upstreamtest.Fail(500, "x"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
				s.Always(script)
				ctx, cancel := context.WithCancelCause(t.Context())
				ended := make(chan error)
				go func() {
					_, err := c.Generate(ctx, request("hello"), &output{})
					ended <- err
				}()
				synctest.Wait()
				at := time.Now()
				cancel(errStopped)
				err := <-ended
				if !errors.Is(err, errStopped) {
					t.Errorf("got %v, want the cause", err)
				}
				if took := time.Since(at); took != 0 {
					t.Errorf("took %v, want 0", took)
				}
				synctest.Wait()
				if n := s.Running(); n != 0 {
					t.Errorf("%d requests still run", n)
				}
			})
		})
	}
	t.Run("before the call", func(t *testing.T) {
		t.Parallel()
		s, base := upstreamtest.Start(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errStopped)
		if _, err := client(t, once(base)).Generate(ctx, request("hello"), &output{}); !errors.Is(err, errStopped) {
			t.Errorf("got %v, want the cause", err)
		}
		if n := len(s.Requests()); n != 0 {
			t.Errorf("got %d requests, want 0", n)
		}
	})
}

// Over a real socket the server sees that the reply is no longer wanted.
func TestCancelSocket(t *testing.T) {
	t.Parallel()
	for name, cancelled := range map[string]bool{"context": true, "output": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, base := upstreamtest.Start(t)
			s.Always(upstreamtest.Then("some", upstreamtest.Hang))
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			out := &output{after: func(string) error {
				if cancelled {
					cancel(errStopped)
					return nil
				}
				return errStopped
			}}
			_, err := client(t, once(base)).Generate(ctx, request("hello"), out)
			if !errors.Is(err, errStopped) {
				t.Errorf("got %v, want %v", err, errStopped)
			}
			if !cancelled && err != errStopped {
				t.Errorf("got %v, want the error of the output itself", err)
			}
			if err := s.Wait(deadline(t), func() bool { return s.Cancelled() == 1 }); err != nil {
				t.Errorf("the server did not see the end: %v", err)
			}
		})
	}
}

// Connections are used again although replies end before their connections do.
func TestReuse(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ports := map[string]bool{}
	handler := upstreamtest.New()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		ports[r.RemoteAddr] = true
		mu.Unlock()
		handler.ServeHTTP(w, r)
	})
	c := client(t, once(base))
	for range 20 {
		if _, _, err := generate(t, c); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ports) > 5 {
		t.Errorf("got %d connections for 20 replies in a row, want few", len(ports))
	}
}

func TestConnectErrors(t *testing.T) {
	t.Parallel()
	server := serve(t, func(http.ResponseWriter, *http.Request) {})
	for name, base := range map[string]string{
		"refused": "http://127.0.0.1:1/v1",
		"no name": "http://nowhere.invalid/v1",
		"no TLS":  strings.Replace(server, "http://", "https://", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, _, err := generate(t, client(t, once(base)))
			wantCode(t, err, reply.CodeUnavailable)
			if out.pieces != 0 {
				t.Errorf("got %d pieces, want 0", out.pieces)
			}
		})
	}
}
