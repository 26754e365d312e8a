package feed

import (
	"parley/ent"
	"parley/internal/pid"
)

// line is what a client has been told of the messages of a conversation.
type line struct {
	// head is the last message that was told, last its index.
	head pid.ID
	last int
	// skipped are the indexes before it that were not told. Nil: none, as mostly.
	skipped map[int]bool
	// unended are the replies whose end was not told. Nil: none.
	unended map[pid.ID]bool
}

func newLine(head pid.ID, last int) line { return line{head: head, last: last} }

// begin notes a reply whose end is to be told.
func (l *line) begin(id pid.ID) {
	if l.unended == nil {
		l.unended = make(map[pid.ID]bool)
	}
	l.unended[id] = true
}

// end notes that the end of a reply was told.
func (l *line) end(id pid.ID) {
	if delete(l.unended, id); len(l.unended) == 0 {
		l.unended = nil
	}
}

// add notes a message and reports whether it is new.
func (l *line) add(m *ent.Message) bool {
	if l.skipped[m.Index] {
		delete(l.skipped, m.Index)
		return true
	}
	if m.Index <= l.last {
		return false
	}
	for i := l.last + 1; i < m.Index; i++ {
		if l.skipped == nil {
			l.skipped = make(map[int]bool)
		}
		l.skipped[i] = true
	}
	l.head, l.last = m.ID, m.Index
	return true
}

// whole reports whether every message up to the head was told.
func (l *line) whole() bool { return len(l.skipped) == 0 }

// agrees reports whether the client knows these unfinished replies and no others but the
// one that is watched, whose end is yet to be told.
func (l *line) agrees(unfinished []*ent.Message, watched pid.ID) bool {
	running := make(map[pid.ID]bool, len(unfinished))
	for _, m := range unfinished {
		running[m.ID] = true
		if !l.unended[m.ID] {
			return false
		}
	}
	for id := range l.unended {
		if !running[id] && id != watched {
			return false
		}
	}
	return l.whole()
}
