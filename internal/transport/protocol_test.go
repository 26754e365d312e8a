package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/internal/transport"
)

// The rules of graphql-transport-ws, one frame at a time. compat/conformance asks
// for the same of the reference server.
func TestTransportWSRules(t *testing.T) {
	t.Parallel()
	b := start(t)
	for name, x := range map[string]struct {
		acknowledged bool
		frames       []string
		code         websocket.StatusCode
	}{
		"subscribe too early": {false, []string{`{"type":"subscribe","id":"1","payload":{"query":"{ who }"}}`}, 4401},
		"init twice":          {true, []string{`{"type":"connection_init"}`}, 4429},
		"no JSON":             {true, []string{`{`}, 4400},
		"a list":              {true, []string{`[]`}, 4400},
		"no type":             {true, []string{`{}`}, 4400},
		"an unknown type":     {true, []string{`{"type":"x"}`}, 4400},
		"no id":               {true, []string{`{"type":"subscribe","payload":{"query":"{ who }"}}`}, 4400},
		"an empty id":         {true, []string{`{"type":"subscribe","id":"","payload":{"query":"{ who }"}}`}, 4400},
		"no payload":          {true, []string{`{"type":"subscribe","id":"1"}`}, 4400},
		"no query":            {true, []string{`{"type":"subscribe","id":"1","payload":{}}`}, 4400},
		"variables of no shape": {true,
			[]string{`{"type":"subscribe","id":"1","payload":{"query":"{ who }","variables":[]}}`}, 4400},
		"an id in use": {true, []string{
			`{"type":"subscribe","id":"1","payload":{"query":"subscription { never }"}}`,
			`{"type":"subscribe","id":"1","payload":{"query":"subscription { never }"}}`,
		}, 4409},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := b.connect()
			if x.acknowledged {
				c.init("")
			}
			for _, f := range x.frames {
				c.send(f)
			}
			c.wantClose(x.code)
		})
	}
}

func TestSubprotocols(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, offered := range [][]string{nil, {"graphql"}, {"soap", "mqtt"}} {
		conn, _, err := websocket.Dial(t.Context(), b.url, &websocket.DialOptions{Subprotocols: offered})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = conn.Read(t.Context())
		if got := websocket.CloseStatus(err); got != 4406 {
			t.Errorf("%v: closed with %d, want 4406", offered, got)
		}
	}
}

// The older protocol, as Altair and Apollo Kotlin up to 4 speak it.
func TestLegacyProtocol(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{sse: 10 * time.Millisecond}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, b.url, &websocket.DialOptions{Subprotocols: []string{"graphql-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	beats := 0
	next := func() string {
		for {
			_, data, err := conn.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if string(data) != `{"type":"ka"}` {
				return string(data)
			}
			beats++
		}
	}
	say := func(frame, want string) {
		t.Helper()
		if err := conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
			t.Fatal(err)
		}
		if want == "" {
			return
		}
		if got := next(); got != want {
			t.Fatalf("%s: got %s, want %s", frame, got, want)
		}
	}
	say(`{"type":"connection_init","payload":{"Authorization":"Bearer good-token"}}`, `{"type":"connection_ack"}`)
	say(`{"type":"start","id":"q","payload":{"query":"{ who }"}}`,
		`{"id":"q","type":"data","payload":{"data":{"who":"ada"}}}`)
	if got := next(); got != `{"id":"q","type":"complete"}` {
		t.Fatalf("got %s, want complete", got)
	}
	say(`{"type":"start","id":"c","payload":{"query":"subscription { count(to: 2) }"}}`,
		`{"id":"c","type":"data","payload":{"data":{"count":1}}}`)
	for _, want := range []string{`{"id":"c","type":"data","payload":{"data":{"count":2}}}`,
		`{"id":"c","type":"complete"}`} {
		if got := next(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	say(`{"type":"start","id":"e","payload":{"query":"{ nothing }"}}`, "")
	if got := next(); !strings.HasPrefix(got, `{"id":"e","type":"error","payload":{"message":`) {
		t.Fatalf("got %s, want one error as an object", got)
	}
	// A second operation under an id takes the place of the first.
	say(`{"type":"start","id":"n","payload":{"query":"subscription { never }"}}`, "")
	say(`{"type":"start","id":"n","payload":{"query":"{ who }"}}`,
		`{"id":"n","type":"data","payload":{"data":{"who":"ada"}}}`)
	if got := next(); got != `{"id":"n","type":"complete"}` {
		t.Fatalf("got %s, want complete", got)
	}
	eventually(t, "the first has ended", func() bool { return b.running.Load() == 0 })
	say(`{"type":"start","id":"s","payload":{"query":"subscription { never }"}}`, "")
	eventually(t, "it runs", func() bool { return b.running.Load() == 1 })
	say(`{"type":"stop","id":"s"}`, "")
	eventually(t, "stop has ended it", func() bool { return b.running.Load() == 0 })
	for beats < 3 { // Its clients wait for these.
		_, data, err := conn.Read(ctx)
		if err != nil || string(data) != `{"type":"ka"}` {
			t.Fatalf("got %s, %v; want keep-alives", data, err)
		}
		beats++
	}
}

func TestLegacyRefusal(t *testing.T) {
	t.Parallel()
	b := start(t)
	conn, _, err := websocket.Dial(t.Context(), b.url, &websocket.DialOptions{Subprotocols: []string{"graphql-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(t.Context(), websocket.MessageText,
		[]byte(`{"type":"connection_init","payload":{"Authorization":"Bearer bad-token"}}`)); err != nil {
		t.Fatal(err)
	}
	if _, data, err := conn.Read(t.Context()); err != nil ||
		string(data) != `{"type":"connection_error","payload":{"message":"Forbidden"}}` {
		t.Errorf("got %s, %v; want connection_error", data, err)
	}
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != 4403 {
		t.Errorf("got %v, want 4403", err)
	}
}

func TestSocketLimits(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{}, func(c *transport.Config) {
		c.ClientAddr = func(r *http.Request) string { return r.Header.Get("X-Test-Addr") }
		c.Limits = transport.Limits{Operations: 2, SocketsPerUser: 2, SocketsPerAddr: 3, MessagesPerSecond: 1}
	})
	const good = `{"Authorization":"Bearer good-token"}`
	c := b.connect().init("")
	for i := range 2 {
		c.subscribe(fmt.Sprint(i), `subscription { never }`)
	}
	c.subscribe("more", `subscription { never }`)
	if m := c.want("next", "more"); !strings.Contains(string(m.Payload), `"RATE_LIMITED"`) ||
		!strings.Contains(string(m.Payload), `"retryAfter":1`) {
		t.Errorf("a third operation: got %s, want RATE_LIMITED with retryAfter", m.Payload)
	}
	c.want("complete", "more")
	c.send(`{"type":"complete","id":"0"}`)
	c.subscribe("instead", `{ who }`)
	c.want("next", "instead")
	c.want("complete", "instead")
	for range 20 { // More than ten seconds' worth at once.
		_ = c.conn.Write(c.ctx, websocket.MessageText, []byte(`{"type":"pong"}`)) // It is cut off somewhere among them.
	}
	c.wantClose(1013)

	first, second := b.connect().init(`{"token":"`+goodToken+`"}`), b.connect().init(good)
	third := b.connect()
	third.send(`{"type":"connection_init","payload":` + good + `}`)
	third.wantClose(1013)
	_ = first.conn.Close(websocket.StatusNormalClosure, "")
	eventually(t, "the first is not counted any more",
		func() bool { users, _ := b.server.Counted(); return users == 1 })
	b.connect().init(good)
	second.send(`{"type":"ping"}`)

	for range 3 {
		b.connect("X-Test-Addr", "192.0.2.1")
	}
	if _, resp, err := b.tryConnect("X-Test-Addr", "192.0.2.1"); err == nil ||
		resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a fourth socket of an address: got %v, want 429", err)
	}
	b.connect("X-Test-Addr", "192.0.2.2")
}

// A socket, like a stream, is counted for its address until somebody is known on it, and
// for that user afterwards.
func TestKnownUsersMakeRoomAtTheirAddress(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{}, func(c *transport.Config) {
		c.ClientAddr = func(*http.Request) string { return "192.0.2.1" }
		c.Limits = transport.Limits{SocketsPerUser: 3, SocketsPerAddr: 1}
	})
	counted := func(want string) {
		t.Helper()
		eventually(t, want+" are counted", func() bool {
			users, addrs := b.server.Counted()
			return fmt.Sprintf("%d for users and %d for addresses", users, addrs) == want
		})
	}
	stream := func(headers ...string) *http.Response {
		resp, err := http.DefaultClient.Do(b.request(operation(`subscription { never }`),
			append(headers, "Accept", "text/event-stream")...))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	const good = `{"Authorization":"Bearer good-token"}`
	b.connect().init(good)
	b.connect().init(good)
	counted("2 for users and 0 for addresses")
	pending := b.connect()
	if _, resp, err := b.tryConnect(); err == nil || resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a second unknown socket: got %v, want 429", err)
	}
	if got := stream().StatusCode; got != http.StatusTooManyRequests {
		t.Errorf("an unknown stream beside it: got %d, want 429", got)
	}
	if got := stream("Authorization", "Bearer "+goodToken).StatusCode; got != http.StatusOK {
		t.Errorf("a user's stream beside it: got %d, want 200", got)
	}
	counted("3 for users and 1 for addresses")
	pending.send(`{"type":"connection_init","payload":` + good + `}`)
	pending.wantClose(1013)
	counted("3 for users and 0 for addresses")
	b.connect().init("") // Nobody.
	counted("3 for users and 1 for addresses")
	if got := stream().StatusCode; got != http.StatusTooManyRequests {
		t.Errorf("an unknown stream beside nobody's socket: got %d, want 429", got)
	}
}

func TestMessageSizes(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := b.connect()
	c.send(`{"type":"connection_init","payload":{"x":"` + strings.Repeat("x", 64<<10) + `"}}`)
	c.wantClose(websocket.StatusMessageTooBig)
	echo := func(n int) string {
		return `{"type":"subscribe","id":"1","payload":{"query":"query($t: String!) { echo(text: $t) }",` +
			`"variables":{"t":"` + strings.Repeat("x", n) + `"}}}`
	}
	c = b.connect().init("") // Nobody.
	c.send(echo(64 << 10))
	c.wantClose(websocket.StatusMessageTooBig)
	c = b.connect().init(`{"token":"` + goodToken + `"}`)
	c.send(echo(900 << 10))
	if m := c.want("next", "1"); len(m.Payload) < 900<<10 {
		t.Errorf("got %d bytes back, want all", len(m.Payload))
	}
	c.want("complete", "1")
	c.send(`{"type":"ping","payload":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`)
	c.wantClose(websocket.StatusMessageTooBig)
}

// Each part is flushed with the delimiter behind it.
func TestMultipart(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{sse: 20 * time.Millisecond}, nil)
	const accept = `multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9`
	resp, err := http.DefaultClient.Do(b.request(operation(`subscription { text }`), "Accept", accept))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got := resp.Header.Get("Content-Type"); got != `multipart/mixed;boundary="graphql";subscriptionSpec=1.0` {
		t.Errorf("Content-Type %s", got)
	}
	read, buf := "", make([]byte, 4096)
	until := func(what string) {
		t.Helper()
		for !strings.HasSuffix(read, what) {
			n, err := resp.Body.Read(buf)
			read += string(buf[:n])
			if err != nil && !strings.HasSuffix(read, what) {
				t.Fatalf("%v after %q, want %q", err, read, what)
			}
		}
	}
	until("\r\n--graphql")
	b.say("one")
	until("\r\nContent-Type: application/json\r\n\r\n" + `{"payload":{"data":{"text":"one"}}}` + "\r\n--graphql")
	until("\r\nContent-Type: application/json\r\n\r\n{}\r\n--graphql") // A heartbeat.
	close(b.text)
	until("--graphql--\r\n")
	// What is refused before it runs is no stream.
	got := b.do(b.request(operation(`subscription { nothing }`), "Accept", accept))
	if got.StatusCode != http.StatusBadRequest || got.code() != "GRAPHQL_VALIDATION_FAILED" ||
		strings.Contains(got.text, `"data"`) {
		t.Errorf("got %d %s, want 400 and no data", got.StatusCode, got.text)
	}
}

func TestNotAcceptable(t *testing.T) {
	t.Parallel()
	b := start(t)
	if got := b.do(b.request(operation(`{ who }`), "Accept", "text/html")); got.StatusCode != http.StatusNotAcceptable {
		t.Errorf("got %d, want 406", got.StatusCode)
	}
	if got := b.do(b.request(operation(`subscription { text }`), "Accept",
		"application/json")); got.StatusCode != http.StatusNotAcceptable {
		t.Errorf("a subscription as JSON: got %d, want 406", got.StatusCode)
	}
}

func TestResponseStatus(t *testing.T) {
	t.Parallel()
	b := start(t)
	for query, want := range map[string]int{`{ who }`: 200, `{ boom }`: 200, `{ nothing }`: 400, `{`: 400} {
		if got := b.do(b.request(operation(query), "Accept",
			"application/graphql-response+json")); got.StatusCode != want {
			t.Errorf("%s as graphql-response+json: got %d %s, want %d", query, got.StatusCode, got.text, want)
		}
		got := b.do(b.request(operation(query), "Accept", "application/json"))
		if got.StatusCode != 200 || strings.Contains(got.text, `"data"`) != (want == 200) {
			t.Errorf("%s as JSON: got %d %s, want 200, with data only when it ran", query, got.StatusCode, got.text)
		}
	}
}

// A body that never comes holds nothing, however the request is answered.
func TestUnfinishedBodies(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{write: 50 * time.Millisecond}, nil) // Bodies have the same wait here.
	for name, head := range map[string]string{
		"right":              "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"wrong type":         "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n{",
		"wrong origin":       "POST / HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\nContent-Length: 100\r\n\r\n{",
		"nothing acceptable": "POST / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nContent-Length: 100\r\n\r\n{",
		"a GET with a body":  "GET /?query=%7Bwho%7D HTTP/1.1\r\nHost: x\r\nX-Requested-With: x\r\nContent-Length: 100\r\n\r\n{",
		"in pieces":          "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(head)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v, want the connection ended", name, err)
		}
	}
}

// A result that its client does not read is given up.
func TestUnreadResults(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{write: 50 * time.Millisecond}, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	body := `{"query":"query($t: String!) { echo(text: $t) }","variables":{"t":"` + strings.Repeat("x", 100<<10) + `"}}`
	request := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", goodToken, len(body), body)
	before := b.begun.Load()
	go func() {
		for range 200 { // Until nobody takes them any more.
			if _, err := conn.Write([]byte(request)); err != nil {
				return
			}
		}
	}()
	eventually(t, "some have begun", func() bool { return b.begun.Load() > before+5 })
	eventually(t, "all have ended", func() bool { return b.begun.Load() == b.ended.Load() })
}

// What was executed is told, also by a server that is being closed; and a token
// that ends during a mutation does not lose its result.
func TestResultsAreNotLost(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.server.Close(b.t.Context())
	got := b.do(b.request(operation(`mutation { write }`), "Accept", "text/event-stream"))
	if got.StatusCode != 200 || !strings.Contains(got.text, `{"data":{"write":1}}`) ||
		!strings.HasSuffix(got.text, "event: complete\ndata:\n\n") {
		t.Errorf("a mutation after Close: got %d %q, want its result", got.StatusCode, got.text)
	}
	if got := b.do(b.request(operation(`subscription { text }`), "Accept",
		"text/event-stream")); got.StatusCode != 503 {
		t.Errorf("a subscription after Close: got %d, want 503", got.StatusCode)
	}
}

func TestStreamsAreCounted(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{}, func(c *transport.Config) { c.Limits = transport.Limits{SocketsPerUser: 2} })
	open := func() *http.Response {
		resp, err := http.DefaultClient.Do(b.request(operation(`subscription { never }`), "Accept", "text/event-stream",
			"Authorization", "Bearer "+goodToken))
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	first, second := open(), open()
	defer func() { _ = second.Body.Close() }()
	third := open()
	if third.StatusCode != http.StatusTooManyRequests || third.Header.Get("Retry-After") == "" {
		t.Errorf("a third stream: got %d, want 429", third.StatusCode)
	}
	_ = third.Body.Close()
	_ = first.Body.Close()
	eventually(t, "the first is not counted any more",
		func() bool { users, _ := b.server.Counted(); return users == 1 })
	fourth := open()
	if fourth.StatusCode != 200 {
		t.Errorf("after one has gone: got %d, want 200", fourth.StatusCode)
	}
	_ = fourth.Body.Close()
}
