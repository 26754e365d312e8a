package feed

import (
	"time"

	"parley/internal/pid"
)

// windowSize is how many of the latest changes of a list are compared.
const windowSize = 20

// window is how many conversations a list has, and which were changed last. What the
// database says is one, and what a client knows is another.
type window struct {
	// asOf is the database's clock before it was read.
	asOf  time.Time
	count int
	// changed are the versions of the conversations in the window.
	changed map[pid.ID]time.Time
	// oldest is the earliest change in the window. Conversations beyond it may have been
	// changed before; zero: there are none.
	oldest time.Time
}

// maxDeletions is how many deletions are compared. After more than that, a feed begins anew.
const maxDeletions = maxGraves / 2

// deletion is the deletion of one conversation. A user's later one has a larger number.
type deletion struct {
	number int
	id     pid.ID
}

// unsure is a count that equals none.
const unsure = -1

// tell notes a version that the client was told of. What is not in the window though it
// was made after the oldest change there was made after the window was read.
func (w *window) tell(id pid.ID, created, version time.Time) {
	if _, listed := w.changed[id]; !listed && created.After(w.oldest) && w.count != unsure {
		w.count++
	}
	w.changed[id] = version
}

// drop notes that the client was told of a deletion. Of what is not in the window nobody
// knows whether it was counted: it may lie beyond, or have been made and deleted unheard,
// or deleted before the window was read. A count that is off by one would hide the next
// loss. Where the window holds all, it was not counted.
func (w *window) drop(id pid.ID) {
	_, listed := w.changed[id]
	delete(w.changed, id)
	switch {
	case listed && w.count != unsure:
		w.count--
	case !listed && !w.oldest.IsZero():
		w.count = unsure
	}
}

// debt is what the database knows and a client was not told of.
type debt struct {
	// behind are conversations with the version the client should have, held those it has
	// and that are not there any more.
	behind map[pid.ID]time.Time
	held   map[pid.ID]bool
}

func (d debt) none() bool { return len(d.behind)+len(d.held) == 0 }

// owes compares what a client knows with what the database says now: every change in the
// window there, and everything the client holds that should be in it.
func (w *window) owes(now window) debt {
	d := debt{make(map[pid.ID]time.Time), make(map[pid.ID]bool)}
	for id, at := range now.changed {
		told, ok := w.changed[id]
		if ok && !told.Equal(at) || !ok && at.After(w.oldest) {
			d.behind[id] = at
		}
	}
	for id, told := range w.changed {
		if _, ok := now.changed[id]; !ok && told.After(now.oldest) {
			d.held[id] = true
		}
	}
	return d
}

// hasPaid reports whether the client was told of all that it was owed once. More changes
// than a window holds may have come since, so that a later window does not show it.
func (w *window) hasPaid(d debt, gone func(id pid.ID) bool) bool {
	for id, at := range d.behind {
		if told, ok := w.changed[id]; (!ok || told.Before(at)) && !gone(id) {
			return false
		}
	}
	for id := range d.held {
		if _, ok := w.changed[id]; ok {
			return false
		}
	}
	return true
}
