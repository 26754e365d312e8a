package graph

import (
	"context"
	"errors"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/ent"
	"parley/graph/model"
	"parley/internal/budget"
	"parley/internal/chat"
	"parley/internal/pid"
)

// pageKey asks for one page of one conversation's messages. It is chat.PageArgs in
// a form that can be compared.
type pageKey struct {
	id            pid.ID
	first, last   optional[int]
	after, before optional[string]
	texts         bool // Whether the texts of the messages are selected.
}

type optional[T comparable] struct {
	value T
	given bool
}

func toOptional[T comparable](p *T) optional[T] {
	if p == nil {
		return optional[T]{}
	}
	return optional[T]{*p, true}
}

func (o optional[T]) pointer() *T {
	if !o.given {
		return nil
	}
	return &o.value
}

func newPageKey(id pid.ID, a chat.PageArgs, texts bool) pageKey {
	return pageKey{
		id: id, texts: texts,
		first: toOptional(a.First), last: toOptional(a.Last),
		after: toOptional(a.After), before: toOptional(a.Before),
	}
}

func (k pageKey) args() chat.PageArgs {
	return chat.PageArgs{
		First: k.first.pointer(), Last: k.last.pointer(),
		After: k.after.pointer(), Before: k.before.pointer(),
		WithoutTexts: !k.texts,
	}
}

// pageResult is a page, or why there is none: arguments that make no sense are the
// fault of one field, not of all in the batch.
type pageResult struct {
	page  chat.Page[*ent.Message]
	total int // Of versions, which are counted with their page.
	err   error
}

func pagesOf(l *level) *batch[pageKey, pageResult] { return &l.pages }

func countsOf(l *level) *batch[pid.ID, int] { return &l.counts }

// loadPages runs one query for each set of arguments, which mostly is one.
func (r *Resolver) loadPages(ctx context.Context, keys []pageKey) (map[pageKey]pageResult, error) {
	groups := make(map[pageKey][]pid.ID)
	for _, k := range keys {
		id := k.id
		k.id = ""
		groups[k] = append(groups[k], id)
	}
	return own(ctx, func(user pid.ID) (map[pageKey]pageResult, error) {
		out := make(map[pageKey]pageResult, len(keys))
		for k, ids := range groups {
			pages, err := r.Chat.ListMessages(ctx, user, ids, k.args())
			if errors.Is(err, budget.ErrNoRoom) {
				return nil, err // No fault of these arguments: all is read again.
			}
			for _, id := range ids {
				k.id = id
				out[k] = pageResult{page: pages[id], err: err}
			}
		}
		return out, nil
	})
}

func (r *Resolver) loadCounts(ctx context.Context, ids []pid.ID) (map[pid.ID]int, error) {
	return own(ctx, func(user pid.ID) (map[pid.ID]int, error) { return r.Chat.CountMessages(ctx, user, ids) })
}

// askOfPage puts the keys of what is selected of a page of a conversation's messages on
// the level.
func (a *asker) askOfPage(conversation pid.ID, page chat.Page[*ent.Message], selected ast.SelectionSet) {
	for _, f := range a.collect(selected, typesOf["MessageConnection"]) {
		if f.Name == "totalCount" {
			a.on().counts.ask(conversation, f.Selections)
		}
	}
	for _, nodes := range a.nodesOf(selected, typesOf["MessageConnection"], typesOf["MessageEdge"]) {
		for _, m := range page.Items {
			a.askOfMessage(m, nodes)
		}
	}
}

// askOfEdges puts the keys of what is selected of the messages of edges on the level.
func (a *asker) askOfEdges(edges []*model.MessageEdge, selected ast.SelectionSet) {
	for _, f := range a.collect(selected, typesOf["MessageEdge"]) {
		if f.Name != "node" {
			continue
		}
		for _, e := range edges {
			a.askOfMessage(e.Node, f.Selections)
		}
	}
}

// textsOfPage reports whether texts are selected of a page of messages.
func (a *asker) textsOfPage(selected ast.SelectionSet) bool {
	return slices.ContainsFunc(a.nodesOf(selected, typesOf["MessageConnection"], typesOf["MessageEdge"]), a.texts)
}

// nodesOf returns what is selected of the entries of a connection, with and without their
// cursors.
func (a *asker) nodesOf(selected ast.SelectionSet, connection, edge []string) []ast.SelectionSet {
	var all []ast.SelectionSet
	for _, f := range a.collect(selected, connection) {
		switch f.Name {
		case "nodes":
			all = append(all, f.Selections)
		case "edges":
			for _, e := range a.collect(f.Selections, edge) {
				if e.Name == "node" {
					all = append(all, e.Selections)
				}
			}
		}
	}
	return all
}

// pageArgs reads the arguments of a connection as the executor will, and reports whether
// it will call the resolver with them.
func (a *asker) pageArgs(f graphql.CollectedField) (args chat.PageArgs, ok bool) {
	values := f.ArgumentMap(a.op.Variables)
	var errs [4]error
	args.First, errs[0] = argument(values["first"], graphql.UnmarshalInt)
	args.Last, errs[1] = argument(values["last"], graphql.UnmarshalInt)
	args.After, errs[2] = argument(values["after"], graphql.UnmarshalString)
	args.Before, errs[3] = argument(values["before"], graphql.UnmarshalString)
	return args, errors.Join(errs[:]...) == nil
}

func argument[T any](value any, read func(any) (T, error)) (*T, error) {
	if value == nil {
		return nil, nil // Left out, or null.
	}
	v, err := read(value)
	return &v, err
}

func pageInfo(hasNext, hasPrevious bool, n int, cursor func(int) string) *model.PageInfo {
	info := &model.PageInfo{HasNextPage: hasNext, HasPreviousPage: hasPrevious}
	if n > 0 {
		first, last := cursor(0), cursor(n-1)
		info.StartCursor, info.EndCursor = &first, &last
	}
	return info
}
