package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// client is one WebSocket as graphql-ws speaks it.
type client struct {
	t    testing.TB
	conn *websocket.Conn
	ctx  context.Context
}

func (b *bundle) tryConnect(header ...string) (*client, *http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	b.t.Cleanup(cancel)
	conn, resp, err := websocket.Dial(ctx, b.url, &websocket.DialOptions{
		Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: h,
	})
	if err != nil {
		return nil, resp, err
	}
	conn.SetReadLimit(64 << 20)
	b.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{b.t, conn, ctx}, resp, nil
}

func (b *bundle) connect(header ...string) *client {
	b.t.Helper()
	c, _, err := b.tryConnect(header...)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.conn.Write(c.ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// message is one message of graphql-transport-ws.
type message struct {
	Type, ID string
	Payload  json.RawMessage
}

func (c *client) next() (message, error) {
	var m message
	for {
		_, data, err := c.conn.Read(c.ctx)
		if err != nil {
			return m, err
		}
		if err := json.Unmarshal(data, &m); err != nil {
			return m, err
		}
		if m.Type != "pong" && m.Type != "ping" {
			return m, nil
		}
	}
}

func (c *client) want(kind, id string) message {
	c.t.Helper()
	m, err := c.next()
	if err != nil || m.Type != kind || m.ID != id {
		c.t.Fatalf("got %s %q %s, %v; want %s %q", m.Type, m.ID, m.Payload, err, kind, id)
	}
	return m
}

// wantClose reads up to the close and compares its code.
func (c *client) wantClose(code websocket.StatusCode) {
	c.t.Helper()
	for {
		_, err := c.next()
		if err == nil {
			continue
		}
		if got := websocket.CloseStatus(err); got != code {
			c.t.Errorf("closed with %d (%v), want %d", got, err, code)
		}
		return
	}
}

func (c *client) init(payload string) *client {
	c.t.Helper()
	if payload == "" {
		c.send(`{"type":"connection_init"}`)
	} else {
		c.send(`{"type":"connection_init","payload":` + payload + `}`)
	}
	c.want("connection_ack", "")
	return c
}

func (c *client) subscribe(id, query string) {
	c.t.Helper()
	c.send(fmt.Sprintf(`{"type":"subscribe","id":%q,"payload":%s}`, id, operation(query)))
}

func TestSocket(t *testing.T) {
	t.Parallel()
	b := start(t)
	c, resp, err := b.tryConnect()
	if err != nil {
		t.Fatal(err)
	}
	if ext := resp.Header.Get("Sec-WebSocket-Extensions"); ext != "" {
		t.Errorf("the extensions %q are on, want no compression", ext)
	}
	c.init("")
	c.subscribe("a", `{ who }`)
	if m := c.want("next", "a"); string(m.Payload) != `{"data":{"who":null}}` {
		t.Errorf("got %s", m.Payload)
	}
	c.want("complete", "a")
	c.subscribe("b", `subscription { text }`)
	for _, text := range []string{"one", "\n\nevent: complete\n\n", "😀\u2028"} {
		b.say(text)
		var body struct{ Data struct{ Text string } }
		if err := json.Unmarshal(c.want("next", "b").Payload, &body); err != nil || body.Data.Text != text {
			t.Errorf("got %q, %v; want %q", body.Data.Text, err, text)
		}
	}
	// Unsubscribing ends it.
	c.send(`{"type":"complete","id":"b"}`)
	eventually(t, "the subscription ends", func() bool { return b.running.Load() == 0 })
	// Both at once, and the same socket goes on.
	c.subscribe("c", `subscription { count(to: 2) }`)
	for {
		m, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		if m.ID == "c" && m.Type == "complete" {
			break
		}
	}
	if err := c.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}
	eventually(t, "the socket is gone", func() bool { return b.server.Open() == 0 })
}

func TestTokensOnSocket(t *testing.T) {
	t.Parallel()
	b := start(t)
	const bearer = `"Bearer ` + goodToken + `"`
	for _, x := range []struct{ name, header, payload, want string }{
		{"nobody", "", ``, `null`},
		{"empty", "", `{}`, `null`},
		{"Authorization", "", `{"Authorization":` + bearer + `}`, `"ada"`},
		{"authorization", "", `{"authorization":` + bearer + `}`, `"ada"`},
		{"no scheme", "", `{"Authorization":"` + goodToken + `"}`, `"ada"`},
		{"headers", "", `{"headers":{"Authorization":` + bearer + `}}`, `"ada"`},
		{"headers, lower case", "", `{"headers":{"authorization":` + bearer + `}}`, `"ada"`},
		{"token", "", `{"token":"` + goodToken + `"}`, `"ada"`},
		{"token with a scheme", "", `{"token":` + bearer + `}`, `"ada"`},
		{"upgrade header", "Bearer " + goodToken, ``, `"ada"`},
		{"the payload comes first", "Bearer " + badToken, `{"Authorization":` + bearer + `}`, `"ada"`},
		{"other members", "", `{"x":1,"Authorization":null,"headers":"x","token":5}`, `null`},
		{"another scheme", "", `{"Authorization":"Basic ` + goodToken + `"}`, `null`},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			var header []string
			if x.header != "" {
				header = []string{"Authorization", x.header}
			}
			c := b.connect(header...).init(x.payload)
			c.subscribe("a", `{ who }`)
			if m := c.want("next", "a"); string(m.Payload) != `{"data":{"who":`+x.want+`}}` {
				t.Errorf("got %s, want %s", m.Payload, x.want)
			}
			_ = c.conn.CloseNow()
		})
	}
}

// A socket that may not go on is closed with the code that tells its client what
// to do, every time.
func TestCloseCodes(t *testing.T) {
	t.Parallel()
	b, hasty := start(t), setup(t, waits{init: 10 * time.Millisecond}, nil)
	for _, x := range []struct {
		name, header, first string
		code                websocket.StatusCode
	}{
		{"bad token", "", `{"type":"connection_init","payload":{"Authorization":"Bearer bad-token"}}`, 4403},
		{"bad token in the upgrade", "Bearer " + badToken, `{"type":"connection_init"}`, 4403},
		{"database down", "", `{"type":"connection_init","payload":{"token":"` + downToken + `"}}`, 1013},
		{"silence", "", ``, 4408},
		{"payload of a wrong type", "", `{"type":"connection_init","payload":"secret"}`, 4400},
		{"payload that is a list", "", `{"type":"connection_init","payload":[1]}`, 4400},
		{"payload that is a number", "", `{"type":"connection_init","payload":5}`, 4400},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			for range 20 {
				var header []string
				if x.header != "" {
					header = []string{"Authorization", x.header}
				}
				if x.first == "" {
					hasty.connect().wantClose(x.code)
					continue
				}
				c := b.connect(header...)
				c.send(x.first)
				c.wantClose(x.code)
			}
		})
	}
}

// A socket on which nobody has signed in is closed after a while.
func TestStrangersHaveToGo(t *testing.T) {
	t.Parallel()
	// So long that a busy machine gets its greeting in; they wait side by side.
	hasty := setup(t, waits{init: time.Second}, nil)
	strangers := make([]*client, 20)
	for i := range strangers {
		strangers[i] = hasty.connect().init("")
	}
	for _, c := range strangers {
		c.wantClose(4403)
	}
}

// What runs on it ends first; what comes later does not keep it.
func TestStrangersMayFinish(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := b.connect().init("")
	c.subscribe("send", `mutation { hold }`)
	c.subscribe("quick", `{ echo(text: "x") }`) // By then the mutation runs too.
	c.want("next", "quick")
	c.want("complete", "quick")
	b.server.TimeIsUp()
	b.say("done")
	c.want("next", "send")
	c.want("complete", "send")
	c.wantClose(1012)
}

// Garbage ends a socket; it is neither echoed to others nor logged.
func TestGarbageOnSocket(t *testing.T) {
	t.Parallel()
	b := start(t)
	const secret = "hunter2-on-a-socket"
	for _, first := range []string{secret, `{"type":"` + secret + `"}`, `[]`, `null`,
		`{"type":"subscribe","id":"1","payload":{"query":"` + secret + `"}}`, ""} {
		c := b.connect()
		c.send(first)
		for {
			if _, err := c.next(); err != nil {
				if !errors.As(err, new(websocket.CloseError)) {
					t.Errorf("%q: %v, want a close", first, err)
				}
				break
			}
		}
	}
	// Later it concerns the one operation, or the socket.
	for _, later := range []string{secret, `{"type":"` + secret + `"}`, `{"type":"subscribe","id":"1","payload":"` +
		secret + `"}`, `{"type":"subscribe","id":"1","payload":{"query":5}}`} {
		c := b.connect().init("")
		c.send(later)
		if m, err := c.next(); err == nil && m.Type != "error" && m.Type != "complete" && m.Type != "connection_error" {
			t.Errorf("%q: got %s %s", later, m.Type, m.Payload)
		}
	}
	if strings.Contains(b.log.String(), secret) || strings.Contains(standardLog.String(), secret) {
		t.Error("the log has what the client sent")
	}
}

func TestTokenEndsDuringSubscription(t *testing.T) {
	t.Parallel()
	b := start(t)
	other := b.connect().init("")
	for range 20 {
		c := b.connect().init(`{"token":"` + goodToken + `"}`)
		c.subscribe("a", `subscription { text }`)
		b.say("one")
		c.want("next", "a")
		b.expireTokens()
		c.wantNoCompleteThenClose(4403)
	}
	other.subscribe("a", `{ who }`)
	other.want("next", "a")
}

// wantNoCompleteThenClose is wantClose for a subscription that must not look
// finished.
func (c *client) wantNoCompleteThenClose(code websocket.StatusCode) {
	c.t.Helper()
	for {
		m, err := c.next()
		if err != nil {
			if got := websocket.CloseStatus(err); got != code {
				c.t.Errorf("closed with %d (%v), want %d", got, err, code)
			}
			return
		}
		if m.Type == "complete" {
			c.t.Error("the subscription completed, want the socket to close")
		}
	}
}

func TestServerCloses(t *testing.T) {
	t.Parallel()
	b := start(t)
	clients := []*client{b.connect(), b.connect().init(""), b.connect().init(`{"token":"` + goodToken + `"}`)}
	clients[1].subscribe("a", `subscription { text }`)
	clients[2].subscribe("a", `subscription { never }`)
	b.say("one")
	clients[1].want("next", "a")
	eventually(t, "both subscriptions run", func() bool { return b.running.Load() == 2 })
	closed := make(chan struct{})
	go func() { b.server.Close(b.t.Context()); close(closed) }()
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() { c.wantNoCompleteThenClose(1012) })
	}
	all.Wait()
	<-closed
	_, resp, err := b.tryConnect()
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a new socket: got %v, %v; want 503", resp, err)
	}
	b.server.Close(b.t.Context())
}

// Sockets that open while the server closes are not forgotten.
func TestConnectingDuringClose(t *testing.T) {
	t.Parallel()
	for i := range 30 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			b := start(t)
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					c, _, err := b.tryConnect()
					if err != nil {
						return // 503.
					}
					c.wantClose(1012)
				})
			}
			all.Go(func() { b.server.Close(t.Context()) })
			all.Wait()
		})
	}
}

func TestOriginsOnUpgrade(t *testing.T) {
	t.Parallel()
	b := start(t)
	for origin, allowed := range map[string]bool{
		"": true, b.url: true, "https://app.example": true,
		"https://app.example.evil": false, "null": false, "http://app.example": false, "https://evil.example": false,
		"file://": false, strings.Replace(b.url, "http", "https", 1) + "1": false,
	} {
		var header []string
		if origin != "" {
			header = []string{"Origin", origin}
		}
		c, resp, err := b.tryConnect(header...)
		if allowed {
			if err != nil {
				t.Errorf("%q: %v, want a socket", origin, err)
				continue
			}
			c.init("")
			continue
		}
		if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("%q: got %v, %v; want 403", origin, resp, err)
		}
	}
}

// A client that does not read is let go, with everything it holds; the others do
// not notice.
func TestStalledSocketIsLetGo(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{write: 50 * time.Millisecond}, nil)
	conn := b.dial()
	if _, err := fmt.Fprint(conn,
		"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`{"type":"connection_init"}`, `{"type":"subscribe","id":"a","payload":` +
		operation(`subscription { text }`) + `}`} {
		// A masked frame of less than 126 bytes, with the mask 0.
		if _, err := conn.Write(append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the subscription runs", func() bool { return b.running.Load() == 1 })
	b.flood()
	eventually(t, "the socket is gone", func() bool { return b.server.Open() == 0 })
	c := b.connect().init("")
	c.subscribe("a", `{ who }`)
	c.want("next", "a")
}

// A peer that does not answer pings is gone.
func TestDeadPeer(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{ping: 10 * time.Millisecond, pong: 20 * time.Millisecond}, nil)
	c := b.connect().init("") // Answers pings only while it reads, which it does not.
	c.subscribe("a", `subscription { never }`)
	eventually(t, "the socket is gone", func() bool { return b.server.Open() == 0 && b.running.Load() == 0 })
}

func TestPingsKeepASocket(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{ping: 2 * time.Millisecond, pong: patience}, nil)
	c := b.connect().init("")
	c.subscribe("a", `subscription { text }`)
	for range 20 {
		b.say("x")
		c.want("next", "a")
	}
}

// Clients go away at any moment; nothing of them remains.
func TestAbortedSockets(t *testing.T) {
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
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for range 40 {
				c, _, err := b.tryConnect()
				if err != nil {
					t.Error(err)
					return
				}
				steps := []func() error{
					func() error {
						return c.conn.Write(c.ctx, websocket.MessageText,
							[]byte(`{"type":"connection_init","payload":{"token":"`+goodToken+`"}}`))
					},
					func() error { _, err := c.next(); return err },
					func() error {
						return c.conn.Write(c.ctx, websocket.MessageText,
							[]byte(`{"type":"subscribe","id":"a","payload":`+operation(`subscription { text }`)+`}`))
					},
					func() error {
						return c.conn.Write(c.ctx, websocket.MessageText,
							[]byte(`{"type":"subscribe","id":"b","payload":`+operation(`subscription { never }`)+`}`))
					},
					func() error { _, err := c.next(); return err },
					func() error {
						return c.conn.Write(c.ctx, websocket.MessageText, []byte(`{"type":"complete","id":"a"}`))
					},
				}
				for _, step := range steps[:r.IntN(len(steps)+1)] {
					if err := step(); err != nil {
						t.Error(err)
						return
					}
				}
				if r.IntN(3) == 0 {
					_ = c.conn.Close(websocket.StatusNormalClosure, "") // How it goes does not matter.
				} else {
					_ = c.conn.CloseNow()
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	talking.Wait()
	eventually(t, "nothing is left", func() bool { return b.running.Load() == 0 && b.server.Open() == 0 })
}
