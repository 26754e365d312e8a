package transport

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipeWriter is the writer of a response, whose client is the other end of a pipe.
type pipeWriter struct {
	net.Conn
	header http.Header
}

func (w pipeWriter) Header() http.Header { return w.header }
func (pipeWriter) WriteHeader(int)       {}
func (pipeWriter) FlushError() error     { return nil }

// A long write needs progress: however long it takes, the client that reads gets all, and
// one that has stopped is let go soon. All together it is bounded.
func TestWritesNeedProgress(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	for _, c := range []struct {
		what    string
		pause   time.Duration // after each stretch that the client reads
		until   int           // what it reads
		crowded bool
		ok      bool
		atMost  time.Duration
	}{
		{what: "at once", until: size, ok: true},
		{what: "slowly", pause: 500 * time.Millisecond, until: size, ok: true, atMost: 128 * time.Second},
		{what: "slowly while others wait", pause: 500 * time.Millisecond, until: size, crowded: true,
			atMost: 11 * time.Second},
		{what: "up to a point", until: size / 2, atMost: 10 * time.Second},
		{what: "now and then", pause: 9 * time.Second, until: size, atMost: 170 * time.Second},
	} {
		for _, over := range []string{"HTTP", "a socket"} {
			t.Run(c.what+" over "+over, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := &Server{timing: defaultTiming(), ledger: newLedger(Limits{}, 0)}
					ours, theirs := net.Pipe()
					if c.crowded {
						crowd(s)
					}
					var reader sync.WaitGroup
					defer reader.Wait()
					reader.Go(func() {
						got := make([]byte, stretch)
						for n := 0; n < c.until; n += len(got) {
							if _, err := io.ReadFull(theirs, got); err != nil {
								return
							}
							time.Sleep(c.pause)
						}
					})
					begun := time.Now()
					var err error
					if over == "HTTP" {
						w := pipeWriter{Conn: ours}
						err = s.writePaced(w, http.NewResponseController(w), make([]byte, 100), make([]byte, size-100))
					} else {
						stalled := time.AfterFunc(s.timing.forWrite(size), func() { _ = ours.Close() })
						_, err = pacedConn{ours, s}.Write(make([]byte, size))
						stalled.Stop()
					}
					if took := time.Since(begun); (err == nil) != c.ok || took > c.atMost {
						t.Errorf("got %v after %v", err, took)
					}
					if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.ErrClosedPipe) {
						t.Errorf("got %v", err)
					}
					_, _ = ours.Close(), theirs.Close()
				})
			})
		}
	}
}

// crowd has somebody find no room from now on.
func crowd(s *Server) { s.ledger.full.Store(time.Now().Add(time.Hour).UnixNano()) }
