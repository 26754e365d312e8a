package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// outcome is how a send that waits ended.
type outcome struct {
	sent
	err error
}

// sendAndWait sends a long question and waits for the reply in the background.
func (i *instance) sendAndWait(t *testing.T, token string) <-chan outcome {
	t.Helper()
	waiting := make(chan outcome, 1)
	go func() {
		s, err := i.send(t.Context(), token, map[string]any{"content": longQuestion, "wait": true})
		waiting <- outcome{s, err}
	}()
	running := `{ conversations { nodes { runningReply { content } } } }`
	eventually(t, startLimit, "the reply is being written", func() bool {
		return strings.Contains(string(i.ask(t, token, running, nil).Data), `"content":"H`)
	})
	return waiting
}

// socket opens a WebSocket that follows the viewer.
func (i *instance) socket(t *testing.T, token string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), i.url+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	for _, text := range []string{
		fmt.Sprintf(`{"type":"connection_init","payload":{"token":%q}}`, token),
		`{"type":"subscribe","id":"feed","payload":{"query":"subscription { viewerEvents { __typename } }"}}`,
	} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := conn.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

// closeCode reads a socket to its end.
func closeCode(ctx context.Context, conn *websocket.Conn) websocket.StatusCode {
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

// TestShutdown asks a server to end while it writes a reply that somebody waits for
// and that others follow, and looks at the order from outside.
func TestShutdown(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, environ []string) {
		i := startProcess(t, append(environ, "PARLEY_DRAIN=8s")...)
		token := i.signUp(t, "ada@example.com").AccessToken
		followed, conn := follow(t, i, token), i.socket(t, token)
		closed := make(chan websocket.StatusCode, 1)
		go func() { closed <- closeCode(t.Context(), conn) }()
		waiting := i.sendAndWait(t, token)

		i.cancel()
		eventually(t, startLimit, "it is not ready", func() bool {
			status, text := i.get(t, "/readyz")
			return status == http.StatusServiceUnavailable && text == shuttingDown+"\n"
		})
		// While it drains, everything is served as before.
		drained := i.mustSend(t, token, map[string]any{"content": "One more?"})
		latest := follow(t, i, token)
		select {
		case <-followed:
			t.Error("a stream ended while the server drained")
		case code := <-closed:
			t.Errorf("a socket was closed with %d while the server drained", code)
		default:
		}

		// Then clients are told to go elsewhere, and nothing new is let in.
		limit := time.After(startLimit)
		select {
		case code := <-closed:
			if code != 1012 {
				t.Errorf("the socket was closed with %d, want 1012", code)
			}
		case <-limit:
			t.Error("the socket is still open")
		}
		for _, stream := range []<-chan struct{}{followed, latest} {
			select {
			case <-stream:
			case <-limit:
				t.Error("a stream is still open")
			}
		}
		eventually(t, startLimit, "no connection is taken", func() bool { return i.status(t, "/healthz") == 0 })

		got := <-waiting
		if got.err != nil || got.Reply.Status != "COMPLETED" {
			t.Errorf("the send that waits got %v, %v, want the whole reply", got.Reply, got.err)
		}
		i.waitStopped(t)

		again := startProcess(t, environ...)
		if r := again.reply(t, token, got.Reply.ID); r != got.Reply {
			t.Errorf("after a restart the reply is %v, want %v", r, got.Reply)
		}
		if r := again.reply(t, token, drained.Reply.ID); r.Status != "COMPLETED" || r.Attempt != 1 {
			t.Errorf("after a restart the reply asked for while draining is %v, want it whole", r)
		}
	})
}

// TestSecondSignal cuts the drain and the time for replies short. Whoever waits for
// one gets it as it stands, and the next process takes it up.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, environ []string) {
		i := startProcess(t, append(environ, "PARLEY_DRAIN=1m")...)
		token := i.signUp(t, "ada@example.com").AccessToken
		conn := i.socket(t, token)
		waiting := i.sendAndWait(t, token)
		i.cancel()
		eventually(t, startLimit, "it is not ready",
			func() bool { return i.status(t, "/readyz") == http.StatusServiceUnavailable })
		i.cancel()
		if code := closeCode(t.Context(), conn); code != 1012 {
			t.Errorf("the socket was closed with %d, want 1012", code)
		}
		got := <-waiting
		if got.err != nil || got.Reply.Status != "STREAMING" || !strings.HasPrefix(got.Reply.Content, "H") {
			t.Errorf("the send that waits got %v, %v, want the reply as it stands", got.Reply, got.err)
		}
		i.waitStopped(t)

		again := startProcess(t, environ...)
		eventually(t, startLimit, "the reply is taken up", func() bool {
			r := again.reply(t, token, got.Reply.ID)
			return r.Status == "COMPLETED" && r.Attempt == 2
		})
	})
}
