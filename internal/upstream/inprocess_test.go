package upstream_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/upstream"
	"parley/internal/upstream/eliza"
)

func TestEliza(t *testing.T) {
	t.Parallel()
	c, err := upstream.NewInProcess(eliza.Handler(0), discard())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := c.Models(t.Context()); err != nil || !slices.Equal(got, []string{eliza.Model}) {
		t.Errorf("got models %v, %v, want eliza", got, err)
	}
	for _, test := range []struct {
		parameters reply.Parameters
		text       string
		finish     reply.FinishReason
	}{
		{reply.Parameters{}, "I am sorry to hear that you are sad.", reply.FinishStop},
		{reply.Parameters{MaxTokens: ptr(3)}, "I am sorry ", reply.FinishLength},
		{reply.Parameters{Stop: []string{" that", "zzz"}}, "I am sorry to hear", reply.FinishStop},
	} {
		out := &output{}
		result, err := c.Generate(t.Context(),
			reply.Request{Model: eliza.Model, Parameters: test.parameters, Messages: []prompt.Message{
				prompt.Say(prompt.System, "You are a pirate."), prompt.Say(prompt.User, "Hello"),
				prompt.Say(prompt.User, "I am very sad."),
			}}, out)
		if got := out.text.String(); err != nil || got != test.text || result.FinishReason != test.finish {
			t.Errorf("got %q, %v, %v, want %q, %v", got, result.FinishReason, err, test.text, test.finish)
		}
		if result.Model != eliza.Model || result.Usage == nil || result.Usage.PromptTokens != 9 {
			t.Errorf("got %+v, want model and usage", result)
		}
	}
	_, _, err = generate(t, c) // Of the model "test".
	wantCode(t, err, reply.CodeModelUnavailable)
}

// The reply comes at the pace of a quick typist, not at once.
func TestElizaPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := upstream.NewInProcess(eliza.Handler(25*time.Millisecond), discard())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		req := request("I am very sad.")
		req.Model = eliza.Model
		began := time.Now()
		out := &output{}
		if _, err := c.Generate(t.Context(), req, out); err != nil {
			t.Fatal(err)
		}
		if got, want := time.Since(began), time.Duration(out.pieces-1)*25*time.Millisecond; got != want ||
			out.pieces < 5 {
			t.Errorf("took %v for %d pieces, want %v", got, out.pieces, want)
		}
		// A stop in mid-reply ends the handler, too: the bubble would not end otherwise.
		ctx, cancel := context.WithCancelCause(t.Context())
		out = &output{after: func(string) error { cancel(errStopped); return nil }}
		if _, err := c.Generate(ctx, req, out); err == nil || out.pieces != 1 {
			t.Errorf("got %d pieces, %v, want 1 and the cause", out.pieces, err)
		}
	})
}

func TestInProcess(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		status  int
		body    string
		fails   bool // the round trip
		cut     bool // the body
	}{
		"nothing": {handler: func(http.ResponseWriter, *http.Request) {}, status: 200},
		"status": {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418); w.WriteHeader(500) },
			status: 418},
		"echo": {handler: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
			w.Header().Set("X", "too late")
		}, status: 200, body: "ping"},
		"abort": {handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fails: true},
		"panic": {handler: func(http.ResponseWriter, *http.Request) { panic("a bug") }, fails: true},
		"abort midway": {handler: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "a")
			panic(http.ErrAbortHandler)
		}, status: 200, body: "a", cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/y?z=1",
				io.NopCloser(io.LimitReader(repeat("ping"), 4)))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := upstream.InProcess(test.handler).RoundTrip(req)
			if test.fails {
				if err == nil {
					t.Error("got an answer, want an error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode != test.status || string(body) != test.body || (err != nil) != test.cut ||
				resp.Header.Get("X") != "" {
				t.Errorf("got %d %q %v %v, want %d %q", resp.StatusCode, body, err, resp.Header, test.status, test.body)
			}
		})
	}
}

type repeat string

func (r repeat) Read(p []byte) (int, error) { return copy(p, r), nil }

// Closing a body that is not read to its end ends the handler.
func TestInProcessClose(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := upstream.InProcess(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := io.WriteString(w, "x"); err != nil {
				<-r.Context().Done()
				ended <- err
				return
			}
		}
	})).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	select {
	case <-ended:
	case <-deadline(t).Done():
		t.Error("the handler did not end")
	}
}
