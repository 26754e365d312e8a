package reply

import (
	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
)

// IsFinal reports whether a status never changes any more.
func IsFinal(s message.Status) bool {
	switch s {
	case message.StatusCOMPLETED, message.StatusSTOPPED, message.StatusFAILED, message.StatusINTERRUPTED:
		return true
	}
	return false
}

// Overlay replaces the text of messages that are being written here, or followed
// here, by their live text, so that a query never shows less than a subscription has.
func (e *Engine) Overlay(messages ...*ent.Message) {
	for _, m := range messages {
		if m.Status != message.StatusSTREAMING {
			continue
		}
		if l := e.find(m.ID); l != nil {
			if now, ok := l.state(); ok {
				overlay(m, now)
			}
		}
	}
}

// overlay replaces a message by its live state, unless that is of a copy which is behind
// the row.
func overlay(m, now *ent.Message) {
	behind := now.Attempt < m.Attempt
	for c, text := range TextsOf(now) {
		behind = behind || now.Attempt == m.Attempt && len(text) < len(TextsOf(m)[c])
	}
	if !behind {
		edges := m.Edges
		*m = *now
		m.Edges = edges
	}
}

// find returns the text of a reply that runs or is followed here, nil when neither.
func (e *Engine) find(id pid.ID) *live {
	if a := e.attempts.of(id); a != nil {
		return a.live
	}
	return e.mirrors.of(id)
}
