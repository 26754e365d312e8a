package reply

import (
	"context"
	"errors"
	"time"

	"parley/ent"
	"parley/internal/fact"
	"parley/internal/pid"
)

// A mirror is the copy of a reply that is not written here, shared by all who watch
// it here: one that runs on another replica, or that waits for its turn. It asks the
// owner for the text and then takes the pieces the owner sends; where there is no
// wire or no answer it reads the row, each second. The row decides: its attempt
// begins a new copy, its final status ends it.
type mirror struct {
	of     *mirrors
	live   *live
	cancel context.CancelFunc
	// owner is the replica that wrote the row last looked at; used by follow alone.
	owner *pid.ID
	// watchers counts those who watch; guarded by the lock of mirrors.
	watchers int
}

// remove takes the mirror away, so that nobody joins it any more.
func (m *mirror) remove() {
	id := m.live.held().MessageID
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	if m.of.byReply[id] == m {
		delete(m.of.byReply, id)
	}
}

// drop ends the mirror and sends its watchers back to the row.
func (m *mirror) drop() {
	m.remove()
	m.cancel()
	m.live.abandon()
}

// follow keeps the copy until the reply is final or nobody watches.
func (m *mirror) follow(ctx context.Context, row *ent.Message) {
	facts := m.of.bus.Subscribe(fact.OfConversation(row.ConversationID))
	defer facts.Close()
	var arrived <-chan Piece
	if w := m.of.wire; w != nil {
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
			switch m.live.receive(p) {
			case gap:
				look = m.ask(ctx) != nil
			case newer:
				look = true
			}
		case f := <-facts.Facts():
			look = f.Kind == fact.ConversationDeleted || f.Kind == fact.LineChanged ||
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
	row, err := m.of.row(ctx, userID, id)
	switch {
	case ent.IsNotFound(err):
		if last, ok := m.live.state(); ok {
			m.remove()
			m.live.finish(deleted(last))
		}
		return true
	case err != nil:
		m.of.log.DebugContext(ctx, "reply cannot be looked at", "message_id", string(id), "err", err)
		return false
	case IsFinal(row.Status):
		m.remove()
	}
	m.owner = row.Owner
	return m.live.adopt(row)
}

// errNobody is returned by ask when there is nobody to ask, or the answer was of no
// use.
var errNobody = errors.New("no other replica knows more")

// ask gets what is missing from the owner. Without an error the copy is whole.
func (m *mirror) ask(ctx context.Context) error {
	if m.of.wire == nil || m.owner == nil || *m.owner == m.of.id {
		return errNobody
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	for before := (Question{}); ; {
		held := m.live.held()
		if held == before {
			return errNobody // It says that there is more, and does not give it.
		}
		p, err := m.of.wire.Ask(ctx, *m.owner, held)
		if err != nil {
			return err
		}
		switch outcome := m.live.receive(p); {
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
