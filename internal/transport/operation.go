package transport

import (
	"context"
	"fmt"
	"time"

	"parley/internal/direct"
	"parley/internal/refusal"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// operation is one that runs on a socket.
type operation struct {
	cancel context.CancelFunc
	// head is what each of its results begins with.
	head []byte
	// holds is whether it counts in socket.holding, whose mutex guards it.
	holds bool
	// follows is set when follow runs, which others may write for: see sendDirect. It is guarded
	// by the mutex of the socket.
	follows bool
	// exchange is what it comes to; used by who runs it.
	exchange Exchange
}

// start makes an operation known and returns what runs it; nil: it was refused. It returns
// false when the socket is closed.
func (c *socket) start(m message) (run func(), open bool) {
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
		return nil, false
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
		c.server.meters.Limits.Of(limitOperations).Inc()
		full := graphQLError(refusal.RateLimited("Too many operations run on this socket.", time.Second))
		c.sendAnyway(op, &graphql.Response{Errors: gqlerror.List{full}})
		c.complete(m.id)
		return nil, true
	}
	c.running.Add(1)
	return func() {
		defer c.running.Done()
		c.run(ctx, op, m)
	}, true
}

// run executes an operation and writes what it gives. Of a subscription it writes the
// first result and leaves the others to a goroutine whose stack is small.
func (c *socket) run(ctx context.Context, self *operation, m message) {
	handedOver := false
	defer func() {
		if !handedOver {
			c.finish(ctx, self)
		}
	}()
	defer c.recoverOperation(ctx)
	params, err := parseOperation(m.payload)
	if err != nil {
		c.close(closeBadMessage, "Invalid message")
		return
	}
	ctx = c.server.begin(c.in(ctx, params.Extensions), &self.exchange, WayWebSocket)
	self.exchange.User = c.user
	op, errs := c.server.prepare(ctx, params)
	if len(errs) > 0 {
		response := c.server.requestError(ctx, op, errs)
		self.exchange.fails(response.Errors)
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
	end, full := c.server.underway.begin(c.identity.User, op, c.server.cost(op))
	if full != nil {
		c.send(m.id, self, &graphql.Response{Errors: gqlerror.List{full}})
		c.answered(ctx, self, m.id)
		return
	}
	id := m.id // All that a subscription keeps of the message.
	if isSubscription(op) {
		ctx = direct.With(ctx, func(data []byte) bool { return c.sendDirect(id, self, data) })
	}
	a := c.server.dispatch(ctx, op, c.identity.User, &c.held)
	defer func() {
		if !handedOver {
			a.written()
			end()
		}
	}()
	response := a.next()
	if response != nil && ctx.Err() == nil && isSubscription(op) {
		leave := c.server.meters.view(WayWebSocket) // Before its client knows.
		c.send(id, self, response)
		a.written()
		handedOver = true
		c.mu.Lock()
		self.follows = true
		c.mu.Unlock()
		c.running.Go(func() { defer end(); defer leave(); c.follow(ctx, self, id, a) })
		return
	}
	if response != nil && ctx.Err() == nil {
		c.send(id, self, response)
	}
	c.answered(ctx, self, id)
}

// follow writes what else a subscription gives.
func (c *socket) follow(ctx context.Context, self *operation, id string, a *answers) {
	defer c.finish(ctx, self)
	defer c.recoverOperation(ctx)
	defer a.written()
	for {
		response := a.next()
		if response == nil || ctx.Err() != nil {
			break
		}
		c.send(id, self, response)
		a.written()
	}
	c.answered(ctx, self, id)
}

// answered completes an operation. One that was stopped by the client, or by the end of
// the socket or token, says nothing more: a clean end of a reply must not be made up.
func (c *socket) answered(ctx context.Context, self *operation, id string) {
	if ctx.Err() == nil && c.forget(id, self) {
		c.complete(id)
	}
}

// finish lets go of what an operation holds.
func (c *socket) finish(ctx context.Context, op *operation) {
	c.release(op)
	op.cancel()
	if !op.exchange.began.IsZero() { // Else it was none.
		c.server.over(ctx, &op.exchange)
	}
}

// recoverOperation is deferred by who runs one. The executor recovers resolvers; this
// is for what lies around them.
func (c *socket) recoverOperation(ctx context.Context) {
	if p := recover(); p != nil {
		_ = c.server.cfg.Recover(ctx, p) // It logs.
		c.close(closeTryLater, "Try again later")
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

// release is called when an operation needs the socket no more, and when it turns out
// to be a subscription, which can go on elsewhere. Later calls do nothing.
func (c *socket) release(op *operation) {
	c.mu.Lock()
	held := op.holds
	op.holds = false
	if held {
		c.holding--
	}
	last := held && c.retiring && c.holding == 0
	c.mu.Unlock()
	if last {
		c.restart()
	}
}

// short keeps a close reason within the 123 bytes that a frame may have.
func short(id string) string {
	if len(id) > 60 {
		return id[:60]
	}
	return id
}
