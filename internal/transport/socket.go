package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// The close codes of a socket. Those of 44xx are the protocol's; what the reference
// client does on each decides which is used for what: it comes back with back-off
// on 1012, 1013, 4403 and 4408, asks for its token again when it does, and gives up
// for good on the others. 1000 is never sent: on it the client comes back at once,
// without end.
const (
	closeRestart     = websocket.StatusCode(1012)
	closeTryLater    = websocket.StatusCode(1013)
	closeBadMessage  = websocket.StatusCode(4400)
	closeNoAck       = websocket.StatusCode(4401)
	closeForbidden   = websocket.StatusCode(4403)
	closeSubprotocol = websocket.StatusCode(4406)
	closeNoInit      = websocket.StatusCode(4408)
	closeDuplicate   = websocket.StatusCode(4409)
	closeSecondInit  = websocket.StatusCode(4429)
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
	user     string // counted under this name in Server.byUser
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

// operation is one that runs on a socket.
type operation struct {
	cancel context.CancelFunc
	// head is what each of its results begins with.
	head []byte
	// holds is whether it counts in socket.holding, whose mutex guards it.
	holds bool
}

// serveSocket upgrades the request and serves the socket until it is closed.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	addr := s.addressOf(r)
	if s.stopped() {
		s.refuseForNow(w, r, "The server is restarting.")
		return
	}
	if !s.count(s.byAddr, addr, s.cfg.Limits.SocketsPerAddr) {
		s.refuseTooMany(w, r)
		return
	}
	defer s.uncount(s.byAddr, addr)
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
	if !s.enter(c) {
		c.close(closeRestart, "Service restart")
		<-c.gone
		return
	}
	defer s.leave(c)
	defer func() {
		if p := recover(); p != nil { // Of the reader; operations have their own.
			_ = s.cfg.Recover(c.ctx, p) // It logs.
			_ = conn.CloseNow()         // Whatever state it is in.
			c.cancel()
		}
	}()
	c.serve()
}

// enter registers a socket unless the server is stopping.
func (s *Server) enter(c *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.sockets[c] = struct{}{}
	return true
}

func (s *Server) leave(c *socket) {
	s.mu.Lock()
	delete(s.sockets, c)
	s.mu.Unlock()
	s.uncount(s.byUser, c.user)
	c.identity.end()
}

// count takes a place for a name, or returns false when there is none left. The
// empty name is not counted.
func (s *Server) count(by map[string]int, name string, limit int) bool {
	if name == "" {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if by[name] >= limit {
		return false
	}
	by[name]++
	return true
}

func (s *Server) uncount(by map[string]int, name string) {
	if name == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if by[name]--; by[name] <= 0 {
		delete(by, name)
	}
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
	if !c.server.count(c.server.byUser, identity.User, c.server.cfg.Limits.SocketsPerUser) {
		c.close(closeTryLater, "Too many sockets")
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

// start runs an operation in a goroutine of its own.
func (c *socket) start(m message) bool {
	ctx, cancel := context.WithCancel(c.identity.Context)
	c.mu.Lock()
	previous, exists := c.active[m.id]
	count := len(c.active)
	if exists {
		count-- // It makes room.
	}
	if exists && c.dialect.duplicateIsFatal() {
		c.mu.Unlock()
		cancel()
		c.close(closeDuplicate, fmt.Sprintf("Subscriber for %s already exists", short(m.id)))
		return false
	}
	op := &operation{cancel: cancel, head: c.dialect.nextHead(nil, m.id)}
	if count < c.server.cfg.Limits.Operations {
		c.active[m.id] = op
		if !c.retiring {
			op.holds = true // Until it turns out to be a subscription.
			c.holding++
		}
	}
	c.mu.Unlock()
	if exists {
		previous.cancel() // The older protocol's servers replace it.
	}
	if count >= c.server.cfg.Limits.Operations {
		cancel()
		refusal := &graphql.Response{Errors: gqlerror.List{coded("RATE_LIMITED",
			"Too many operations run on this socket.")}}
		c.sendAnyway(op, refusal)
		c.complete(m.id)
		return true
	}
	c.running.Go(func() {
		defer cancel()
		defer c.release(op)
		c.run(ctx, op, m)
	})
	return true
}

// run executes an operation and writes what it gives.
func (c *socket) run(ctx context.Context, self *operation, m message) {
	// The executor recovers resolvers; this is for what lies around them.
	defer func() {
		if p := recover(); p != nil {
			_ = c.server.cfg.Recover(ctx, p) // It logs.
			c.close(closeTryLater, "Try again later")
		}
	}()
	params, err := parseOperation(m.payload)
	if err != nil {
		c.close(closeBadMessage, "Invalid message")
		return
	}
	params.Headers = c.request.Header
	op, errs := c.server.prepare(ctx, params)
	if len(errs) > 0 {
		response := c.server.requestError(ctx, op, errs)
		if c.forget(m.id, self) {
			c.writeFrame(func(out []byte) []byte {
				return c.dialect.failed(out, m.id, response.Errors[:min(len(response.Errors), maxErrors)])
			})
		}
		return
	}
	if isSubscription(op) {
		c.release(self)
	}
	responses, opCtx := c.server.executor.DispatchOperation(ctx, op)
	for {
		response := responses(opCtx)
		if response == nil || ctx.Err() != nil {
			break
		}
		c.send(m.id, self, response)
		if !isSubscription(op) {
			break
		}
	}
	// Stopped by the client, or by the end of the socket or token: nothing more is
	// said about it. A clean end of a reply must not be made up.
	if ctx.Err() == nil && c.forget(m.id, self) {
		c.complete(m.id)
	}
}

// stop ends an operation for the client.
func (c *socket) stop(id string) {
	c.mu.Lock()
	op := c.active[id]
	delete(c.active, id)
	c.mu.Unlock()
	if op != nil {
		op.cancel()
	}
}

// forget frees an operation's id, and reports whether the client still waits for
// it.
func (c *socket) forget(id string, op *operation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	waits := c.active[id] == op
	if waits {
		delete(c.active, id)
	}
	return waits
}

// send writes one result of an operation, unless the client has done with it: its id
// may be another's by now.
func (c *socket) send(id string, op *operation, r *graphql.Response) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	waits := c.active[id] == op
	c.mu.Unlock()
	if waits {
		c.writeResult(op, r)
	}
}

// sendAnyway writes the result of an operation that was refused.
func (c *socket) sendAnyway(op *operation, r *graphql.Response) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.writeResult(op, r)
}

// writeResult is called with writing held.
func (c *socket) writeResult(op *operation, r *graphql.Response) {
	out, err := appendResponse(append(c.out[:0], op.head...), r, true)
	if err != nil {
		c.server.cfg.Log.ErrorContext(c.ctx, "event not encoded", "err", err)
		return
	}
	c.write(append(out, '}'))
}

func (c *socket) complete(id string) {
	c.writeFrame(func(out []byte) []byte { return appendComplete(out, id) })
}

// writeFrame writes one message, made in a buffer that is used again. Nothing is
// written when make gives nothing.
func (c *socket) writeFrame(make func(out []byte) []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if out := make(c.out[:0]); out != nil {
		c.write(out)
	}
}

// write is called with writing held, and keeps the buffer for the next message.
func (c *socket) write(out []byte) {
	c.out = out
	if cap(out) > maxKept {
		c.out = nil // One long reply must not be paid for until the socket closes.
	}
	c.stalled.Reset(c.server.timing.forWrite(len(out)))
	// The context cannot be cancelled, which saves the library a watcher for each
	// write: the timer, and the reader when the socket ends, break off a write.
	err := c.conn.Write(c.unwatched, websocket.MessageText, out)
	c.stalled.Stop()
	if err != nil {
		c.cancel() // The reader finds out by this.
	}
}

// maxKept is the largest buffer a socket keeps between writes.
const maxKept = 64 << 10

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

// tokenOf finds the token where clients put it: at the top of the payload, as
// GraphiQL does with its headers, or in headers; with or without the scheme.
func tokenOf(payload map[string]any) string {
	for _, key := range []string{"Authorization", "authorization", "token", "authToken"} {
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

// short keeps a close reason within the 123 bytes that a frame may have.
func short(id string) string {
	if len(id) > 60 {
		return id[:60]
	}
	return id
}

// bucket bounds how many messages come in the long run. It is not safe for
// concurrent use.
type bucket struct {
	perSecond, level, size float64
	at                     time.Time
}

func newBucket(perSecond int) bucket {
	size := float64(10 * perSecond)
	return bucket{perSecond: float64(perSecond), level: size, size: size}
}

func (b *bucket) take(now time.Time) bool {
	if !b.at.IsZero() {
		b.level = min(b.size, b.level+now.Sub(b.at).Seconds()*b.perSecond)
	}
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}
