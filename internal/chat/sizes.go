package chat

import (
	"context"
	"sync"
	"time"

	"parley/internal/pid"
)

const (
	// measureEvery is how long a measure of what a user has stored serves, and measureSoon
	// that of a user who has half of what is allowed. Adding up a user's texts costs more the
	// more there are, and the limit need not hold to the byte.
	measureEvery = 10 * time.Minute
	measureSoon  = time.Minute
	// measureOver is the same for a user who may store no more, and deletes something.
	measureOver = 5 * time.Second
	// maxSizes bounds the users whose measure is kept. Beyond it all are measured anew.
	maxSizes = 10_000
)

// sizes remembers for a while how much users have stored. It is safe for concurrent use.
type sizes struct {
	measure func(ctx context.Context, userID pid.ID) (int, error)

	mu    sync.Mutex // guards known
	known map[pid.ID]size
}

type size struct {
	bytes int
	at    time.Time
}

func newSizes(measure func(ctx context.Context, userID pid.ID) (int, error)) *sizes {
	return &sizes{measure: measure, known: make(map[pid.ID]size)}
}

// of returns about how many bytes a user has stored. While somebody measures, others get
// what was known before.
func (s *sizes) of(ctx context.Context, userID pid.ID, limit int, now time.Time) (int, error) {
	last, due := s.look(userID, limit, now)
	if !due {
		return last.bytes, nil
	}
	bytes, err := s.measure(ctx, userID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.known[userID] = last
		return 0, err
	}
	s.known[userID] = size{bytes: bytes, at: now}
	return bytes, nil
}

// look returns what is known of a user, and whether the caller has to measure.
func (s *sizes) look(userID pid.ID, limit int, now time.Time) (last size, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last = s.known[userID]
	serves := measureEvery
	switch {
	case last.bytes >= limit:
		serves = measureOver
	case last.bytes > limit/2:
		serves = measureSoon
	}
	if now.Sub(last.at) < serves {
		return last, false
	}
	if len(s.known) >= maxSizes {
		clear(s.known)
	}
	s.known[userID] = size{bytes: last.bytes, at: now}
	return last, true
}
