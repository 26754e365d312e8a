package transport

import (
	"maps"
	"slices"
	"time"
)

// NewImpatient is New with waits of the test's choice.
func NewImpatient(cfg Config, init, ping, pong, write, beat time.Duration) *Server {
	return newServer(cfg, timing{init: init, ping: ping, pong: pong, write: write, beat: beat, read: write,
		grace: write, room: write, goodbye: time.Minute})
}

// TimeIsUp does what happens to a socket of nobody when it has had its time.
func (s *Server) TimeIsUp() {
	s.admission.mu.Lock()
	inside := slices.Collect(maps.Keys(s.admission.inside))
	s.admission.mu.Unlock()
	for _, m := range inside {
		m.(*socket).expel()
	}
}

// Compressing returns how many writers are taken.
func (s *Server) Compressing() int { return cap(s.compressor.free) - len(s.compressor.free) }

// TakeCompressors takes all writers.
func (s *Server) TakeCompressors() (giveBack func()) {
	n := cap(s.compressor.free)
	for range n {
		<-s.compressor.free
	}
	return func() {
		for range n {
			s.compressor.free <- struct{}{}
		}
	}
}

// Open returns how many sockets and streams are open.
func (s *Server) Open() int {
	s.admission.mu.Lock()
	defer s.admission.mu.Unlock()
	return len(s.admission.inside)
}

// Counted returns how many sockets are counted by user and by address.
func (s *Server) Counted() (byUser, byAddr int) {
	s.admission.mu.Lock()
	defer s.admission.mu.Unlock()
	for _, n := range s.admission.byUser {
		byUser += n
	}
	for _, n := range s.admission.byAddr {
		byAddr += n
	}
	return byUser, byAddr
}

// Held returns how many bytes of large answers are held, and how many users have
// something under way.
func (s *Server) Held() (bytes int64, users int) {
	s.ledger.mu.Lock()
	bytes = s.ledger.held
	s.ledger.mu.Unlock()
	s.underway.mu.Lock()
	defer s.underway.mu.Unlock()
	return bytes, len(s.underway.byUser)
}
