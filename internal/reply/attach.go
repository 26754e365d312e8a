package reply

import (
	"context"
	"fmt"
	"io"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
)

// pollInterval is how often replies are looked at whose changes nobody announces.
const pollInterval = time.Second

// UpdateKind says what an Update tells.
type UpdateKind uint8

// The kinds of updates.
const (
	// Snapshot replaces all that the viewer holds.
	Snapshot UpdateKind = iota + 1
	// Delta appends to the text of one channel.
	Delta
	// Finished is the last update.
	Finished
)

// Update is one step of what a viewer sees.
type Update struct {
	Kind UpdateKind
	// Channel is the one to which a delta appends.
	Channel Channel
	// Message is the state at this update: for a delta, everything up to and with
	// Text. It is shared and must not be changed.
	Message *ent.Message
	// Text is what a delta appends, and Units the UTF-16 units that lie before it.
	Text  string
	Units int
	// Cursor is the viewer's position after this update.
	Cursor Cursor
}

// Watcher watches one reply. It is not safe for concurrent use.
type Watcher struct {
	engine *Engine
	userID pid.ID
	id     pid.ID
	wake   chan struct{}
	live   *live  // The text it has joined; nil before, and once the reply is final.
	leave  func() // Leaves it.

	// started is false until the first update, and whenever the next update has to
	// be a snapshot.
	started bool
	cursor  Cursor
	version int // of the text it has joined
	// seen is the latest state that was given out.
	seen *ent.Message
	done bool
}

// Attach starts watching a reply. It must be this user's, who is also the viewer in
// ctx; otherwise, and when there is no such message, the error is Ent's not-found
// error. With a
// cursor the updates go on behind it; ErrBadCursor is returned when the cursor
// belongs to another message or lies beyond the text. Any message can be watched,
// wherever it runs: one that is final gives its text and Finished. The caller closes
// the viewer.
func (e *Engine) Attach(ctx context.Context, userID, id pid.ID, after *Cursor) (*Watcher, error) {
	// Always read, also for a live buffer here: the row is what authorises.
	row, err := e.row(ctx, userID, id)
	if err != nil {
		return nil, err
	}
	v := &Watcher{engine: e, userID: userID, id: id, wake: make(chan struct{}, 1), seen: row}
	v.cursor = Cursor{MessageID: id}
	if after != nil {
		if after.MessageID != id {
			return nil, ErrBadCursor
		}
		e.Overlay(row)
		if err := v.resume(row, *after); err != nil {
			return nil, err
		}
	}
	if !IsFinal(row.Status) {
		v.join(row)
	}
	return v, nil
}

// Follow is Attach for a caller that has a row of the user's in hand. It reads nothing
// when that attempt, or a later one, runs here.
func (e *Engine) Follow(ctx context.Context, userID pid.ID, row *ent.Message) (*Watcher, error) {
	run := e.runOf(row.ID)
	if run == nil || run.row.UserID != userID || run.row.Attempt < row.Attempt {
		return e.Attach(ctx, userID, row.ID, nil)
	}
	v := &Watcher{engine: e, userID: userID, id: row.ID, wake: make(chan struct{}, 1), seen: run.row}
	v.cursor = Cursor{MessageID: row.ID}
	v.join(run.row)
	return v, nil
}

// resume places the viewer behind a cursor. A cursor of an earlier attempt is
// fine: the viewer starts over with a snapshot.
func (v *Watcher) resume(row *ent.Message, after Cursor) error {
	switch {
	case after.Attempt > row.Attempt:
		return ErrBadCursor
	case after.Attempt < row.Attempt:
		return nil
	}
	// The row of a reply that runs elsewhere may lag behind what its owner has
	// published.
	run := v.engine.runOf(v.id)
	behind := !IsFinal(row.Status) && (run == nil || run.row.Attempt < row.Attempt)
	for c, text := range textsOf(row) {
		if at := after.At[c]; !onBoundary(text, at) && !(behind && at > len(text)) {
			return ErrBadCursor
		}
	}
	v.cursor, v.started = after, true
	return nil
}

// Close stops watching. It may be called more than once.
func (v *Watcher) Close() {
	v.unjoin()
	v.done = true
}

// Next blocks until there is something new and returns it. After Finished, and
// after Close, it returns io.EOF; when ctx ends, its cause. After any other error,
// which is the database's, it may be called again.
func (v *Watcher) Next(ctx context.Context) (Update, error) {
	for {
		u, ok, err := v.Poll(ctx)
		if ok || err != nil {
			return u, err
		}
		select {
		case <-v.Ready():
		case <-ctx.Done():
		}
	}
}

// Poll is Next without the waiting: it returns false when there is nothing new.
// Wait on Ready before the next call then.
func (v *Watcher) Poll(ctx context.Context) (Update, bool, error) {
	if v.done {
		return Update{}, false, io.EOF
	}
	if err := context.Cause(ctx); err != nil {
		return Update{}, false, err
	}
	u, ok, err := v.step(ctx)
	if ent.IsNotFound(err) {
		u, ok, err = Update{Kind: Finished, Message: deleted(v.seen), Cursor: v.cursor}, true, nil
	}
	if ok {
		v.seen = u.Message
	}
	if ok && u.Kind == Finished {
		v.Close()
	}
	return u, ok, err
}

// Ready is signalled when Poll may have something.
func (v *Watcher) Ready() <-chan struct{} { return v.wake }

// step looks once. It returns false when there is nothing new.
func (v *Watcher) step(ctx context.Context) (Update, bool, error) {
	for {
		if v.live == nil {
			row, err := v.engine.row(ctx, v.userID, v.id)
			if err != nil {
				return Update{}, false, err
			}
			if IsFinal(row.Status) {
				return v.fromFinal(row), true, nil
			}
			v.join(row)
		}
		u, ok, lost := v.fromLive(v.live)
		if !lost {
			return u, ok, nil
		}
		v.unjoin() // It runs somewhere else by now, or has ended.
	}
}

// fromLive takes what is new in the live buffer.
func (v *Watcher) fromLive(l *live) (u Update, ok, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		return Update{}, false, true
	}
	if v.version != l.version {
		v.version, v.started = l.version, false
	}
	if l.final != nil {
		return v.fromFinal(l.final), true, false
	}
	// A cursor that lies ahead of a copy which is behind may turn out to be none.
	if !v.started || v.cursor.Attempt != l.row.Attempt || !l.texts.begins(v.cursor.At) {
		return v.snapshot(l.at(l.texts.end())), true, false
	}
	if !l.texts.reaches(v.cursor.At) {
		return Update{}, false, false // The copy has to come so far first.
	}
	for c := range l.texts {
		t, from := &l.texts[c], v.cursor.At[c]
		if len(t.bytes) == from {
			continue
		}
		v.cursor.At[c] = len(t.bytes)
		return Update{
			Kind:    Delta,
			Channel: Channel(c),
			Message: l.at(v.cursor.At),
			Text:    t.from(from),
			Units:   t.unitsAt(from),
			Cursor:  v.cursor,
		}, true, false
	}
	return Update{}, false, false
}

// fromFinal takes what is new in a final state: what is left of the text, then the
// end.
func (v *Watcher) fromFinal(row *ent.Message) Update {
	if !v.started || v.cursor.Attempt != row.Attempt {
		return v.snapshot(row)
	}
	texts := textsOf(row)
	for c, text := range texts {
		if !onBoundary(text, v.cursor.At[c]) {
			// Continuity cannot be proved: the final text is not behind what was shown.
			return v.snapshot(row)
		}
	}
	for c, text := range texts {
		from := v.cursor.At[c]
		if len(text) == from {
			continue
		}
		v.cursor.At[c] = len(text)
		return Update{
			Kind:    Delta,
			Channel: Channel(c),
			Message: asRunning(row, v.cursor.At),
			Text:    text[from:],
			Units:   utf16Len(text[:from]),
			Cursor:  v.cursor,
		}
	}
	return Update{Kind: Finished, Message: row, Cursor: v.cursor}
}

func (v *Watcher) snapshot(m *ent.Message) Update {
	v.started = true
	v.cursor = Cursor{MessageID: v.id, Attempt: m.Attempt, At: textsOf(m).end()}
	return Update{Kind: Snapshot, Message: m, Cursor: v.cursor}
}

// asRunning is the state at a delta that comes before the final update: what the
// row says, but not final yet.
func asRunning(row *ent.Message, at Position) *ent.Message {
	m := *row
	textsOf(row).at(at).put(&m)
	if IsFinal(m.Status) {
		m.Status = message.StatusSTREAMING
		m.FinishedAt, m.FinishReason, m.ErrorCode = nil, nil, nil
	}
	return &m
}

func (v *Watcher) join(row *ent.Message) {
	v.live, v.leave = v.engine.join(row)
	v.version = v.live.join(v.wake)
}

func (v *Watcher) unjoin() {
	if v.live != nil {
		v.live.leave(v.wake)
		v.leave()
		v.live = nil
	}
}

// Wait blocks until the reply is final, ctx ends, limit has passed or the engine has
// given up its replies, and returns it as it then is, wherever it runs. The reply must
// be this user's, as for Attach.
func (e *Engine) Wait(ctx context.Context, userID, id pid.ID, limit time.Duration) (*ent.Message, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		var l *live
		leave := func() {}
		if r := e.runOf(id); r != nil && r.row.UserID == userID {
			l = r.live
		} else {
			row, err := e.row(ctx, userID, id)
			if err != nil || IsFinal(row.Status) {
				return row, err
			}
			l, leave = e.join(row)
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
		if m, ok := l.state(); ok || e.ctx.Err() == nil {
			return m, ok, nil
		}
	case <-over:
	case <-e.ctx.Done():
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	m, err := e.row(ctx, userID, id) // As it stands.
	if err == nil {
		e.Overlay(m)
	}
	return m, true, err
}

// Overlay replaces the text of messages that are being written here, or followed
// here, by their live text, so that a query never shows less than a subscription has.
func (e *Engine) Overlay(messages ...*ent.Message) {
	for _, m := range messages {
		if m.Status != message.StatusSTREAMING {
			continue
		}
		if l := e.find(m.ID); l != nil {
			// A copy may be behind its row.
			if now, ok := l.state(); ok && now.Attempt >= m.Attempt &&
				(now.Attempt > m.Attempt || len(now.Content) >= len(m.Content)) {
				edges := m.Edges
				*m = *now
				m.Edges = edges
			}
		}
	}
}

// find returns the text of a reply that runs or is followed here, nil when neither.
func (e *Engine) find(id pid.ID) *live {
	if r := e.runOf(id); r != nil {
		return r.live
	}
	return e.mirrorOf(id)
}

// row reads a message of a user, who is the viewer in ctx.
func (e *Engine) row(ctx context.Context, userID, id pid.ID) (*ent.Message, error) {
	m, err := e.store.Client().Message.Query().Where(message.ID(id), message.UserID(userID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	return m, nil
}
