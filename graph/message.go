package graph

import (
	"context"
	"slices"

	"github.com/99designs/gqlgen/graphql"
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
		out.Edges[i] = messageEdge(m)
	}
	out.PageInfo = pageInfo(page.HasNext, page.HasPrevious, len(out.Edges),
		func(i int) string { return out.Edges[i].Cursor })
	return out
}

// messageEdge is the edge of a message, and none of what a mutation has refused.
func messageEdge(m *ent.Message) *model.MessageEdge {
	if m == nil {
		return nil
	}
	return &model.MessageEdge{Node: m, Cursor: chat.MessageCursor(m.Index)}
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
		CacheWriteTokens: m.CacheWriteTokens,
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
		out[i] = &model.Model{Name: m.ID, IsDefault: m.Default, ContextTokens: orNull(m.ContextTokens)}
		if m.Description != "" {
			out[i].Description = &m.Description
		}
	}
	return out
}

// messageKey asks for a message, with its texts or without: a list of long ones may be
// asked for what is short.
type messageKey struct {
	id    pid.ID
	texts bool
}

func messagesOf(l *level) *batch[messageKey, *ent.Message] { return &l.messages }

// loadMessages runs one query for messages with texts and one for those without. Mostly
// there is one kind.
func (r *Resolver) loadMessages(ctx context.Context, keys []messageKey) (map[messageKey]*ent.Message, error) {
	ids := make(map[bool][]pid.ID)
	for _, k := range keys {
		ids[k.texts] = append(ids[k.texts], k.id)
	}
	return own(ctx, func(user pid.ID) (map[messageKey]*ent.Message, error) {
		out := make(map[messageKey]*ent.Message, len(keys))
		for texts, ids := range ids {
			load := r.Chat.MessagesWithoutTexts
			if texts {
				load = r.Chat.Messages
			}
			items, err := load(ctx, user, ids)
			if err != nil {
				return nil, err
			}
			for _, m := range items {
				out[messageKey{m.ID, texts}] = m
			}
		}
		return out, nil
	})
}

// texts reports whether texts of a message are selected.
func (a *asker) texts(selected ast.SelectionSet) bool {
	return slices.ContainsFunc(a.collect(selected, typesOf["Message"]), func(f graphql.CollectedField) bool {
		switch f.Name {
		case "content", "reasoning", "sentToModel", "parameters", "citations":
			return true
		}
		return false
	})
}

// selects reports whether something is selected of the field that is being resolved.
func selects(ctx context.Context, what func(*asker, ast.SelectionSet) bool) bool {
	field := graphql.GetFieldContext(ctx)
	if field == nil || field.Field.Field == nil || !graphql.HasOperationContext(ctx) {
		return true // Nobody knows.
	}
	return what(&asker{op: graphql.GetOperationContext(ctx)}, field.Field.Selections)
}

// askMessage puts a message on a level.
func (a *asker) askMessage(id pid.ID, selected ast.SelectionSet) {
	a.on().messages.ask(messageKey{id, a.texts(selected)}, selected)
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
				a.askMessage(*m.ParentID, f.Selections)
			}
		case "conversation":
			a.on().conversations.ask(m.ConversationID, f.Selections)
		case "context":
			a.askOfContext(messageContext(m), f.Selections)
		case "sentToModel":
			if _, open := chat.SentToModel(m); open {
				a.on().withheld.ask(m.ID, f.Selections)
			}
		case "siblingCount", "siblingPosition":
			if m.ParentID != nil {
				a.on().versions.ask(*m.ParentID, f.Selections)
			}
		case "siblings":
			if m.ParentID != nil {
				a.askVersions(*m.ParentID, f)
			}
		case "children":
			a.askVersions(m.ID, f)
		case "continues":
			if m.ContinuesID != nil {
				a.askMessage(*m.ContinuesID, f.Selections)
			}
		}
	}
}
