package transport

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// So many sockets and streams are closed at once. More are closed one after the
// other, so that their clients do not all come back at the same moment.
const handful = 20

// The pause between two of many, and how long all of them take at most.
const (
	closePause  = 5 * time.Millisecond
	closeSpread = 10 * time.Second
)

// Close refuses new sockets and streams, and ends those there are, telling their
// clients to come back: a handful at once, many in random order within ten seconds.
// Queries and mutations go on; a socket is closed after those that run on it. When
// ctx ends the rest is closed at once, whatever runs. Close returns when all clients
// have been told and have answered, or two seconds after the end of ctx.
func (s *Server) Close(ctx context.Context) {
	s.mu.Lock()
	s.stopping = true
	var sockets []*socket
	var ends []func()
	for c := range s.sockets {
		sockets = append(sockets, c)
		ends = append(ends, c.retire)
	}
	for st := range s.streams {
		ends = append(ends, func() { st.cancel(errRestart) })
	}
	s.mu.Unlock()

	rand.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })
	var pause time.Duration
	if len(ends) > handful {
		pause = min(closePause, closeSpread/time.Duration(len(ends)))
	}
	for _, end := range ends {
		end()
		if pause > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				pause = 0
			}
		}
	}
	awaitSockets(ctx, sockets, s.timing.goodbye)
}

// awaitSockets waits until the sockets are gone. When ctx ends it closes them, and
// waits for so long again.
func awaitSockets(ctx context.Context, sockets []*socket, goodbye time.Duration) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for _, c := range sockets {
			<-c.gone
		}
	}()
	select {
	case <-gone:
		return
	case <-ctx.Done():
	}
	var told sync.WaitGroup
	for _, c := range sockets {
		told.Go(c.restart)
	}
	told.Wait()
	select {
	case <-gone:
	case <-time.After(goodbye): // Clients that do not answer learn it when the process ends.
	}
}

// stopped reports whether Close has been called.
func (s *Server) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// retire closes the socket when no query or mutation runs on it any more that runs
// now. What comes later goes on until then and begins again elsewhere.
func (c *socket) retire() {
	c.mu.Lock()
	c.retiring = true
	held := c.holding > 0
	c.mu.Unlock()
	if !held {
		c.restart()
	}
}

// restart closes the socket and tells the client to come back.
func (c *socket) restart() { c.close(closeRestart, "Service restart") }

// release is called when an operation needs the socket no more, and when it turns out
// to be a subscription, which can go on elsewhere. Later calls do nothing.
func (c *socket) release(op *operation) {
	c.mu.Lock()
	held := op.holds
	op.holds = false
	if held {
		c.holding--
	}
	last := held && c.retiring && c.holding == 0
	c.mu.Unlock()
	if last {
		c.restart()
	}
}

// Unavailable stands in for a Server that cannot be made yet. It checks hosts and
// origins as that would and answers everything else with UNAVAILABLE and message. Of
// cfg it needs AllowedOrigin, AllowedHost and Log.
func Unavailable(cfg Config, message string) http.Handler {
	s := &Server{cfg: cfg, timing: defaultTiming()}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.admit(w, r) {
			s.refuseForNow(w, r, message)
		}
	})
}

// refuseForNow answers what may work in a moment, here or elsewhere.
func (s *Server) refuseForNow(w http.ResponseWriter, r *http.Request, message string) {
	w.Header().Set("Retry-After", "1")
	s.refuse(w, r, http.StatusServiceUnavailable, "UNAVAILABLE", message)
}
