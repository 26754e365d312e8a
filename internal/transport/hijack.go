package transport

import (
	"bufio"
	"encoding/binary"
	"net"
	"net/http"
	"sync"
)

// The buffers of a socket, which it keeps while it waits. Those of net/http have 4 KiB
// each. What is longer passes them by. The other one holds the head of a frame only.
const (
	readBuffer  = 256
	writeBuffer = 16
)

// smallBuffers is a response whose connection comes with small buffers when it is taken
// over, and writes what is long in stretches.
type smallBuffers struct {
	http.ResponseWriter
	server *Server
	conn   net.Conn // set when it has been taken over, as is
	frames *frames
	status int // of the answer
}

// WriteHeader implements http.ResponseWriter.
func (w *smallBuffers) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Hijack implements http.Hijacker.
func (w *smallBuffers) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.conn = conn
	if buffers.Reader.Buffered() == 0 { // Else the client did not wait for the answer.
		buffers.Reader = bufio.NewReaderSize(conn, readBuffer)
	}
	w.frames = &frames{Conn: conn, paced: pacedConn{conn, w.server}}
	buffers.Writer = bufio.NewWriterSize(w.frames, writeBuffer)
	return conn, buffers, nil
}

// frames joins what the library writes of a frame of WebSocket: the buffer, which has the
// head and how the payload begins, and the rest. Without it they would be two packets. They
// are copied: net.Buffers writes at once what it has only to a bare TCP connection, and what
// lies below may be wrapped or encrypted.
type frames struct {
	net.Conn
	paced pacedConn // for what is long

	mu    sync.Mutex // orders the frames; guards the fields below
	begun [writeBuffer]byte
	n     int // of begun
	// closing is set when a close frame has been written, which is the last one.
	closing bool
	// raw writes without waiting. Nil: nothing has been written so.
	raw *rawWriter
}

// joined has buffers for whole frames, which no socket keeps.
var joined = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// Write implements io.Writer. Each frame is written in one call or in two.
func (f *frames) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == 0 {
		f.closing = f.closing || opcodeOf(p) == opcodeClose
		if len(p) <= len(f.begun) && len(p) < frameSize(p) {
			f.n = copy(f.begun[:], p)
			return len(p), nil
		}
		return f.paced.Write(p)
	}
	begun := f.begun[:f.n]
	f.n = 0
	if len(p) > stretch {
		if _, err := f.paced.Write(begun); err != nil {
			return 0, err
		}
		return f.paced.Write(p)
	}
	buffer := joined.Get().(*[]byte)
	defer joined.Put(buffer)
	*buffer = append(append((*buffer)[:0], begun...), p...)
	if _, err := f.Conn.Write(*buffer); err != nil {
		return 0, err // How much of it was written says nothing: the connection is over.
	}
	return len(p), nil
}

// frameSize returns how long a frame is that begins so, by its head, which is not masked.
func frameSize(p []byte) int {
	const head, medium, long = 2, 126, 127
	if len(p) < head {
		return 0
	}
	switch size := int(p[1] & 0x7f); {
	case size == medium && len(p) >= head+2:
		return head + 2 + int(binary.BigEndian.Uint16(p[head:]))
	case size == long && len(p) >= head+8:
		return head + 8 + int(binary.BigEndian.Uint64(p[head:]))
	default:
		return head + size
	}
}
