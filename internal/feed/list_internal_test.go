package feed

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/ent"
	"parley/internal/fact"
	"parley/internal/pid"
)

// listStory is a user's conversations as the database has them, their feed, and the
// client.
type listStory struct {
	story
	userID pid.ID
	made   int
	// size is how many of the latest changes are read, unseen how many there were since
	// they were: more than that cannot be told apart.
	size, unseen int
	rows         map[pid.ID]*ent.Conversation
	// deletions are those that were, deleted those that somebody has spoken of.
	deletions []deletion
	deleted   map[pid.ID]bool
	client    *sidebar
}

// sidebar is what the client holds: the version of each conversation, as events have it.
type sidebar struct {
	opened bool
	rows   map[pid.ID]time.Time
	// shown are the latest versions that an event has shown, told those since the last
	// opening, gone the deletions told.
	shown, told map[pid.ID]time.Time
	gone        map[pid.ID]bool
}

func newListStory(seed uint64) *listStory {
	l := &listStory{story: newStory(seed), userID: "usr_1", rows: make(map[pid.ID]*ent.Conversation),
		deleted: make(map[pid.ID]bool)}
	l.size = []int{5, 8, 50}[l.IntN(3)]
	l.answer, l.change, l.show, l.reconnect = l.fulfil, l.happen, l.shows, l.connect
	l.poll = func() (input, bool) { return nil, false }
	l.then = func(f fact.Fact) input { return conversationRead{row: l.rows[f.ConversationID]} }
	for range l.IntN(12) {
		l.create()
	}
	l.connect()
	return l
}

func (l *listStory) connect() {
	l.state = newList(l.userID)
	l.client = &sidebar{shown: make(map[pid.ID]time.Time), gone: make(map[pid.ID]bool)}
}

func (l *listStory) create() {
	l.made++
	now := l.tick()
	c := &ent.Conversation{ID: pid.ID(fmt.Sprint("cnv_", l.made)), UserID: l.userID, CreatedAt: now, UpdatedAt: now}
	l.rows[c.ID] = c
	l.note("created %s at %d", c.ID, l.clock)
	l.publish(fact.Fact{Kind: fact.ConversationCreated, UserID: l.userID, ConversationID: c.ID, Conversation: c})
}

// any returns one of the conversations, the same for the same story.
func (l *listStory) any() *ent.Conversation {
	ids := make([]pid.ID, 0, len(l.rows))
	for id := range l.rows {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return l.rows[ids[l.IntN(len(ids))]]
}

// look has the client see one of the conversations by a query of its own.
func (l *listStory) look() {
	if len(l.rows) > 0 && l.client.opened {
		row := l.any()
		l.client.rows[row.ID] = row.UpdatedAt
		l.note("the client looks at %s", row.ID)
	}
}

// happen commits something and publishes its fact.
func (l *listStory) happen() {
	if l.IntN(4) == 0 {
		l.look()
	}
	if l.unseen >= l.size { // The bus doubts more often than that.
		return
	}
	switch n := l.IntN(20); {
	case n < 6:
		l.create()
	case n < 13 && len(l.rows) > 0:
		row := *l.any()
		row.UpdatedAt = l.tick()
		l.rows[row.ID] = &row
		l.note("updated %s at %d", row.ID, l.clock)
		l.publish(fact.Fact{Kind: fact.ConversationUpdated, UserID: l.userID, ConversationID: row.ID,
			Conversation: &row})
	case n < 19 && len(l.rows) > 0:
		id := l.any().ID
		delete(l.rows, id)
		l.deleted[id] = true
		l.deletions = append(l.deletions, deletion{len(l.deletions) + 1, id})
		l.note("deleted %s", id)
		l.publish(fact.Fact{Kind: fact.ConversationDeleted, UserID: l.userID, ConversationID: id,
			Conversation: &ent.Conversation{ID: id, UserID: l.userID}})
	default: // A commit that failed, or somebody else's.
		f := fact.Fact{Kind: fact.Kind(1 + l.IntN(3)), UserID: l.userID, ConversationID: "cnv_none"}
		l.deleted["cnv_none"] = l.deleted["cnv_none"] || f.Kind == fact.ConversationDeleted
		if l.IntN(2) == 0 {
			f.Conversation = &ent.Conversation{ID: "cnv_none", UserID: "usr_2", UpdatedAt: l.tick()}
		}
		l.publish(f)
		return
	}
	l.unseen++
}

func (l *listStory) fulfil(w want) input {
	if w.kind == wantConversation {
		return conversationRead{want: w, row: l.rows[w.id]}
	}
	l.unseen = 0
	now := window{asOf: time.UnixMicro(l.clock), count: len(l.rows), changed: make(map[pid.ID]time.Time)}
	latest := make([]*ent.Conversation, 0, len(l.rows))
	for _, c := range l.rows {
		latest = append(latest, c)
	}
	slices.SortFunc(latest, func(a, b *ent.Conversation) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	for i, c := range latest[:min(l.size, len(latest))] {
		now.changed[c.ID] = c.UpdatedAt
		if i == l.size-1 {
			now.oldest = c.UpdatedAt
		}
	}
	deletions := l.deletions[max(0, len(l.deletions)-1):]
	if w.kind == wantComparison {
		deletions = l.deletions[w.after:]
	}
	l.note("read %d, %d, and %d deletions", now.count, len(now.changed), len(deletions))
	return windowRead{w, now, deletions}
}

// shows is the client's rule, with everything that may not be.
func (l *listStory) shows(e Event) {
	c := l.client
	if !c.opened && e.Kind != Opened {
		fail("first comes event %d", e.Kind)
	}
	id := e.ConversationID
	switch e.Kind {
	case Opened: // It fetches everything.
		c.opened, c.rows, c.told = true, make(map[pid.ID]time.Time), make(map[pid.ID]time.Time)
		for id, row := range l.rows {
			c.rows[id] = row.UpdatedAt
		}
	case ConversationCreated, ConversationUpdated:
		if e.Conversation.UserID != l.userID {
			fail("told somebody else's %s", id)
		}
		if c.gone[id] {
			fail("%s comes back", id)
		}
		if v := e.Conversation.UpdatedAt; v.Before(c.shown[id]) || v.Equal(c.told[id]) {
			fail("%s: told version %d after %d", id, v.UnixMicro(), c.shown[id].UnixMicro())
		}
		c.shown[id], c.told[id] = e.Conversation.UpdatedAt, e.Conversation.UpdatedAt
		c.rows[id] = e.Conversation.UpdatedAt
	case ConversationDeleted:
		if c.gone[id] {
			fail("the deletion of %s is told twice", id)
		}
		if !l.deleted[id] {
			fail("told a deletion of %s that never was", id)
		}
		c.gone[id] = true
		delete(c.rows, id)
	default:
		fail("event %d", e.Kind)
	}
}

// compare fails unless the client has the truth.
func (l *listStory) compare() {
	for id := range l.client.rows {
		if l.rows[id] == nil {
			fail("the list holds %s for ever", id)
		}
	}
	for id, row := range l.rows {
		if got, ok := l.client.rows[id]; !ok || !got.Equal(row.UpdatedAt) {
			fail("the list has version %d of %s, %t, the truth is %d", got.UnixMicro(), id, ok,
				row.UpdatedAt.UnixMicro())
		}
	}
}

// A list ends with the truth, whatever was lost on the way, and never holds what was
// deleted.
func TestEveryList(t *testing.T) {
	tell(t, 15_000, func(seed uint64, log *[]string) {
		l := newListStory(seed)
		defer func() { *log = l.log }()
		l.tell()
	})
}

// tell tells the story to its end.
func (l *listStory) tell() {
	for range 20 + l.IntN(120) {
		l.step()
		if l.unseen >= l.size && l.IntN(3) == 0 {
			l.missed = true
		}
	}
	l.end()
	l.compare()
}

// The same with the connection cut after each read, and with each read failing.
func TestEveryReadOfAList(t *testing.T) {
	tell(t, 60, func(seed uint64, log *[]string) {
		atEachRead(func(cutAt, failAt int) int {
			l := newListStory(seed)
			defer func() { *log = l.log }()
			l.cutAt, l.failAt = cutAt, failAt
			l.tell()
			return l.reads
		})
	})
}

// Lost pairs of facts hide each other from a count. A window and an exact count see them.
func TestLostPairs(t *testing.T) {
	t.Parallel()
	at := func(n int64) time.Time { return time.UnixMicro(n) }
	row := func(id pid.ID, created, updated int64) *ent.Conversation {
		return &ent.Conversation{ID: id, UserID: "usr_1", CreatedAt: at(created), UpdatedAt: at(updated)}
	}
	says := func(kind fact.Kind, c *ent.Conversation) input {
		return heard{fact.Fact{Kind: kind, UserID: "usr_1", ConversationID: c.ID, Conversation: c}}
	}
	reads := func(kind wantKind, count int, oldest int64, changed map[pid.ID]time.Time) input {
		w := window{asOf: at(10), count: count, changed: changed}
		if oldest > 0 {
			w.oldest = at(oldest)
		}
		return windowRead{want{kind: kind}, w, nil}
	}
	one := map[pid.ID]time.Time{"cnv_1": at(1)}
	for _, c := range []struct {
		what   string
		before input
		hears  []input
		now    input
	}{
		{"made, unheard; updated; deleted, unheard",
			reads(wantBeginning, 1, 0, one),
			[]input{says(fact.ConversationUpdated, row("cnv_2", 11, 12))},
			reads(wantComparison, 1, 0, one)},
		{"updated beyond the window; deleted, unheard; another made, unheard",
			reads(wantBeginning, 3, 1, one),
			[]input{says(fact.ConversationUpdated, row("cnv_2", 1, 12))},
			reads(wantComparison, 3, 13, map[pid.ID]time.Time{"cnv_3": at(13)})},
		{"made, unheard; deleted; one beyond the window deleted, unheard",
			reads(wantBeginning, 3, 1, one),
			[]input{says(fact.ConversationDeleted, row("cnv_9", 0, 0))},
			reads(wantComparison, 2, 1, one)},
	} {
		l := newList("usr_1")
		l.apply(begun{})
		l.apply(c.before)
		for _, in := range c.hears {
			l.apply(in)
		}
		l.apply(doubted{})
		l.apply(c.now)
		l.apply(woken{})
		l.apply(c.now)
		if l.phase() != fresh {
			t.Errorf("%s: the list agrees", c.what)
		}
	}
}

// What is looked up and gone is told as deleted when the list holds it: the fact that
// says so may be lost.
func TestGoneWhenLookedUp(t *testing.T) {
	t.Parallel()
	l := newList("usr_1")
	l.apply(begun{})
	l.apply(windowRead{want{kind: wantBeginning},
		window{count: 1, changed: map[pid.ID]time.Time{"cnv_1": time.UnixMicro(1)}}, nil})
	o := l.apply(heard{fact.Fact{Kind: fact.ConversationUpdated, UserID: "usr_1", ConversationID: "cnv_1"}})
	if len(o.wants) != 1 {
		t.Fatalf("got %+v, want a look-up", o)
	}
	o = l.apply(conversationRead{want: o.wants[0]})
	if len(o.events) != 1 || o.events[0].Kind != ConversationDeleted {
		t.Errorf("got %+v, want the deletion", o.events)
	}
	o = l.apply(heard{fact.Fact{Kind: fact.ConversationDeleted, UserID: "usr_1", ConversationID: "cnv_1"}})
	if len(o.events)+len(o.wants) != 0 {
		t.Errorf("got %+v of the fact that says the same", o)
	}
}

// What is remembered of deletions is bounded.
func TestGravesAreBounded(t *testing.T) {
	t.Parallel()
	g := newGraves()
	for i := range 3 * maxGraves {
		g.add(pid.ID(fmt.Sprint(i)), deletionTold)
	}
	if len(g.known) != maxGraves || g.of(pid.ID(fmt.Sprint(3*maxGraves-1))) != deletionTold || g.of("0") != notGone {
		t.Errorf("%d are remembered, want the last %d", len(g.known), maxGraves)
	}
}

// A conversation whose creation was lost, or is heard later, is new by its first update.
func TestTheFirstUpdateMayBeACreation(t *testing.T) {
	t.Parallel()
	l := newList("usr_1")
	l.apply(begun{})
	l.apply(windowRead{want{kind: wantBeginning},
		window{asOf: time.UnixMicro(5), changed: make(map[pid.ID]time.Time)}, nil})
	for made, want := range map[int64]Kind{6: ConversationCreated, 4: ConversationUpdated} {
		row := &ent.Conversation{ID: pid.ID(fmt.Sprint("cnv_", made)), UserID: "usr_1",
			CreatedAt: time.UnixMicro(made), UpdatedAt: time.UnixMicro(7)}
		o := l.apply(heard{fact.Fact{Kind: fact.ConversationUpdated, UserID: "usr_1", ConversationID: row.ID,
			Conversation: row}})
		if len(o.events) != 1 || o.events[0].Kind != want {
			t.Errorf("made at %d: got %+v, want kind %d", made, o, want)
		}
	}
}
