package transport

import (
	"bufio"
	"net"
	"net/http"
)

// The buffers of a socket, which it keeps while it waits. Those of net/http have 4 KiB
// each. What is longer passes them by.
const (
	readBuffer  = 512
	writeBuffer = 1 << 10
)

// smallBuffers is a response whose connection comes with small buffers when it is taken
// over.
type smallBuffers struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (w smallBuffers) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if buffers.Reader.Buffered() == 0 { // Else the client did not wait for the answer.
		buffers.Reader = bufio.NewReaderSize(conn, readBuffer)
	}
	buffers.Writer = bufio.NewWriterSize(conn, writeBuffer)
	return conn, buffers, nil
}
