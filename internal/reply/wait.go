package reply

import (
	"context"
	"time"

	"parley/ent"
	"parley/internal/pid"
)

// Wait blocks until the reply is final, ctx ends, limit has passed or the engine has
// given up its replies, and returns it as it then is, wherever it runs. The reply must
// be this user's, as for Attach.
func (e *Engine) Wait(ctx context.Context, userID, id pid.ID, limit time.Duration) (*ent.Message, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		var l *live
		leave := func() {}
		if a := e.attempts.of(id); a != nil && a.row.UserID == userID {
			l = a.live
		} else {
			row, err := e.row(ctx, userID, id)
			if err != nil || IsFinal(row.Status) {
				return row, err
			}
			l, leave = e.mirrors.join(row)
		}
		m, done, err := e.waitAt(ctx, userID, id, l, timer.C)
		leave()
		if done || err != nil {
			return m, err
		}
	}
}

// waitAt waits at one text. It returns false when that was lost.
func (e *Engine) waitAt(
	ctx context.Context, userID, id pid.ID, l *live, over <-chan time.Time,
) (*ent.Message, bool, error) {
	select {
	case <-l.ended:
		if m, ok := l.state(); ok || e.life.ctx.Err() == nil {
			return m, ok, nil
		}
	case <-over:
	case <-e.life.ctx.Done():
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	m, err := e.row(ctx, userID, id) // As it stands.
	if err == nil {
		e.Overlay(m)
	}
	return m, true, err
}
