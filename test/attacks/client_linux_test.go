package attacks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

type vars = map[string]any

// user is somebody who has signed up, with connections of its own; without tokens, nobody.
type user struct {
	server         *server
	token, refresh string
	http           *http.Client
}

// bulk is the size of answers that are no refusals, and that the tests only weigh: to read
// hundreds of megabytes of JSON takes them longer than the server to write them.
const bulk = 1 << 20

// answer is what a client gets; without data when it is more than bulk.
type answer struct {
	status int
	size   int
	Data   map[string]json.RawMessage
	Errors []struct {
		Message    string
		Extensions struct{ Code, Quota string }
	}
}

// code is that of the first error, "" when there is none.
func (a answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Code
}

// nobody is a client that has not signed in.
func (s *server) nobody(t *testing.T) *user {
	t.Helper()
	u := &user{server: s, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}}}
	t.Cleanup(u.http.CloseIdleConnections)
	return u
}

// user signs somebody up.
func (s *server) user(t *testing.T, name string) *user {
	t.Helper()
	u := s.nobody(t)
	a := u.ask(t, `mutation ($email: String!) { signUp(input: {email: $email, password: "correct horse 7 battery"}) {
		accessToken refreshToken } }`, vars{"email": name + "@example.org"})
	u.token, u.refresh = a.field(t, "signUp", "accessToken"), a.field(t, "signUp", "refreshToken")
	return u
}

// body is a request as JSON.
func body(document string, v vars) []byte {
	b, err := json.Marshal(vars{"query": document, "variables": v})
	if err != nil {
		panic(err) // The tests' own values.
	}
	return b
}

// try asks for something and reads the whole answer.
func (u *user) try(ctx context.Context, document string, v vars) (answer, error) {
	return u.post(ctx, body(document, v), "")
}

// post is try for a body as it stands, with an Accept header where one is given.
func (u *user) post(ctx context.Context, text []byte, accept string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+u.server.addr+"/graphql",
		bytes.NewReader(text))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	if u.token != "" {
		r.Header.Set("Authorization", "Bearer "+u.token)
	}
	resp, err := u.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, size: len(got)}
	if a.size > bulk {
		return a, nil
	}
	if err := json.Unmarshal(got, &a); err != nil {
		return a, fmt.Errorf("%w in %.200q", err, got)
	}
	return a, nil
}

// ask is try for what has to succeed.
func (u *user) ask(t *testing.T, document string, v vars) answer {
	t.Helper()
	a, err := u.try(t.Context(), document, v)
	if err != nil || len(a.Errors) > 0 {
		t.Fatalf("%.200s: got %+v, %v", document, a.Errors, err)
	}
	return a
}

// field reads a member of an answer's field, by the names on the way.
func (a answer) field(t *testing.T, path ...string) string {
	t.Helper()
	raw := a.Data[path[0]]
	for _, name := range path[1:] {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			t.Fatal(err)
		}
		raw = object[name]
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		t.Fatalf("%v: %v", path, err)
	}
	return text
}

// unread sends a request whose answer nobody reads.
func (u *user) unread(t *testing.T, document string, v vars) {
	t.Helper()
	conn, err := net.Dial("tcp", u.server.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	text := body(document, v)
	_, err = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"+
		"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", u.server.addr, u.token, len(text), text)
	if err != nil {
		t.Fatal(err)
	}
}

// message is one of graphql-transport-ws.
type message struct {
	Type, ID string
	Payload  json.RawMessage
}

// socket is an open WebSocket of a user.
type socket struct {
	conn *websocket.Conn
	ctx  context.Context
}

// dial opens a WebSocket on which nobody has said who it is. Without an error, the status is
// 101.
func (s *server) dial(t *testing.T) (c *socket, status int, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	conn, resp, err := websocket.Dial(ctx, "ws://"+s.addr+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if resp != nil {
		status = resp.StatusCode
	}
	if err != nil {
		return nil, status, err
	}
	conn.SetReadLimit(64 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{conn, ctx}, status, nil
}

func (u *user) socket(t *testing.T) *socket {
	t.Helper()
	s, _, err := u.server.dial(t)
	if err != nil {
		t.Fatal(err)
	}
	hello := `{"type":"connection_init","payload":{"Authorization":"Bearer ` + u.token + `"}}`
	if err := s.write(hello); err != nil {
		t.Fatal(err)
	}
	if m, err := s.next(); err != nil || m.Type != "connection_ack" {
		t.Fatalf("got %s, %v, want connection_ack", m.Type, err)
	}
	return s
}

// start begins an operation.
func (s *socket) start(t *testing.T, id, document string, v vars) {
	t.Helper()
	if err := s.try(id, document, v); err != nil {
		t.Fatal(err)
	}
}

// try is start on a socket that may be gone.
func (s *socket) try(id, document string, v vars) error {
	return s.write(fmt.Sprintf(`{"type":"subscribe","id":%q,"payload":%s}`, id, body(document, v)))
}

func (s *socket) write(text string) error {
	return s.conn.Write(s.ctx, websocket.MessageText, []byte(text))
}

func (s *socket) read() ([]byte, error) {
	_, data, err := s.conn.Read(s.ctx)
	return data, err
}

func (s *socket) next() (m message, err error) {
	data, err := s.read()
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// rounds is how often the bystander asks at least.
const rounds = 3

// bystander begins to chat, and returns what ends that: it fails the test unless all that
// the bystander asked for was answered.
func (s *server) bystander(t *testing.T) (stop func()) {
	t.Helper()
	u := s.user(t, "bystander-of-"+strings.ReplaceAll(s.addr, ":", "-")) // One for each life of a server.
	done := make(chan struct{})
	var chat sync.WaitGroup
	chat.Go(func() {
		n, longest := 0, time.Duration(0)
		for ended := false; !ended || n < rounds; n++ {
			begun := time.Now()
			if err := u.chat(t.Context()); err != nil {
				t.Errorf("the bystander's request %d: %v", n, err)
				return
			}
			longest = max(longest, time.Since(begun))
			select {
			case <-done:
				ended = true
			case <-s.ended:
				return // The test says so.
			default:
			}
		}
		t.Logf("the bystander was answered %d times, after %v at most", n, longest.Round(time.Millisecond))
	})
	return func() {
		close(done)
		chat.Wait()
	}
}

// chat is a message with its reply, without the introduction of the built-in model, and a look at the page that shows
// it.
func (u *user) chat(ctx context.Context) error {
	for _, document := range []string{
		`mutation { sendMessage(input: {content: "Hello.", wait: true, parameters: {stop: [" I am ELIZA"]}}) {
			reply { status content } } }`,
		`{ viewer { id } conversations(first: 5) { nodes { id messages(last: 20) { nodes { id role content } } } } }`,
	} {
		if a, err := u.try(ctx, document, nil); err != nil || len(a.Errors) > 0 {
			return fmt.Errorf("%s: %+v %w", document, a.Errors, err)
		}
	}
	return nil
}
