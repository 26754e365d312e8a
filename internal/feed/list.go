package feed

import (
	"parley/ent"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
)

// listState is the pure state of the feed of a user's conversations.
type listState struct {
	userID pid.ID
	at     phase
	doubt  doubt
	// known is what the client knows, owed what it did not when a comparison differed.
	known window
	owed  debt
	// settled is the number of a deletion: it and all before it the client knows. Windows do
	// not show that what was made and deleted between them, unheard, is not there; the client
	// may have seen it by a query of its own.
	settled int
	// gone are conversations that are not there any more, so that a late fact does not
	// bring one back.
	gone graves
}

func newList(userID pid.ID) *listState { return &listState{userID: userID, gone: newGraves()} }

func (l *listState) phase() phase { return l.at }

// delta implements state: no reply is watched.
func (l *listState) delta(reply.Update) (Event, bool) { return Event{}, false }

// apply implements state.
func (l *listState) apply(in input) outcome {
	var o outcome
	switch in := in.(type) {
	case begun:
		if l.at == fresh {
			o.want(want{kind: wantBeginning})
		}
	case failed:
		if in.want.kind == wantComparison {
			l.doubt.fail(&o)
		} else {
			l.at = fresh // The fact is gone.
		}
	case windowRead:
		l.compare(in, &o)
	default:
		if l.at == following {
			l.listen(in, &o)
		}
	}
	return o
}

// listen takes what only counts after the beginning.
func (l *listState) listen(in input, o *outcome) {
	switch in := in.(type) {
	case heard:
		l.hear(in.fact, o)
	case conversationRead:
		l.found(in, o)
	case doubted:
		if l.doubt.raise() {
			o.want(want{kind: wantComparison, after: l.settled})
		}
	case woken:
		if l.doubt.wake() {
			o.want(want{kind: wantComparison, after: l.settled})
		}
	}
}

// compare takes the state of the database, as the beginning or as a comparison.
func (l *listState) compare(now windowRead, o *outcome) {
	if now.want.kind == wantBeginning {
		l.at, l.doubt, l.known, l.owed, l.settled = following, calm, now.window, debt{}, 0
		for _, d := range now.deletions {
			l.settled = d.number
		}
		o.tell(Event{Kind: Opened})
		return
	}
	owes := l.known.owes(now.window)
	paid := l.known.hasPaid(l.owed, func(id pid.ID) bool { return l.gone.of(id) != notGone })
	agrees := l.known.count == now.window.count && owes.none() && paid && l.settle(now.deletions)
	if l.doubt.answer(agrees, o) {
		l.at = fresh
	}
	l.owed = owes
}

// settle takes the deletions since the last that was settled. It reports whether they are
// all there are and the client was told of each.
func (l *listState) settle(deletions []deletion) bool {
	if len(deletions) == maxDeletions {
		return false // There may be more.
	}
	for _, d := range deletions {
		if l.gone.of(d.id) != deletionTold {
			return false
		}
		l.settled = d.number
	}
	return true
}

// hear takes a fact. Its row is told when it is known to be the latest so far; else the
// conversation is looked up.
func (l *listState) hear(f fact.Fact, o *outcome) {
	switch f.Kind {
	case fact.ConversationCreated, fact.ConversationUpdated, fact.ConversationDeleted:
	default:
		return
	}
	id, row := f.ConversationID, f.Conversation
	if row == nil || row.ID != id || row.UserID != l.userID {
		if l.gone.of(id) != deletionTold { // Nothing comes back.
			o.want(want{kind: wantConversation, id: id, because: f.Kind})
		}
		return
	}
	told, listed := l.known.changed[id]
	switch {
	case f.Kind == fact.ConversationDeleted:
		l.tellDeletion(id, o)
	case l.gone.of(id) != notGone:
	case listed && row.UpdatedAt.After(told), !listed && row.UpdatedAt.After(l.known.asOf):
		l.tell(f.Kind, row, o)
	case !listed:
		// It was changed before the list was read: it may have been deleted since, and that
		// have been told before anybody listened here.
		o.want(want{kind: wantConversation, id: id, because: f.Kind})
	}
}

// found takes the row as it is now, or as it was when another feed looked it up for the
// same fact. What the list holds and the database does not is told as deleted, whatever was
// heard; what only a fact has named is not, unless the fact said so.
func (l *listState) found(in conversationRead, o *outcome) {
	id := in.want.id
	told, listed := l.known.changed[id]
	switch {
	case in.row == nil && (listed || in.want.because == fact.ConversationDeleted):
		l.tellDeletion(id, o)
	case in.row == nil && in.want.because == fact.ConversationCreated:
		l.gone.add(id, neverListed)
	case in.row == nil:
		l.gone.add(id, deletionUntold)
	case in.shared && !listed && !in.row.UpdatedAt.After(l.known.asOf):
		// As in hear: it may have been deleted since, before the list was read.
		o.want(want{kind: wantConversation, id: id, because: in.want.because, anew: true})
	case in.want.because == fact.ConversationDeleted && !listed:
		// A deletion that never was.
	case !listed || in.row.UpdatedAt.After(told):
		l.tell(in.want.because, in.row, o)
	}
}

// tell tells a row. One that was made since the list was read is new to the client, also when
// the fact of that was lost or comes later.
func (l *listState) tell(because fact.Kind, row *ent.Conversation, o *outcome) {
	kind := ConversationUpdated
	_, listed := l.known.changed[row.ID]
	if !listed && (because == fact.ConversationCreated || row.CreatedAt.After(l.known.asOf)) {
		kind = ConversationCreated
	}
	l.known.tell(row.ID, row.CreatedAt, row.UpdatedAt)
	o.tell(Event{Kind: kind, ConversationID: row.ID, Conversation: row})
}

func (l *listState) tellDeletion(id pid.ID, o *outcome) {
	switch l.gone.of(id) {
	case deletionTold:
		return
	case neverListed:
	default:
		l.known.drop(id)
	}
	l.gone.add(id, deletionTold)
	o.tell(Event{Kind: ConversationDeleted, ConversationID: id})
}

// grave is what is known of a conversation that is gone.
type grave uint8

const (
	notGone grave = iota
	// neverListed: it was made and deleted before it was told, or counted.
	neverListed
	// deletionUntold: it is gone, and nobody has said that it was deleted.
	deletionUntold
	// deletionTold: the client knows.
	deletionTold
)

// maxGraves bounds what is remembered. A fact that stays behind that many deletions of
// the same user may bring a conversation back, until the next comparison.
const maxGraves = 1000

// graves remembers the latest conversations that are gone.
type graves struct {
	known map[pid.ID]grave
	// order are those known; next is the one that is forgotten next, when it is full.
	order []pid.ID
	next  int
}

func newGraves() graves { return graves{known: make(map[pid.ID]grave)} }

func (g *graves) of(id pid.ID) grave { return g.known[id] }

func (g *graves) add(id pid.ID, is grave) {
	_, again := g.known[id]
	g.known[id] = is
	switch {
	case again:
	case len(g.order) < maxGraves:
		g.order = append(g.order, id)
	default:
		delete(g.known, g.order[g.next])
		g.order[g.next] = id
		g.next = (g.next + 1) % maxGraves
	}
}
