package transport

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"parley/internal/refusal"

	"github.com/coder/websocket"
)

// admission decides who may open a socket or a stream, and knows which ones are open.
// Both count together: by the client's address while nobody is known on them, so that
// an office behind one address is not one client, and by the user from then on. It is
// safe for concurrent use.
type admission struct {
	perAddr, perUser int

	// mu guards the fields below.
	mu     sync.Mutex
	byAddr map[string]int
	byUser map[string]int
	inside map[member]struct{}
	closed bool
}

// member is a socket or a stream.
type member interface {
	// retire ends it as soon as nothing is lost by that, and tells its client to come
	// back. It does not wait.
	retire()
}

// denial says why a socket or a stream may not be opened: to a socket that is open
// already by a close code, to a request by an answer.
type denial struct {
	closeCode   websocket.StatusCode
	closeReason string

	status     int
	retryAfter int // In seconds.
	code       string
	message    string
}

// The reasons. A client comes back after either of them.
var (
	deniedFull = &denial{
		closeCode: closeTryLater, closeReason: "Too many sockets",
		status: http.StatusTooManyRequests, retryAfter: 5,
		code: string(refusal.CodeRateLimited), message: "Too many sockets and streams are open. Try again in 5 seconds.",
	}
	deniedRestart = deniedForNow("The server is restarting.")
)

// deniedForNow is for what may work in a moment, here or elsewhere.
func deniedForNow(message string) *denial {
	return &denial{
		closeCode: closeRestart, closeReason: "Service restart",
		status: http.StatusServiceUnavailable, retryAfter: 1,
		code: "UNAVAILABLE", message: message,
	}
}

// newAdmission returns one that lets so many in.
func newAdmission(perAddr, perUser int) *admission {
	return &admission{
		perAddr: perAddr, perUser: perUser,
		byAddr: make(map[string]int), byUser: make(map[string]int),
		inside: make(map[member]struct{}),
	}
}

// takeAddr takes a place for an address, or says why there is none. The empty address is
// not counted. The caller gives the place back by leaveAddr or identify.
func (a *admission) takeAddr(addr string) *denial {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return deniedRestart
	}
	return take(a.byAddr, addr, a.perAddr)
}

// identify changes the place of an address into one of the user who is known now, or says
// why there is none; the address keeps its place then, and for nobody. The caller gives
// the new place back by leaveUser.
func (a *admission) identify(addr, user string) *denial {
	if user == "" {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if why := take(a.byUser, user, a.perUser); why != nil {
		return why
	}
	leave(a.byAddr, addr)
	return nil
}

// takeUser takes a place for a user, or says why there is none. Nobody is not counted. The
// caller gives the place back by leaveUser.
func (a *admission) takeUser(user string) *denial {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return deniedRestart
	}
	return take(a.byUser, user, a.perUser)
}

func (a *admission) leaveAddr(addr string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	leave(a.byAddr, addr)
}

func (a *admission) leaveUser(user string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	leave(a.byUser, user)
}

func take(places map[string]int, name string, limit int) *denial {
	if name == "" {
		return nil
	}
	if places[name] >= limit {
		return deniedFull
	}
	places[name]++
	return nil
}

func leave(places map[string]int, name string) {
	if name == "" {
		return
	}
	if places[name]--; places[name] <= 0 {
		delete(places, name)
	}
}

// enter makes a member known to close, or says why it comes too late.
func (a *admission) enter(m member) *denial {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return deniedRestart
	}
	a.inside[m] = struct{}{}
	return nil
}

// exit forgets a member. Those that never entered may exit too.
func (a *admission) exit(m member) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.inside, m)
}

// close lets nobody in any more, and returns who is inside.
func (a *admission) close() []member {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	members := make([]member, 0, len(a.inside))
	for m := range a.inside {
		members = append(members, m)
	}
	return members
}

// turnAway answers a request by which a socket or a stream would have been opened.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request, why *denial) {
	if why == deniedFull {
		s.meters.Limits.Of(limitSockets).Inc()
	}
	w.Header().Set("Retry-After", strconv.Itoa(why.retryAfter))
	e := coded(why.code, why.message)
	if why.code == string(refusal.CodeRateLimited) {
		e.Extensions["retryAfter"] = why.retryAfter
	}
	s.refuseWith(w, r, why.status, e)
}

// addressOf names the client for the limit by address.
func (s *Server) addressOf(r *http.Request) string {
	if s.cfg.ClientAddr == nil {
		return ""
	}
	return strings.TrimSpace(s.cfg.ClientAddr(r))
}
