package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/coder/websocket"
)

// The close codes we use, and what the reference client graphql-ws does on them:
// on 1012 and 4403 it comes back, on 4403 with a fresh token; 1000 from a server
// makes it come back at once and without end.
const (
	closeRestart   = websocket.StatusCode(1012)
	closeForbidden = websocket.StatusCode(4403)
	closeNoInit    = websocket.StatusCode(4408)
)

// serveSocket upgrades the request. It returns when the socket is closed.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	stopping := s.stopping
	s.mu.Unlock()
	if stopping {
		refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "The server is restarting.")
		return
	}
	holder := &socketHolder{header: bearer(r.Header.Get("Authorization")), end: func() {}}
	ctx := context.WithValue(withStreaming(r.Context()), holderKey{}, holder)
	s.handler.ServeHTTP(w, r.WithContext(ctx))
	// gqlgen returns without closing when the first message has a wrong shape.
	if c := holder.socket; c != nil {
		c.end(websocket.StatusPolicyViolation, "bad connection_init")
		s.mu.Lock()
		delete(s.sockets, c)
		s.mu.Unlock()
	}
	holder.end()
}

// socketHolder carries what belongs to one socket through gqlgen.
type socketHolder struct {
	header string // the token of the upgrade request, for clients that send it there
	socket *socket
	end    func()
}

type holderKey struct{}

// initSocket authenticates a socket by its connection_init message.
func (s *Server) initSocket(ctx context.Context, payload transport.InitPayload) (context.Context, *transport.InitPayload, error) {
	holder := ctx.Value(holderKey{}).(*socketHolder)
	token := holder.header
	if t := tokenOf(payload); t != "" {
		token = t
	}
	authenticated, end, err := s.cfg.Authenticate(ctx, token)
	if err != nil {
		code := closeForbidden
		if !errors.Is(err, ErrForbidden) {
			code = closeRestart // Not the token's fault: try again.
		}
		ctx = transport.AppendCloseReason(ctx, "Forbidden")
		return transport.WithWebsocketCloseCode(ctx, int(code)), nil, errors.New("forbidden")
	}
	holder.end = end
	holder.socket.authenticated(authenticated)
	return authenticated, nil, nil
}

// tokenOf finds the token where clients put it: at the top of the payload or in
// its headers, with or without the scheme.
func tokenOf(payload map[string]any) string {
	for _, key := range []string{"Authorization", "authorization", "token"} {
		if text, ok := payload[key].(string); ok {
			if strings.Contains(text, " ") {
				return bearer(text)
			}
			return text
		}
	}
	if headers, ok := payload["headers"].(map[string]any); ok {
		return tokenOf(headers)
	}
	return ""
}

// upgrader makes our sockets for gqlgen.
type upgrader struct{ server *Server }

// Accept implements transport.WebsocketImplementation.
func (u upgrader) Accept(w http.ResponseWriter, r *http.Request, options transport.WebsocketAcceptOptions) (transport.WebsocketConn, error) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       options.Subprotocols,
		InsecureSkipVerify: true, // ServeHTTP has checked the origin, by the operator's list.
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	c := &socket{conn: conn, wait: u.server.wait, ctx: ctx, cancel: cancel, token: ctx}
	r.Context().Value(holderKey{}).(*socketHolder).socket = c
	u.server.mu.Lock()
	u.server.sockets[c] = struct{}{}
	stopping := u.server.stopping
	u.server.mu.Unlock()
	if stopping {
		go c.end(closeRestart, "restarting") // Close has not seen this one.
	}
	go c.ping()
	return c, nil
}

// socket is a WebSocket whose writes have a deadline: a client that does not read
// is let go instead of holding its goroutines for ever.
type socket struct {
	conn *websocket.Conn
	wait patience
	// ctx ends when the socket does.
	ctx    context.Context
	cancel context.CancelFunc

	mu sync.Mutex
	// token ends when the client's token does. It is guarded by mu, like closed.
	token  context.Context
	closed bool
}

func (c *socket) authenticated(token context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = token
}

// NextReader implements transport.WebsocketConn.
func (c *socket) NextReader() (int, io.Reader, error) {
	kind, data, err := c.conn.Read(c.ctx)
	if err != nil {
		// However it ended, there is nothing to report: clients come and go.
		return int(kind), nil, transport.ErrWebsocketClosed
	}
	return int(kind), bytes.NewReader(data), nil
}

// WriteJSON implements transport.WebsocketConn.
func (c *socket) WriteJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.wait.write)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, data)
}

// WriteClose implements transport.WebsocketConn. gqlgen's codes are put right
// where clients would draw wrong conclusions.
func (c *socket) WriteClose(code int, reason string) error {
	c.mu.Lock()
	ended := c.token.Err() != nil
	c.mu.Unlock()
	status := websocket.StatusCode(code)
	switch {
	case ended && status == websocket.StatusNormalClosure:
		status, reason = closeForbidden, "Forbidden"
	case reason == "connection initialisation timeout":
		status = closeNoInit
	}
	if c.claimEnd() {
		go c.close(status, reason) // The closing handshake may take seconds.
	}
	return nil
}

// end closes the socket. Only the first end, of whatever kind, has an effect.
func (c *socket) end(code websocket.StatusCode, reason string) {
	if c.claimEnd() {
		c.close(code, reason)
	}
}

// claimEnd reports whether the caller is the one who closes the socket.
func (c *socket) claimEnd() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.closed
	c.closed = true
	return first
}

func (c *socket) close(code websocket.StatusCode, reason string) {
	// The error says that the peer has gone already.
	_ = c.conn.Close(code, reason)
	c.cancel()
}

// Close implements transport.WebsocketConn. It leaves a closing handshake alone.
func (c *socket) Close() error { return nil }

// Subprotocol implements transport.WebsocketConn.
func (c *socket) Subprotocol() string { return c.conn.Subprotocol() }

// SetReadLimit implements transport.WebsocketReadLimiter.
func (c *socket) SetReadLimit(limit int64) { c.conn.SetReadLimit(limit) }

// ping finds peers that are gone without a word. Control frames are answered by
// every client by itself; a ping message of the protocol breaks some.
func (c *socket) ping() {
	tick := time.NewTicker(c.wait.ping)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(c.ctx, c.wait.pong)
		err := c.conn.Ping(ctx)
		cancel()
		if err != nil {
			_ = c.conn.CloseNow() // Gone already, or as good as.
			return
		}
	}
}
