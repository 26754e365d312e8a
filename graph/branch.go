package graph

import (
	"context"
	"errors"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/ent"
	"parley/ent/message"
	"parley/graph/model"
	"parley/internal/budget"
	"parley/internal/chat"
	"parley/internal/pid"
)

func versionsOf(l *level) *batch[pid.ID, []pid.ID] { return &l.versions }

func (r *Resolver) loadVersions(ctx context.Context, parents []pid.ID) (map[pid.ID][]pid.ID, error) {
	return own(ctx, func(user pid.ID) (map[pid.ID][]pid.ID, error) { return r.Chat.Versions(ctx, user, parents) })
}

func versionPagesOf(l *level) *batch[pageKey, pageResult] { return &l.versionPages }

// loadVersionPages runs two queries for each set of arguments, which mostly is one.
func (r *Resolver) loadVersionPages(ctx context.Context, keys []pageKey) (map[pageKey]pageResult, error) {
	groups := make(map[pageKey][]pid.ID)
	for _, k := range keys {
		id := k.id
		k.id = ""
		groups[k] = append(groups[k], id)
	}
	return own(ctx, func(user pid.ID) (map[pageKey]pageResult, error) {
		out := make(map[pageKey]pageResult, len(keys))
		for k, ids := range groups {
			step := len(ids)
			if k.after.given || k.before.given { // A cursor is of one place, and wrong for all others.
				step = 1
			}
			for some := range slices.Chunk(ids, step) {
				pages, err := r.Chat.ListVersions(ctx, user, some, k.args())
				if errors.Is(err, budget.ErrNoRoom) {
					return nil, err
				}
				for _, id := range some {
					k.id = id
					out[k] = pageResult{pages[id], err}
				}
			}
		}
		return out, nil
	})
}

// siblings are the versions of a message; message 0 has none beside it.
func (r *Resolver) siblings(ctx context.Context, m *ent.Message) ([]pid.ID, error) {
	if m.ParentID == nil {
		return []pid.ID{m.ID}, nil
	}
	ids, _, err := get(ctx, r, versionsOf, *m.ParentID)
	return ids, err
}

func (r *Resolver) siblingCount(ctx context.Context, m *ent.Message) (int, error) {
	ids, err := r.siblings(ctx, m)
	return max(len(ids), 1), err
}

func (r *Resolver) siblingPosition(ctx context.Context, m *ent.Message) (int, error) {
	ids, err := r.siblings(ctx, m)
	return slices.Index(ids, m.ID) + 1, err
}

// versions is a connection of what follows a message on all branches.
func (r *Resolver) versions(ctx context.Context, parent pid.ID, args chat.PageArgs) (*model.MessageConnection, error) {
	key := newPageKey(parent, args, selects(ctx, (*asker).textsOfPage))
	result, _, err := get(ctx, r, versionPagesOf, key)
	if err = errors.Join(err, result.err); err != nil {
		return nil, err
	}
	return versionConnection(result.page, func(ctx context.Context) (int, error) {
		ids, err := own(ctx, func(user pid.ID) (map[pid.ID][]pid.ID, error) {
			return r.Chat.Versions(ctx, user, []pid.ID{parent})
		})
		return len(ids[parent]), err
	}), nil
}

// itself is the connection of the versions of message 0.
func itself(m *ent.Message, args chat.PageArgs) (*model.MessageConnection, error) {
	page, err := chat.PageOf([]pid.ID{m.ID}, args)
	if err != nil {
		return nil, err
	}
	items := make([]*ent.Message, len(page.Items))
	for i := range items {
		items[i] = m
	}
	whole := chat.Page[*ent.Message]{Items: items, HasNext: page.HasNext, HasPrevious: page.HasPrevious}
	return versionConnection(whole, func(context.Context) (int, error) { return 1, nil }), nil
}

func versionConnection(page chat.Page[*ent.Message], count model.Count) *model.MessageConnection {
	out := messageConnection(page, count)
	for i, m := range page.Items {
		out.Edges[i] = &model.MessageEdge{Node: m, Cursor: chat.VersionCursor(m.ID)}
	}
	out.PageInfo = pageInfo(page.HasNext, page.HasPrevious, len(out.Edges),
		func(i int) string { return out.Edges[i].Cursor })
	return out
}

// askVersions puts a page of what follows a message on the level.
func (a *asker) askVersions(parent pid.ID, f graphql.CollectedField) {
	if args, ok := a.pageArgs(f); ok {
		a.on().versionPages.ask(newPageKey(parent, args, a.textsOfPage(f.Selections)), f.Selections)
	}
}

// askOfVersions puts the keys of what is selected of versions of a message on the level.
func (a *asker) askOfVersions(page chat.Page[*ent.Message], selected ast.SelectionSet) {
	for _, nodes := range a.nodesOf(selected, typesOf["MessageConnection"], typesOf["MessageEdge"]) {
		for _, m := range page.Items {
			a.askOfMessage(m, nodes)
		}
	}
}

func newMessages(in []*model.NewMessageInput) []chat.NewMessage {
	out := make([]chat.NewMessage, len(in))
	for i, m := range in {
		out[i] = chat.NewMessage{Role: message.Role(m.Role), Content: m.Content,
			Reasoning: deref(m.Reasoning.Value()), Model: m.Model.Value()}
	}
	return out
}

// indexOrNull is an index from which on another line is shown; none is negative.
func indexOrNull(from int) *int {
	if from < 0 {
		return nil
	}
	return &from
}

// edgeOrNil is the edge of a message that a mutation has stored; a refused one has none.
func edgeOrNil(m *ent.Message) *model.MessageEdge {
	if m == nil {
		return nil
	}
	return messageEdge(m)
}

func conversationEdgeOrNil(c *ent.Conversation) *model.ConversationEdge {
	if c == nil {
		return nil
	}
	return conversationEdge(c)
}
