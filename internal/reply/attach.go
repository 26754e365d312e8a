package reply

import (
	"context"
	"io"
	"sync"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
)

// UpdateKind says what an Update tells.
type UpdateKind uint8

// The kinds of updates.
const (
	// Snapshot replaces all that the watcher holds.
	Snapshot UpdateKind = iota + 1
	// Delta appends to the text of one channel.
	Delta
	// Finished is the last update.
	Finished
)

// Update is one step of what a watcher sees.
type Update struct {
	Kind UpdateKind
	// Channel is the one to which a delta appends.
	Channel Channel
	// Row is the reply's row: of a delta, what stays as it is while the attempt runs. Its
	// texts are older then than those of State. It is shared and must not be changed.
	Row *ent.Message
	// Texts are those at this update, of a delta: everything up to and with Text.
	Texts Texts
	// Text is what a delta appends, and Units the UTF-16 units that lie before it.
	Text  string
	Units int
	// Cursor is the watcher's position after this update.
	Cursor Cursor
}

// State is the reply at this update: for a delta, everything up to and with Text. It is
// shared and must not be changed.
func (u Update) State() *ent.Message {
	if u.Kind != Delta {
		return u.Row
	}
	m := *u.Row
	u.Texts.put(&m)
	return &m
}

// Watcher watches one reply. It is not safe for concurrent use.
type Watcher struct {
	engine *Engine
	userID pid.ID
	id     pid.ID
	wake   wakeup
	live   *live  // The text it has joined; nil before, and once the reply is final.
	leave  func() // Leaves it.

	// started is false until the first update, and whenever the next update has to
	// be a snapshot.
	started bool
	cursor  Cursor
	version int // of the text it has joined
	// seen is the latest update that was given out.
	seen Update
	// waited says that Next is to return seen.
	waited bool
	done   bool

	// waits guards all above while parked is set, which it guards too: see Park.
	waits  sync.Mutex
	parked bool
	tell   func(Update) bool // See Direct.
}

// Attach starts watching a reply. It must be this user's, who is also the viewer in
// ctx; otherwise, and when there is no such message, the error is Ent's not-found
// error. With a
// cursor the updates go on behind it; ErrBadCursor is returned when the cursor
// belongs to another message or lies beyond the text. Any message can be watched,
// wherever it runs: one that is final gives its text and Finished. The caller closes
// the watcher.
func (e *Engine) Attach(ctx context.Context, userID, id pid.ID, after *Cursor) (*Watcher, error) {
	// Always read, also for a live buffer here: the row is what authorises.
	row, err := e.row(ctx, userID, id)
	if err != nil {
		return nil, err
	}
	w := &Watcher{engine: e, userID: userID, id: id, wake: make(wakeup, 1), seen: SnapshotOf(row)}
	w.cursor = Cursor{MessageID: id}
	if after != nil {
		if after.MessageID != id {
			return nil, ErrBadCursor
		}
		e.Overlay(row)
		if err := w.resume(row, *after); err != nil {
			return nil, err
		}
	}
	if !IsFinal(row.Status) {
		w.join(row)
	}
	return w, nil
}

// Follow is Attach for a caller that has a row of the user's in hand. It reads nothing
// when that attempt, or a later one, runs here.
func (e *Engine) Follow(ctx context.Context, userID pid.ID, row *ent.Message) (*Watcher, error) {
	here := e.attempts.of(row.ID)
	if here == nil || here.row.UserID != userID || here.row.Attempt < row.Attempt {
		return e.Attach(ctx, userID, row.ID, nil)
	}
	w := &Watcher{engine: e, userID: userID, id: row.ID, wake: make(wakeup, 1), seen: SnapshotOf(here.row)}
	w.cursor = Cursor{MessageID: row.ID}
	w.join(here.row)
	return w, nil
}

// resume places the watcher behind a cursor. A cursor of an earlier attempt is
// fine: the watcher starts over with a snapshot.
func (w *Watcher) resume(row *ent.Message, after Cursor) error {
	switch {
	case after.Attempt > row.Attempt:
		return ErrBadCursor
	case after.Attempt < row.Attempt:
		return nil
	}
	// The row of a reply that runs elsewhere may lag behind what its owner has
	// published.
	here := w.engine.attempts.of(w.id)
	behind := !IsFinal(row.Status) && (here == nil || here.row.Attempt < row.Attempt)
	for c, text := range TextsOf(row) {
		if at := after.At[c]; !onBoundary(text, at) && !(behind && at > len(text)) {
			return ErrBadCursor
		}
	}
	w.cursor, w.started = after, true
	return nil
}

// Close stops watching. It may be called more than once.
func (w *Watcher) Close() {
	w.unjoin()
	w.done = true
}

// Next blocks until there is something new and returns it. After Finished, and
// after Close, it returns io.EOF; when ctx ends, its cause. After any other error,
// which is the database's, it may be called again.
func (w *Watcher) Next(ctx context.Context) (Update, error) {
	if err := w.Wait(ctx); err != nil {
		return Update{}, err
	}
	w.waited = false
	return w.seen, nil
}

// Wait blocks until Next has an update at once, and returns the errors of Next. It is not
// mixed with Poll.
func (w *Watcher) Wait(ctx context.Context) error {
	for !w.waited {
		_, ok, err := w.Poll(ctx)
		if err != nil {
			return err
		}
		if w.waited = ok; ok {
			return nil
		}
		w.Park()
		select {
		case <-w.Ready():
		case <-ctx.Done():
		}
		w.Unpark()
	}
	return nil
}

// Poll is Next without the waiting: it returns false when there is nothing new.
// Wait on Ready before the next call then.
func (w *Watcher) Poll(ctx context.Context) (Update, bool, error) {
	if w.done {
		return Update{}, false, io.EOF
	}
	if err := context.Cause(ctx); err != nil {
		return Update{}, false, err
	}
	u, ok, err := w.step(ctx)
	if ent.IsNotFound(err) {
		u, ok, err = Update{Kind: Finished, Row: deleted(w.seen.State()), Cursor: w.cursor}, true, nil
	}
	if ok {
		w.seen = u
	}
	if ok && u.Kind == Finished {
		w.Close()
	}
	return u, ok, err
}

// Ready is signalled when Poll may have something.
func (w *Watcher) Ready() <-chan struct{} { return w.wake }

// step looks once. It returns false when there is nothing new.
func (w *Watcher) step(ctx context.Context) (Update, bool, error) {
	for {
		if w.live == nil {
			row, err := w.engine.row(ctx, w.userID, w.id)
			if err != nil {
				return Update{}, false, err
			}
			if IsFinal(row.Status) {
				return w.fromFinal(row), true, nil
			}
			w.join(row)
		}
		u, ok, lost := w.fromLive(w.live)
		if !lost {
			return u, ok, nil
		}
		w.unjoin() // It runs somewhere else by now, or has ended.
	}
}

// fromLive takes what is new in the live buffer.
func (w *Watcher) fromLive(l *live) (u Update, ok, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		return Update{}, false, true
	}
	if w.version != l.version {
		w.version, w.started = l.version, false
	}
	if l.final != nil {
		return w.fromFinal(l.final), true, false
	}
	u, more, ok := w.delta(l)
	if !ok {
		return w.snapshot(l.whole()), true, false
	}
	return u, more, false
}

// delta takes what is new in one channel of the live buffer, whose lock is held. It is not ok
// when that is not behind what was shown.
func (w *Watcher) delta(l *live) (u Update, more, ok bool) {
	c, more, broken := l.texts.next(w.cursor.At)
	// A cursor that lies ahead of a copy which is behind may turn out to be none.
	if !w.started || w.cursor.Attempt != l.row.Attempt || broken {
		return Update{}, false, false
	}
	if !more {
		return Update{}, false, true
	}
	t, from := &l.texts[c], w.cursor.At[c]
	w.cursor.At[c] = len(t.bytes)
	return Update{
		Kind:    Delta,
		Channel: c,
		Row:     l.row,
		Texts:   l.texts.all().at(w.cursor.At),
		Text:    t.from(from),
		Units:   t.unitsAt(from),
		Cursor:  w.cursor,
	}, true, true
}

// fromFinal takes what is new in a final state: what is left of the text, then the
// end.
func (w *Watcher) fromFinal(row *ent.Message) Update {
	if !w.started || w.cursor.Attempt != row.Attempt {
		return w.snapshot(row)
	}
	texts := TextsOf(row)
	for c, text := range texts {
		if !onBoundary(text, w.cursor.At[c]) {
			// Continuity cannot be proved: the final text is not behind what was shown.
			return w.snapshot(row)
		}
	}
	for c, text := range texts {
		from := w.cursor.At[c]
		if len(text) == from {
			continue
		}
		w.cursor.At[c] = len(text)
		return Update{
			Kind:    Delta,
			Channel: Channel(c),
			Row:     asRunning(row),
			Texts:   texts.at(w.cursor.At),
			Text:    text[from:],
			Units:   utf16Len(text[:from]),
			Cursor:  w.cursor,
		}
	}
	return Update{Kind: Finished, Row: row, Cursor: w.cursor}
}

func (w *Watcher) snapshot(m *ent.Message) Update {
	w.started = true
	w.cursor = Cursor{MessageID: w.id, Attempt: m.Attempt, At: TextsOf(m).end()}
	return Update{Kind: Snapshot, Row: m, Cursor: w.cursor}
}

// SnapshotOf is a whole message as an update for who watches it.
func SnapshotOf(m *ent.Message) Update {
	return Update{Kind: Snapshot, Row: m, Cursor: Cursor{MessageID: m.ID, Attempt: m.Attempt, At: TextsOf(m).end()}}
}

// asRunning is a final row before the final update: what it says, but not final yet.
func asRunning(row *ent.Message) *ent.Message {
	m := *row
	if IsFinal(m.Status) {
		m.Status = message.StatusSTREAMING
		m.FinishedAt, m.FinishReason, m.ErrorCode = nil, nil, nil
	}
	return &m
}

func (w *Watcher) join(row *ent.Message) {
	w.live, w.leave = w.engine.mirrors.join(row)
	w.version = w.live.join(w)
}

func (w *Watcher) unjoin() {
	if w.live != nil {
		w.live.leave(w)
		w.leave()
		w.live = nil
	}
}
