package chat

import (
	"context"
	"fmt"
	"slices"
	"time"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/refusal"
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

// Branches are what a change of the visible line needs of the database beside Ent. Each
// statement names the owner, and is denied to any viewer but that user.
type Branches interface {
	// Path returns the places from a message up to the first one that is on the visible line,
	// in the order of the line: that one first. It is empty when the message is not there.
	Path(ctx context.Context, tx *ent.Tx, userID, conversationID, id pid.ID) ([]Step, error)
	// Ancestry is Path up to message 0.
	Ancestry(ctx context.Context, tx *ent.Tx, userID, conversationID, id pid.ID) ([]Step, error)
	// LineBytes returns about how long the texts of the visible line before an index are that
	// a model would be sent.
	LineBytes(ctx context.Context, tx *ent.Tx, userID, conversationID pid.ID, before int) (int, error)
}

// Step is a place on the way to a message.
type Step struct {
	ID     pid.ID
	Index  int
	Active bool
}

// batch is how many rows are named in one statement.
const batch = 500

// end makes the visible line end at a message, so that others can follow it, and returns the
// index from which on the line has changed, its own end not counted. Error: NOT_FOUND.
func (l *line) end(ctx context.Context, b Branches, id pid.ID) (from int, err error) {
	return l.through(ctx, b, id, nil)
}

// goOn makes the visible line go through a message and on as it was left. It returns the
// index from which on the line has changed, -1 when it has not, and the new head.
// Error: NOT_FOUND.
func (l *line) goOn(ctx context.Context, b Branches, id pid.ID) (from int, head pid.ID, err error) {
	m, err := l.tx.Message.Query().
		Where(message.ID(id), message.ConversationID(l.conversation.ID), message.UserID(l.userID)).
		Select(message.FieldIndex, message.FieldActive).
		Only(ctx)
	if err != nil {
		return 0, "", orNotFound(err, "message")
	}
	if m.Active {
		return -1, l.conversation.HeadID, nil
	}
	behind, err := l.behind(ctx, m.Index)
	if err != nil {
		return 0, "", err
	}
	rest := descend(id, behind)
	from, err = l.through(ctx, b, id, rest)
	if len(rest) > 0 {
		id = rest[len(rest)-1].id
	}
	return from, id, err
}

// behind reads what lies behind an index on all branches, without texts.
func (l *line) behind(ctx context.Context, index int) ([]node, error) {
	rows, err := l.tx.Message.Query().
		Where(message.ConversationID(l.conversation.ID), message.UserID(l.userID), message.IndexGT(index)).
		Select(message.FieldID, message.FieldParentID, message.FieldIndex, message.FieldActivatedAt,
			message.FieldCreatedAt).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read branches: %w", err)
	}
	nodes := make([]node, len(rows))
	for i, m := range rows {
		nodes[i] = nodeOf(m)
	}
	return nodes, nil
}

func nodeOf(m *ent.Message) node {
	n := node{id: m.ID, index: m.Index, activated: m.CreatedAt}
	if m.ParentID != nil {
		n.parent = *m.ParentID
	}
	if m.ActivatedAt != nil {
		n.activated = *m.ActivatedAt
	}
	return n
}

// through makes the visible line end with a message and rest below it. What leaves the line
// does so first: no place may have two messages even for a moment. Only rows change that do
// not have the right value yet.
func (l *line) through(ctx context.Context, b Branches, id pid.ID, rest []node) (from int, err error) {
	steps, err := b.Path(ctx, l.tx, l.userID, l.conversation.ID, id)
	if err != nil {
		return 0, err
	}
	if len(steps) == 0 {
		return 0, refusal.NotFound("message")
	}
	from = steps[0].Index + 1
	err = l.tx.Message.Update().
		Where(message.ConversationID(l.conversation.ID), message.UserID(l.userID), message.Active(true),
			message.IndexGTE(from)).
		SetActive(false).
		Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("leave a branch: %w", err)
	}
	ids := make([]pid.ID, 0, len(steps)+len(rest))
	for _, s := range steps[1:] {
		ids = append(ids, s.ID)
	}
	for _, n := range rest {
		ids = append(ids, n.id)
	}
	for some := range slices.Chunk(ids, batch) {
		err := l.tx.Message.Update().
			Where(message.IDIn(some...), message.UserID(l.userID)). // By id: not all of the conversation is read.
			SetActive(true).
			SetActivatedAt(l.now).
			Exec(ctx)
		if err != nil {
			return 0, fmt.Errorf("enter a branch: %w", err)
		}
	}
	return from, l.revise(ctx)
}

// measureAnew forgets what a head that has not just been made knows of the length of its
// line: texts were corrected, or may have been while another line was shown.
func (l *line) measureAnew(ctx context.Context) error {
	err := l.tx.Message.Update().
		Where(message.ID(l.conversation.HeadID), message.UserID(l.userID), message.PromptBytesNotNil(),
			message.FinishedAtNotNil()).
		ClearPromptBytes().
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("forget the length of the line: %w", err)
	}
	return nil
}

// revise notes that what was said has changed otherwise than by growing.
func (l *line) revise(ctx context.Context) error {
	l.conversation.Revision++
	err := l.tx.Conversation.Update().
		Where(conversation.ID(l.conversation.ID), conversation.UserID(l.userID)).
		SetRevision(l.conversation.Revision).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("note a revision: %w", err)
	}
	return nil
}

// save writes the head and the version of the conversation, which the line has already.
func (l *line) save(ctx context.Context) error {
	c := l.conversation
	change := l.tx.Conversation.Update().
		Where(conversation.ID(c.ID), conversation.UserID(l.userID)).
		SetHeadID(c.HeadID).
		SetName(c.Name).
		SetLastMessageAt(c.LastMessageAt).
		SetUpdatedAt(c.UpdatedAt)
	if c.ArchivedAt == nil {
		change.ClearArchivedAt()
	}
	if err := change.Exec(ctx); err != nil {
		return fmt.Errorf("move the head: %w", err)
	}
	return nil
}
