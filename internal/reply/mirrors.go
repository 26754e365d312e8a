package reply

import (
	"context"
	"sync"

	"parley/ent"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// mirrors finds the text of every reply that is watched here, wherever it is written.
type mirrors struct {
	*host
	wire     Wire // nil: only the rows are followed
	life     *life
	attempts *attempts

	// mu guards the field below. It may be held while the locks of attempts, of life and of
	// a live are taken, never the other way round.
	mu      sync.Mutex
	byReply map[pid.ID]*mirror
}

func newMirrors(h *host, wire Wire, life *life, attempts *attempts) *mirrors {
	return &mirrors{host: h, wire: wire, life: life, attempts: attempts, byReply: make(map[pid.ID]*mirror)}
}

// join returns the text of an unfinished reply, wherever it is written, as the
// viewer who has read its row. The caller calls leave when done with it.
func (s *mirrors) join(row *ent.Message) (l *live, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Under the lock: an attempt that is committed after this look finds the mirror.
	if a := s.attempts.of(row.ID); a != nil {
		if a.row.Attempt >= row.Attempt {
			return a.live, func() {}
		}
		// Another replica has taken the reply over, and this one, which stood still for
		// longer than its lease, has not noticed yet.
		a.cancel(errFenced)
	}
	m := s.byReply[row.ID]
	if m == nil {
		ctx, cancel := context.WithCancel(viewer.AsUser(s.life.loopCtx, row.UserID))
		m = &mirror{of: s, live: newLive(row, 0), cancel: cancel}
		m.live.restart(row)
		following := s.life.goLoop(func() {
			defer cancel()
			if !s.guard(ctx, func() { m.follow(ctx, row) }) {
				m.drop()
			}
		})
		if !following {
			return m.live, cancel // Nothing moves any more; the viewer's context ends soon.
		}
		s.byReply[row.ID] = m
	}
	// What others watch here may be older than the row that lets this viewer in.
	m.live.catchUp(row)
	m.watchers++
	return m.live, func() { s.leave(row.ID, m) }
}

func (s *mirrors) leave(id pid.ID, m *mirror) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.watchers--
	if m.watchers > 0 {
		return
	}
	m.cancel()
	if s.byReply[id] == m {
		delete(s.byReply, id)
	}
}

// drop ends the copy of a reply that is written here from now on. Its watchers turn to the
// text itself.
func (s *mirrors) drop(id pid.ID) {
	s.mu.Lock()
	m := s.byReply[id]
	s.mu.Unlock()
	if m != nil {
		m.drop()
	}
}

// of returns the copy of a reply, nil when nobody watches one.
func (s *mirrors) of(id pid.ID) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.byReply[id]; m != nil {
		return m.live
	}
	return nil
}
