package graph

import (
	"context"

	"parley/ent"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
)

// attach starts watching a message behind an optional cursor.
func (r *Resolver) attach(ctx context.Context, user, id pid.ID, after *string) (*reply.Watcher, error) {
	var cursor *reply.Cursor
	if after != nil {
		c, err := reply.ParseCursor(*after)
		if err != nil {
			return nil, err
		}
		cursor = &c
	}
	v, err := r.Replies.Attach(ctx, user, id, cursor)
	if ent.IsNotFound(err) {
		return nil, refusal.NotFound("message")
	}
	return v, err
}
