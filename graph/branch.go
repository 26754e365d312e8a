package graph

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/ent"
	"parley/ent/message"
	"parley/graph/model"
	"parley/internal/chat"
	"parley/internal/pid"
)

func versionsOf(l *level) *batch[pid.ID, []pid.ID] { return &l.versions }

func (r *Resolver) loadVersions(ctx context.Context, parents []pid.ID) (map[pid.ID][]pid.ID, error) {
	return own(ctx, func(user pid.ID) (map[pid.ID][]pid.ID, error) { return r.Chat.Versions(ctx, user, parents) })
}

func versionPagesOf(l *level) *batch[pageKey, pageResult] { return &l.versionPages }

// loadVersionPages runs one query for the versions, and one for the messages of all pages
// with texts and one for those without, however many sets of arguments there are.
func (r *Resolver) loadVersionPages(ctx context.Context, keys []pageKey) (map[pageKey]pageResult, error) {
	parents := make([]pid.ID, len(keys))
	for i, k := range keys {
		parents[i] = k.id
	}
	slices.Sort(parents)
	versions, err := r.loadVersions(ctx, slices.Compact(parents))
	if err != nil {
		return nil, err
	}
	out := make(map[pageKey]pageResult, len(keys))
	pages := make(map[pageKey]chat.Page[pid.ID], len(keys))
	wanted := make(map[messageKey]bool)
	for _, k := range keys {
		page, err := chat.PageOf(versions[k.id], k.args())
		if err != nil { // The fault of one field, as a cursor of another place is.
			out[k] = pageResult{err: err}
			continue
		}
		pages[k] = page
		for _, id := range page.Items {
			wanted[messageKey{id, k.texts}] = true
		}
	}
	messages, err := r.loadMessages(ctx, slices.Collect(maps.Keys(wanted)))
	if err != nil {
		return nil, err
	}
	for k, p := range pages {
		items := make([]*ent.Message, 0, len(p.Items))
		for _, id := range p.Items {
			if m := messages[messageKey{id, k.texts}]; m != nil { // Else it has been deleted since.
				items = append(items, m)
			}
		}
		out[k] = pageResult{page: chat.Page[*ent.Message]{Items: items, HasNext: p.HasNext,
			HasPrevious: p.HasPrevious}, total: len(versions[k.id])}
	}
	return out, nil
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
	return max(slices.Index(ids, m.ID)+1, 1), err // One that has been deleted since stands alone.
}

// versions is a connection of what follows a message on all branches.
func (r *Resolver) versions(ctx context.Context, parent pid.ID, args chat.PageArgs) (*model.MessageConnection, error) {
	key := newPageKey(parent, args, selects(ctx, (*asker).textsOfPage))
	result, _, err := get(ctx, r, versionPagesOf, key)
	if err = errors.Join(err, result.err); err != nil {
		return nil, err
	}
	return versionConnection(result.page, result.total), nil
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
	return versionConnection(whole, 1), nil
}

func versionConnection(page chat.Page[*ent.Message], total int) *model.MessageConnection {
	out := messageConnection(page, func(context.Context) (int, error) { return total, nil })
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
