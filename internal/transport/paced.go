package transport

import (
	"errors"
	"net"
	"net/http"
	"time"
)

// A long write is made in stretches. Each has as long as a short one: a client that reads
// slowly gets all of it, and one that has stopped is let go soon. All of them together have
// a limit beside, so that nobody holds an answer by reading a byte now and then; while
// others find no room for theirs, that is as short as for a stretch.
const (
	stretch = 16 << 10
	// slowest is the slowest that a client may read, in bytes a second, beyond the grace.
	slowest = 32 << 10
)

// forWrite is how long a write of n bytes may take altogether.
func (t timing) forWrite(n int) time.Duration {
	if n <= stretch {
		return t.write
	}
	return t.grace + time.Duration(n)*time.Second/slowest
}

// writePaced writes to a client over HTTP. An error says that it has gone, or does not
// read; it is final.
func (s *Server) writePaced(w http.ResponseWriter, control *http.ResponseController, parts ...[]byte) error {
	total := 0
	for _, p := range parts {
		total += len(p)
	}
	pace := s.newPace(w, control, total)
	for _, p := range parts {
		for len(p) > 0 {
			n := min(len(p), stretch)
			if err := pace.write(p[:n]); err != nil {
				return err
			}
			p = p[n:]
		}
	}
	return control.Flush()
}

// pace is the deadlines of one write over HTTP.
type pace struct {
	server     *Server
	w          http.ResponseWriter
	control    *http.ResponseController
	begun, end time.Time
	long       bool
}

// newPace begins a write of at most n bytes.
func (s *Server) newPace(w http.ResponseWriter, control *http.ResponseController, n int) *pace {
	begun := time.Now()
	return &pace{s, w, control, begun, begun.Add(s.timing.forWrite(n)), n > stretch}
}

// write writes one stretch.
func (p *pace) write(part []byte) error {
	deadline := p.end
	if p.long {
		deadline = earlier(p.server.stretchDeadline(p.begun), p.end)
	}
	if err := p.control.SetWriteDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := p.w.Write(part)
	return err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// stretchDeadline is that of the next stretch of a write that has begun at this time.
func (s *Server) stretchDeadline(begun time.Time) time.Time {
	if now := time.Now(); !s.ledger.crowded(now) {
		return now.Add(s.timing.write)
	}
	return begun.Add(s.timing.write)
}

// pacedConn is a socket's connection, whose long writes are made in stretches. What bounds a
// short one, and all stretches together, is the socket's timer.
type pacedConn struct {
	net.Conn
	server *Server
}

// Write implements net.Conn.
func (c pacedConn) Write(p []byte) (written int, err error) {
	if len(p) <= stretch {
		return c.Conn.Write(p)
	}
	defer func() { _ = c.SetWriteDeadline(time.Time{}) }() // A broken one shows with the next write.
	begun := time.Now()
	for len(p) > 0 {
		if err := c.SetWriteDeadline(c.server.stretchDeadline(begun)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[:min(len(p), stretch)])
		written += n
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}
