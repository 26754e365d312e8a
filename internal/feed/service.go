package feed

import (
	"context"
	"time"

	"parley/ent"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
)

// Store is what feeds need of the database.
type Store interface {
	// Client returns the Ent client.
	Client() *ent.Client
	// Now returns the database's clock.
	Now(ctx context.Context) (time.Time, error)
}

// Replies is what feeds need of the engine that runs replies.
type Replies interface {
	// Follow watches a reply of the user's, of which the caller has a row in hand. Where
	// that runs here it reads nothing. The error is Ent's not-found error when the reply
	// is gone.
	Follow(ctx context.Context, userID pid.ID, row *ent.Message) (*reply.Watcher, error)
	// Overlay replaces the text of messages by the live text that is known here. It
	// reads nothing.
	Overlay(messages ...*ent.Message)
}

// Service opens feeds. It is safe for concurrent use and starts no goroutine.
type Service struct {
	store   Store
	replies Replies
	bus     fact.Bus
	lookups *lookups
}

// New returns the service.
func New(store Store, replies Replies, bus fact.Bus) *Service {
	return &Service{store: store, replies: replies, bus: bus, lookups: newLookups()}
}

// Conversation opens the feed of all that happens in one conversation, the running reply
// included. The viewer in ctx is the user. The caller closes the feed. Error: NOT_FOUND.
func (s *Service) Conversation(ctx context.Context, userID, id pid.ID) (*Feed, error) {
	f := s.open(userID, newConversation(userID, id), s.line, fact.OfConversation(id))
	if err := f.begin(ctx); err != nil {
		f.Close()
		return nil, err
	}
	if f.state.phase() == over {
		f.Close()
		return nil, refusal.NotFound("conversation")
	}
	return f, nil
}

// List opens the feed of a user's list of conversations. The caller closes it.
func (s *Service) List(userID pid.ID) *Feed {
	return s.open(userID, newList(userID), s.window, fact.OfUser(userID))
}

// open starts listening. That comes before reading, so that nothing falls between.
func (s *Service) open(
	userID pid.ID, st state, read func(context.Context, pid.ID, want) (input, error), topic fact.Topic,
) *Feed {
	return &Feed{service: s, userID: userID, state: st, read: read, facts: s.bus.Subscribe(topic)}
}
