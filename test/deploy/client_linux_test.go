package deploy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"parley/internal/waittest"
)

// site is the name of the site in the configurations.
const site = "chat.example.com"

// clientIP is where the client comes from: another address of this machine than the proxy's.
const clientIP = "127.0.0.2"

// subscription follows a reply.
const subscription = `subscription ($id: ID!) { messageEvents(messageId: $id) {
	__typename
	... on MessageSnapshot { message { content } }
	... on MessageDelta { text }
	... on MessageFinished { message { status } }
} }`

// client speaks to a server through a proxy.
type client struct {
	http  *http.Client // HTTP/2, as browsers do.
	plain *http.Client // HTTP/1.1, which a socket begins with.
	token string
}

// stream returns the next event of a reply, in words: its type and its text or status.
type stream func(t *testing.T) string

func newClient(t *testing.T, addr string) *client {
	t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientIP)}}
		return dialer.DialContext(ctx, "tcp", addr)
	}
	// Like a browser it takes gzip, with which a proxy would hold pieces back.
	over := func(version string) *http.Client {
		transport := &http.Transport{DialContext: dial, TLSClientConfig: trusting()}
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP1(version == "1.1")
		transport.Protocols.SetHTTP2(version == "2")
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	return &client{http: over("2"), plain: over("1.1")}
}

// get returns the status of a GET, 0 when nobody answers.
func (c *client) get(path string) int {
	resp, err := c.http.Get("https://" + site + path)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// post asks for a type of answer. The test ends when none comes.
func (c *client) post(t *testing.T, accept, query string, variables map[string]any) *http.Response {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waittest.Limit)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+site+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", accept)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("got %s %s, want 200", resp.Status, text)
	}
	return resp
}

func (c *client) ask(t *testing.T, query string, variables map[string]any, data any) {
	t.Helper()
	resp := c.post(t, "application/graphql-response+json", query, variables)
	var answer struct {
		Data   json.RawMessage
		Errors json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer.Data, data); err != nil || answer.Errors != nil {
		t.Fatalf("%s: got %s %s %v", query, answer.Data, answer.Errors, err)
	}
}

func (c *client) signUp(t *testing.T, email string) {
	t.Helper()
	var data struct{ SignUp struct{ AccessToken string } }
	c.ask(t, `mutation ($e: String!) { signUp(input: {email: $e, password: "correct horse battery"}) { accessToken } }`,
		map[string]any{"e": email}, &data)
	c.token = data.SignUp.AccessToken
}

// staysSignedIn signs in as the chat page does, by the cookie alone.
func (c *client) staysSignedIn(t *testing.T, email string) {
	t.Helper()
	var data struct{ SignIn struct{ RefreshToken string } }
	c.ask(t, `mutation ($e: String!) {
		signIn(input: {email: $e, password: "correct horse battery"}) { refreshToken } }`,
		map[string]any{"e": email}, &data)
	var cookies []*http.Cookie
	for _, r := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodPost, "/session", `{"refreshToken": "` + data.SignIn.RefreshToken + `"}`, http.StatusNoContent},
		{http.MethodPost, "/session/refresh", "", http.StatusOK},
		{http.MethodDelete, "/session", "", http.StatusNoContent},
	} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, "https://"+site+r.path,
			strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://"+site) // An older browser: it does not say of itself where it is.
		req.Header.Set("Parley-Session", "1")
		req.Header.Set("Content-Type", "application/json")
		for _, cookie := range cookies {
			req.AddCookie(cookie)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // The status and the cookie are what counts.
		cookies = resp.Cookies()
		if resp.StatusCode != r.status || len(cookies) != 1 || cookies[0].Name != "__Host-parley" ||
			!cookies[0].Secure {
			t.Fatalf("%s %s: %d with the cookies %v, want %d and one for TLS", r.method, r.path, resp.StatusCode,
				cookies, r.status)
		}
	}
}

// send returns the id of the reply.
func (c *client) send(t *testing.T, content string) string {
	t.Helper()
	var data struct {
		SendMessage struct{ Reply struct{ ID string } }
	}
	c.ask(t, `mutation ($c: String!) { sendMessage(input: {content: $c}) { reply { id } } }`,
		map[string]any{"c": content}, &data)
	return data.SendMessage.Reply.ID
}

// inWords says what a result of the subscription is.
func inWords(t *testing.T, raw []byte) string {
	t.Helper()
	var result struct {
		Data struct {
			MessageEvents struct {
				Typename string `json:"__typename"`
				Text     string
				Message  struct{ Content, Status string }
			}
		}
		Errors json.RawMessage
	}
	if err := json.Unmarshal(raw, &result); err != nil || result.Errors != nil {
		t.Fatalf("got %s, %v, want an event", raw, err)
	}
	e := result.Data.MessageEvents
	return e.Typename + " " + e.Text + e.Message.Content + e.Message.Status
}

// events follows a reply by Server-Sent Events.
func (c *client) events(t *testing.T, id string) stream {
	resp := c.post(t, "text/event-stream", subscription, map[string]any{"id": id})
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") || resp.ProtoMajor != 2 {
		t.Fatalf("got %s by %s, want a stream by HTTP/2", got, resp.Proto)
	}
	lines := bufio.NewScanner(resp.Body)
	return func(t *testing.T) string {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && data != "" {
				return inWords(t, []byte(data))
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
}

// parts follows a reply by multipart.
func (c *client) parts(t *testing.T, id string) stream {
	resp := c.post(t, `multipart/mixed;subscriptionSpec="1.0"`, subscription, map[string]any{"id": id})
	kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		t.Fatalf("got %q, %v, want parts", resp.Header.Get("Content-Type"), err)
	}
	parts := multipart.NewReader(resp.Body, params["boundary"])
	return func(t *testing.T) string {
		t.Helper()
		for {
			part, err := parts.NextPart()
			if err != nil {
				t.Fatalf("the parts ended: %v", err)
			}
			var body struct{ Payload json.RawMessage }
			if err := json.NewDecoder(part).Decode(&body); err != nil {
				t.Fatal(err)
			}
			if body.Payload != nil {
				return inWords(t, body.Payload)
			}
		}
	}
}

// socket follows a reply by WebSocket.
func (c *client) socket(t *testing.T, id string) stream {
	ctx, cancel := context.WithTimeout(t.Context(), waittest.Limit)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, "wss://"+site+"/graphql", &websocket.DialOptions{
		HTTPClient: c.plain, Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(-1)
	write := func(v any) {
		if err := wsjson.Write(ctx, conn, v); err != nil {
			t.Fatal(err)
		}
	}
	write(map[string]any{"type": "connection_init", "payload": map[string]any{"Authorization": "Bearer " + c.token}})
	write(map[string]any{"type": "subscribe", "id": "1", "payload": map[string]any{
		"query": subscription, "variables": map[string]any{"id": id}}})
	return func(t *testing.T) string {
		t.Helper()
		for {
			var message struct {
				Type    string
				Payload json.RawMessage
			}
			if err := wsjson.Read(ctx, conn, &message); err != nil {
				t.Fatal(err)
			}
			switch message.Type {
			case "next":
				return inWords(t, message.Payload)
			case "error", "complete":
				t.Fatalf("got %s %s, want an event", message.Type, message.Payload)
			}
		}
	}
}
