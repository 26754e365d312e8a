package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
)

// slowModel is a model server whose replies begin and do not end, and that holds next to nothing:
// one buffer serves all of its connections, and no goroutine waits on them.
func slowModel(t *testing.T) (url string, end func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	var accepting sync.WaitGroup
	accepting.Go(func() {
		read := bufio.NewReader(nil)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			held = append(held, conn)
			read.Reset(conn)
			r, err := http.ReadRequest(read)
			if err != nil {
				continue
			}
			_, _ = io.Copy(io.Discard, r.Body) // A client that has gone is seen by its test.
			begin(conn, r.URL.Path)
		}
	})
	return "http://" + l.Addr().String() + "/v1", func() {
		_ = l.Close() // It was only listened on.
		accepting.Wait()
		for _, conn := range held {
			_ = conn.Close() // Its reply ends by that.
		}
	}
}

// begin answers a request: with the head and the first words of a stream, mostly.
func begin(conn net.Conn, path string) {
	if path != "/v1/chat/completions" {
		_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n")
	for n := range words {
		frame := fmt.Sprintf("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,"+
			"\"model\":\"slow\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word %d. \"},\"finish_reason\":null}]}\n\n", n)
		_, _ = fmt.Fprintf(conn, "%x\r\n%s\r\n", len(frame), frame)
	}
}

// words is how many of them slowModel writes.
const words = 50

// ask sends a message on the socket, and waits until all that slowModel says to it has come.
func (f frugal) ask(t *testing.T, read *bufio.Reader, conversation string) {
	t.Helper()
	f.send(t, map[string]any{"type": "subscribe", "id": "2", "payload": map[string]any{
		"query": `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { reply { id } } }`,
		"variables": map[string]any{"input": map[string]any{
			"conversationId": conversation, "content": "Say a word", "clientKey": "key-" + conversation,
		}},
	}})
	f.until(t, read, fmt.Sprintf("word %d. ", words-1))
}

// A running reply with one who watches it is what a busy server is bought for: two goroutines of
// the socket, one of the reply, and two with which net/http has a connection to the model server.
// The client's side is here too, with half a kilobyte. Not parallel, so that nobody else allocates.
func TestARunningReplyIsSmall(t *testing.T) {
	const replies, most, mostStack = 40, 42_000, deeper * 36_000
	model, end := slowModel(t)
	defer end() // Before the server, which waits for its replies.
	i := startInside(t, append(sqliteEnviron(t), "OPENAI_BASE_URL="+model, "PARLEY_MODELS=slow",
		"PARLEY_SOCKETS_PER_USER=1000", "PARLEY_SUBSCRIPTIONS_PER_USER=1000", "PARLEY_REQUESTS_PER_USER=1000",
		"PARLEY_MAX_RUNNING=1000", "PARLEY_SENDS_PER_MINUTE=0")...)
	token := i.signUp(t, "ada@example.com").AccessToken
	read := bufio.NewReader(nil)
	start := func() {
		var made struct {
			CreateConversation struct{ Conversation struct{ ID string } }
		}
		i.into(t, token, `mutation { createConversation(input: {}) { conversation { id } } }`, nil, &made)
		id := made.CreateConversation.Conversation.ID
		i.follow(t, read, token, id).ask(t, read, id)
	}
	start() // What all share is there.
	goroutines, before, stacks := runtime.NumGoroutine(), heap(), stack()
	for range replies {
		start()
	}
	eventually(t, startLimit, "a running reply and its viewer have five goroutines", func() bool {
		return runtime.NumGoroutine() <= goroutines+5*replies
	})
	each, eachStack := 0, 0
	defer func() { t.Logf("a running reply holds %d bytes of heap and %d of stacks", each, eachStack) }()
	// What else the server does holds something for a moment, and a stack shrinks by half at a time.
	what := fmt.Sprintf("a running reply holds %d bytes of heap and %d of stacks at most", most, mostStack)
	eventually(t, startLimit, what, func() bool {
		each, eachStack = (heap()-before)/replies, (stack()-stacks)/replies
		return each <= most && eachStack <= mostStack
	})
}

// stack is what the stacks of all goroutines take.
func stack() int {
	var m runtime.MemStats
	runtime.GC() // It gives back half of a stack that is used to less than a quarter.
	runtime.ReadMemStats(&m)
	return int(m.StackInuse)
}
