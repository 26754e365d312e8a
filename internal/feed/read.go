package feed

import (
	"context"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/conversationdeletion"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/reply"
)

// conversation reads a row, nil when the user has no such conversation.
func (s *Service) conversation(ctx context.Context, userID, id pid.ID) (*ent.Conversation, error) {
	c, err := s.store.Client().Conversation.Query().
		Where(conversation.ID(id), conversation.UserID(userID)).
		Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read conversation: %w", err)
	}
	return c, nil
}

// message reads a row with its live text, nil when the user has no such message.
func (s *Service) message(ctx context.Context, userID, id pid.ID) (*ent.Message, error) {
	m, err := s.store.Client().Message.Query().
		Where(message.ID(id), message.UserID(userID)).
		Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read message: %w", err)
	}
	s.replies.Overlay(m)
	return m, nil
}

// line reads the state of a conversation: whatever happens in it changes a part of it.
func (s *Service) line(ctx context.Context, userID pid.ID, w want) (input, error) {
	now := lineRead{want: w}
	var err error
	if now.conversation, err = s.conversation(ctx, userID, w.id); now.conversation == nil {
		return now, err
	}
	now.unfinished, err = s.store.Client().Message.Query().
		Where(message.ConversationID(w.id), message.UserID(userID), message.Active(true),
			reply.Unfinished()).
		Order(message.ByIndex()).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read unfinished replies: %w", err)
	}
	if w.kind == wantBeginning {
		now.headIndex, err = s.headIndex(ctx, now)
		switch {
		case ent.IsNotFound(err):
			return s.line(ctx, userID, w) // It has gone since, with the conversation or without.
		case err != nil:
			return nil, fmt.Errorf("read index: %w", err)
		}
	}
	s.replies.Overlay(now.unfinished...)
	// A reply may have ended since its row was read.
	now.unfinished = slices.DeleteFunc(now.unfinished, func(m *ent.Message) bool { return reply.IsFinal(m.Status) })
	return now, nil
}

// headIndex returns where the head stands.
func (s *Service) headIndex(ctx context.Context, now lineRead) (int, error) {
	head := now.conversation.HeadID
	for _, m := range now.unfinished {
		if m.ID == head {
			return m.Index, nil
		}
	}
	m, err := s.store.Client().Message.Query().
		Where(message.ID(head), message.UserID(now.conversation.UserID)).
		Select(message.FieldIndex).
		Only(ctx)
	if err != nil {
		return 0, err
	}
	return m.Index, nil
}

// window reads the state of a list. Deletions come first: what is deleted later is newer
// than the beginning, and compared.
func (s *Service) window(ctx context.Context, userID pid.ID, w want) (input, error) {
	now := windowRead{want: w}
	var err error
	if now.deletions, err = s.deletions(ctx, userID, w); err != nil {
		return nil, fmt.Errorf("read deletions: %w", err)
	}
	if w.kind == wantBeginning {
		if now.window.asOf, err = s.store.Now(ctx); err != nil {
			return nil, fmt.Errorf("read clock: %w", err)
		}
	}
	latest, err := s.store.Client().Conversation.Query().
		Where(conversation.UserID(userID)).
		Order(conversation.ByUpdatedAt(sql.OrderDesc()), conversation.ByID(sql.OrderDesc())).
		Limit(windowSize).
		Select(conversation.FieldID, conversation.FieldUpdatedAt).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read latest changes: %w", err)
	}
	now.window.changed = make(map[pid.ID]time.Time, len(latest))
	for _, c := range latest {
		now.window.changed[c.ID] = c.UpdatedAt
	}
	if len(latest) < windowSize {
		now.window.count = len(latest) // All there are.
		return now, nil
	}
	now.window.oldest = latest[windowSize-1].UpdatedAt
	now.window.count, err = s.store.Client().Conversation.Query().Where(conversation.UserID(userID)).Count(ctx)
	if err != nil {
		return nil, fmt.Errorf("count conversations: %w", err)
	}
	return now, nil
}

// deletions reads those that a window is compared with; for a beginning, the last one.
func (s *Service) deletions(ctx context.Context, userID pid.ID, w want) ([]deletion, error) {
	q := s.store.Client().ConversationDeletion.Query().
		Where(conversationdeletion.UserID(userID)).
		Order(conversationdeletion.ByID(sql.OrderDesc())).
		Limit(1)
	if w.kind == wantComparison {
		q = s.store.Client().ConversationDeletion.Query().
			Where(conversationdeletion.UserID(userID), conversationdeletion.IDGT(w.after)).
			Order(conversationdeletion.ByID()).
			Limit(maxDeletions)
	}
	rows, err := q.Select(conversationdeletion.FieldID, conversationdeletion.FieldConversationID).All(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]deletion, len(rows))
	for i, d := range rows {
		list[i] = deletion{d.ID, d.ConversationID}
	}
	return list, nil
}
