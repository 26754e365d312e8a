package transport

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"parley/internal/complaint"
	"parley/internal/trace"
)

// The close codes of a socket. Those of 44xx are the protocol's; what the reference
// client does on each decides which is used for what: it comes back with back-off
// on 1012, 1013, 4403 and 4408, asks for its token again when it does, and gives up
// for good on the others. 1000 is never sent: on it the client comes back at once,
// without end.
const (
	closeRestart     = websocket.StatusCode(1012)
	closeTryLater    = websocket.StatusCode(1013)
	closeBadMessage  = websocket.StatusCode(4400)
	closeNoAck       = websocket.StatusCode(4401)
	closeForbidden   = websocket.StatusCode(4403)
	closeSubprotocol = websocket.StatusCode(4406)
	closeNoInit      = websocket.StatusCode(4408)
	closeDuplicate   = websocket.StatusCode(4409)
	closeSecondInit  = websocket.StatusCode(4429)
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
	var sockets []*socket
	members := s.admission.close()
	for _, m := range members {
		if c, ok := m.(*socket); ok {
			sockets = append(sockets, c)
		}
	}
	rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	var pause time.Duration
	if len(members) > handful {
		pause = min(closePause, closeSpread/time.Duration(len(members)))
	}
	for _, m := range members {
		m.retire()
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
func (c *socket) restart() { c.close(deniedRestart.closeCode, deniedRestart.closeReason) }

// Unavailable stands in for a Server that cannot be made yet. It checks origins as that
// would and answers everything else with UNAVAILABLE and message. Of cfg it needs
// RefuseOrigin and Log, and Ended where it is set.
func Unavailable(cfg Config, message string) http.Handler {
	s := &Server{cfg: cfg, timing: defaultTiming(), meters: newMeters(), refused: complaint.NewRefrain(refusedAgain)}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &Exchange{}
		ctx := s.begin(trace.Begin(r.Context(), r.Header), e, WayHTTP)
		defer s.over(ctx, e)
		if r = r.WithContext(ctx); s.check(w, r) {
			s.turnAway(w, r, deniedForNow(message))
		}
	})
}
