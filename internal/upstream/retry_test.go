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
	loading := func(status int) upstreamtest.Script {
		return func(c *upstreamtest.Call) {
			c.Fail(status, nil, `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`)
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
		// What the server has not taken, or was not reached with.
		{"429", status(429), 4, 2625 * time.Millisecond, 3500 * time.Millisecond, reply.CodeRateLimited},
		{"429, after 2 s", status(429, "Retry-After", "2"), 9, 16 * time.Second, 16 * time.Second,
			reply.CodeRateLimited},
		{"429, after 7 s", status(429, "Retry-After", "7"), 5, 28 * time.Second, 28 * time.Second,
			reply.CodeRateLimited},
		{"429, after 1500 ms", status(429, "Retry-After-Ms", "1500", "Retry-After", "9"), 9, 12 * time.Second,
			12 * time.Second, reply.CodeRateLimited},
		{"429, at once", status(429, "Retry-After-Ms", "1"), 9, 4 * time.Second, 4 * time.Second,
			reply.CodeRateLimited},
		{"503", status(503), 4, 2625 * time.Millisecond, 3500 * time.Millisecond, reply.CodeUnavailable},
		{"529", status(529), 4, 0, 4 * time.Second, reply.CodeUnavailable},
		{"503, after 30 s", status(503, "Retry-After", "30"), 2, 30 * time.Second, 30 * time.Second,
			reply.CodeUnavailable},
		{"503, after a minute", status(503, "Retry-After", "60"), 1, 0, 0, reply.CodeUnavailable},
		{"cut", upstreamtest.Cut, 4, 0, 4 * time.Second, reply.CodeUnavailable},
		{"cut before text", func(c *upstreamtest.Call) { c.Raw(": hi\n\n"); c.Cut() }, 4, 0, 4 * time.Second,
			reply.CodeTruncated},
		{"busy in the stream", raw("data: {\"error\":{\"code\":503,\"message\":\"x\"}}\n\n"), 4, 0, 4 * time.Second,
			reply.CodeUpstream},
		// What it has received may be paid for.
		{"500", status(500), 1, 0, 0, reply.CodeUnavailable},
		{"500, loading", loading(500), 1, 0, 0, reply.CodeUnavailable},
		{"502", status(502), 1, 0, 0, reply.CodeUnavailable},
		{"504, after 1 s", status(504, "Retry-After", "1"), 1, 0, 0, reply.CodeUnavailable},
		{"408", status(408), 1, 0, 0, reply.CodeTimeout},
		{"409", status(409), 1, 0, 0, reply.CodeUnavailable},
		{"empty", raw(""), 1, 0, 0, reply.CodeProtocol},
		{"nothing said", raw(": hi\n\n"), 1, 0, 0, reply.CodeProtocol},
		{"web page", raw("<html>"), 1, 0, 0, reply.CodeProtocol},
		{"error frame", raw("data: {\"error\":{\"message\":\"x\"}}\n\n"), 1, 0, 0, reply.CodeUpstream},
		{"hang before header", upstreamtest.Hang, 1, 5 * time.Minute, 5 * time.Minute, reply.CodeTimeout},
		{"hang before text", func(c *upstreamtest.Call) { c.Raw(": hi\n\n"); c.Hang() }, 1, 5 * time.Minute,
			5 * time.Minute, reply.CodeTimeout},
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
		{"hang after text", upstreamtest.Then("some", upstreamtest.Hang), 1, 5 * time.Minute,
			5 * time.Minute, reply.CodeTimeout},
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
		if n := len(s.Requests()) - before; n != 4 {
			t.Errorf("got %d requests after the window, want 4", n)
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

		// A probe that says nothing keeps nobody else out for longer than that.
		time.Sleep(10 * time.Second)
		pieces := make(chan string)
		s.Always(upstreamtest.Pieces(pieces))
		probes := make(chan error)
		probe := func(want int) {
			t.Helper()
			go func() {
				_, err := c.Generate(t.Context(), request("hello"), &output{})
				probes <- err
			}()
			synctest.Wait()
			if n := len(s.Requests()); n != want {
				t.Fatalf("got %d requests, want %d", n, want)
			}
		}
		probe(7)
		_, _, err = generate(t, c)
		wantCode(t, err, reply.CodeUnavailable)
		time.Sleep(10 * time.Second)
		probe(8)

		// The first word says that the server is back.
		pieces <- "well"
		synctest.Wait()
		if c.Paused() {
			t.Error("the server speaks, and calls are paused")
		}
		s.Always(upstreamtest.Reply("fine"))
		if _, _, err := generate(t, c); err != nil {
			t.Errorf("after the first word of a probe: %v", err)
		}
		close(pieces)
		for range 2 {
			if err := <-probes; err != nil {
				t.Errorf("probe: %v", err)
			}
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
		"between retries": upstreamtest.Fail(503, "x"),
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

// A server that is silent is waited for as long as is allowed, and asked once: the header, the
// comments and the first piece share one patience, and each piece begins a new one.
func TestPatience(t *testing.T) {
	t.Parallel()
	pause := func(c *upstreamtest.Call, d time.Duration) {
		select { // By the bubble's clock.
		case <-time.After(d):
		case <-c.Context().Done():
		}
	}
	after := func(d time.Duration, then upstreamtest.Script) upstreamtest.Script {
		return func(c *upstreamtest.Call) { pause(c, d); then(c) }
	}
	comments := func(n int, every time.Duration, then upstreamtest.Script) upstreamtest.Script {
		return func(c *upstreamtest.Call) {
			for range n {
				c.Raw(": still here\n\n")
				pause(c, every)
			}
			then(c)
		}
	}
	said := upstreamtest.Reply("Rivers run.")
	for name, test := range map[string]struct {
		script upstreamtest.Script
		code   reply.Code
		took   time.Duration
	}{
		"slow header":      {after(75*time.Second, said), "", 75 * time.Second},
		"slow first token": {comments(1, 75*time.Second, said), "", 75 * time.Second},
		"nearly too slow":  {after(299*time.Second, said), "", 299 * time.Second},
		"header too slow":  {after(301*time.Second, said), reply.CodeTimeout, 300 * time.Second},
		"half and half":    {after(200*time.Second, comments(1, 99*time.Second, said)), "", 299 * time.Second},
		"more than half twice": {after(200*time.Second, comments(1, 101*time.Second, said)), reply.CodeTimeout,
			300 * time.Second},
		"comments only": {comments(100, 10*time.Second, said), reply.CodeTimeout, 300 * time.Second},
		"between two":   {upstreamtest.Then("some ", after(299*time.Second, said)), "", 299 * time.Second},
		"a slow talker, too long": {upstreamtest.Then("some ", after(299*time.Second, upstreamtest.Then("more",
			after(301*time.Second, said)))), reply.CodeTimeout, 599 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
				s.Always(test.script)
				began := time.Now()
				_, _, err := generate(t, c)
				wantCode(t, err, test.code)
				if took := time.Since(began); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				if n := len(s.Requests()); n != 1 {
					t.Errorf("the model was called %d times, want once", n)
				}
			})
		})
	}
}

// A server that loads its model for a while is waited for, and the breaker stays closed for
// all others who wait.
func TestLoading(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
		began := time.Now()
		s.Always(func(call *upstreamtest.Call) {
			if time.Since(began) < 8*time.Second {
				call.Fail(503, nil, `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`)
				return
			}
			upstreamtest.Reply("Rivers run.")(call)
		})
		const users = 10
		ended := make(chan error)
		for range users {
			go func() {
				_, err := c.Generate(t.Context(), request("hello"), &output{})
				ended <- err
			}()
		}
		for range users {
			if err := <-ended; err != nil {
				t.Errorf("got %v, want the text", err)
			}
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
		if c.Paused() {
			t.Error("calls are paused, since a server was loading")
		}
	})
}

// A server that never gets ready is given up after 30 s.
func TestLoadingForEver(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
		began := time.Now()
		s.Always(func(call *upstreamtest.Call) { call.Fail(503, nil, `{"error":"Model m is currently loading"}`) })
		_, _, err := generate(t, c)
		wantCode(t, err, reply.CodeUnavailable)
		if n, took := len(s.Requests()), time.Since(began); n < 6 || n > 9 || took > 30*time.Second {
			t.Errorf("%d requests in %v, want about 8 in at most 30 s", n, took)
		}
	})
}
