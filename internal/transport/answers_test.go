package transport_test

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/internal/transport"
)

// echo asks for a text of so many bytes.
func echo(n int) string {
	return `{"query":"query($t: String!) { echo(text: $t) }","variables":{"t":"` + strings.Repeat("x", n) + `"}}`
}

const tooLong = "The answer would have more than 300000 bytes. Ask for fewer entries at once, and for each text once."

// Every transport gives a long answer whole, and refuses one that is too long with the
// number and without data. A subscription that left something out ends.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{}, func(c *transport.Config) { c.Limits = transport.Limits{AnswerBytes: 300_000} })
	const fits, over = 290_000, 300_001
	for _, accept := range []string{"application/json", "text/event-stream", "multipart/mixed;subscriptionSpec=1.0"} {
		ask := func(text string) reply {
			return b.do(b.request(text, "Accept", accept, "Authorization", "Bearer "+goodToken))
		}
		if got := ask(echo(fits)); !strings.Contains(got.text,
			`{"data":{"echo":"`+strings.Repeat("x", fits)+`"}}`) {
			t.Errorf("%s: got %.200s, want the long answer", accept, got.text)
		}
		if got := ask(echo(over)); !strings.Contains(got.text, tooLong) ||
			!strings.Contains(got.text, `"code":"OPERATION_TOO_COMPLEX"`) ||
			!strings.Contains(got.text, `"data":null}`) {
			t.Errorf("%s: got %.400s, want it refused", accept, got.text)
		}
	}
	c := b.connect().init(`{"Authorization":"Bearer ` + goodToken + `"}`)
	c.send(`{"type":"subscribe","id":"q","payload":` + echo(fits) + `}`)
	if m := c.want("next", "q"); string(m.Payload) != `{"data":{"echo":"`+strings.Repeat("x", fits)+`"}}` {
		t.Errorf("a socket: got %.200s, want the long answer", m.Payload)
	}
	c.want("complete", "q")

	c.subscribe("s", `subscription { text }`)
	e := b.stream(`subscription { text }`)
	eventually(t, "both subscriptions run", func() bool { return b.running.Load() == 2 })
	for range 2 {
		b.say(strings.Repeat("x", over)) // One of them takes it.
	}
	if m := c.want("next", "s"); !strings.Contains(string(m.Payload), tooLong) {
		t.Errorf("a socket: got %.300s, want the event refused", m.Payload)
	}
	c.want("complete", "s")
	if lines, err := e.next(); err != nil || !strings.Contains(lines[1], tooLong) {
		t.Errorf("a stream: got %.300q, %v, want the event refused", lines, err)
	}
	e.wantComplete()
}

// What a user has under way is bounded, over all connections.
func TestUnderwayIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{}, func(c *transport.Config) {
		c.Limits = transport.Limits{RequestsPerUser: 1, SubscriptionsPerUser: 2}
	})
	token := []string{"Authorization", "Bearer " + goodToken}
	c := b.connect().init(`{"Authorization":"Bearer ` + goodToken + `"}`)
	c.subscribe("hold", `mutation { hold }`)
	var got reply
	eventually(t, "a second request is refused", func() bool {
		got = b.do(b.request(operation(`{ who }`), token...))
		return got.StatusCode == http.StatusTooManyRequests
	})
	if got.code() != "RATE_LIMITED" || got.Header.Get("Retry-After") != "1" {
		t.Errorf("got %d %s, want RATE_LIMITED and when to come back", got.StatusCode, got.text)
	}
	if got := b.do(b.request(operation(`{ who }`))); got.StatusCode != 200 {
		t.Errorf("nobody: got %d %s", got.StatusCode, got.text)
	}
	b.say("done")
	c.want("next", "hold")
	c.want("complete", "hold")
	if got := b.do(b.request(operation(`{ who }`), token...)); got.StatusCode != 200 {
		t.Errorf("afterwards: got %d %s", got.StatusCode, got.text)
	}

	c.subscribe("one", `subscription { never }`)
	stream := b.stream(`subscription { never }`, token...)
	eventually(t, "two subscriptions run", func() bool { return b.running.Load() == 2 })
	c.subscribe("three", `subscription { never }`)
	if m := c.want("next", "three"); !strings.Contains(string(m.Payload), `"code":"RATE_LIMITED"`) {
		t.Errorf("got %s, want a third subscription refused", m.Payload)
	}
	c.want("complete", "three")
	got = b.do(b.request(operation(`subscription { never }`), append(token, "Accept", "text/event-stream")...))
	if got.StatusCode != http.StatusTooManyRequests {
		t.Errorf("got %d %s, want a third stream refused", got.StatusCode, got.text)
	}
	stream.cancel()
	c.send(`{"type":"complete","id":"one"}`)
	eventually(t, "they have ended", func() bool { _, users := b.server.Held(); return users == 0 })
}

// A client that does not read holds one large answer for a moment, and nobody else's.
func TestUnreadAnswersAreLetGo(t *testing.T) {
	t.Parallel()
	b := setup(t, waits{write: 200 * time.Millisecond}, func(c *transport.Config) {
		c.Limits = transport.Limits{MessagesPerSecond: 1 << 20}
	})
	conn := b.dial()
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	say := func(text string) error { // In a masked frame with the mask 0.
		header := binary.BigEndian.AppendUint64([]byte{0x81, 0x80 | 127}, uint64(len(text)))
		_, err := conn.Write(append(append(header, 0, 0, 0, 0), text...))
		return err
	}
	if err := say(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + goodToken + `"}}`); err != nil {
		t.Fatal(err)
	}
	go func() {
		for i := 0; ; i++ { // Until the system's buffers take no more.
			if say(fmt.Sprintf(`{"type":"subscribe","id":"%d","payload":%s}`, i, echo(900_000))) != nil {
				return
			}
		}
	}()
	most := int64(0)
	eventually(t, "the socket is gone", func() bool {
		bytes, _ := b.server.Held()
		most = max(most, bytes)
		return most > 0 && b.server.Open() == 0
	})
	if most > 16<<20 {
		t.Errorf("%d bytes were held, want one answer", most)
	}
}
