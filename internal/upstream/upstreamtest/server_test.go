package upstreamtest_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"parley/internal/upstream/upstreamtest"
	"parley/internal/waittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func post(ctx context.Context, t *testing.T, base string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/chat/completions",
		strings.NewReader(`{"model":"m","stream":true,"messages":[{"role":"system","content":"s"},{"role":"user","content":"a b"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestScripts(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	s, base := upstreamtest.Start(t)
	s.Next(upstreamtest.Fail(503, "busy"), upstreamtest.Then("x", upstreamtest.Cut),
		upstreamtest.Then("x", func(c *upstreamtest.Call) { c.Reset() }))
	if resp := post(t.Context(), t, base); resp.StatusCode != 503 {
		t.Errorf("got status %d, want 503", resp.StatusCode)
	}
	for _, name := range []string{"cut", "reset"} {
		if _, err := io.ReadAll(post(t.Context(), t, base).Body); err == nil {
			t.Errorf("%s: got a complete answer", name)
		}
	}
	got, err := io.ReadAll(post(t.Context(), t, base).Body)
	if err != nil || !strings.Contains(string(got), `"a "`) || !strings.HasSuffix(string(got), "data: [DONE]\n\n") {
		t.Errorf("got %s, %v, want the words of the user", got, err)
	}
	if r := s.Requests(); len(r) != 4 || r[3].LastUser() != "a b" || r[3].Model != "m" || !r[3].Stream {
		t.Errorf("got requests %+v, want 4", r)
	}
}

func TestPieces(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	s, base := upstreamtest.Start(t)
	pieces := make(chan string)
	s.Always(upstreamtest.Pieces(pieces))
	go func() { pieces <- "one" }()
	ctx, cancel := context.WithTimeout(t.Context(), waittest.Limit)
	defer cancel()
	line, err := bufio.NewReader(post(ctx, t, base).Body).ReadString('\n')
	if err != nil || !strings.Contains(line, "one") {
		t.Errorf("got %q, %v, want the piece", line, err)
	}
	if s.Running() != 1 || s.Cancelled() != 0 {
		t.Errorf("got %d running, %d cancelled, want 1, 0", s.Running(), s.Cancelled())
	}
	cancel()
	wait, stop := context.WithTimeout(t.Context(), waittest.Limit)
	defer stop()
	if err := s.Wait(wait, func() bool { return s.Cancelled() == 1 && s.Running() == 0 }); err != nil {
		t.Error("the server did not see the client go")
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"": nil, "a": {"a"}, "a  b\nc ": {"a  ", "b\n", "c "}, " a": {" ", "a"},
	} {
		if got := upstreamtest.Words(text); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
