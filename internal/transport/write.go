package transport

import (
	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
)

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
