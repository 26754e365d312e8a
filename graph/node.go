package graph

import (
	"context"
	"fmt"
	"sync"

	"parley/ent"
	"parley/graph/model"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
)

// node finds one object of the viewer, or nil.
func (r *Resolver) node(ctx context.Context, id pid.ID) (model.Node, error) {
	b := r.batches(ctx)
	switch id.Kind() {
	case pid.User:
		if u, ok, err := b.users.get(ctx, id); ok || err != nil {
			return u, err
		}
	case pid.Conversation:
		if c, ok, err := b.conversations.get(ctx, id); ok || err != nil {
			return c, err
		}
	case pid.Message:
		if m, ok, err := b.messages.get(ctx, id); ok || err != nil {
			return m, err
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
	errs := make([]error, len(ids))
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() { out[i], errs[i] = r.node(ctx, id) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// attach starts watching a message behind an optional cursor.
func (r *Resolver) attach(ctx context.Context, id pid.ID, after *string) (*reply.Watcher, error) {
	var cursor *reply.Cursor
	if after != nil {
		c, err := reply.ParseCursor(*after)
		if err != nil {
			return nil, err
		}
		cursor = &c
	}
	v, err := r.Replies.Attach(ctx, id, cursor)
	if ent.IsNotFound(err) {
		return nil, refusal.NotFound("message")
	}
	return v, err
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
