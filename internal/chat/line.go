package chat

import (
	"context"
	"fmt"
	"time"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/reply"
)

// line is the visible line of one conversation within a transaction that holds its lock:
// what is changed through it is changed by nobody else meanwhile.
type line struct {
	tx           *ent.Tx
	userID       pid.ID
	conversation *ent.Conversation
	now          time.Time
}

// version is the time at which the conversation is changed, as reply.Version says.
func (l *line) version() time.Time { return reply.Version(l.conversation.UpdatedAt, l.now) }

// lockLine takes the lock of a conversation and reads it, and the clock after it, so that
// of two changes the later one has the later time. Error: NOT_FOUND.
func (s *Service) lockLine(ctx context.Context, tx *ent.Tx, userID, id pid.ID) (*line, error) {
	if err := s.store.Lock(ctx, tx, string(id)); err != nil {
		return nil, err
	}
	now, err := s.store.NowTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	c, err := tx.Conversation.Query().Where(conversation.ID(id), conversation.UserID(userID)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "conversation")
	}
	return &line{tx: tx, userID: userID, conversation: c, now: now}, nil
}

// below makes the row of a message that follows another one.
func (l *line) below(parentID pid.ID, parentIndex int, role message.Role) *ent.Message {
	return &ent.Message{ID: pid.New(pid.Message), ConversationID: l.conversation.ID, UserID: l.userID,
		ParentID: &parentID, Index: parentIndex + 1, Active: true, Role: role, Status: message.StatusCOMPLETED,
		CreatedAt: l.now}
}

// ask makes a question below a message.
func (l *line) ask(parentID pid.ID, parentIndex int, content string) *ent.Message {
	m := l.below(parentID, parentIndex, message.RoleUSER)
	m.Content = content
	return m
}

// answer makes the reply to a question: one that owner writes at once, or, without an
// owner, one that waits for those before it.
func (l *line) answer(question *ent.Message, model string, parameters reply.Parameters, owner *pid.ID) *ent.Message {
	m := l.below(question.ID, question.Index, message.RoleASSISTANT)
	m.Status, m.Model, m.Parameters = message.StatusQUEUED, &model, parameters.Encode()
	if owner != nil {
		started := l.now
		m.Status, m.Owner, m.Attempt, m.StartedAt = message.StatusSTREAMING, owner, 1, &started
	}
	return m
}

// moveHead makes a message the last one of the line. A conversation that has no name
// yet gets that of the question, and one that was archived is in use again.
func (l *line) moveHead(to pid.ID, question string) {
	c := l.conversation
	if c.Name == "" && c.NameSource == conversation.NameSourcePLACEHOLDER {
		c.Name = placeholderName(question)
	}
	c.ArchivedAt = nil
	c.HeadID, c.LastMessageAt, c.UpdatedAt = to, l.now, l.version()
}

// rename sets the name in an update of the conversation. An empty one gives back the
// name from the first question.
func (l *line) rename(ctx context.Context, u *ent.ConversationUpdateOne, name string) error {
	if name != "" {
		u.SetName(name).SetNameSource(conversation.NameSourceUSER)
		return nil
	}
	first, err := l.tx.Message.Query().
		Where(message.ConversationID(l.conversation.ID), message.UserID(l.userID), message.Active(true),
			message.RoleEQ(message.RoleUSER)).
		Order(message.ByIndex()).
		First(ctx)
	switch {
	case ent.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("read the first question: %w", err)
	default:
		name = placeholderName(first.Content)
	}
	u.SetName(name).SetNameSource(conversation.NameSourcePLACEHOLDER)
	return nil
}

// rewriteSystemPrompt changes message 0 in place.
func (l *line) rewriteSystemPrompt(ctx context.Context, content string) error {
	err := l.tx.Message.Update().
		Where(message.ConversationID(l.conversation.ID), message.UserID(l.userID), message.Index(0)).
		SetContent(content).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("rewrite system prompt: %w", err)
	}
	return nil
}
