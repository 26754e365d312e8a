package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"
)

// frugal is a WebSocket client that holds next to nothing: one buffer serves all of them.
type frugal struct{ conn net.Conn }

// send writes one message, masked with zeros.
func (f frugal) send(t *testing.T, message map[string]any) {
	t.Helper()
	text, err := json.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	frame := []byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text)), 0, 0, 0, 0}
	frame = append(frame, text...)
	if _, err := f.conn.Write(frame); err != nil {
		t.Fatal(err)
	}
}

// want reads one message that says something.
func (f frugal) want(t *testing.T, read *bufio.Reader, text string) {
	t.Helper()
	read.Reset(f.conn)
	if message := f.message(t, read); !strings.Contains(message, text) {
		t.Fatalf("got %s, want %s", message, text)
	}
}

// until reads messages until one says something.
func (f frugal) until(t *testing.T, read *bufio.Reader, text string) {
	t.Helper()
	_ = f.conn.SetDeadline(time.Now().Add(startLimit))
	read.Reset(f.conn)
	for m := ""; !strings.Contains(m, text); {
		m = f.message(t, read)
	}
	_ = f.conn.SetDeadline(time.Time{})
}

// message reads one message.
func (f frugal) message(t *testing.T, read *bufio.Reader) string {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(read, head); err != nil {
		t.Fatal(err)
	}
	size := int(head[1])
	if size == 126 {
		if _, err := io.ReadFull(read, head); err != nil {
			t.Fatal(err)
		}
		size = int(head[0])<<8 | int(head[1])
	}
	message := make([]byte, size)
	if _, err := io.ReadFull(read, message); err != nil {
		t.Fatal(err)
	}
	return string(message)
}

// follow opens a socket and subscribes to a conversation.
func (i *instance) follow(t *testing.T, read *bufio.Reader, token, conversation string) frugal {
	t.Helper()
	u, err := url.Parse(i.url)
	if err != nil {
		t.Fatal(err)
	}
	var f frugal
	if f.conn, err = net.DialTimeout("tcp", u.Host, startLimit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.conn.Close() }) // The server may have closed it.
	_ = f.conn.SetDeadline(time.Now().Add(startLimit))
	fmt.Fprintf(f.conn, "GET /graphql HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"+
		"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n", u.Host)
	read.Reset(f.conn)
	for line := "-"; line != "\r\n"; {
		if line, err = read.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	f.send(t, map[string]any{"type": "connection_init", "payload": map[string]any{"Authorization": "Bearer " + token}})
	f.want(t, read, "connection_ack")
	f.send(t, map[string]any{"type": "subscribe", "id": "1", "payload": map[string]any{
		"query": `subscription ($id: ID!) { conversationEvents(conversationId: $id) { __typename ` +
			`... on ConversationSnapshot { conversation { id } runningReply { id } } ` +
			`... on MessageSnapshot { message { content } } ... on MessageDelta { offset text message { id } } } }`,
		"variables": map[string]any{"id": conversation},
	}})
	f.want(t, read, "ConversationSnapshot")
	_ = f.conn.SetDeadline(time.Time{})
	return f
}

// heap is what is in use after a collection.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // Also what pools had kept.
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// Most pages that are open wait most of the time: what one costs is what a server is bought
// for. The client's side is here too, with half a kilobyte. The test is not parallel, so that
// nobody else allocates.
func TestAnIdleFeedIsSmall(t *testing.T) {
	const feeds, most = 200, 13_200
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_SOCKETS_PER_USER=1000",
		"PARLEY_SUBSCRIPTIONS_PER_USER=1000")...)
	token := i.signUp(t, "ada@example.com").AccessToken
	var made struct {
		CreateConversation struct{ Conversation struct{ ID string } }
	}
	i.into(t, token, `mutation { createConversation(input: {}) { conversation { id } } }`, nil, &made)
	id := made.CreateConversation.Conversation.ID
	read := bufio.NewReader(nil)
	i.follow(t, read, token, id) // What all share is there.
	goroutines, before := runtime.NumGoroutine(), heap()
	for range feeds {
		i.follow(t, read, token, id)
	}
	eventually(t, startLimit, "a feed has the goroutine that reads its socket and the one that waits for events",
		func() bool { return runtime.NumGoroutine() <= goroutines+2*feeds })
	each := (heap() - before) / feeds
	t.Logf("%d bytes", each)
	if each > most {
		t.Errorf("an idle feed holds %d bytes of heap, want at most %d", each, most)
	}
}
