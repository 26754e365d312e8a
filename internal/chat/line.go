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

// version is the time at which the conversation is changed. It grows whatever the clock
// does: of two rows of a conversation the one with the later time is the later one, and
// feeds rely on that.
func (l *line) version() time.Time {
	if last := l.conversation.UpdatedAt; !l.now.After(last) {
		return last.Add(time.Microsecond)
	}
	return l.now
}

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

// newLine makes a conversation. It needs no lock: nobody else knows it yet. It returns
// message 0 too.
func (s *Service) newLine(
	ctx context.Context, tx *ent.Tx, userID pid.ID, in NewConversation,
) (*line, *ent.Message, error) {
	now, err := s.store.NowTx(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	c, root, err := createConversation(ctx, tx, userID, in, now)
	if err != nil {
		return nil, nil, err
	}
	return &line{tx: tx, userID: userID, conversation: c, now: now}, root, nil
}

// head reads the last message of the line.
func (l *line) head(ctx context.Context) (*ent.Message, error) {
	m, err := l.tx.Message.Query().
		Where(message.ID(l.conversation.HeadID), message.ConversationID(l.conversation.ID), message.UserID(l.userID)).
		Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read head: %w", err)
	}
	return m, nil
}

// unfinished reads the replies that are being written or wait, in the order of the
// line, without their texts.
func (l *line) unfinished(ctx context.Context) ([]*ent.Message, error) {
	list, err := l.tx.Message.Query().
		Where(message.ConversationID(l.conversation.ID), message.UserID(l.userID), reply.Unfinished()).
		Order(message.ByIndex()).
		Select(message.FieldID, message.FieldUserID, message.FieldConversationID, message.FieldParentID,
			message.FieldStatus, message.FieldStartedAt).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for unfinished replies: %w", err)
	}
	return list, nil
}

// below begins the row of a message that follows another one.
func (l *line) below(parent *ent.Message, role message.Role) *ent.MessageCreate {
	return l.tx.Message.Create().
		SetConversationID(l.conversation.ID).
		SetUserID(l.userID).
		SetParentID(parent.ID).
		SetIndex(parent.Index + 1).
		SetRole(role).
		SetCreatedAt(l.now)
}

// ask inserts a question below a message.
func (l *line) ask(ctx context.Context, parent *ent.Message, content string) (*ent.Message, error) {
	m, err := l.below(parent, message.RoleUSER).SetContent(content).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("insert user message: %w", err)
	}
	return m, nil
}

// answer inserts the reply to a question: one that owner writes at once, or, without an
// owner, one that waits for those before it.
func (l *line) answer(
	ctx context.Context, question *ent.Message, model string, parameters reply.Parameters, owner *pid.ID,
) (*ent.Message, error) {
	create := l.below(question, message.RoleASSISTANT).
		SetStatus(message.StatusQUEUED).
		SetModel(model).
		SetParameters(parameters.Encode())
	if owner != nil {
		create.SetStatus(message.StatusSTREAMING).SetOwner(*owner).SetAttempt(1).SetStartedAt(l.now)
	}
	m, err := create.Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("insert reply: %w", err)
	}
	return m, nil
}

// moveHead makes a message the last one of the line. A conversation that has no name
// yet gets that of the question.
func (l *line) moveHead(ctx context.Context, to *ent.Message, question string) error {
	name := l.conversation.Name
	if name == "" && l.conversation.NameSource == conversation.NameSourcePLACEHOLDER {
		name = placeholderName(question)
	}
	c, err := l.tx.Conversation.UpdateOne(l.conversation).
		Where(conversation.UserID(l.userID)).
		SetHeadID(to.ID).
		SetName(name).
		SetLastMessageAt(l.now).
		SetUpdatedAt(l.version()).
		Save(ctx)
	if err != nil {
		return fmt.Errorf("move head: %w", err)
	}
	l.conversation = c
	return nil
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
