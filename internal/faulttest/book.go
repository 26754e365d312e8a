package faulttest

import (
	"slices"
	"time"
)

// book is a history, sorted for the rules.
type book struct {
	run            settings
	records        []record
	healed         time.Duration // When the faults ended; -1: never.
	settled        time.Duration
	sends          map[string][]record // By key.
	stops          []record
	subs           map[int]*sub
	steps          []step
	calls          map[string][]record // By key, in the order of takes.
	writes         map[string][]record // By reply, in the order of Seq.
	order          []record            // All writes in the order of Seq.
	rows           map[string]*row     // The final read of the database.
	lines          map[string][]*row   // By conversation, the visible ones in order.
	alive          map[string]bool     // Conversations with rows.
	sendRows       []record
	reads          []record
	feeds          map[int]*sub    // Subscriptions to conversations and to the list.
	maybeDeleted   map[string]bool // Conversations that a client asked to delete.
	keyOf, replyOf map[string]string
}

// sub is a subscription to a message.
type sub struct {
	begin  record
	events []record
	end    *record
}

// step is an event of a message together with the text that the client held before
// and holds after it.
type step struct {
	record
	before, after *held
}

// held is what a client has of a reply. Nil is nothing yet.
type held struct {
	attempt int
	text    string
}

func newBook(records []record) *book {
	b := &book{
		records: records, healed: -1, settled: -1,
		sends: make(map[string][]record), subs: make(map[int]*sub), feeds: make(map[int]*sub),
		calls:  make(map[string][]record),
		writes: make(map[string][]record), rows: make(map[string]*row), lines: make(map[string][]*row),
		alive: make(map[string]bool), maybeDeleted: make(map[string]bool),
		keyOf: make(map[string]string), replyOf: make(map[string]string),
	}
	for _, r := range records {
		b.enter(r)
	}
	for _, list := range b.calls {
		slices.SortFunc(list, func(a, z record) int { return a.Call.Take - z.Call.Take })
	}
	slices.SortFunc(b.order, func(a, z record) int { return int(a.Write.Seq - z.Write.Seq) })
	for _, w := range b.order {
		b.writes[w.Write.Message] = append(b.writes[w.Write.Message], w)
	}
	for _, m := range b.rows {
		b.alive[m.Conversation] = true
		if m.Active {
			b.lines[m.Conversation] = append(b.lines[m.Conversation], m)
		}
	}
	for _, line := range b.lines {
		slices.SortFunc(line, func(a, z *row) int { return a.Index - z.Index })
	}
	b.walk()
	return b
}

func (b *book) enter(r record) {
	switch r.Op {
	case opRun:
		b.run = *r.Run
	case opHeal:
		b.healed = r.At
	case opSettled:
		b.settled = r.At
	case opSend:
		b.sends[r.Key] = append(b.sends[r.Key], r)
		if r.Outcome == ok {
			b.pair(r.Key, r.Reply)
		}
	case opSendRow:
		b.sendRows = append(b.sendRows, r)
		b.pair(r.Key, r.Reply)
	case opStop:
		b.stops = append(b.stops, r)
	case opDelete:
		if r.Outcome != refused {
			b.maybeDeleted[r.Conversation] = true
		}
	case opSubscribe:
		b.subs[r.Sub] = &sub{begin: r}
	case opEvent:
		if s := b.subs[r.Sub]; s != nil {
			s.events = append(s.events, r)
		}
	case opEnd:
		if s := b.subs[r.Sub]; s != nil {
			s.end = &r
		}
	case opFeed:
		if b.feeds[r.Sub] == nil {
			b.feeds[r.Sub] = &sub{begin: r}
		}
		b.feeds[r.Sub].events = append(b.feeds[r.Sub].events, r)
	case opFeedEnd:
		if s := b.feeds[r.Sub]; s != nil {
			s.end = &r
		}
	case opCall:
		b.calls[r.Call.Key] = append(b.calls[r.Call.Key], r)
	case opWrite:
		b.order = append(b.order, r)
	case opRow:
		b.rows[r.Row.ID] = r.Row
	case opRead:
		b.reads = append(b.reads, r)
	}
}

func (b *book) pair(key, reply string) {
	if key != "" {
		b.keyOf[reply], b.replyOf[key] = key, reply
	}
}

// walk replays what each client did with the events it got.
func (b *book) walk() {
	type client struct{ who, reply string }
	byCursor := make(map[client]map[string]*held)
	now := make(map[int]map[string]*held) // By subscription and reply.
	for _, r := range b.records {
		c := client{r.Who, r.Reply}
		switch {
		case r.Op == opSubscribe:
			now[r.Sub] = map[string]*held{r.Reply: byCursor[c][r.Cursor]}
			continue
		case r.Op == opFeed && now[r.Sub] == nil:
			now[r.Sub] = make(map[string]*held)
		}
		if r.Op != opEvent && r.Op != opFeed || r.Event == nil || r.Reply == "" {
			continue
		}
		s := step{record: r, before: now[r.Sub][r.Reply]}
		switch e := r.Event; e.Kind {
		case snapshot, finished:
			s.after = &held{e.Attempt, e.Content}
		case delta:
			s.after = &held{e.Attempt, e.Text}
			if s.before != nil {
				s.after.text = s.before.text + e.Text
			}
		case reasoningDelta:
			s.after = s.before
		default:
			continue // Of a conversation, not of a message's text.
		}
		now[r.Sub][r.Reply] = s.after
		if r.Event.Cursor != "" && r.Op == opEvent {
			if byCursor[c] == nil {
				byCursor[c] = make(map[string]*held)
			}
			byCursor[c][r.Event.Cursor] = s.after
		}
		b.steps = append(b.steps, s)
	}
}

// grace is how late a replica that has lost touch may still act: it stops by
// itself within its lease, and a fault may hide the rest of a call as long as it
// lasts.
func (b *book) grace() time.Duration { return b.run.Lease + b.run.Fault }

// question is what a reply answers, if its user message is still there.
func (b *book) question(m *row) (question, bool) {
	parent := b.rows[m.Parent]
	if parent == nil {
		return question{}, false
	}
	return parseQuestion(parent.Content)
}

// isDeletion reports whether an event is the end that a deletion leaves viewers.
func isDeletion(e *seen) bool { return e.Kind == finished && e.Error == "DELETED" }
