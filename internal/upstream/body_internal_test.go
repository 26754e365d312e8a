package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"parley/internal/prompt"
	"parley/internal/reply"
)

// The messages are written as encoding/json would have a decoder read them.
func TestBodySaysWhatItIsGiven(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", "\"\\\n\r\t\b\f\x00\x1f\x7f", "<&>", "ä€😀\u2028\u2029\ufffd",
		"\xff", "a\xc3", "\xed\xa0\x80", strings.Repeat(`"`, 5000), strings.Repeat("ä€😀\x01", pieceBytes/4),
		"x" + strings.Repeat("😀", pieceBytes),
		strings.Repeat("\x80", 3*pieceBytes), "}\n", "]}"} {
		messages := []prompt.Message{prompt.Say(prompt.System, text),
			{Role: prompt.User, Parts: []prompt.Part{{Text: text}, {Text: "more"}, {Text: text}}}}
		req := reply.Request{Model: "m", Messages: messages, Parameters: reply.Parameters{
			ResponseFormat: &reply.ResponseFormat{Type: reply.FormatJSONSchema, Name: "n", Schema: `{"a":{}}`}}}
		body := encoded(t, req)
		var got struct {
			Model    string
			Format   json.RawMessage `json:"response_format"`
			Messages []struct{ Role, Content string }
		}
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		if err := decoder.Decode(&got); err != nil || decoder.More() {
			t.Fatalf("%q: %.200s is not one document of JSON: %v", text, body, err)
		}
		if got.Model != "m" || !strings.HasSuffix(string(got.Format), `"schema":{"a":{}},"strict":false}}`) {
			t.Errorf("%q: the parameters are %.200s", text, body)
		}
		for i, m := range messages {
			want, err := json.Marshal(m.Text())
			if err != nil {
				t.Fatal(err)
			}
			var content string
			if err := json.Unmarshal(want, &content); err != nil {
				t.Fatal(err)
			}
			if g := got.Messages[i]; g.Role != string(m.Role) || g.Content != content {
				t.Errorf("message %d is %q, want %q", i, g, content)
			}
		}
	}
	if body := encoded(t, reply.Request{}); !json.Valid(body) {
		t.Errorf("without messages: %s", body)
	}
}

// encoded is the body of a call, read in pieces of an odd length. It is as long as it says.
func encoded(t *testing.T, req reply.Request) []byte {
	t.Helper()
	b, err := requestBody(&req, 0)
	if err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	if _, err := io.CopyBuffer(&whole, struct{ io.Reader }{b.open()}, make([]byte, 997)); err != nil {
		t.Fatal(err)
	}
	if int64(whole.Len()) != b.length {
		t.Errorf("the body has %d bytes, want the %d that are announced", whole.Len(), b.length)
	}
	return whole.Bytes()
}

// A long history is not copied: what a call holds beside it does not grow with it, however its
// text is escaped.
func TestBodyHoldsNoHistory(t *testing.T) {
	send := func(n int) (allocations float64, size int64) {
		req := reply.Request{Model: "m"}
		for range n {
			req.Messages = append(req.Messages, prompt.Message{Role: prompt.User,
				Parts: []prompt.Part{{Text: strings.Repeat("\x01", 1000)}, {Text: "And then?"}}})
		}
		return testing.AllocsPerRun(10, func() {
			b, err := requestBody(&req, 0)
			if err != nil {
				t.Fatal(err)
			}
			r := b.open()
			for buffer := make([]byte, 512); err == nil; {
				size = max(size, int64(cap(r.(*bodyReader).buffer)))
				_, err = r.Read(buffer)
			}
		}), size
	}
	few, _ := send(500)
	many, size := send(5000)
	// The runtime may make some of its own meanwhile; one for each message would be thousands.
	if many > few+100 || size > 8*pieceBytes {
		t.Errorf("%v allocations for 5,000 messages and %v for 500, with a buffer of %d; want as many, and a small one",
			many, few, size)
	}
}

// A short request is one write, and a longer one is two: headers and text.
func TestWritesOfARequest(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // Whether it came is seen by the count.
	}))
	t.Cleanup(server.Close)
	transport := newTransport(Config{})
	t.Cleanup(transport.CloseIdleConnections)
	dial, writes := transport.DialContext, new(atomic.Int64)
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		return countedWrites{c, writes}, err
	}
	d := &doer{transport: transport, logger: slog.New(slog.DiscardHandler)}
	for _, x := range []struct {
		messages, bytes int
		want            int64
	}{{1, 10, 1}, {8, 100, 1}, {40, 500, 2}} {
		req := reply.Request{Model: "m"}
		for range x.messages {
			req.Messages = append(req.Messages, prompt.Say(prompt.User, strings.Repeat("x", x.bytes)))
		}
		b, err := requestBody(&req, 0)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(withCall(t.Context(), &call{body: b}), http.MethodPost, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		writes.Store(0)
		resp, err := d.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // It is empty.
		if got := writes.Load(); got != x.want {
			t.Errorf("%d messages of %d bytes: %d writes, want %d", x.messages, x.bytes, got, x.want)
		}
	}
}

// countedWrites counts the writes to a connection.
type countedWrites struct {
	net.Conn
	n *atomic.Int64
}

// Write implements io.Writer.
func (c countedWrites) Write(p []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(p)
}
