package graph

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/graph/model"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
)

// node finds one object of the viewer, or nil.
func (r *Resolver) node(ctx context.Context, id pid.ID) (model.Node, error) {
	switch id.Kind() {
	case pid.User:
		if u, ok, err := get(ctx, r, usersOf, id); ok || err != nil {
			return u, err
		}
	case pid.Conversation:
		if c, ok, err := get(ctx, r, conversationsOf, id); ok || err != nil {
			return c, err
		}
	case pid.Message:
		if m, ok, err := get(ctx, r, messagesOf, messageKey{id, selects(ctx, (*asker).texts)}); ok || err != nil {
			return m, err
		}
	case pid.Summary:
		if s, ok, err := get(ctx, r, summariesOf, id); ok || err != nil {
			return s, err
		}
	}
	return nil, nil
}

// nodes finds several, each kind with one query.
func (r *Resolver) nodes(ctx context.Context, ids []pid.ID) ([]model.Node, error) {
	if len(ids) > chat.MaxPage {
		return nil, refusal.BadInput("ids", fmt.Sprintf("may have at most %d entries", chat.MaxPage))
	}
	out := make([]model.Node, len(ids))
	for i, id := range ids {
		var err error
		if out[i], err = r.node(ctx, id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// askOfQuery puts the keys of what a query finds by ids on a level.
func (a *asker) askOfQuery(selected ast.SelectionSet) {
	for _, f := range a.collect(selected, typesOf["Query"]) {
		switch f.Name {
		case "node", "conversation":
			a.askOfNode(f.ArgumentMap(a.op.Variables)["id"], f.Selections)
		case "nodes":
			ids := graphql.CoerceList(f.ArgumentMap(a.op.Variables)["ids"])
			for _, id := range ids[:min(len(ids), chat.MaxPage)] {
				a.askOfNode(id, f.Selections)
			}
		}
	}
}

// askOfNode puts an id on a level, if it is one.
func (a *asker) askOfNode(value any, selected ast.SelectionSet) {
	var id pid.ID
	if id.UnmarshalGQL(value) != nil {
		return // The executor says so.
	}
	switch id.Kind() {
	case pid.User:
		a.on().users.ask(id, selected)
	case pid.Conversation:
		a.on().conversations.ask(id, selected)
	case pid.Message:
		a.askMessage(id, selected)
	case pid.Summary:
		a.on().summaries.ask(id, selected)
	}
}
