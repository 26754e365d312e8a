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
	op.exchange.fails(r.Errors)
	head, data, tail, err := split(append(b.bytes, op.head...), r, true)
	switch {
	case err != nil:
		c.server.cfg.Log.ErrorContext(c.ctx, "event not encoded", "err", err)
	case data == nil:
		b.bytes = append(head, '}')
		c.write(b.bytes, nil, nil)
	default:
		b.bytes = head
		c.write(head, data, append(tail, '}'))
	}
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
		c.write(out, nil, nil)
	}
}

// write is called with writing held.
func (c *socket) write(head, data, tail []byte) {
	c.stalled.Reset(c.server.timing.forWrite(len(head) + len(data) + len(tail)))
	err := c.writeMessage(head, data, tail)
	c.stalled.Stop()
	if err != nil {
		c.cut()
	}
}

// writeMessage writes one message, in one frame for each part when there are several. The
// timer, and the reader when the socket ends, break off a write.
func (c *socket) writeMessage(head, data, tail []byte) error {
	if data == nil {
		return c.conn.Write(c.unwatched, websocket.MessageText, head)
	}
	w, err := c.conn.Writer(c.unwatched, websocket.MessageText)
	if err != nil {
		return err
	}
	for _, p := range [...][]byte{head, data, tail} {
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
