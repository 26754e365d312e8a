package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
)

// net/http reads a request with both Transfer-Encoding and Content-Length by the former, and
// forgets that there was the latter. Whatever stands before us may have read it by the other
// one, and take the rest for the next request. So what comes is looked at on the connection.

// framed is a listener whose connections know where requests begin and end.
type framed struct{ net.Listener }

// Accept implements net.Listener.
func (l framed) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &framedConn{Conn: conn}, nil
}

// framedConn is read by one goroutine at a time, as net/http does.
type framedConn struct {
	net.Conn
	framing framing
	// unclear is set when the end of a request was not clear.
	unclear atomic.Bool
}

// Read implements net.Conn.
func (c *framedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.framing.state != framingOver && !c.framing.follow(p[:n]) {
		c.unclear.Store(true)
	}
	return n, err
}

// CloseWrite is what net/http calls so that a client still gets an answer after which the
// connection is closed.
func (c *framedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// SyscallConn is for who writes without waiting.
func (c *framedConn) SyscallConn() (syscall.RawConn, error) {
	if raw, ok := c.Conn.(syscall.Conn); ok {
		return raw.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

type framingState uint8

const (
	framingStart   framingState = iota // before the first line of a request
	framingHeaders                     // after it
	framingBody
	framingOver // what comes is none of ours
)

// framing follows the requests of one connection, as far as their ends go. A request in
// chunks is the last one of its connection: see refuseUnclear.
type framing struct {
	state     framingState
	line      [40]byte // as much of a line as matters
	n         int      // of the line
	length    string   // Content-Length, "" while there is none
	chunked   bool
	remaining int64 // of the body
}

// follow takes what was read. It returns false, once, when a request is unclear.
func (f *framing) follow(p []byte) bool {
	for len(p) > 0 {
		switch f.state {
		case framingOver:
			return true
		case framingBody:
			skipped := min(int64(len(p)), f.remaining)
			p = p[skipped:]
			if f.remaining -= skipped; f.remaining == 0 {
				f.state = framingStart
			}
			continue
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			f.add(p)
			return true
		}
		f.add(p[:end])
		p = p[end+1:]
		if !f.endLine() {
			f.state = framingOver
			return false
		}
	}
	return true
}

func (f *framing) add(p []byte) {
	copied := 0
	if f.n < len(f.line) {
		copied = copy(f.line[f.n:], p)
	}
	f.n += copied
	if copied < len(p) {
		f.n = len(f.line) + 1 // It is longer.
	}
}

// endLine acts on a line. What net/http refuses by itself need not be found here.
func (f *framing) endLine() bool {
	line, cut := f.line[:min(f.n, len(f.line))], f.n > len(f.line)
	f.n = 0
	if !cut {
		line = bytes.TrimSuffix(line, []byte{'\r'})
	}
	switch {
	case f.state == framingStart:
		f.state, f.length, f.chunked = framingHeaders, "", false
		return true
	case len(line) == 0:
		return f.endHeaders()
	case line[0] == ' ' || line[0] == '\t':
		return false // The value of the line before goes on, which nobody writes any more.
	}
	name, value, _ := bytes.Cut(line, []byte{':'})
	switch {
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		f.chunked = true
	case bytes.EqualFold(name, []byte("Content-Length")):
		f.length = string(bytes.TrimSpace(value))
		return !cut && f.length != ""
	}
	return true
}

func (f *framing) endHeaders() bool {
	switch {
	case f.chunked:
		f.state = framingOver
		return f.length == ""
	case f.length == "":
		f.state = framingStart
		return true
	}
	n, err := strconv.ParseUint(f.length, 10, 63)
	f.state, f.remaining = framingBody, int64(n)
	switch {
	case err != nil:
		f.state = framingOver // net/http refuses it.
	case n == 0:
		f.state = framingStart
	}
	return true
}

type connKey struct{}

// withConn is http.Server.ConnContext.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// takenOver is http.Server.ConnState: what comes on a socket is no request.
func takenOver(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*framedConn); ok && state == http.StateHijacked {
		c.framing.state = framingOver
	}
}

// refuseUnclear refuses requests whose end is not clear, and closes their connection. So it
// does after requests in chunks: where those end is left to net/http.
func refuseUnclear(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, ok := r.Context().Value(connKey{}).(*framedConn)
		if !ok {
			next.ServeHTTP(w, r) // Not of our listener: a test's.
			return
		}
		unclear := conn.unclear.Load()
		if unclear || len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		if !unclear {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"errors":[{"message":"It is not clear where the request ends.",`+
			`"extensions":{"code":"BAD_REQUEST"}}]}`) // A client that does not take the answer has gone.
	})
}
