package reply

import (
	"context"
	"time"

	"parley/ent"
	"parley/ent/message"
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
	// As it stands. The text is taken before the row is read: a shutdown may store it and
	// let go of it meanwhile, and then neither of the two would have it.
	now, held := l.state()
	m, err := e.row(ctx, userID, id)
	if err == nil && held && m.Status == message.StatusSTREAMING {
		overlay(m, now)
	}
	return m, true, err
}
