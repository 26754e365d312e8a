package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"syscall"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// A delta is written by who writes the reply: see internal/direct. That one must not wait for a
// client, so all locks are tried only, and the connection takes what it has room for. Of a
// message that has begun the rest is written by a goroutine, for which others wait.

// The parts of a frame's first byte, and the room for the longest head of what is written here.
const (
	opcodeClose = 0x8
	wholeText   = 0x81
	frameHead   = 4
)

func opcodeOf(p []byte) byte {
	if len(p) == 0 {
		return 0
	}
	return p[0] & 0xf
}

// sendDirect is send that does not wait: it implements direct.Writer. The first result of a
// subscription is left to its own goroutine, which then goes on with a small stack.
func (c *socket) sendDirect(id string, op *operation, data []byte) bool {
	if len(data) > c.server.cfg.Limits.AnswerBytes || !c.writing.TryLock() {
		return false
	}
	defer c.writing.Unlock()
	c.mu.Lock()
	waits := c.active[id] == op && op.follows && !c.closed
	c.mu.Unlock()
	if !waits {
		return false
	}
	b := takeBuffer()
	defer b.giveBack()
	out := append(append(b.bytes, make([]byte, frameHead)...), op.head...)
	out, err := appendResponse(out, &graphql.Response{Data: data}, true)
	if err != nil {
		return false // It has neither errors nor extensions.
	}
	b.bytes = append(out, '}')
	return len(b.bytes) <= stretch && c.frames.writeNow(headed(b.bytes))
}

// headed puts the head of a frame into the room before a text, and returns both.
func headed(p []byte) []byte {
	const short, medium = 126, 126
	if n := len(p) - frameHead; n < short {
		p = p[frameHead-2:]
		p[1] = byte(n)
	} else {
		binary.BigEndian.PutUint16(p[2:], uint16(n))
		p[1] = medium
	}
	p[0] = wholeText
	return p
}

// writeNow writes a frame that is no longer than a stretch, unless it would have to wait. An
// error of the connection is left to the next write to find.
func (f *frames) writeNow(p []byte) bool {
	if !f.mu.TryLock() {
		return false
	}
	handedOver := false
	defer func() {
		if !handedOver {
			f.mu.Unlock()
		}
	}()
	if f.raw == nil {
		f.raw = newRawWriter(f.Conn)
	}
	if f.closing || f.raw == nil {
		return false
	}
	n := f.raw.write(p)
	if n == 0 {
		return false
	}
	if n < len(p) {
		handedOver = true
		rest := bytes.Clone(p[n:])
		go f.writeRest(rest)
	}
	return true
}

// writeRest ends a frame that has begun. It is called with mu held, and lets go of it.
func (f *frames) writeRest(p []byte) {
	defer f.mu.Unlock()
	err := f.SetWriteDeadline(time.Now().Add(f.paced.server.timing.write))
	if err == nil {
		_, err = f.Conn.Write(p)
	}
	if err = errors.Join(err, f.SetWriteDeadline(time.Time{})); err != nil {
		_ = f.Close() // The reader finds out by that.
	}
}

// rawWriter writes to a connection as much as that takes at once. It is not safe for concurrent
// use.
type rawWriter struct {
	conn syscall.RawConn
	try  func(fd uintptr) bool // Made once.
	p    []byte
	n    int
}

// newRawWriter returns nil for a connection that always waits.
func newRawWriter(conn any) *rawWriter {
	c, ok := conn.(syscall.Conn)
	if !ok || !canWriteNow {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	w := &rawWriter{conn: raw}
	w.try = func(fd uintptr) bool {
		w.n = writeNow(fd, w.p)
		return true
	}
	return w
}

// write returns how much was written, 0 also when it failed.
func (w *rawWriter) write(p []byte) int {
	w.p, w.n = p, 0
	err := w.conn.Write(w.try)
	w.p = nil
	if err != nil {
		return 0
	}
	return w.n
}
