package feed

import (
	"context"
	"runtime"
	"sync"
	"weak"

	"parley/ent"
	"parley/internal/fact"
	"parley/internal/pid"
)

// lookups are the rows that were looked up for facts which carry none. All feeds of this
// process that hear a fact share it, and one read: whichever comes first reads. So what a
// feed gets is at least as new as the fact, but may be older than what it has been told.
// Failures are not shared. It is safe for concurrent use.
type lookups struct {
	mu sync.Mutex // guards the field below
	// of holds each for as long as somebody holds the fact.
	of map[weak.Pointer[fact.Fact]]*lookup
}

func newLookups() *lookups { return &lookups{of: make(map[weak.Pointer[fact.Fact]]*lookup)} }

// lookup is what was looked up for one fact, on behalf of the user it is about.
type lookup struct {
	turn chan struct{} // Has room for who reads and guards the fields below.

	found        bool
	conversation *ent.Conversation
	message      *ent.Message
}

// about returns the look-up of a fact.
func (l *lookups) about(f *fact.Fact) *lookup {
	key := weak.Make(f)
	l.mu.Lock()
	defer l.mu.Unlock()
	shared := l.of[key]
	if shared == nil {
		shared = &lookup{turn: make(chan struct{}, 1)}
		l.of[key] = shared
		runtime.AddCleanup(f, l.forget, key)
	}
	return shared
}

func (l *lookups) forget(key weak.Pointer[fact.Fact]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, key)
}

// read fills the look-up, if nobody has.
func (l *lookup) read(ctx context.Context, fill func() error) error {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-l.turn }()
	if l.found {
		return nil
	}
	err := fill()
	l.found = err == nil
	return err
}

// sharedConversation reads the conversation of a fact, nil when the user has none.
func (s *Service) sharedConversation(ctx context.Context, userID pid.ID, f *fact.Fact) (*ent.Conversation, error) {
	l := s.lookups.about(f)
	err := l.read(ctx, func() (err error) {
		l.conversation, err = s.conversation(ctx, userID, f.ConversationID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l.conversation, nil
}

// sharedMessage reads the message of a fact, nil when the user has none.
func (s *Service) sharedMessage(ctx context.Context, userID pid.ID, f *fact.Fact) (*ent.Message, error) {
	l := s.lookups.about(f)
	err := l.read(ctx, func() (err error) {
		l.message, err = s.message(ctx, userID, f.MessageID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l.message, nil
}
