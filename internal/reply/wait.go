package reply

import (
	"context"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
)

// Wait blocks until the reply is final, ctx ends, limit has passed or the engine has
// given up its replies, and returns it as it then is, wherever it runs. A database that
// does not answer meanwhile is no end of the wait; its error is returned when there is
// still no answer in the end. The reply must be this user's, as for Attach.
func (e *Engine) Wait(ctx context.Context, userID, id pid.ID, limit time.Duration) (*ent.Message, error) {
	e.meters.Waiting.Add(1)
	defer e.meters.Waiting.Add(-1)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for pause := firstPause; ; {
		l, leave, final, err := e.unfinished(ctx, userID, id)
		switch {
		case final != nil:
			return final, nil
		case err != nil && !e.store.IsUnavailable(err):
			return nil, err
		case err != nil:
			select {
			case <-time.After(pause):
				pause = min(2*pause, longPause)
				continue
			case <-timer.C:
			case <-e.life.ctx.Done():
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
			return nil, err
		}
		m, done, err := e.waitAt(ctx, userID, id, l, timer.C)
		leave()
		if done || err != nil {
			return m, err
		}
	}
}

// unfinished finds the text of a reply that is not final, or the row of one that is. The
// caller calls leave when done with the text.
func (e *Engine) unfinished(
	ctx context.Context, userID, id pid.ID,
) (l *live, leave func(), final *ent.Message, err error) {
	if a := e.attempts.of(id); a != nil && a.row.UserID == userID {
		return a.live, func() {}, nil, nil
	}
	row, err := e.row(ctx, userID, id)
	if err != nil {
		return nil, nil, nil, err
	}
	if IsFinal(row.Status) {
		return nil, nil, row, nil
	}
	l, leave = e.mirrors.join(row)
	return l, leave, nil, nil
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
