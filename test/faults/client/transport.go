package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"parley/test/faults/script"

	"github.com/coder/websocket"
)

// The deadlines of a client. They are generous: a client that gives up early
// hides what the server would have done.
const (
	RequestLimit = 30 * time.Second
	// silenceLimit is longer than the server's own signs of life.
	silenceLimit = 40 * time.Second
)

// answer is what GraphQL answers.
type answer struct {
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Extensions struct {
			Code       string
			RetryAfter int // Seconds.
		}
	}
	canaries []string
}

// code returns the code of the first error, "" without one.
func (a answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Code
}

// post sends one operation on a connection of its own.
func post(ctx context.Context, r Replica, token, query string, variables map[string]any) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, RequestLimit)
	defer cancel()
	response, err := request(ctx, r, token, "application/json", query, variables)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }() // Only read.
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{canaries: script.Canaries(body)}
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{}, fmt.Errorf("%s: no answer of GraphQL: %w", response.Status, err)
	}
	return a, nil
}

func request(
	ctx context.Context, r Replica, token, accept, query string, variables map[string]any,
) (*http.Response, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.Addr+"/graphql",
		bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", accept)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	// A transport of its own: no connection is shared, so that each is hit by
	// faults by itself.
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return web.Do(req)
}

// errLeft is returned by a stream's receiver to leave it.
var errLeft = errors.New("the client leaves")

// receiver is told of every result of a subscription.
type receiver func(a answer) error

// subscribe follows a subscription until the server completes it (nil), the
// connection breaks, or the receiver returns an error, which is returned.
func subscribe(
	ctx context.Context, r Replica, socket bool, token, query string, variables map[string]any, to receiver,
) error {
	if socket {
		return overSocket(ctx, r, token, query, variables, to)
	}
	return overEvents(ctx, r, token, query, variables, to)
}

// overEvents speaks GraphQL over Server-Sent Events.
func overEvents(ctx context.Context, r Replica, token, query string, variables map[string]any, to receiver) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(silenceLimit, cancel)
	defer silence.Stop()
	response, err := request(ctx, r, token, "text/event-stream", query, variables)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // Only read.
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		a := answer{canaries: script.Canaries(body)}
		if err := json.Unmarshal(body, &a); err != nil {
			return fmt.Errorf("%s: no stream", response.Status)
		}
		return receive(to, a)
	}
	lines := bufio.NewReader(response.Body)
	name := ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return fmt.Errorf("cut off: %w", err)
		}
		silence.Reset(silenceLimit)
		line = strings.TrimRight(line, "\r\n")
		if event, is := strings.CutPrefix(line, "event: "); is {
			name = event
		}
		data, is := strings.CutPrefix(line, "data:")
		switch {
		case !is:
		case name == "complete":
			return nil
		case name == "next":
			a := answer{canaries: script.Canaries([]byte(data))}
			if err := json.Unmarshal([]byte(data), &a); err != nil {
				return err
			}
			if err := receive(to, a); err != nil {
				return err
			}
		}
	}
}

// receive hands a result on; an error of the server among it ends the stream.
func receive(to receiver, a answer) error {
	if err := to(a); err != nil {
		return err
	}
	if len(a.Errors) > 0 {
		return fmt.Errorf("%s: %s", a.code(), a.Errors[0].Message)
	}
	return nil
}

// socketMessage is one message of the protocol graphql-transport-ws.
type socketMessage struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// overSocket speaks graphql-transport-ws.
func overSocket(ctx context.Context, r Replica, token, query string, variables map[string]any, to receiver) error {
	dialer := &net.Dialer{Timeout: RequestLimit}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext}}
	opening, cancel := context.WithTimeout(ctx, RequestLimit)
	defer cancel()
	socket, _, err := websocket.Dial(opening, "ws://"+r.Addr+"/graphql", &websocket.DialOptions{
		HTTPClient: web, Subprotocols: []string{"graphql-transport-ws"},
	})
	if err != nil {
		return err
	}
	defer func() { _ = socket.CloseNow() }() // Mostly closed by the server already.
	socket.SetReadLimit(4 << 20)
	say := func(kind string, payload any) error {
		text, err := json.Marshal(payload)
		if err != nil {
			return err
		}
		message, err := json.Marshal(socketMessage{ID: map[string]string{"subscribe": "1"}[kind], Type: kind,
			Payload: text})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, RequestLimit)
		defer cancel()
		return socket.Write(ctx, websocket.MessageText, message)
	}
	if err := say("connection_init", map[string]string{"Authorization": "Bearer " + token}); err != nil {
		return err
	}
	for {
		m, raw, err := readSocket(ctx, socket)
		if err != nil {
			return err
		}
		switch m.Type {
		case "connection_ack":
			if err := say("subscribe", map[string]any{"query": query, "variables": variables}); err != nil {
				return err
			}
		case "next":
			a := answer{canaries: script.Canaries(raw)}
			if err := json.Unmarshal(m.Payload, &a); err != nil {
				return err
			}
			if err := receive(to, a); err != nil {
				return err
			}
		case "error":
			a := answer{canaries: script.Canaries(raw)}
			if err := json.Unmarshal(m.Payload, &a.Errors); err != nil {
				return err
			}
			return receive(to, a)
		case "complete":
			return nil
		}
	}
}

// readSocket waits for a message longer than the server may be silent on a reply
// that does not move; the server's own pings are answered meanwhile.
func readSocket(ctx context.Context, socket *websocket.Conn) (socketMessage, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, silenceLimit)
	defer cancel()
	_, raw, err := socket.Read(ctx)
	if err != nil {
		return socketMessage{}, nil, fmt.Errorf("cut off: %w", err)
	}
	var m socketMessage
	err = json.Unmarshal(raw, &m)
	return m, raw, err
}
