package transport

import "time"

// NewImpatient is New with short waits: for connection_init, between pings, for
// their answers, for a client to take a write, and between comments of a stream.
func NewImpatient(cfg Config, init, ping, pong, write, sse time.Duration) *Server {
	return newServer(cfg, patience{init: init, ping: ping, pong: pong, write: write, sse: sse})
}

// Open counts the sockets and streams that the server knows of.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets) + len(s.streams)
}
