package upstream_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"parley/internal/reply"
	"parley/internal/upstream"
)

var errBroke = errors.New("connection reset by peer")

// cutAt is a transport whose answer breaks off behind so many bytes.
func cutAt(body string, bytes int) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		broken := io.MultiReader(strings.NewReader(body[:bytes]), brokenReader{})
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(broken)}, nil
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroke }

// Wherever the connection to a server breaks, its reply is whole or has failed, and what has come
// of it is the beginning of the whole.
func TestServersCut(t *testing.T) {
	t.Parallel()
	for _, s := range readServers(t) {
		for _, r := range s.rows {
			if len(r.answers) != 1 || r.one("code")+r.one("models") != "" || r.clock() {
				continue
			}
			if a := r.answers[0]; a.status != http.StatusOK || a.gzip || a.cut || len(a.body) > 16<<10 {
				continue
			}
			t.Run(s.file+"/"+r.id, func(t *testing.T) {
				t.Parallel()
				cutEverywhere(t, r)
			})
		}
	}
}

func cutEverywhere(t *testing.T, r row) {
	body := r.answers[0].body + "\n"
	run := func(bytes int) (*output, reply.Result, error) {
		c, err := upstream.New(upstream.Config{BaseURL: "http://server.test/v1", Transport: cutAt(body, bytes),
			MaxRetries: -1, ThinkTags: strings.Fields(r.one("think"))}, discard())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return generate(t, c)
	}
	whole, _, err := run(len(body))
	if err != nil && strings.Contains(body, "[DONE]") {
		t.Fatal(err)
	}
	for at := 0; at < len(body); at += 3 {
		out, _, err := run(at)
		text, reasoning := out.text.String(), out.reasoning.String()
		if !strings.HasPrefix(whole.text.String(), text) || !strings.HasPrefix(whole.reasoning.String(), reasoning) {
			t.Fatalf("cut at %d: got %q and %q, which the whole does not begin with", at, text, reasoning)
		}
		if err == nil && (text != whole.text.String() || reasoning != whole.reasoning.String()) {
			t.Fatalf("cut at %d: got %q for a whole reply, want %q", at, text, whole.text.String())
		}
	}
}
