package chat

import (
	"context"
	"fmt"
	"slices"

	"entgo.io/ent/dialect/sql"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/predicate"
	"parley/internal/pid"
	"parley/internal/reply"
)

// listed is what a client sees of a conversation: the visible line without an
// empty system prompt.
func listed(userID pid.ID, conversationIDs ...pid.ID) []predicate.Message {
	return []predicate.Message{
		message.UserID(userID),
		message.ConversationIDIn(conversationIDs...),
		message.Active(true),
		message.Or(message.IndexGT(0), message.ContentNEQ("")),
	}
}

// Listed reports whether a message is one that a client sees of its conversation: an empty
// system prompt, and no message at all, are not. Whether it is on the visible line is not
// asked.
func Listed(m *ent.Message) bool { return m != nil && (m.Index > 0 || m.Content != "") }

// Messages returns those of the user's messages that exist, in no particular
// order. Those that run here have their live text.
func (s *Service) Messages(ctx context.Context, userID pid.ID, ids []pid.ID) ([]*ent.Message, error) {
	items, err := s.store.Client().Message.Query().
		Where(message.IDIn(ids...), message.UserID(userID)).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	s.replies.Overlay(items...)
	return items, nil
}

// MessagesWithoutTexts is Messages for who needs no texts, which may be long: content is
// that of message 0 only, and reasoning, salvage, parameters and citations are empty.
func (s *Service) MessagesWithoutTexts(ctx context.Context, userID pid.ID, ids []pid.ID) ([]*ent.Message, error) {
	q := s.store.Client().Message.Query().Where(message.IDIn(ids...), message.UserID(userID))
	items, err := withoutTexts(q).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read messages without texts: %w", err)
	}
	s.replies.Overlay(items...)
	return items, nil
}

// withoutTexts leaves out the columns that may be long. Of message 0 the content decides
// whether it is listed.
func withoutTexts(q *ent.MessageQuery) *ent.MessageQuery {
	q.Where(func(sel *sql.Selector) {
		sel.AppendSelectExprAs(sql.ExprFunc(func(b *sql.Builder) {
			b.WriteString("CASE WHEN ").Ident(sel.C(message.FieldIndex)).WriteString(" = 0 THEN ").
				Ident(sel.C(message.FieldContent)).WriteString(" ELSE '' END")
		}), message.FieldContent)
	})
	q.Select(slices.DeleteFunc(slices.Clone(message.Columns), func(column string) bool {
		switch column {
		case message.FieldContent, message.FieldReasoning, message.FieldSalvage, message.FieldParameters,
			message.FieldCitations:
			return true
		}
		return false
	})...)
	return q
}

// lengths reads how long the texts are, in place of them.
func lengths(q *ent.MessageQuery) *ent.MessageSelect {
	return q.Modify(func(sel *sql.Selector) {
		length := func(column string) string { return "octet_length(" + sel.C(column) + ")" }
		sel.Select(sql.As(length(message.FieldContent), message.FieldContent),
			sql.As(length(message.FieldReasoning), message.FieldReasoning))
	})
}

// ListMessages returns a page of each conversation's visible line in index order,
// all with one query. A conversation that is not the user's has an empty page.
// args.WithoutTexts is as in MessagesWithoutTexts. Error: BAD_USER_INPUT.
func (s *Service) ListMessages(
	ctx context.Context, userID pid.ID, conversationIDs []pid.ID, args PageArgs,
) (map[pid.ID]Page[*ent.Message], error) {
	w, err := args.check()
	if err != nil {
		return nil, err
	}
	where := listed(userID, conversationIDs...)
	if w.after != nil {
		index, err := parseMessageCursor("after", *w.after)
		if err != nil {
			return nil, err
		}
		where = append(where, message.IndexGT(index))
	}
	if w.before != nil {
		index, err := parseMessageCursor("before", *w.before)
		if err != nil {
			return nil, err
		}
		where = append(where, message.IndexLT(index))
	}
	direction := sql.OrderAsc()
	if w.backward {
		direction = sql.OrderDesc()
	}
	q := s.store.Client().Message.Query().Where(message.UserID(userID)).Order(message.ByIndex(direction))
	if len(conversationIDs) == 1 {
		q.Where(where...).Limit(w.n + 1)
	} else {
		q.Where(firstOfEach(where, w.n+1, w.backward))
	}
	if args.WithoutTexts {
		q = withoutTexts(q)
	}
	items, err := q.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	s.replies.Overlay(items...)
	of := make(map[pid.ID][]*ent.Message)
	for _, m := range items {
		of[m.ConversationID] = append(of[m.ConversationID], m)
	}
	pages := make(map[pid.ID]Page[*ent.Message], len(conversationIDs))
	for _, id := range conversationIDs {
		pages[id] = page(w, of[id])
	}
	return pages, nil
}

// firstOfEach keeps the first n matches of every conversation.
func firstOfEach(where []predicate.Message, n int, backward bool) predicate.Message {
	return func(outer *sql.Selector) {
		t := sql.Table(message.Table)
		t.SetDialect(outer.Dialect())
		numbered := sql.Dialect(outer.Dialect()).Select(t.C(message.FieldID)).From(t)
		for _, p := range where {
			p(numbered)
		}
		order := t.C(message.FieldIndex)
		if backward {
			order = sql.Desc(order)
		}
		numbered.AppendSelectExprAs(
			sql.RowNumber().PartitionBy(t.C(message.FieldConversationID)).OrderBy(order), "place")
		numbered.As("numbered")
		outer.Where(sql.In(outer.C(message.FieldID),
			sql.Dialect(outer.Dialect()).Select(numbered.C(message.FieldID)).From(numbered).
				Where(sql.LTE(numbered.C("place"), n))))
	}
}

// CountMessages counts the listed messages of each conversation with one query.
func (s *Service) CountMessages(ctx context.Context, userID pid.ID, conversationIDs []pid.ID) (map[pid.ID]int, error) {
	var rows []struct {
		ConversationID pid.ID `sql:"conversation_id"`
		Count          int    `sql:"count"`
	}
	err := s.store.Client().Message.Query().
		Where(listed(userID, conversationIDs...)...).
		GroupBy(message.FieldConversationID).
		Aggregate(ent.As(ent.Count(), "count")).
		Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count messages: %w", err)
	}
	counts := make(map[pid.ID]int, len(rows))
	for _, r := range rows {
		counts[r.ConversationID] = r.Count
	}
	return counts, nil
}

// SystemPrompts returns the system prompt of each conversation with one query; a
// conversation without one is left out.
func (s *Service) SystemPrompts(
	ctx context.Context, userID pid.ID, conversationIDs []pid.ID,
) (map[pid.ID]string, error) {
	roots, err := s.store.Client().Message.Query().
		Where(message.UserID(userID), message.ConversationIDIn(conversationIDs...), message.Index(0)).
		Select(message.FieldConversationID, message.FieldContent).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read system prompts: %w", err)
	}
	prompts := make(map[pid.ID]string, len(roots))
	for _, m := range roots {
		if m.Content != "" {
			prompts[m.ConversationID] = m.Content
		}
	}
	return prompts, nil
}

// QueuedReplies returns the replies that wait in each conversation, in the order of the line,
// with one query; a conversation without any is left out.
func (s *Service) QueuedReplies(
	ctx context.Context, userID pid.ID, conversationIDs []pid.ID,
) (map[pid.ID][]*ent.Message, error) {
	items, err := s.store.Client().Message.Query().
		Where(message.UserID(userID), message.ConversationIDIn(conversationIDs...), reply.Queued()).
		Order(message.ByIndex()).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read queued replies: %w", err)
	}
	queued := make(map[pid.ID][]*ent.Message)
	for _, m := range items {
		queued[m.ConversationID] = append(queued[m.ConversationID], m)
	}
	return queued, nil
}

// RunningReplies returns the reply that is being written in each conversation,
// with its live text, with one query; a conversation without one is left out.
func (s *Service) RunningReplies(
	ctx context.Context, userID pid.ID, conversationIDs []pid.ID,
) (map[pid.ID]*ent.Message, error) {
	items, err := s.store.Client().Message.Query().
		Where(message.UserID(userID), message.ConversationIDIn(conversationIDs...), message.Active(true),
			reply.Streaming()).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read running replies: %w", err)
	}
	s.replies.Overlay(items...)
	running := make(map[pid.ID]*ent.Message, len(items))
	for _, m := range items {
		if !reply.IsFinal(m.Status) { // It may have ended since the row was read.
			running[m.ConversationID] = m
		}
	}
	return running, nil
}
