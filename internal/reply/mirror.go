package reply

import (
	"context"
	"errors"
	"time"

	"parley/ent"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// A mirror is the copy of a reply that is not written here, shared by all who watch
// it here: one that runs on another replica, or that waits for its turn. It asks the
// owner for the text and then takes the pieces the owner sends; where there is no
// wire or no answer it reads the row, each second. The row decides: its attempt
// begins a new copy, its final status ends it.
type mirror struct {
	engine *Engine
	live   *live
	cancel context.CancelFunc
	// owner is the replica that wrote the row last looked at; used by follow alone.
	owner *pid.ID
	// viewers counts those who watch; guarded by the engine's lock.
	viewers int
}

// join returns the text of an unfinished reply, wherever it is written, as the
// viewer who has read its row. The caller calls leave when done with it.
func (e *Engine) join(row *ent.Message) (l *live, leave func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.running[row.ID]; r != nil && r.committed.Load() {
		if r.row.Attempt >= row.Attempt {
			return r.live, func() {}
		}
		// Another replica has taken the reply over, and this one, which stood still for
		// longer than its lease, has not noticed yet.
		r.cancel(errFenced)
	}
	m := e.mirrors[row.ID]
	if m == nil {
		ctx, cancel := context.WithCancel(viewer.AsUser(e.loopCtx, row.UserID))
		m = &mirror{engine: e, live: newLive(row, 0), cancel: cancel}
		m.live.restart(row)
		if e.ended {
			return m.live, cancel // Nothing moves any more; the viewer's context ends soon.
		}
		e.mirrors[row.ID] = m
		e.loops.Go(func() {
			defer cancel()
			if !e.guard(ctx, func() { m.follow(ctx, row) }) {
				m.drop()
			}
		})
	}
	// What others watch here may be older than the row that lets this viewer in.
	m.live.advance(row)
	m.viewers++
	return m.live, func() { e.leaveMirror(row.ID, m) }
}

func (e *Engine) leaveMirror(id pid.ID, m *mirror) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m.viewers--
	if m.viewers > 0 {
		return
	}
	m.cancel()
	if e.mirrors[id] == m {
		delete(e.mirrors, id)
	}
}

// dropMirror ends the copy of a reply that is written here from now on. Its viewers
// turn to the text itself.
func (e *Engine) dropMirror(id pid.ID) {
	e.mu.Lock()
	m := e.mirrors[id]
	e.mu.Unlock()
	if m != nil {
		m.drop()
	}
}

// mirrorOf returns the copy of a reply, nil when nobody watches one.
func (e *Engine) mirrorOf(id pid.ID) *live {
	e.mu.Lock()
	defer e.mu.Unlock()
	if m := e.mirrors[id]; m != nil {
		return m.live
	}
	return nil
}

// forget takes the mirror away, so that nobody joins it any more.
func (m *mirror) forget() {
	id := m.live.held().MessageID
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	if m.engine.mirrors[id] == m {
		delete(m.engine.mirrors, id)
	}
}

// drop ends the mirror and sends its viewers back to the row.
func (m *mirror) drop() {
	m.forget()
	m.cancel()
	m.live.abandon()
}

// follow keeps the copy until the reply is final or nobody watches.
func (m *mirror) follow(ctx context.Context, row *ent.Message) {
	facts := m.engine.bus.Subscribe(fact.OfConversation(row.ConversationID))
	defer facts.Close()
	var arrived <-chan Piece
	if w := m.engine.wire; w != nil {
		pieces := w.Follow(row.ID)
		defer pieces.Close()
		arrived = pieces.Arrived()
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	// Listening comes before reading, so that nothing falls between.
	for look := true; ctx.Err() == nil; {
		if look {
			if m.look(ctx, row.UserID, row.ID) {
				return
			}
			_ = m.ask(ctx) // Without an answer the row has to do until the next turn.
		}
		look = false
		select {
		case <-ctx.Done():
		case p := <-arrived:
			switch m.live.merge(p) {
			case gap:
				look = m.ask(ctx) != nil
			case newer:
				look = true
			}
		case f := <-facts.Facts():
			look = f.Kind == fact.ConversationDeleted ||
				f.MessageID == row.ID && (f.Kind == fact.ReplyStarted || f.Kind == fact.ReplyFinished)
		case <-facts.Missed():
			look = true
		case <-tick.C:
			// Asking keeps the owner's interest up and brings what was lost.
			look = m.ask(ctx) != nil
		}
	}
}

// look reads the row and reports whether that was the end.
func (m *mirror) look(ctx context.Context, userID, id pid.ID) (ended bool) {
	row, err := m.engine.row(ctx, userID, id)
	switch {
	case ent.IsNotFound(err):
		if last, ok := m.live.state(); ok {
			m.forget()
			m.live.finish(deleted(last))
		}
		return true
	case err != nil:
		m.engine.log.DebugContext(ctx, "reply cannot be looked at", "message_id", string(id), "err", err)
		return false
	case IsFinal(row.Status):
		m.forget()
	}
	m.owner = row.Owner
	return m.live.take(row)
}

// errNobody is returned by ask when there is nobody to ask, or the answer was of no
// use.
var errNobody = errors.New("no other replica knows more")

// ask gets what is missing from the owner. Without an error the copy is whole.
func (m *mirror) ask(ctx context.Context) error {
	if m.engine.wire == nil || m.owner == nil || *m.owner == m.engine.id {
		return errNobody
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	for before := (Question{}); ; {
		held := m.live.held()
		if held == before {
			return errNobody // It says that there is more, and does not give it.
		}
		p, err := m.engine.wire.Ask(ctx, *m.owner, held)
		if err != nil {
			return err
		}
		switch outcome := m.live.merge(p); {
		case p.Attempt != held.Attempt:
			return errNobody // One of the two has not heard of a takeover. The row has.
		case outcome == gap:
			before = held // The answer was a part of it.
		default:
			return nil
		}
	}
}

// askLimit is how long an owner has to answer. It answers from memory.
const askLimit = time.Second
