package chat

import (
	"context"
	"fmt"
	"slices"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/ent/predicate"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
)

// The limits of a fork. It is one transaction, and SQLite has one writer.
const (
	MaxForkMessages = 5000
	MaxForkBytes    = 16 << 20
)

// ForkInput is the input of ForkConversation.
type ForkInput struct {
	// MessageID is the last message to copy.
	MessageID pid.ID
	// Tree copies every branch of the conversation, and not only the line to the message.
	Tree      bool
	Name      *string
	ClientKey *string
}

// ForkConversation copies a line, or all branches, into a new conversation, which has nothing
// more to do with the old one. It returns the copy, and whether an earlier call with the same
// client key has made it. Errors: BAD_USER_INPUT, also for too much at once; NOT_FOUND,
// CONVERSATION_BUSY {messageId, startedAt} while something of it is unfinished,
// IDEMPOTENCY_CONFLICT, RATE_LIMITED {retryAfter}, QUOTA_EXCEEDED, UNAVAILABLE.
func (s *Service) ForkConversation(
	ctx context.Context, userID pid.ID, in ForkInput,
) (c *ent.Conversation, deduplicated bool, err error) {
	p := refusal.Problems{}
	checkKey(p, in.ClientKey)
	in.Name = cleanName(p, "name", in.Name)
	if err := p.Err(); err != nil {
		return nil, false, err
	}
	o := once{userID: userID, key: in.ClientKey,
		hash: payloadHash("forkConversation", in.MessageID, in.Tree, in.Name)}
	from, err := s.placeOf(ctx, o, in.MessageID)
	if err != nil {
		return nil, false, err
	}
	a := &asking{Service: s, conversationID: from, once: o}
	known, err := a.keep(ctx, func(ctx context.Context, tx *ent.Tx, state SendState) (k kept, err error) {
		c, k, err = a.fork(ctx, tx, state, in)
		return k, err
	})
	switch {
	case err != nil:
		return nil, false, err
	case known == nil:
		return c, false, nil
	}
	c, err = s.store.Client().Conversation.Query().
		Where(conversation.ID(known.ConversationID), conversation.UserID(userID)).
		Only(ctx)
	return c, true, orNotFound(err, "conversation any more")
}

// fork copies the rows under the locks.
func (a *asking) fork(
	ctx context.Context, tx *ent.Tx, s SendState, in ForkInput,
) (*ent.Conversation, kept, error) {
	if s.Conversation == nil {
		return nil, kept{}, refusal.NotFound("message")
	}
	if err := a.checkConversations(s.Conversations, a.now); err != nil {
		return nil, kept{}, err
	}
	l := &line{tx: tx, userID: a.once.userID, conversation: s.Conversation, now: a.now}
	rows, err := a.extent(ctx, l, in)
	if err != nil {
		return nil, kept{}, err
	}
	c, copies := copyOf(l, rows, in)
	made, err := tx.Conversation.Create().
		SetID(c.ID).
		SetUserID(c.UserID).
		SetName(c.Name).
		SetNameSource(c.NameSource).
		SetNillableModel(c.Model).
		SetParameters(c.Parameters).
		SetContextSettings(c.ContextSettings).
		SetHeadID(c.HeadID).
		SetForkedFromID(in.MessageID).
		SetLastMessageAt(a.now).
		SetCreatedAt(a.now).
		SetUpdatedAt(a.now).
		Save(ctx)
	if err != nil {
		return nil, kept{}, fmt.Errorf("insert fork: %w", err)
	}
	for some := range slices.Chunk(copies, batch) {
		creates := make([]*ent.MessageCreate, len(some))
		for i, m := range some {
			creates[i] = create(tx, m)
		}
		if err := tx.Message.CreateBulk(creates...).Exec(ctx); err != nil {
			return nil, kept{}, fmt.Errorf("insert fork: %w", err)
		}
	}
	made = made.Unwrap()
	a.facts = []fact.Fact{conversationFact(fact.ConversationCreated, made.UserID, made.ID, made)}
	return made, kept{conversationID: made.ID, first: copies[0].ID, last: made.HeadID}, nil
}

// extent reads what is to be copied, by index. Errors: NOT_FOUND, CONVERSATION_BUSY,
// BAD_USER_INPUT.
func (a *asking) extent(ctx context.Context, l *line, in ForkInput) ([]*ent.Message, error) {
	m, err := l.message(ctx, in.MessageID)
	if err != nil {
		return nil, err
	}
	where := []func() *ent.MessageQuery{}
	inOrder := func(where ...predicate.Message) *ent.MessageQuery {
		return l.tx.Message.Query().
			Where(append(where, message.UserID(l.userID))...).
			Order(message.ByIndex(), message.ByCreatedAt(), message.ByID())
	}
	all := func() *ent.MessageQuery { return inOrder(message.ConversationID(l.conversation.ID)) }
	switch {
	case in.Tree:
		where = append(where, all)
	case m.Active:
		where = append(where, func() *ent.MessageQuery {
			return all().Where(message.Active(true), message.IndexLTE(m.Index))
		})
	default:
		steps, err := a.store.Ancestry(ctx, l.tx, l.userID, l.conversation.ID, m.ID)
		if err != nil {
			return nil, err
		}
		for some := range slices.Chunk(steps, batch) {
			ids := make([]pid.ID, len(some))
			for i, step := range some {
				ids[i] = step.ID
			}
			where = append(where, func() *ent.MessageQuery { return inOrder(message.IDIn(ids...)) })
		}
	}
	if err := checkExtent(ctx, where); err != nil {
		return nil, err
	}
	var rows []*ent.Message
	for _, q := range where {
		some, err := q().All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read what is forked: %w", err)
		}
		rows = append(rows, some...)
	}
	for _, m := range rows {
		if !reply.IsFinal(m.Status) {
			return nil, busy(m)
		}
	}
	return rows, nil
}

// checkExtent measures what would be copied before any text is read.
func checkExtent(ctx context.Context, parts []func() *ent.MessageQuery) error {
	count, bytes := 0, 0
	for _, q := range parts {
		var sizes []struct {
			Content   int `sql:"content"`
			Reasoning int `sql:"reasoning"`
		}
		if err := lengths(q()).Scan(ctx, &sizes); err != nil {
			return fmt.Errorf("measure what is forked: %w", err)
		}
		count += len(sizes)
		for _, n := range sizes {
			bytes += n.Content + n.Reasoning
		}
	}
	if count > MaxForkMessages || bytes > MaxForkBytes {
		return refusal.BadInput("messageId", fmt.Sprintf("names %d messages with %d KiB of text: "+
			"at most %d messages and %d KiB may be copied at once", count, bytes>>10, MaxForkMessages,
			MaxForkBytes>>10))
	}
	return nil
}

// copyOf makes the rows of a fork. What the replies have used was counted where they were
// made.
func copyOf(l *line, rows []*ent.Message, in ForkInput) (*ent.Conversation, []*ent.Message) {
	from := l.conversation
	c := &ent.Conversation{ID: pid.New(pid.Conversation), UserID: l.userID, Name: from.Name,
		NameSource: from.NameSource, Model: from.Model, Parameters: from.Parameters,
		ContextSettings: from.ContextSettings}
	if in.Name != nil && *in.Name != "" {
		c.Name, c.NameSource = *in.Name, conversation.NameSourceUSER
	}
	ids := make(map[pid.ID]pid.ID, len(rows))
	copies := make([]*ent.Message, len(rows))
	for i, m := range rows {
		ids[m.ID] = pid.New(pid.Message)
		n := *m
		n.ID, n.ConversationID = ids[m.ID], c.ID
		n.Owner, n.ReservedTokens, n.ContinuesID = nil, nil, nil // These are of the reply that it was.
		if m.ParentID != nil {
			parent := ids[*m.ParentID]
			n.ParentID = &parent
		}
		if !in.Tree {
			n.Active, n.ActivatedAt = true, nil
		}
		if n.Active {
			c.HeadID = n.ID
		}
		copies[i] = &n
	}
	return c, copies
}
