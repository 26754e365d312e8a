package graph_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"unicode/utf16"

	"github.com/coder/websocket"

	"parley/internal/reply"
)

// counted is a listener that counts how often its connections are written to by who waits.
type counted struct {
	net.Listener
	writes atomic.Int64
}

func (l *counted) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &countedConn{conn, l}, err
}

type countedConn struct {
	net.Conn
	of *counted
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.of.writes.Add(1)
	return c.Conn.Write(p)
}

func (c *countedConn) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

// viewing is a socket with subscriptions.
type viewing struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
}

func (b *bundle) view(t *testing.T, p person) (*viewing, *counted) {
	t.Helper()
	web := httptest.NewUnstartedServer(b.graphql)
	listener := &counted{Listener: web.Listener}
	web.Listener = listener
	web.Start()
	t.Cleanup(web.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, web.URL, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	v := &viewing{t, ctx, conn}
	v.say(vars{"type": "connection_init", "payload": vars{"authorization": "Bearer " + p.token}})
	if m := v.hear(); m.Type != "connection_ack" {
		t.Fatalf("got %+v, want an ack", m)
	}
	return v, listener
}

func (v *viewing) say(m vars) {
	v.t.Helper()
	text, err := json.Marshal(m)
	if err == nil {
		err = v.conn.Write(v.ctx, websocket.MessageText, text)
	}
	if err != nil {
		v.t.Fatal(err)
	}
}

type heard struct {
	ID, Type string
	Payload  struct{ Data map[string]map[string]any }
}

func (v *viewing) hear() (m heard) {
	v.t.Helper()
	_, text, err := v.conn.Read(v.ctx)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		v.t.Fatal(err)
	}
	return m
}

// TestDeltasAreWrittenByWhoMakesThem: several subscriptions on one socket get all of it, in order,
// and for most of it no goroutine of theirs is woken.
func TestDeltasAreWrittenByWhoMakesThem(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	s, model := b.start(ada, "")
	v, listener := b.view(t, ada)
	const fields = `{ __typename ... on MessageSnapshot { message { content } } ... on MessageDelta { offset text } }`
	cursor := reply.Cursor{MessageID: s.reply, Attempt: 1}.String()
	subscriptions := map[string]string{
		"message":      `subscription($id: ID!) { messageEvents(messageId: $id) ` + fields + ` }`,
		"again":        `subscription($id: ID!) { messageEvents(messageId: $id) ` + fields + ` }`,
		"resumed":      `subscription($id: ID!) { messageEvents(messageId: $id, after: "` + cursor + `") ` + fields + ` }`,
		"conversation": `subscription($id: ID!) { conversationEvents(conversationId: $id) ` + fields + ` }`,
	}
	for id, document := range subscriptions {
		of := s.reply
		if id == "conversation" {
			of = s.conversation
		}
		v.say(vars{"id": id, "type": "subscribe", "payload": vars{"query": document, "variables": vars{"id": of}}})
		if id == "resumed" {
			continue // It begins with a delta.
		}
		if m := v.hear(); !strings.HasSuffix(m.kind(), "Snapshot") {
			t.Fatalf("got %+v, want a snapshot", m)
		}
	}
	text := strings.ToValidUTF8(randomText(rand.New(rand.NewPCG(3, 9)), 2000), "?")
	before := listener.writes.Load()
	var writing sync.WaitGroup
	t.Cleanup(writing.Wait)
	writing.Go(func() {
		model.write(t, cut(rand.New(rand.NewPCG(1, 9)), text, false)...)
		model.finish(t, nil)
	})
	frames, ended := 0, 0
	held := map[string][]uint16{}
	for ended < len(subscriptions) {
		m := v.hear()
		frames++
		for _, e := range m.Payload.Data {
			switch e["__typename"] {
			case "MessageSnapshot": // That of a conversation's running reply comes behind its own.
				content := e["message"].(map[string]any)["content"].(string)
				held[m.ID] = utf16.Encode([]rune(content))
			case "MessageDelta":
				if int(e["offset"].(float64)) != len(held[m.ID]) {
					t.Fatalf("%s: a delta at %v, while we hold %d units", m.ID, e["offset"], len(held[m.ID]))
				}
				held[m.ID] = append(held[m.ID], utf16.Encode([]rune(e["text"].(string)))...)
			case "MessageFinished":
				ended++
				if got := string(utf16.Decode(held[m.ID])); got != text {
					t.Errorf("%s: snapshot and deltas come to %d bytes, want %d", m.ID, len(got), len(text))
				}
			}
		}
	}
	if woken := int(listener.writes.Load() - before); woken > frames/2 {
		t.Errorf("%d of %d frames were written by who was woken, want few", woken, frames)
	} else {
		t.Logf("%d of %d frames were written by who was woken", woken, frames)
	}
}

func (m heard) kind() string {
	for _, e := range m.Payload.Data {
		kind, _ := e["__typename"].(string)
		return kind
	}
	return m.Type
}
