package chat

import (
	"context"
	"fmt"
	"slices"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/summary"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
)

// The limits of what is put in by hand, texts in bytes of UTF-8.
const (
	MaxAddedMessages = 100
	MaxAddedBytes    = 512 << 10
	MaxAddedText     = 256 << 10
)

// NewMessage is a message that is put in by hand.
type NewMessage struct {
	Role    message.Role
	Content string
	// Reasoning and Model are for replies only.
	Reasoning string
	Model     *string
}

// AddInput is the input of AddMessages.
type AddInput struct {
	// ConversationID is nil to begin a new conversation.
	ConversationID *pid.ID
	// AfterID is the message that they follow; nil: the head.
	AfterID        *pid.ID
	Messages       []NewMessage
	ClientKey      *string
	ExpectedHeadID *pid.ID
}

// AddResult is what AddMessages has stored.
type AddResult struct {
	Conversation *ent.Conversation
	// Messages are in the order of the line.
	Messages     []*ent.Message
	Deduplicated bool
}

func (in AddInput) check() error {
	p := refusal.Problems{}
	checkKey(p, in.ClientKey)
	if in.ConversationID == nil && in.AfterID != nil {
		p.Add("afterMessageId", "needs a conversationId")
	}
	if in.ConversationID == nil && in.ExpectedHeadID != nil {
		p.Add("expectedHeadId", "needs a conversationId")
	}
	if n := len(in.Messages); n == 0 || n > MaxAddedMessages {
		p.Add("messages", fmt.Sprintf("must have 1 to %d entries, not %d", MaxAddedMessages, n))
		return p.Err()
	}
	total := 0
	for i, m := range in.Messages {
		field := fmt.Sprintf("messages.%d", i)
		total += len(m.Content) + len(m.Reasoning)
		checkContent(p, field+".content", m.Content, MaxAddedText)
		checkText(p, field+".reasoning", m.Reasoning, MaxAddedText)
		checkModel(p, field+".model", m.Model)
		if m.Role != message.RoleASSISTANT && (m.Reasoning != "" || m.Model != nil) {
			p.Add(field, "takes reasoning and model only with the role ASSISTANT")
		}
	}
	if total > MaxAddedBytes {
		p.Add("messages", fmt.Sprintf("may have at most %d bytes of UTF-8 together, not %d", MaxAddedBytes, total))
	}
	return p.Err()
}

// AddMessages puts messages into a conversation by hand, behind its head or another message,
// which begins a new branch. No model is asked. A known client key gives the same messages
// again. Errors: BAD_USER_INPUT, NOT_FOUND, IDEMPOTENCY_CONFLICT, STALE_HEAD {headId},
// CONVERSATION_BUSY {messageId, startedAt}, RATE_LIMITED {retryAfter}, QUOTA_EXCEEDED,
// UNAVAILABLE.
func (s *Service) AddMessages(ctx context.Context, userID pid.ID, in AddInput) (AddResult, error) {
	if err := in.check(); err != nil {
		return AddResult{}, err
	}
	var result AddResult
	a := &asking{Service: s, once: once{userID: userID, key: in.ClientKey,
		hash: payloadHash("addMessages", in.ConversationID, in.AfterID, in.Messages)}}
	if in.ConversationID != nil {
		a.conversationID = *in.ConversationID
	}
	known, err := a.keep(ctx, func(ctx context.Context, tx *ent.Tx, state SendState) (kept, error) {
		return a.add(ctx, tx, state, in, &result)
	})
	switch {
	case err != nil:
		return AddResult{}, err
	case known != nil:
		return s.added(ctx, userID, known, len(in.Messages))
	}
	return result, nil
}

// add stores the messages under the locks.
func (a *asking) add(
	ctx context.Context, tx *ent.Tx, s SendState, in AddInput, result *AddResult,
) (kept, error) {
	*result = AddResult{}
	l, becomes, err := a.lineFor(ctx, tx, s, in)
	if err != nil {
		return kept{}, err
	}
	after, index := l.conversation.HeadID, s.HeadIndex
	if becomes == fact.ConversationCreated {
		index = 0
	}
	a.facts = nil
	if in.AfterID != nil && *in.AfterID != after {
		m, err := l.message(ctx, *in.AfterID)
		if err != nil {
			return kept{}, err
		}
		from, err := l.end(ctx, a.store, m.ID)
		if err != nil {
			return kept{}, err
		}
		after, index = m.ID, m.Index
		a.facts = append(a.facts, lineChanged(l, from))
	}
	rows := make([]*ent.MessageCreate, len(in.Messages))
	for i, n := range in.Messages {
		m := l.below(after, index, n.Role)
		m.Content, m.Reasoning, m.Model, m.FinishedAt = n.Content, n.Reasoning, n.Model, &l.now
		rows[i] = create(tx, m)
		after, index = m.ID, m.Index
		result.Messages = append(result.Messages, m)
	}
	if err := tx.Message.CreateBulk(rows...).Exec(ctx); err != nil {
		return kept{}, fmt.Errorf("add messages: %w", err)
	}
	l.moveHead(after, firstQuestion(in.Messages))
	if err := l.save(ctx); err != nil {
		return kept{}, err
	}
	result.Conversation = l.conversation
	a.facts = append(a.facts, conversationFact(becomes, l.userID, l.conversation.ID, l.conversation))
	for _, m := range result.Messages {
		a.facts = append(a.facts, messageFact(fact.MessageAdded, m))
	}
	return kept{conversationID: l.conversation.ID, first: result.Messages[0].ID, last: after}, nil
}

// lineFor returns the line that messages are put on, of a new conversation where none is
// named.
func (a *asking) lineFor(
	ctx context.Context, tx *ent.Tx, s SendState, in AddInput,
) (*line, fact.Kind, error) {
	if in.ConversationID == nil {
		if err := a.checkConversations(s.Conversations, a.now); err != nil {
			return nil, 0, err
		}
		c, err := insertConversation(ctx, tx, a.once.userID, NewConversation{}, a.now)
		if err != nil {
			return nil, 0, err
		}
		return &line{tx: tx, userID: a.once.userID, conversation: c.Unwrap(), now: a.now}, fact.ConversationCreated, nil
	}
	switch {
	case s.Conversation == nil:
		return nil, 0, refusal.NotFound("conversation")
	case in.ExpectedHeadID != nil && *in.ExpectedHeadID != s.Conversation.HeadID:
		return nil, 0, staleHead(s.Conversation.HeadID)
	case len(s.Unfinished) > 0:
		return nil, 0, busy(s.Unfinished[0])
	}
	return &line{tx: tx, userID: a.once.userID, conversation: s.Conversation, now: a.now},
		fact.ConversationUpdated, nil
}

// firstQuestion is what a conversation without a name is called after.
func firstQuestion(messages []NewMessage) string {
	for _, m := range messages {
		if m.Role == message.RoleUSER {
			return m.Content
		}
	}
	return messages[0].Content
}

// added returns what an earlier AddMessages has stored, as it is now: from the last of n
// messages upwards. Error: NOT_FOUND when it has been deleted.
func (s *Service) added(ctx context.Context, userID pid.ID, known *ent.Send, n int) (AddResult, error) {
	conversations, err := s.Conversations(ctx, userID, []pid.ID{known.ConversationID})
	if err != nil {
		return AddResult{}, err
	}
	result := AddResult{Deduplicated: true}
	for id := &known.ReplyID; id != nil && len(result.Messages) < n; {
		m, err := s.store.Client().Message.Query().Where(message.ID(*id), message.UserID(userID)).Only(ctx)
		if err != nil {
			return AddResult{}, orNotFound(err, "message any more")
		}
		result.Messages = append(result.Messages, m)
		id = m.ParentID
	}
	slices.Reverse(result.Messages)
	if len(conversations) == 0 || len(result.Messages) == 0 || result.Messages[0].ID != known.UserMessageID {
		return AddResult{}, refusal.NotFound("message any more")
	}
	result.Conversation = conversations[0]
	return result, nil
}

// UpdateMessage corrects a text in place. Its attempt goes up, so that nobody goes on reading
// in the middle of another text. Errors: BAD_USER_INPUT for message 0 and a reply that is not
// final, NOT_FOUND.
func (s *Service) UpdateMessage(ctx context.Context, userID, id pid.ID, content string) (*ent.Message, error) {
	p := refusal.Problems{}
	checkContent(p, "content", content, max(s.cfg.MaxMessageBytes, MaxAddedText))
	if err := p.Err(); err != nil {
		return nil, err
	}
	conversationID, err := s.conversationOf(ctx, userID, id)
	if err != nil {
		return nil, err
	}
	var m *ent.Message
	var c *ent.Conversation
	err = s.inTurn(ctx, userID, func(tx *ent.Tx) error {
		l, err := s.lockLine(ctx, tx, userID, conversationID)
		if err != nil {
			return err
		}
		if m, err = l.message(ctx, id); err != nil {
			return err
		}
		if err := correctable(m); err != nil {
			return err
		}
		return l.correct(ctx, s, m, content, &c)
	})
	if m != nil {
		m = m.Unwrap()
	}
	edited := fact.Fact{Kind: fact.MessageEdited, UserID: userID, ConversationID: conversationID, MessageID: id}
	if err == nil {
		edited = messageFact(fact.MessageEdited, m)
		edited.Revision = c.Revision
	}
	err = s.publish(err, edited, conversationFact(fact.ConversationUpdated, userID, conversationID, c))
	if err != nil {
		return nil, err
	}
	return m, nil
}

func correctable(m *ent.Message) error {
	switch {
	case m.Index == 0:
		return refusal.BadInput("messageId", "must not name the system prompt: change it with updateConversation")
	case m.Role == message.RoleASSISTANT && m.Status == message.StatusSTOPPED && m.Attempt == 0:
		return refusal.BadInput("messageId", "must not name a reply that was cancelled before it began")
	case !reply.IsFinal(m.Status):
		return refusal.BadInput("messageId", "must name a message that is final")
	}
	return nil
}

// correct writes the text into m and its row. What the head knows of the length of the line
// is not true any more, nor are the summaries that cover the text.
func (l *line) correct(ctx context.Context, s *Service, m *ent.Message, content string, c **ent.Conversation) error {
	m.Content, m.Attempt, m.EditedAt = content, m.Attempt+1, &l.now
	err := l.tx.Message.Update().
		Where(message.ID(m.ID), message.UserID(l.userID)).
		SetContent(content).
		SetAttempt(m.Attempt).
		SetEditedAt(l.now).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("correct message: %w", err)
	}
	if m.ID != l.conversation.HeadID {
		if err := l.measureAnew(ctx); err != nil {
			return err
		}
	}
	if err := l.forgetSummaries(ctx, m.Index); err != nil {
		return fmt.Errorf("forget summaries: %w", err)
	}
	if err := l.revise(ctx); err != nil {
		return err
	}
	*c, err = s.store.Touch(ctx, l.tx, l.userID, l.conversation.ID, l.now)
	return err
}

// forgetSummaries deletes those, on all branches, that reach as far as an index. There are few.
func (l *line) forgetSummaries(ctx context.Context, index int) error {
	all, err := l.tx.Summary.Query().
		Where(summary.ConversationID(l.conversation.ID), summary.UserID(l.userID)).
		Select(summary.FieldMessageID).
		All(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	for some := range slices.Chunk(all, batch) {
		ids := make([]pid.ID, len(some))
		for i, s := range some {
			ids[i] = s.MessageID
		}
		reach, err := l.tx.Message.Query().
			Where(message.IDIn(ids...), message.ConversationID(l.conversation.ID), message.UserID(l.userID),
				message.IndexGTE(index)).
			Select(message.FieldID).
			All(ctx)
		if err != nil {
			return err
		}
		ids = ids[:0]
		for _, m := range reach {
			ids = append(ids, m.ID)
		}
		_, err = l.tx.Summary.Delete().
			Where(summary.MessageIDIn(ids...), summary.ConversationID(l.conversation.ID), summary.UserID(l.userID)).
			Exec(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteResult is what DeleteMessage has done.
type DeleteResult struct {
	// Conversation is as it is now, with its new head.
	Conversation *ent.Conversation
	// Deleted is how many messages are gone.
	Deleted int
	// From is the index from which on another line is shown, or none.
	From int
}

// DeleteMessage removes a message for good, with all that follows it on any branch. The line
// goes on with the version beside it that was shown last, else it ends before it. A reply
// that is being written there is stopped; what it has used counts. Errors: NOT_FOUND,
// BAD_USER_INPUT for message 0.
func (s *Service) DeleteMessage(ctx context.Context, userID, id pid.ID) (DeleteResult, error) {
	conversationID, err := s.conversationOf(ctx, userID, id)
	if err != nil {
		return DeleteResult{}, err
	}
	var d deletion
	err = s.inTurn(ctx, userID, func(tx *ent.Tx) error {
		// The user's lock too: what a running reply has used counts for the user's day.
		now, err := s.store.LockSend(ctx, tx, userID, conversationID)
		if err != nil {
			return err
		}
		l, err := s.lockLine(ctx, tx, userID, conversationID)
		if err != nil {
			return err
		}
		l.now = now
		d, err = l.delete(ctx, s, id)
		failpoint.Hit("chat.delete-message-uncommitted")
		return err
	})
	facts := make([]fact.Fact, 0, len(d.running))
	for _, gone := range d.running {
		facts = append(facts, fact.Fact{Kind: fact.StopRequested, UserID: userID, ConversationID: conversationID,
			MessageID: gone})
	}
	err = s.publish(err, facts...)
	d.Conversation, _, err = s.turned(err, userID, conversationID, d.Conversation, d.From)
	if err != nil {
		return DeleteResult{}, err
	}
	return d.DeleteResult, nil
}

type deletion struct {
	DeleteResult
	running []pid.ID
}

// delete removes a message and what follows it.
func (l *line) delete(ctx context.Context, s *Service, id pid.ID) (d deletion, err error) {
	m, err := l.message(ctx, id)
	switch {
	case err != nil:
		return d, err
	case m.Index == 0:
		return d, refusal.BadInput("messageId", "must not name the system prompt: delete the conversation")
	}
	behind, err := l.behind(ctx, m.Index)
	if err != nil {
		return d, err
	}
	gone := subtree(nodeOf(m), behind)
	if err := l.endUnfinished(ctx, s, gone, &d); err != nil {
		return d, err
	}
	d.Deleted, d.From = len(gone), m.Index
	for some := range slices.Chunk(gone, batch) {
		ids := make([]pid.ID, len(some))
		for i, n := range some {
			ids[i] = n.id
		}
		_, err := l.tx.Message.Delete().
			Where(message.IDIn(ids...), message.UserID(l.userID)). // By id: not all of the conversation is read.
			Exec(ctx)
		if err != nil {
			return d, fmt.Errorf("delete messages: %w", err)
		}
	}
	change := l.revise
	if m.Active {
		change = func(ctx context.Context) error { return l.goOnBeside(ctx, s, m, behind) }
	}
	if err := change(ctx); err != nil {
		return d, err
	}
	l.conversation.UpdatedAt = l.version()
	d.Conversation = l.conversation
	return d, l.save(ctx)
}

// endUnfinished counts what a running reply among those that go has used, and notes it.
func (l *line) endUnfinished(ctx context.Context, s *Service, gone []node, d *deletion) error {
	open, err := l.tx.Message.Query().
		Where(message.ConversationID(l.conversation.ID), message.UserID(l.userID), reply.Unfinished(),
			reply.Streaming()).
		Select(message.FieldID, message.FieldStatus).
		All(ctx)
	if err != nil {
		return fmt.Errorf("look for a running reply: %w", err)
	}
	for _, m := range open {
		if !slices.ContainsFunc(gone, func(n node) bool { return n.id == m.ID }) {
			continue
		}
		d.running = append(d.running, m.ID)
		used, ok, err := s.replies.UsedSoFar(ctx, l.tx, l.userID, l.conversation.ID)
		if err != nil {
			return err
		}
		if ok {
			if err := s.store.AddUsage(ctx, l.tx, used); err != nil {
				return err
			}
		}
	}
	return nil
}

// goOnBeside has the line go on with the version of a deleted message that was shown last,
// else end before it.
func (l *line) goOnBeside(ctx context.Context, s *Service, m *ent.Message, behind []node) error {
	beside, err := l.tx.Message.Query().
		Where(message.ParentID(*m.ParentID), message.ConversationID(l.conversation.ID), message.UserID(l.userID)).
		Select(message.FieldID, message.FieldParentID, message.FieldIndex, message.FieldActivatedAt,
			message.FieldCreatedAt).
		All(ctx)
	if err != nil {
		return fmt.Errorf("read the versions beside: %w", err)
	}
	nodes := behind
	for _, b := range beside {
		nodes = append(nodes, nodeOf(b))
	}
	rest := descend(*m.ParentID, nodes)
	l.conversation.HeadID = *m.ParentID
	if len(rest) > 0 {
		l.conversation.HeadID = rest[len(rest)-1].id
	}
	if _, err = l.through(ctx, s.store, *m.ParentID, rest); err != nil {
		return err
	}
	return l.measureAnew(ctx)
}
