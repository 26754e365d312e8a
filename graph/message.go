package graph

import (
	"context"

	"github.com/vektah/gqlparser/v2/ast"

	"parley/ent"
	"parley/ent/message"
	"parley/graph/model"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/reply"
)

func messageConnection(page chat.Page[*ent.Message], count model.Count) *model.MessageConnection {
	out := &model.MessageConnection{
		Edges: make([]*model.MessageEdge, len(page.Items)),
		Nodes: page.Items,
		Count: count,
	}
	for i, m := range page.Items {
		out.Edges[i] = &model.MessageEdge{Node: m, Cursor: chat.MessageCursor(m.Index)}
	}
	out.PageInfo = pageInfo(page.HasNext, page.HasPrevious, len(out.Edges),
		func(i int) string { return out.Edges[i].Cursor })
	return out
}

func usage(m *ent.Message) *model.Usage {
	if m.PromptTokens == nil || m.CompletionTokens == nil || !reply.IsFinal(m.Status) {
		return nil
	}
	return &model.Usage{
		PromptTokens:     *m.PromptTokens,
		CompletionTokens: *m.CompletionTokens,
		TotalTokens:      *m.PromptTokens + *m.CompletionTokens,
		CachedTokens:     m.CachedTokens,
		ReasoningTokens:  m.ReasoningTokens,
		Estimated:        m.UsageEstimated,
	}
}

func messageError(m *ent.Message) *model.MessageError {
	if m.ErrorCode == nil || m.Role != message.RoleASSISTANT {
		return nil
	}
	text, retryable := reply.Explain(reply.Code(*m.ErrorCode))
	return &model.MessageError{Code: *m.ErrorCode, Message: text, Retryable: retryable}
}

func models(list []chat.Model) []*model.Model {
	out := make([]*model.Model, len(list))
	for i, m := range list {
		out[i] = &model.Model{Name: m.ID, IsDefault: m.Default}
		if m.Description != "" {
			out[i].Description = &m.Description
		}
	}
	return out
}

func messagesOf(l *level) *batch[pid.ID, *ent.Message] { return &l.messages }

func (r *Resolver) loadMessages(ctx context.Context, ids []pid.ID) (map[pid.ID]*ent.Message, error) {
	return own(ctx, func(user pid.ID) (map[pid.ID]*ent.Message, error) {
		items, err := r.Chat.Messages(ctx, user, ids)
		return byID(items, func(m *ent.Message) pid.ID { return m.ID }), err
	})
}

// askOfMessage puts the keys of what is selected of a message on a level.
func (a *asker) askOfMessage(m *ent.Message, selected ast.SelectionSet) {
	if m == nil {
		return
	}
	for _, f := range a.collect(selected, typesOf["Message"]) {
		switch f.Name {
		case "parent":
			if m.ParentID != nil {
				a.on().messages.ask(*m.ParentID, f.Selections)
			}
		case "conversation":
			a.on().conversations.ask(m.ConversationID, f.Selections)
		}
	}
}
