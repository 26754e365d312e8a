package transport_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// events is an open stream of events.
type events struct {
	t      testing.TB
	resp   *http.Response
	lines  *bufio.Reader
	cancel context.CancelFunc
}

func (b *bundle) stream(query string, header ...string) *events {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	r := b.request(operation(query), append([]string{"Accept", "text/event-stream"}, header...)...).WithContext(ctx)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { cancel(); _ = resp.Body.Close() })
	return &events{b.t, resp, bufio.NewReader(resp.Body), cancel}
}

// next returns the next event as its lines, without comments, or an error at the
// end of the stream.
func (e *events) next() ([]string, error) {
	var lines []string
	for {
		line, err := e.lines.ReadString('\n')
		if err != nil {
			if line != "" {
				return nil, fmt.Errorf("%w in the line %q", io.ErrUnexpectedEOF, line)
			}
			return lines, err
		}
		switch line = strings.TrimSuffix(line, "\n"); {
		case line == "" && lines != nil:
			return lines, nil
		case line != "" && !strings.HasPrefix(line, ":"):
			lines = append(lines, line)
		}
	}
}

// text is the next event, which has to carry a text.
func (e *events) text() string {
	e.t.Helper()
	lines, err := e.next()
	if err != nil || len(lines) != 2 || lines[0] != "event: next" || !strings.HasPrefix(lines[1], "data: ") {
		e.t.Fatalf("got the event %q, %v; want next with one line of data", lines, err)
	}
	var body struct{ Data struct{ Text string } }
	if err := json.Unmarshal([]byte(lines[1][len("data: "):]), &body); err != nil {
		e.t.Fatal(err)
	}
	return body.Data.Text
}

// wantComplete reads the last event and the clean end.
func (e *events) wantComplete() {
	e.t.Helper()
	lines, err := e.next()
	if err != nil || lines[0] != "event: complete" {
		e.t.Fatalf("got the event %q, %v; want complete", lines, err)
	}
	if lines, err := e.next(); !errors.Is(err, io.EOF) || len(lines) > 0 {
		e.t.Fatalf("got %q, %v after complete, want the end", lines, err)
	}
}

// wantAbort reads the end of a stream that is cut off without complete.
func (e *events) wantAbort() {
	e.t.Helper()
	if lines, err := e.next(); err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) ||
		len(lines) > 0 {
		e.t.Fatalf("got %q, %v; want the connection to break off without complete", lines, err)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	b := start(t)
	e := b.stream(`subscription { text }`)
	if kind := e.resp.Header.Get("Content-Type"); e.resp.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Errorf("got %d %s, want 200 text/event-stream", e.resp.StatusCode, kind)
	}
	if e.resp.Header.Get("X-Accel-Buffering") != "no" {
		t.Error("a proxy may hold events back")
	}
	r := rand.New(rand.NewPCG(1, 2))
	parts := []string{"\n", "\r", "\n\n", "event: complete\n\n", "data: {}\n\n", ":\n\n", "\u2028", "\u2029", "\u0085",
		"\x00", "\ufeff", "😀", "漢", "e\u0301", `"`, `\`, "id: 1\n", " "}
	for i := range 200 {
		var text strings.Builder
		for range r.IntN(12) {
			text.WriteString(parts[r.IntN(len(parts))])
		}
		want := text.String()
		if i == 0 {
			want = "\n\nevent: complete\n\n"
		}
		b.say(want)
		if got := e.text(); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	close(b.text)
	e.wantComplete()

	// What is refused is told in the stream, and the stream ends well.
	e = b.stream(`subscription { refused }`)
	if lines, err := e.next(); err != nil || lines[0] != "event: next" || !strings.Contains(lines[1], `"errors"`) {
		t.Errorf("got %q, %v; want the error", lines, err)
	}
	e.wantComplete()
	e = b.stream(`subscription { nothing }`)
	if lines, err := e.next(); err != nil || !strings.Contains(lines[1], "GRAPHQL_VALIDATION_FAILED") {
		t.Errorf("got %q, %v; want the error", lines, err)
	}
	e.wantComplete()
}

// Which answer a client gets by what it says it takes.
func TestAccept(t *testing.T) {
	t.Parallel()
	b := start(t)
	const urql = "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
	for _, c := range []struct {
		accept, query string
		stream        bool
	}{
		{"", `{ who }`, false},
		{"*/*", `{ who }`, false},
		{"application/json", `{ who }`, false},
		{urql, `{ who }`, false},
		{"text/event-stream", `{ who }`, true},
		{"text/event-stream", `subscription { count(to: 2) }`, true},
		{"text/event-stream, multipart/mixed", `subscription { count(to: 2) }`, true},
	} {
		r := b.request(operation(c.query))
		if c.accept != "" {
			r.Header.Set("Accept", c.accept)
		}
		got := b.do(r)
		isStream := strings.HasPrefix(got.Header.Get("Content-Type"), "text/event-stream")
		if got.StatusCode != http.StatusOK || isStream != c.stream {
			t.Errorf("Accept %q for %s: got %d %s %s", c.accept, c.query, got.StatusCode,
				got.Header.Get("Content-Type"), got.text)
		}
		if c.stream && !strings.HasSuffix(got.text, "event: complete\ndata:\n\n") {
			t.Errorf("Accept %q for %s: the stream is %q", c.accept, c.query, got.text)
		}
	}
	for _, accept := range []string{"", "*/*", "application/json"} {
		got := b.do(b.request(operation(`subscription { text }`), "Accept", accept))
		if got.code() != "BAD_REQUEST" {
			t.Errorf("a subscription with Accept %q: got %s, want BAD_REQUEST", accept, got.text)
		}
	}
	got := b.do(b.request(operation(`subscription { text }`), "Accept", "text/event-stream", "Content-Type",
		"text/plain"))
	if got.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a stream for text/plain: got %d, want 415", got.StatusCode)
	}
}

func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	b := start(t)
	e := b.stream(`subscription { text }`, "Authorization", "Bearer "+goodToken)
	b.say("one")
	e.text()
	b.expireTokens()
	e.wantAbort()
	// An expired one begins as nobody.
	if got := b.do(b.request(operation(`{ who }`), "Accept", "text/event-stream", "Authorization",
		"Bearer "+badToken)); !strings.Contains(got.text, `{"data":{"who":null}}`) {
		t.Errorf("got %s, want nobody", got.text)
	}
}

func TestStreamEndsWithTheServer(t *testing.T) {
	t.Parallel()
	b := start(t)
	open := []*events{b.stream(`subscription { text }`), b.stream(`subscription { never }`)}
	b.say("one")
	open[0].text()
	b.server.Close(b.t.Context())
	for _, e := range open {
		e.wantAbort()
	}
	got := b.do(b.request(operation(`subscription { text }`), "Accept", "text/event-stream"))
	if got.StatusCode != http.StatusServiceUnavailable || got.code() != "UNAVAILABLE" {
		t.Errorf("got %d %s, want 503 UNAVAILABLE", got.StatusCode, got.text)
	}
	// What is short is still served: others drain it.
	if got := b.do(b.request(operation(`{ who }`))); got.StatusCode != http.StatusOK {
		t.Errorf("a query: got %d, want 200", got.StatusCode)
	}
	b.server.Close(b.t.Context())
}

func TestComments(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{sse: 5 * time.Millisecond}, nil)
	e := b.stream(`subscription { never }`)
	for range 5 {
		line, err := e.lines.ReadString('\n')
		if err != nil || line != "\n" && !strings.HasPrefix(line, ":") {
			t.Fatalf("got %q, %v; want comments", line, err)
		}
	}
}

// A stream that was silent for longer than a write may take still carries more
// than fits into one buffer, and its connection serves what comes next.
func TestStreamAfterSilence(t *testing.T) {
	t.Parallel()
	const wait = 30 * time.Millisecond
	b := setup(t, waits{write: wait}, nil)
	e := b.stream(`subscription { text }`)
	for range 3 {
		silence := time.NewTimer(3 * wait)
		<-silence.C
		want := strings.Repeat("x", 100_000)
		b.say(want)
		if got := e.text(); got != want {
			t.Fatalf("got %d bytes, want %d", len(got), len(want))
		}
	}
	close(b.text)
	e.wantComplete()
	silence := time.NewTimer(3 * wait)
	<-silence.C
	if got := b.do(b.request(operation(`{ who }`))); got.StatusCode != http.StatusOK {
		t.Errorf("the next request: got %d", got.StatusCode)
	}
}

// dial opens a connection of which the test reads as much as it likes.
func (b *bundle) dial() net.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// flood says big texts until the subscription is gone.
func (b *bundle) flood() {
	b.t.Helper()
	big := strings.Repeat("x", 256<<10)
	late := time.After(patience)
	for b.running.Load() > 0 {
		select {
		case b.text <- big:
		case <-time.After(5 * time.Millisecond): // Nobody may be there to take it any more.
		case <-late:
			b.t.Fatal("a client that does not read holds its subscription")
		}
	}
}

func TestStalledStreamIsLetGo(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{write: 50 * time.Millisecond}, nil)
	conn := b.dial()
	body := operation(`subscription { text }`)
	if _, err := fmt.Fprintf(conn,
		"POST / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the subscription runs", func() bool { return b.running.Load() == 1 })
	b.flood()
	eventually(t, "the stream is gone", func() bool { return b.server.Open() == 0 })
}

// Clients go away at any moment; nothing of them remains.
func TestAbortedStreams(t *testing.T) {
	t.Parallel()
	b := start(t)
	stop := make(chan struct{})
	var talking sync.WaitGroup
	talking.Go(func() {
		for {
			select {
			case b.text <- "word ":
			case <-stop:
				return
			}
		}
	})
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 3))
			for range 40 {
				e := b.stream([]string{`subscription { text }`, `subscription { never }`,
					`subscription { count(to: 3) }`}[r.IntN(3)], "Authorization", "Bearer "+goodToken)
				if r.IntN(2) == 0 {
					_, _ = e.lines.ReadString('\n') // How far it got does not matter.
				}
				e.cancel()
				_ = e.resp.Body.Close()
			}
		})
	}
	clients.Wait()
	close(stop)
	talking.Wait()
	eventually(t, "nothing is left", func() bool { return b.running.Load() == 0 && b.server.Open() == 0 })
}
