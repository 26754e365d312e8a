package chat

import "parley/internal/pid"

// EncodeCursor lets the tests make cursors that this package never gave out.
var EncodeCursor = encodeCursor

// Crowd returns how many writes of a user are in the database's hands, and how many wait.
func (s *Service) Crowd(id pid.ID) (inside, waiting int) {
	s.crowd.mu.Lock()
	defer s.crowd.mu.Unlock()
	if p := s.crowd.users[id]; p != nil {
		return p.inside, len(p.waiting)
	}
	return 0, 0
}
