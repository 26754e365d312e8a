package transport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"parley/internal/stack"
	"parley/internal/trace"
)

// maxInit is how much a client may send before it is known. Afterwards it is a whole request,
// Limits.BodyBytes. More closes the socket with 1009.
const maxInit = maxStrangersBody

// socket is one WebSocket. One goroutine reads; each operation has one that
// executes and writes. Most sockets wait most of the time: what one holds meanwhile is
// what an open page costs. A write that does not get through within its deadline closes
// the socket, so a client that does not read holds nothing for longer than that.
type socket struct {
	server  *Server
	conn    *websocket.Conn
	raw     net.Conn // below conn, to cut it off
	frames  *frames  // between both
	dialect dialect
	// noInit closes the socket when its client does not say who it is. Nil: it has.
	noInit   *time.Timer
	began    time.Time
	traced   traced      // what the client says of its trace
	bearer   string      // the token of the upgrade request, until the client is known
	stalled  *time.Timer // closes the connection during a write that takes too long
	identity Identity
	addr     string // has a place in Server.admission under this name; "": none any more
	user     string // has a place there under this name
	acked    bool   // touched by the reader only
	allowed  bucket // touched by the reader only
	running  sync.WaitGroup

	// ctx ends with the socket. What ends it closes the connection too: see cut.
	ctx    context.Context
	cancel context.CancelFunc

	// unwatched is ctx without its end: the library would have a watcher for each read and
	// write, and keep that of the read for as long as the client says nothing.
	unwatched context.Context

	writing sync.Mutex // orders the writes

	// held is what waits to be written, in Server.ledger, whose mutex guards it.
	held int64

	// mu guards the fields below.
	mu     sync.Mutex
	active map[string]*operation
	closed bool
	// status is the code with which it was closed, by whoever was first.
	status websocket.StatusCode
	// ours says that it was this server.
	ours bool
	// holding counts the operations that the socket is kept open for when it retires:
	// queries and mutations that began before.
	holding  int
	retiring bool
	// gone is closed when the connection is, after close was called.
	gone chan struct{}
	// pulse calls ping when it is time.
	pulse *time.Timer
}

// maxHandshake bounds the lists in the headers of an upgrade, in bytes.
const maxHandshake = 2 << 10

// handshakeHeaders are those of an upgrade that hold lists.
var handshakeHeaders = []string{"Connection", "Upgrade", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions"}

func handshakeBytes(h http.Header) (n int) {
	for _, name := range handshakeHeaders {
		for _, value := range h.Values(name) {
			n += len(value)
		}
	}
	return n
}

// serveSocket upgrades the request. The socket goes on in a goroutine of its own: as long
// as the handler ran, net/http would keep its buffers and the stack that read the request.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	if handshakeBytes(r.Header) > maxHandshake {
		s.refuse(w, r, http.StatusBadRequest, "BAD_REQUEST", "The headers of the upgrade are too long: "+
			strings.Join(handshakeHeaders, ", ")+".")
		return
	}
	addr := s.addressOf(r)
	if why := s.admission.takeAddr(addr); why != nil {
		s.turnAway(w, r, why)
		return
	}
	handedOver := false
	defer func() {
		if !handedOver {
			s.admission.leaveAddr(addr)
		}
	}()
	taken := &smallBuffers{ResponseWriter: w, server: s}
	conn, err := websocket.Accept(taken, r, &websocket.AcceptOptions{
		Subprotocols:       []string{transportWS{}.name(), legacyWS{}.name()},
		InsecureSkipVerify: true, // allowOrigin has checked it, by the operator's list.
		CompressionMode:    websocket.CompressionDisabled,
	})
	exchangeOf(r.Context()).Status = taken.status
	if err != nil {
		return // Accept has answered.
	}
	c := &socket{
		server:  s,
		addr:    addr,
		conn:    conn,
		began:   time.Now(),
		raw:     taken.conn,
		frames:  taken.frames,
		bearer:  bearer(r.Header.Get("Authorization")),
		allowed: newBucket(s.cfg.Limits.MessagesPerSecond),
		active:  make(map[string]*operation),
		gone:    make(chan struct{}),
	}
	c.unwatched = s.cfg.SocketContext(r)
	c.remember(traced{r.Header.Get(trace.Parent), r.Header.Get(trace.State)})
	c.ctx, c.cancel = context.WithCancel(c.unwatched)
	c.identity.Context = c.ctx
	// It does not read: no close frame would reach it.
	c.stalled = time.AfterFunc(time.Hour, func() { _ = conn.CloseNow() })
	c.stalled.Stop()
	handedOver = true
	go c.live()
}

// live makes the socket known, and begins to serve it.
func (c *socket) live() {
	c.noInit = time.AfterFunc(c.server.timing.init, func() {
		c.close(closeNoInit, "Connection initialisation timeout")
	})
	if !c.enter() {
		<-c.gone
		c.leave()
		return
	}
	c.beat()
	c.conn.SetReadLimit(maxInit)
	c.serve()
}

// serve waits for one message, acts on it, and has a new goroutine wait for the next one:
// to act takes a deep stack, which it would keep, and to wait a small one. An operation that
// begins runs here beside it. It ends when the socket is closed.
func (c *socket) serve() {
	handedOver := false
	defer func() {
		if !handedOver {
			c.leave()
		}
	}()
	defer c.recoverReader()
	m, ok := c.next()
	if ok && m.kind == messageInit && c.noInit != nil {
		c.noInit.Stop()
		c.noInit = nil
	}
	var run func()
	if ok {
		run, ok = c.handle(m)
	}
	if !ok {
		c.end()
		return
	}
	handedOver = true
	go c.serve()
	if run != nil {
		stack.Grow()
		run()
	}
}

// enter finds out how the client speaks and makes the socket known to Close. It returns
// false when the socket is closed.
func (c *socket) enter() bool {
	switch c.conn.Subprotocol() {
	case transportWS{}.name():
		c.dialect = transportWS{}
	case legacyWS{}.name():
		c.dialect = legacyWS{}
	default:
		c.close(closeSubprotocol, "Subprotocol not acceptable")
		return false
	}
	if why := c.server.admission.enter(c); why != nil {
		c.close(why.closeCode, why.closeReason)
		return false
	}
	return true
}

// end returns when everything that the socket started has ended.
func (c *socket) end() {
	c.close(websocket.StatusGoingAway, "") // No effect when it is closed already, as mostly.
	<-c.gone
	c.running.Wait()
}

// leave gives back what the socket has.
func (c *socket) leave() {
	if c.noInit != nil {
		c.noInit.Stop()
	}
	c.report()
	c.server.admission.exit(c)
	c.server.admission.leaveAddr(c.addr)
	c.server.admission.leaveUser(c.user)
	c.identity.end()
}

// recoverReader is deferred by who reads; operations have their own.
func (c *socket) recoverReader() {
	if p := recover(); p != nil {
		_ = c.server.cfg.Recover(c.ctx, p) // It logs.
		c.cut()                            // Whatever state it is in.
	}
}

// next reads one message, and returns false when there is none.
func (c *socket) next() (message, bool) {
	kind, data, err := c.conn.Read(c.unwatched)
	if err != nil {
		c.left(err)
		return message{}, false // However it ended, there is nothing to report: clients come and go.
	}
	if kind != websocket.MessageText {
		c.close(closeBadMessage, "Invalid message")
		return message{}, false
	}
	if !c.allowed.take(time.Now()) {
		c.server.meters.Limits.Of(limitMessages).Inc()
		c.close(closeTryLater, "Too many messages")
		return message{}, false
	}
	m, err := c.dialect.parse(data)
	if err != nil {
		c.close(closeBadMessage, "Invalid message")
		return message{}, false
	}
	return m, true
}

// handle acts on one message and returns false when the socket is closed, and otherwise what is
// to run beside the reader, nil when there is nothing.
func (c *socket) handle(m message) (run func(), open bool) {
	switch m.kind {
	case messageInit:
		if c.acked {
			c.close(closeSecondInit, "Too many initialisation requests")
			return nil, false
		}
		return nil, c.init(m)
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
			return nil, false
		}
		return c.start(m)
	}
	return nil, true
}

// init authenticates the socket.
func (c *socket) init(m message) bool {
	c.remember(traceOf(m.init))
	token := tokenOf(m.init)
	if token == "" {
		token = c.bearer
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
	if why := c.server.admission.identify(c.addr, identity.User); why != nil {
		c.server.meters.Limits.Of(limitSockets).Inc()
		c.close(why.closeCode, why.closeReason)
		return false
	}
	if identity.User != "" {
		c.addr, c.user = "", identity.User
	}
	c.acked, c.bearer = true, ""
	if c.user != "" {
		c.conn.SetReadLimit(int64(c.server.cfg.Limits.BodyBytes))
	} else {
		c.noInit = time.AfterFunc(c.server.timing.init, c.expel)
	}
	// A token that ends ends the socket, whatever runs on it.
	context.AfterFunc(identity.Context, func() { c.close(closeForbidden, "Forbidden") })
	c.writeFrame(appendAcknowledged)
	return true
}

// expel closes a socket on which nobody has signed in: it has had the time to do that on it.
// Its client comes back with another token, if it has one. What runs ends first.
func (c *socket) expel() {
	c.mu.Lock()
	c.retiring = true
	held := c.holding > 0
	c.mu.Unlock()
	if !held {
		c.close(closeForbidden, "Nobody has signed in")
	}
}

// close closes the socket with a code and ends all that runs on it. Only the first
// call has an effect.
func (c *socket) close(code websocket.StatusCode, reason string) {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	if c.status == 0 {
		c.status, c.ours = code, true
	}
	if c.pulse != nil {
		c.pulse.Stop()
	}
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

// cut ends all that runs on the socket and its connection without a word. The reader finds
// out by that.
func (c *socket) cut() {
	c.cancel()
	_ = c.raw.Close() // It may be closed already.
}

// beat has ping called when it is time, unless the socket is closed.
func (c *socket) beat() {
	interval := c.server.timing.ping
	if c.dialect.keepAlive(nil) != nil {
		interval = min(interval, c.server.timing.beat)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
	case c.pulse == nil:
		c.pulse = time.AfterFunc(interval, c.ping)
	default:
		c.pulse.Reset(interval)
	}
}

// ping finds clients that have gone without a word. Control frames are answered by
// every client by itself; the protocol's own pings break genqlient. Clients of the
// older protocol wait for its keep-alives instead.
func (c *socket) ping() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.running.Add(1) // Not beside Wait, which comes after closed.
	c.mu.Unlock()
	defer c.running.Done()
	if c.writing.TryLock() { // Else a long message is under way, with a deadline of its own.
		c.writing.Unlock()
		c.writeFrame(c.dialect.keepAlive)
		ctx, cancel := context.WithTimeout(c.ctx, c.server.timing.pong)
		err := c.conn.Ping(ctx)
		cancel()
		if err != nil {
			c.cut()
			return
		}
	}
	c.beat()
}
