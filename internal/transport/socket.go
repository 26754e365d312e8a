package transport

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// The sizes of what a client may send: little before it is known, a whole request
// afterwards. More closes the socket with 1009.
const (
	maxInit    = 64 << 10
	maxMessage = maxBody
)

// socket is one WebSocket. One goroutine reads; each operation has one that
// executes and writes. A write that does not get through within its deadline closes
// the socket, so a client that does not read holds nothing for longer than that.
type socket struct {
	server   *Server
	conn     *websocket.Conn
	dialect  dialect
	request  *http.Request
	stalled  *time.Timer // closes the connection during a write that takes too long
	identity Identity
	user     string // has a place in Server.admission under this name
	acked    bool   // touched by the reader only
	allowed  bucket // touched by the reader only
	running  sync.WaitGroup

	// ctx ends with the socket.
	ctx    context.Context
	cancel context.CancelFunc

	// unwatched is ctx without its end.
	unwatched context.Context

	// writing orders the writes and guards out.
	writing sync.Mutex
	out     []byte

	// mu guards the fields below.
	mu     sync.Mutex
	active map[string]*operation
	closed bool
	// holding counts the operations that the socket is kept open for when it retires:
	// queries and mutations that began before.
	holding  int
	retiring bool
	// gone is closed when the connection is, after close was called.
	gone chan struct{}
}

// serveSocket upgrades the request and serves the socket until it is closed.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	addr := s.addressOf(r)
	if why := s.admission.takeAddr(addr); why != nil {
		s.turnAway(w, r, why)
		return
	}
	defer s.admission.leaveAddr(addr)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{transportWS{}.name(), legacyWS{}.name()},
		InsecureSkipVerify: true, // allowOrigin has checked it, by the operator's list.
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return // Accept has answered.
	}
	c := &socket{
		server:  s,
		conn:    conn,
		request: r,
		allowed: newBucket(s.cfg.Limits.MessagesPerSecond),
		active:  make(map[string]*operation),
		gone:    make(chan struct{}),
	}
	c.unwatched = context.WithoutCancel(r.Context())
	c.ctx, c.cancel = context.WithCancel(c.unwatched)
	c.identity.Context = c.ctx
	// It does not read: no close frame would reach it.
	c.stalled = time.AfterFunc(time.Hour, func() { _ = conn.CloseNow() })
	c.stalled.Stop()
	switch conn.Subprotocol() {
	case transportWS{}.name():
		c.dialect = transportWS{}
	case legacyWS{}.name():
		c.dialect = legacyWS{}
	default:
		c.close(closeSubprotocol, "Subprotocol not acceptable")
		<-c.gone
		return
	}
	if why := s.admission.enter(c); why != nil {
		c.close(why.closeCode, why.closeReason)
		<-c.gone
		return
	}
	defer func() {
		s.admission.exit(c)
		s.admission.leaveUser(c.user)
		c.identity.end()
	}()
	defer func() {
		if p := recover(); p != nil { // Of the reader; operations have their own.
			_ = s.cfg.Recover(c.ctx, p) // It logs.
			_ = conn.CloseNow()         // Whatever state it is in.
			c.cancel()
		}
	}()
	c.serve()
}

// serve reads until the socket is closed, and returns when everything it started
// has ended.
func (c *socket) serve() {
	c.running.Go(c.ping)
	noInit := time.AfterFunc(c.server.timing.init, func() {
		c.close(closeNoInit, "Connection initialisation timeout")
	})
	defer noInit.Stop()
	c.conn.SetReadLimit(maxInit)
	for {
		kind, data, err := c.conn.Read(c.ctx)
		if err != nil {
			break // However it ended, there is nothing to report: clients come and go.
		}
		if kind != websocket.MessageText {
			c.close(closeBadMessage, "Invalid message")
			break
		}
		if !c.allowed.take(time.Now()) {
			c.close(closeTryLater, "Too many messages")
			break
		}
		m, err := c.dialect.parse(data)
		if err != nil {
			c.close(closeBadMessage, "Invalid message")
			break
		}
		if m.kind == messageInit && !c.acked {
			noInit.Stop()
		}
		if !c.handle(m) {
			break
		}
	}
	c.close(websocket.StatusGoingAway, "") // No effect when it is closed already, as mostly.
	<-c.gone
	c.running.Wait()
}

// handle acts on one message and returns false when the socket is closed.
func (c *socket) handle(m message) bool {
	switch m.kind {
	case messageInit:
		if c.acked {
			c.close(closeSecondInit, "Too many initialisation requests")
			return false
		}
		return c.init(m)
	case messagePing:
		c.writeFrame(func(out []byte) []byte { return c.dialect.pong(out, m.payload) })
	case messagePong:
	case messageTerminate:
		// The client says that it closes the connection; it does so.
	case messageStop:
		c.stop(m.id)
	case messageStart:
		if !c.acked {
			c.close(closeNoAck, "Unauthorized")
			return false
		}
		return c.start(m)
	}
	return true
}

// init authenticates the socket.
func (c *socket) init(m message) bool {
	token := tokenOf(m.init)
	if token == "" {
		token = bearer(c.request.Header.Get("Authorization"))
	}
	identity, err := c.server.cfg.Authenticate(c.ctx, token)
	if err != nil {
		code, reason := closeForbidden, "Forbidden"
		if !errors.Is(err, ErrForbidden) {
			code, reason = closeTryLater, "Try again later" // Not the token's fault.
		}
		c.writeFrame(func(out []byte) []byte { return c.dialect.refused(out, reason) })
		c.close(code, reason)
		return false
	}
	c.identity = identity
	if why := c.server.admission.takeUser(identity.User); why != nil {
		c.close(why.closeCode, why.closeReason)
		return false
	}
	c.user = identity.User
	c.acked = true
	c.conn.SetReadLimit(maxMessage)
	// A token that ends ends the socket, whatever runs on it.
	context.AfterFunc(identity.Context, func() { c.close(closeForbidden, "Forbidden") })
	c.writeFrame(appendAcknowledged)
	return true
}

// close closes the socket with a code and ends all that runs on it. Only the first
// call has an effect.
func (c *socket) close(code websocket.StatusCode, reason string) {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	for _, op := range c.active {
		op.cancel()
	}
	c.mu.Unlock()
	if again {
		return
	}
	// The closing handshake waits for the client, and needs a reader, which may be
	// the caller: it goes on by itself and is bounded by the library's five seconds.
	// An error says that the client has gone already.
	go func() {
		defer close(c.gone)
		_ = c.conn.Close(code, reason)
		c.cancel()
	}()
}

// ping finds clients that have gone without a word. Control frames are answered by
// every client by itself; the protocol's own pings break genqlient. Clients of the
// older protocol wait for its keep-alives instead.
func (c *socket) ping() {
	interval := c.server.timing.ping
	if c.dialect.keepAlive(nil) != nil {
		interval = min(interval, c.server.timing.beat)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		if !c.writing.TryLock() {
			continue // A long message is under way, with a deadline of its own.
		}
		c.writing.Unlock()
		c.writeFrame(c.dialect.keepAlive)
		ctx, cancel := context.WithTimeout(c.ctx, c.server.timing.pong)
		err := c.conn.Ping(ctx)
		cancel()
		if err != nil {
			c.cancel()
			return
		}
	}
}
