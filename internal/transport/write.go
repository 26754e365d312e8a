package transport

import (
	"sync"

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
	b := takeBuffer()
	defer b.giveBack()
	parts, err := split(append(b.bytes, op.head...), r, true, []byte{'}'})
	if err != nil {
		c.server.cfg.Log.ErrorContext(c.ctx, "event not encoded", "err", err)
		return
	}
	b.bytes = parts[0]
	c.write(parts...)
}

func (c *socket) complete(id string) {
	c.writeFrame(func(out []byte) []byte { return appendComplete(out, id) })
}

// writeFrame writes one message. Nothing is written when make gives nothing.
func (c *socket) writeFrame(make func(out []byte) []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	b := takeBuffer()
	defer b.giveBack()
	if out := make(b.bytes); out != nil {
		b.bytes = out
		c.write(out)
	}
}

// write is called with writing held.
func (c *socket) write(parts ...[]byte) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	c.stalled.Reset(c.server.timing.forWrite(n))
	err := c.writeMessage(parts)
	c.stalled.Stop()
	if err != nil {
		c.cut()
	}
}

// writeMessage writes one message, in one frame for each part. The timer, and the reader
// when the socket ends, break off a write.
func (c *socket) writeMessage(parts [][]byte) error {
	if len(parts) == 1 {
		return c.conn.Write(c.unwatched, websocket.MessageText, parts[0])
	}
	w, err := c.conn.Writer(c.unwatched, websocket.MessageText)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return w.Close()
}

// buffer is what a message is made in. The sockets share them: most write nothing most of
// the time.
type buffer struct{ bytes []byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

// giveBack ends the use of the buffer.
func (b *buffer) giveBack() {
	if cap(b.bytes) > maxKept {
		return // One long reply must not be paid for by those that come after it.
	}
	b.bytes = b.bytes[:0]
	buffers.Put(b)
}

// maxKept is the largest buffer that is used again.
const maxKept = 64 << 10
