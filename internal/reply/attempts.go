package reply

import (
	"slices"
	"sync"
	"time"

	"parley/internal/fact"
	"parley/internal/pid"
)

// A final reply stays readable from memory, so that a query that read the row just before its
// last write still shows the end.
const (
	// linger is how long, which is as long as such a query may take.
	linger = 5 * time.Second
	// maxLingering bounds how many do: where so many end in that time, no query takes it.
	maxLingering = 500
)

// uncertainFor is how long a discarded reply is remembered.
const uncertainFor = time.Minute

// attempts finds what is written here, by the reply.
type attempts struct {
	// mu guards the fields below. It may be held while a live's lock is taken, never the
	// other way round.
	mu sync.Mutex
	// byReply has those that are prepared, run, or have just ended.
	byReply map[pid.ID]*Attempt
	// lingering are those of them that have ended, in the order in which they did.
	lingering []lingering
	// uncertain are replies whose commit failed: they may be there all the same.
	uncertain map[pid.ID]time.Time
}

// lingering is an attempt that has ended.
type lingering struct {
	attempt *Attempt
	since   time.Time
}

func newAttempts() *attempts {
	return &attempts{byReply: make(map[pid.ID]*Attempt), uncertain: make(map[pid.ID]time.Time)}
}

// add makes an attempt the one of its reply, unless refuse, which is called under the lock,
// returns an error.
func (s *attempts) add(a *Attempt, refuse func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := refuse(); err != nil {
		return err
	}
	if earlier := s.byReply[a.row.ID]; earlier != nil {
		// This replica lost the reply and has claimed it again before it noticed.
		earlier.cancel(errFenced)
	}
	s.byReply[a.row.ID] = a
	delete(s.uncertain, a.row.ID)
	return nil
}

// remove takes an attempt out. Another one of its reply stays.
func (s *attempts) remove(a *Attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byReply[a.row.ID] == a {
		delete(s.byReply, a.row.ID)
	}
}

// discard is remove for a reply whose commit has failed, or has not been answered.
func (s *attempts) discard(a *Attempt, now time.Time) {
	s.mu.Lock()
	s.uncertain[a.row.ID] = now
	s.mu.Unlock()
	s.remove(a)
}

// neverRan reports whether the last attempt of a reply was discarded: then it is not as if
// an owner had died over it.
func (s *attempts) neverRan(id pid.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.uncertain[id]
	return ok
}

// ended keeps an attempt whose reply is final for a while.
func (s *attempts) ended(a *Attempt, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lingering = append(s.lingering, lingering{a, now})
	s.letGo(now)
}

// expire drops what has been final, or uncertain, for a while.
func (s *attempts) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letGo(now)
	for id, at := range s.uncertain {
		if at.Before(now.Add(-uncertainFor)) {
			delete(s.uncertain, id)
		}
	}
}

// letGo drops those that have lingered for long, or are too many. It is called with mu held.
func (s *attempts) letGo(now time.Time) {
	n := 0
	for _, l := range s.lingering {
		if len(s.lingering)-n <= maxLingering && !l.since.Before(now.Add(-linger)) {
			break
		}
		if id := l.attempt.row.ID; s.byReply[id] == l.attempt {
			delete(s.byReply, id)
		}
		n++
	}
	s.lingering = slices.Delete(s.lingering, 0, n)
}

// knows reports whether a reply runs here, is about to, or has just ended here.
func (s *attempts) knows(id pid.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byReply[id] != nil
}

// of returns the attempt of a reply that is committed and runs here, or has just ended
// here; nil otherwise.
func (s *attempts) of(id pid.ID) *Attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.byReply[id]; a != nil && a.committed.Load() {
		return a
	}
	return nil
}

// all returns the attempts that have not ended, those that are only prepared included.
func (s *attempts) all() []*Attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Attempt, 0, len(s.byReply))
	for _, a := range s.byReply {
		if !a.live.hasEnded() {
			list = append(list, a)
		}
	}
	return list
}

// cancel ends the attempt of a reply, if there is one.
func (s *attempts) cancel(id pid.ID, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.byReply[id]; a != nil {
		a.cancel(cause)
	}
}

// concerns reports whether a fact is about a reply that runs here.
func (s *attempts) concerns(f fact.Fact) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, a := range s.byReply {
		deleted := f.Kind == fact.ConversationDeleted && a.row.ConversationID == f.ConversationID
		if (id == f.MessageID || deleted) && !a.live.hasEnded() {
			return true
		}
	}
	return false
}
