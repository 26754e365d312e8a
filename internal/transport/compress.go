package transport

import (
	"compress/gzip"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// worthwhile is how long an answer must be to be compressed: shorter ones fit into a packet
// as they are.
const worthwhile = 1 << 10

// compressor compresses answers for clients that take it. It holds so many writers at most,
// of some 800 kB each: an answer that finds none is sent as it is. It is safe for concurrent
// use.
type compressor struct {
	free    chan struct{} // Holds one for each writer that may be taken.
	writers sync.Pool
}

func newCompressor() *compressor {
	n := 2 * runtime.GOMAXPROCS(0)
	c := &compressor{free: make(chan struct{}, n)}
	for range n {
		c.free <- struct{}{}
	}
	return c
}

// take returns a writer that is good until giveBack, nil when all are taken.
func (c *compressor) take(to *stretches) *gzip.Writer {
	select {
	case <-c.free:
	default:
		return nil
	}
	z, ok := c.writers.Get().(*gzip.Writer)
	if !ok {
		z, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // The level is one there is.
	}
	z.Reset(to)
	return z
}

func (c *compressor) giveBack(z *gzip.Writer) {
	z.Reset(nil)
	c.writers.Put(z)
	c.free <- struct{}{}
}

// stretches holds what is compressed back until there is a stretch of it, and then has it
// written.
type stretches struct {
	held  []byte
	write func(p []byte) error
}

// Write implements io.Writer.
func (s *stretches) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(stretch-len(s.held), len(rest))
		s.held = append(s.held, rest[:n]...)
		rest = rest[n:]
		if len(s.held) == stretch {
			if err := s.write(s.held); err != nil {
				return 0, err
			}
			s.held = s.held[:0]
		}
	}
	return len(p), nil
}

// writeCompressed writes an answer as gzip, and returns false where it has not begun. It
// keeps no copy of the answer: what is compressed goes to the client as it comes, so that a
// long one has no length in its header. A short one has given its writer back before the
// client reads.
func (s *Server) writeCompressed(
	w http.ResponseWriter, control *http.ResponseController, status int, parts ...[]byte,
) bool {
	total := 0
	for _, p := range parts {
		total += len(p)
	}
	pace := s.newPace(w, control, total)
	begun := false
	out := &stretches{write: func(p []byte) error {
		if !begun {
			begun = true
			w.WriteHeader(status)
		}
		return pace.write(p)
	}}
	z := s.compressor.take(out)
	if z == nil {
		return false
	}
	w.Header().Set("Content-Encoding", "gzip")
	failed := false
	for _, p := range parts {
		if _, err := z.Write(p); err != nil {
			failed = true
			break
		}
	}
	failed = failed || z.Close() != nil
	s.compressor.giveBack(z)
	if failed { // The client has gone, or does not read.
		return true
	}
	if !begun {
		w.Header().Set("Content-Length", strconv.Itoa(len(out.held)))
	}
	if out.write(out.held) == nil {
		_ = control.Flush() // None of the errors matters: it has gone.
	}
	return true
}

// AcceptsGzip reports whether the client of a request takes gzip.
func AcceptsGzip(h http.Header) bool {
	takes := false
	for _, entry := range strings.Split(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		coding, parameters, _ := strings.Cut(entry, ";")
		coding = strings.TrimSpace(coding)
		if !strings.EqualFold(coding, "gzip") && coding != "*" {
			continue
		}
		name, value, _ := strings.Cut(parameters, "=")
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		refused := strings.EqualFold(strings.TrimSpace(name), "q") && (err != nil || q <= 0)
		if coding != "*" {
			return !refused // It is what counts, wherever it stands.
		}
		takes = !refused
	}
	return takes
}
