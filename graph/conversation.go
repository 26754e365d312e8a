package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/ent"
	"parley/graph/model"
	"parley/internal/budget"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/reply"
)

func patchFromInput(in model.UpdateConversationInput) chat.ConversationPatch {
	patch := chat.ConversationPatch{
		Name:         orEmpty(in.Name),
		Model:        orEmpty(in.Model),
		SystemPrompt: orEmpty(in.SystemPrompt),
		Pinned:       in.Pinned.Value(),
		Archived:     in.Archived.Value(),
	}
	if c, ok := in.Context.ValueOK(); ok {
		patch.Context = &chat.ContextInput{}
		if c != nil {
			patch.Context = contextFromInput(c)
		}
	}
	if p, ok := in.Parameters.ValueOK(); ok {
		patch.Parameters = &reply.Parameters{}
		if p != nil {
			patch.Parameters = fromInput(p)
		}
	}
	return patch
}

func (r *Resolver) conversationConnection(
	ctx context.Context, user pid.ID, filter chat.ConversationFilter, args chat.PageArgs,
) (*model.ConversationConnection, error) {
	page, err := budget.Reading(ctx, func(ctx context.Context) (chat.Page[*ent.Conversation], error) {
		return r.Chat.ListConversations(ctx, user, filter, args)
	})
	if err != nil {
		return nil, err
	}
	out := &model.ConversationConnection{
		Edges: make([]*model.ConversationEdge, len(page.Items)),
		Nodes: page.Items,
		Count: func(ctx context.Context) (int, error) { return r.Chat.CountConversations(ctx, user, filter) },
	}
	for i, c := range page.Items {
		out.Edges[i] = conversationEdge(c)
	}
	out.PageInfo = pageInfo(page.HasNext, page.HasPrevious, len(out.Edges),
		func(i int) string { return out.Edges[i].Cursor })
	return out, nil
}

// conversationEdge is the edge of a conversation, and none of what a mutation has refused.
func conversationEdge(c *ent.Conversation) *model.ConversationEdge {
	if c == nil {
		return nil
	}
	return &model.ConversationEdge{Node: c, Cursor: chat.ConversationCursor(c.LastMessageAt, c.ID)}
}

func conversationsOf(l *level) *batch[pid.ID, *ent.Conversation] { return &l.conversations }

func systemPromptsOf(l *level) *batch[pid.ID, string] { return &l.systemPrompts }

func runningOf(l *level) *batch[pid.ID, *ent.Message] { return &l.running }

func queuedOf(l *level) *batch[pid.ID, []*ent.Message] { return &l.queued }

func (r *Resolver) loadConversations(ctx context.Context, ids []pid.ID) (map[pid.ID]*ent.Conversation, error) {
	return own(ctx, func(user pid.ID) (map[pid.ID]*ent.Conversation, error) {
		items, err := r.Chat.Conversations(ctx, user, ids)
		return byID(items, func(c *ent.Conversation) pid.ID { return c.ID }), err
	})
}

func (r *Resolver) loadSystemPrompts(ctx context.Context, ids []pid.ID) (map[pid.ID]string, error) {
	return own(ctx, func(user pid.ID) (map[pid.ID]string, error) { return r.Chat.SystemPrompts(ctx, user, ids) })
}

func (r *Resolver) loadRunning(ctx context.Context, ids []pid.ID) (map[pid.ID]*ent.Message, error) {
	return own(ctx, func(user pid.ID) (map[pid.ID]*ent.Message, error) {
		return r.Chat.RunningReplies(ctx, user, ids)
	})
}

func (r *Resolver) loadQueued(ctx context.Context, ids []pid.ID) (map[pid.ID][]*ent.Message, error) {
	return own(ctx, func(user pid.ID) (map[pid.ID][]*ent.Message, error) {
		return r.Chat.QueuedReplies(ctx, user, ids)
	})
}

// askOfConversation puts the keys of what is selected of a conversation on a level.
func (a *asker) askOfConversation(c *ent.Conversation, selected ast.SelectionSet) {
	if c == nil {
		return
	}
	for _, f := range a.collect(selected, typesOf["Conversation"]) {
		switch f.Name {
		case "systemPrompt":
			a.on().systemPrompts.ask(c.ID, f.Selections)
		case "runningReply":
			a.on().running.ask(c.ID, f.Selections)
		case "queuedReplies":
			a.on().queued.ask(c.ID, f.Selections)
		case "user":
			a.on().users.ask(c.UserID, f.Selections)
		case "forkedFrom":
			if c.ForkedFromID != nil {
				a.askMessage(*c.ForkedFromID, f.Selections)
			}
		case "contextUse":
			model, err := argument(f.ArgumentMap(a.op.Variables)["model"], graphql.UnmarshalString)
			if err == nil {
				a.on().uses.ask(useKey{c.ID, deref(model)}, f.Selections)
			}
		case "messages":
			if args, ok := a.pageArgs(f); ok {
				a.on().pages.ask(newPageKey(c.ID, args, a.textsOfPage(f.Selections)), f.Selections)
			}
		}
	}
}

// askOfConversations puts the keys of what is selected of a page of conversations on a
// level.
func (a *asker) askOfConversations(page *model.ConversationConnection, selected ast.SelectionSet) {
	if page == nil {
		return
	}
	for _, nodes := range a.nodesOf(selected, typesOf["ConversationConnection"], typesOf["ConversationEdge"]) {
		for _, c := range page.Nodes {
			a.askOfConversation(c, nodes)
		}
	}
}
