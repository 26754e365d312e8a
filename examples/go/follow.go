package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/Khan/genqlient/graphql"
	"github.com/coder/websocket"
)

const maxTries = 10

// errBrokenOff means that a stream ended before the reply did: subscribe again.
var errBrokenOff = errors.New("the stream ended before the reply")

// closeForbidden is how Parley closes a socket whose token is not good any more.
const closeForbidden = websocket.StatusCode(4403)

// held is what is known of a reply. Parley counts text in UTF-16 code units.
type held struct {
	text   []uint16
	cursor *string // nil: begin with a snapshot
}

// follow calls show with the text of a reply whenever it has grown, and returns the
// final message. genqlient does not connect again by itself; this loop does.
func (c *client) follow(ctx context.Context, id string, show func(string)) (*reply, error) {
	var (
		h     held
		stale string
	)
	for failures := 1; ; failures++ {
		token, err := c.token(ctx, stale)
		if err == nil {
			var final *reply
			final, err = c.followOnce(ctx, token, id, &h, func(text string) { failures = 1; show(text) })
			if err == nil {
				return final, nil
			}
		}
		if code(err) != "" || failures == maxTries {
			return nil, err
		}
		if websocket.CloseStatus(err) == closeForbidden {
			stale = token // Have it replaced.
		}
		// The reply goes on without us. Come back, behind the last event.
		if err := backOff(ctx, failures); err != nil {
			return nil, err
		}
	}
}

func (c *client) followOnce(ctx context.Context, token, id string, h *held, show func(string)) (*reply, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	socket := graphql.NewClientUsingWebSocket(strings.Replace(c.url, "http", "ws", 1), dialer{},
		graphql.WithConnectionParams(map[string]any{"Authorization": "Bearer " + token}))
	lost, err := socket.Start(ctx)
	if err != nil {
		return nil, err
	}
	events, _, err := replyEvents(ctx, socket, id, h.cursor)

	// Not socket.Close, which panics in v0.8.1 when the stream has completed. The
	// goroutine that reads ends with ctx, as soon as it is rid of what it holds.
	open := true
	defer func() {
		cancel()
		for open {
			select {
			case _, more := <-events:
				if !more {
					events = nil
				}
			case <-lost:
				open = false
			}
		}
	}()
	if err != nil {
		return nil, err
	}

	for {
		select {
		case err := <-lost:
			open = false
			return nil, err
		case answer, more := <-events:
			if !more {
				events = nil
				return nil, errBrokenOff
			}
			if answer.Errors != nil {
				return nil, answer.Errors
			}
			switch event := answer.Data.MessageEvents.(type) {
			case *replyEventsMessageEventsMessageSnapshot: // replaces what you hold
				h.text, h.cursor = utf16.Encode([]rune(event.Message.Content)), &event.Cursor
			case *replyEventsMessageEventsMessageDelta:
				if len(h.text) < event.Offset {
					h.cursor = nil // Something was lost: begin with a snapshot.
					return nil, errBrokenOff
				}
				h.text, h.cursor = append(h.text[:event.Offset], utf16.Encode([]rune(event.Text))...), &event.Cursor
			case *replyEventsMessageEventsMessageFinished: // replaces it, too, and is the last one
				show(event.Message.Content)
				return &event.Message, nil
			}
			show(string(utf16.Decode(h.text)))
		}
	}
}

// backOff waits longer after each failure, and not as long as everybody else.
func backOff(ctx context.Context, failures int) error {
	longest := min(10*time.Second, 250*time.Millisecond<<failures)
	select {
	case <-time.After(longest/2 + rand.N(longest/2)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dialer gives genqlient the WebSockets of github.com/coder/websocket.
type dialer struct{}

func (dialer) DialContext(ctx context.Context, url string, _ http.Header) (graphql.WSConn, error) {
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(-1) // A snapshot is as long as the reply.
	go func() {
		// A connection that has died without a word is found by a ping without an answer.
		for ctx.Err() == nil {
			ping, cancel := context.WithTimeout(ctx, 20*time.Second)
			if c.Ping(ping) != nil {
				_ = c.CloseNow() // It is lost either way.
			}
			<-ping.Done()
			cancel()
		}
	}()
	return conn{ctx, c}, nil
}

// conn is a WebSocket until its context ends, which is how genqlient has to be told.
type conn struct {
	ctx context.Context
	*websocket.Conn
}

func (c conn) ReadMessage() (int, []byte, error) {
	kind, data, err := c.Read(c.ctx)
	return int(kind), data, err
}

func (c conn) WriteMessage(kind int, data []byte) error {
	return c.Write(c.ctx, websocket.MessageType(kind), data)
}

func (c conn) Close() error { return c.CloseNow() }
