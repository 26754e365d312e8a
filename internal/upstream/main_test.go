package upstream_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/upstream"
	"parley/internal/waittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output records the pieces of a reply. after, if set, is called with each piece
// of text and its error is returned.
type output struct {
	text, reasoning strings.Builder
	pieces          int
	after           func(piece string) error
}

func (o *output) Append(c reply.Channel, piece string) error {
	if c == reply.Reasoning {
		o.reasoning.WriteString(piece)
		return nil
	}
	o.text.WriteString(piece)
	o.pieces++
	if o.after != nil {
		return o.after(piece)
	}
	return nil
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// serve starts a server for the length of the test and returns its base URL.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL + "/v1"
}

// client returns a client that is closed with the test.
func client(t *testing.T, cfg upstream.Config) *upstream.Client {
	t.Helper()
	c, err := upstream.New(cfg, discard())
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

// once is a configuration without retries, for tests of single attempts.
func once(baseURL string) upstream.Config {
	return upstream.Config{BaseURL: baseURL, MaxRetries: -1, Silence: 10 * time.Second}
}

func request(text string) reply.Request {
	return reply.Request{Model: "test", Messages: []prompt.Message{
		prompt.Say(prompt.System, "Be brief."),
		prompt.Say(prompt.User, text),
	}}
}

func generate(t *testing.T, c *upstream.Client) (*output, reply.Result, error) {
	t.Helper()
	out := &output{}
	result, err := c.Generate(t.Context(), request("hello"), out)
	return out, result, err
}

// code returns the code of err, "" for nil, and fails for any other error.
func code(t *testing.T, err error) reply.Code {
	t.Helper()
	if err == nil {
		return ""
	}
	var failure *reply.Error
	if !errors.As(err, &failure) {
		t.Fatalf("got error %v (%T), want a *reply.Error", err, err)
	}
	return failure.Code
}

func wantCode(t *testing.T, err error, want reply.Code) {
	t.Helper()
	if got := code(t, err); got != want {
		t.Errorf("got code %q (%v), want %q", got, err, want)
	}
}

// deadline bounds waits that should take no time at all.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waittest.Limit)
	t.Cleanup(cancel)
	return ctx
}
