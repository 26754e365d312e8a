package chat

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/reply"
)

// settle is how long a feed waits before it believes that a fact was lost: the fact
// may be on its way still.
const settle = 250 * time.Millisecond

// suspicion is a feed's doubt whether it has heard of everything. The bus raises it
// now and then, since it loses facts without a trace; the database answers it.
type suspicion struct {
	// again fires when a difference has had its time to explain itself; nil when there
	// was none.
	again <-chan time.Time
}

// confirm reports whether a difference from the database has lasted.
func (s *suspicion) confirm(agrees bool) bool {
	lasted := s.again != nil
	s.again = nil
	if agrees {
		return false
	}
	if !lasted {
		s.again = time.After(settle)
	}
	return lasted
}

// postpone asks again later, as the database did not answer. That is no loss.
func (s *suspicion) postpone() {
	s.again = time.After(time.Second + rand.N(time.Second)) // Not all feeds at once.
}

// conversationState is what decides whether a feed of a conversation is up to date:
// whatever happens in it changes one of these.
type conversationState struct {
	conversation *ent.Conversation // nil: it is gone
	unfinished   []*ent.Message    // by index, with their live text
}

// conversationState reads the state from the database.
func (s *Service) conversationState(ctx context.Context, userID, id pid.ID) (conversationState, error) {
	found, err := s.Conversations(ctx, userID, []pid.ID{id})
	if err != nil || len(found) == 0 {
		return conversationState{}, err
	}
	unfinished, err := s.store.Client().Message.Query().
		Where(message.ConversationID(id), message.UserID(userID), reply.Unfinished()).
		Order(message.ByIndex()).
		All(ctx)
	if err != nil {
		return conversationState{}, fmt.Errorf("read unfinished replies: %w", err)
	}
	s.replies.Overlay(unfinished...)
	// A reply may have ended since its row was read.
	unfinished = slices.DeleteFunc(unfinished, func(m *ent.Message) bool { return reply.IsFinal(m.Status) })
	return conversationState{found[0], unfinished}, nil
}

// indexOf returns where a message stands, 0 when it is gone.
func (s *Service) indexOf(ctx context.Context, userID, id pid.ID) (int, error) {
	m, err := s.store.Client().Message.Query().
		Where(message.ID(id), message.UserID(userID)).
		Select(message.FieldIndex).
		Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read index: %w", err)
	}
	return m.Index, nil
}

// listWindow is how many of the latest changes of a list are compared.
const listWindow = 20

// listState is what decides whether a feed of the list of conversations is up to
// date: how many there are, and which were changed last.
type listState struct {
	count   int
	changed map[pid.ID]time.Time
	// oldest is the earliest change among them when there are more.
	oldest time.Time
}

// listState reads the state from the database.
func (s *Service) listState(ctx context.Context, userID pid.ID) (listState, error) {
	count, err := s.store.Client().Conversation.Query().Where(conversation.UserID(userID)).Count(ctx)
	if err != nil {
		return listState{}, fmt.Errorf("count conversations: %w", err)
	}
	latest, err := s.store.Client().Conversation.Query().
		Where(conversation.UserID(userID)).
		Order(conversation.ByUpdatedAt(sql.OrderDesc()), conversation.ByID(sql.OrderDesc())).
		Limit(listWindow).
		Select(conversation.FieldID, conversation.FieldUpdatedAt).
		All(ctx)
	if err != nil {
		return listState{}, fmt.Errorf("read latest changes: %w", err)
	}
	l := listState{count: count, changed: make(map[pid.ID]time.Time, len(latest))}
	for _, c := range latest {
		l.changed[c.ID] = c.UpdatedAt
	}
	if len(latest) == listWindow {
		l.oldest = latest[listWindow-1].UpdatedAt
	}
	return l, nil
}

// tell notes what a client has been told.
func (l *listState) tell(e FeedEvent) {
	_, listed := l.changed[e.ConversationID]
	switch e.Kind {
	case FeedConversationCreated:
		if !listed {
			l.count++
		}
		l.changed[e.ConversationID] = e.Conversation.UpdatedAt
	case FeedConversationUpdated:
		l.changed[e.ConversationID] = e.Conversation.UpdatedAt
	case FeedConversationDeleted:
		l.count--
		delete(l.changed, e.ConversationID)
	}
}

// knows reports whether a client that was told this knows all of now.
func (l *listState) knows(now listState) bool {
	if l.count != now.count {
		return false
	}
	for id, at := range now.changed {
		told, ok := l.changed[id]
		if ok && !told.Equal(at) || !ok && at.After(l.oldest) {
			return false
		}
	}
	return true
}
