package judge

import (
	"slices"
	"time"

	"parley/test/faults/history"
	"parley/test/faults/script"
)

// book is a history, sorted for the rules.
type book struct {
	run            history.Settings
	records        []history.Record
	healed         time.Duration // When the faults ended; -1: never.
	settled        time.Duration
	sends          map[string][]history.Record // By key.
	stops          []history.Record
	subs           map[int]*sub
	steps          []step
	calls          map[string][]history.Record // By key, in the order of takes.
	writes         map[string][]history.Record // By reply, in the order of Seq.
	order          []history.Record            // All writes in the order of Seq.
	rows           map[string]*history.Row     // The final read of the database.
	lines          map[string][]*history.Row   // By conversation, the visible ones in order.
	alive          map[string]bool             // Conversations with rows.
	sendRows       []history.Record
	reads          []history.Record
	processRecords []history.Record
	befell         []history.Record            // What befell processes and links.
	leases         []history.Record            // The database's log of replicas.
	feeds          map[int]*sub                // Subscriptions to conversations and to the list.
	maybeDeleted   map[string]bool             // Conversations that a client asked to delete.
	trims          map[string][]history.Record // By conversation, deletions of messages.
	keyOf          map[string]string           // By reply, the key of its question.
	repliesOf      map[string][]string         // By the key of a question.
	upgrades       map[string][]time.Duration  // By replica, when it got a newer version.
	oldest         map[string]int              // By cursor, the oldest version that gave it.
}

// sub is a subscription to a message.
type sub struct {
	begin  history.Record
	events []history.Record
	end    *history.Record
}

// step is an event of a message together with the text that the client held before
// and holds after it.
type step struct {
	history.Record
	before, after *held
}

// held is what a client has of a reply. Nil is nothing yet.
type held struct {
	attempt int
	text    string
}

func newBook(records []history.Record) *book {
	b := &book{
		records: records, healed: -1, settled: -1,
		sends: make(map[string][]history.Record), subs: make(map[int]*sub), feeds: make(map[int]*sub),
		calls:  make(map[string][]history.Record),
		writes: make(map[string][]history.Record), rows: make(map[string]*history.Row),
		lines: make(map[string][]*history.Row),
		alive: make(map[string]bool), maybeDeleted: make(map[string]bool),
		trims: make(map[string][]history.Record),
		keyOf: make(map[string]string), repliesOf: make(map[string][]string),
		upgrades: make(map[string][]time.Duration), oldest: make(map[string]int),
	}
	for _, r := range records {
		b.enter(r)
	}
	for _, list := range b.calls {
		slices.SortFunc(list, func(a, z history.Record) int { return a.Call.Take - z.Call.Take })
	}
	slices.SortFunc(b.order, func(a, z history.Record) int { return int(a.Write.Seq - z.Write.Seq) })
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
		slices.SortFunc(line, func(a, z *history.Row) int { return a.Index - z.Index })
	}
	b.walk()
	return b
}

func (b *book) enter(r history.Record) {
	switch r.Op {
	case history.OpRun:
		b.run = *r.Run
	case history.OpUpgrade:
		b.upgrades[r.Replica] = append(b.upgrades[r.Replica], r.At)
	case history.OpProcess:
		b.processRecords = append(b.processRecords, r)
	case history.OpMishap:
		b.befell = append(b.befell, r)
	case history.OpLease:
		b.leases = append(b.leases, r)
	case history.OpHeal:
		b.healed = r.At
	case history.OpSettled:
		b.settled = r.At
	case history.OpSend:
		b.sends[r.Key] = append(b.sends[r.Key], r)
		if r.Outcome == history.OK {
			b.pair(r.Key, r.Reply)
		}
	case history.OpSendRow:
		b.sendRows = append(b.sendRows, r)
		b.pair(r.Key, r.Reply)
	case history.OpStop:
		b.stops = append(b.stops, r)
	case history.OpDelete:
		if r.Outcome != history.Refused {
			b.maybeDeleted[r.Conversation] = true
		}
	case history.OpTrim:
		if r.Outcome != history.Refused {
			b.trims[r.Conversation] = append(b.trims[r.Conversation], r)
		}
	case history.OpSubscribe:
		b.subs[r.Sub] = &sub{begin: r}
	case history.OpEvent:
		if s := b.subs[r.Sub]; s != nil {
			s.events = append(s.events, r)
		}
		b.given(r)
	case history.OpEnd:
		if s := b.subs[r.Sub]; s != nil {
			s.end = &r
		}
	case history.OpFeed:
		if b.feeds[r.Sub] == nil {
			b.feeds[r.Sub] = &sub{begin: r}
		}
		b.feeds[r.Sub].events = append(b.feeds[r.Sub].events, r)
	case history.OpFeedEnd:
		if s := b.feeds[r.Sub]; s != nil {
			s.end = &r
		}
	case history.OpCall:
		b.calls[r.Call.Key] = append(b.calls[r.Call.Key], r)
	case history.OpWrite:
		b.order = append(b.order, r)
	case history.OpRow:
		b.rows[r.Row.ID] = r.Row
	case history.OpRead:
		b.reads = append(b.reads, r)
	}
}

func (b *book) pair(key, reply string) {
	key = script.KeyOf(key)
	if key == "" || b.keyOf[reply] != "" {
		return
	}
	b.keyOf[reply] = key
	b.repliesOf[key] = append(b.repliesOf[key], reply)
}

// mayBeTrimmed reports whether what a send has stored may have been deleted since.
func (b *book) mayBeTrimmed(r history.Record) bool {
	return slices.ContainsFunc(b.trims[r.Conversation], func(t history.Record) bool { return t.At >= r.From })
}

// given notes the version that gave a cursor.
func (b *book) given(r history.Record) {
	if r.Event == nil || r.Event.Cursor == "" {
		return
	}
	version := b.version(r.Replica, r.At)
	if known, is := b.oldest[r.Event.Cursor]; !is || version < known {
		b.oldest[r.Event.Cursor] = version
	}
}

// version counts the upgrades of a replica up to a time.
func (b *book) version(replica string, at time.Duration) int {
	n := 0
	for _, upgrade := range b.upgrades[replica] {
		if upgrade <= at {
			n++
		}
	}
	return n
}

// fromLater reports whether a subscription began with a cursor that only later versions
// than its replica's give. No version can read what a later one has invented, so that
// such a cursor may be refused while an upgrade goes on.
func (b *book) fromLater(s *sub) bool {
	return b.oldest[s.begin.Cursor] > b.version(s.begin.Replica, s.begin.At)
}

// walk replays what each client did with the events it got.
func (b *book) walk() {
	type client struct{ who, reply string }
	byCursor := make(map[client]map[string]*held)
	now := make(map[int]map[string]*held) // By subscription and reply.
	for _, r := range b.records {
		c := client{r.Who, r.Reply}
		switch {
		case r.Op == history.OpSubscribe:
			now[r.Sub] = map[string]*held{r.Reply: byCursor[c][r.Cursor]}
			continue
		case r.Op == history.OpFeed && now[r.Sub] == nil:
			now[r.Sub] = make(map[string]*held)
		}
		if r.Op != history.OpEvent && r.Op != history.OpFeed || r.Event == nil || r.Reply == "" {
			continue
		}
		s := step{Record: r, before: now[r.Sub][r.Reply]}
		switch e := r.Event; e.Kind {
		case history.Snapshot, history.Finished:
			s.after = &held{e.Attempt, e.Content}
		case history.Delta:
			s.after = &held{e.Attempt, e.Text}
			if s.before != nil {
				s.after.text = s.before.text + e.Text
			}
		case history.ReasoningDelta:
			s.after = s.before
		default:
			continue // Of a conversation, not of a message's text.
		}
		now[r.Sub][r.Reply] = s.after
		if r.Event.Cursor != "" && r.Op == history.OpEvent {
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
func (b *book) question(m *history.Row) (script.Question, bool) {
	parent := b.rows[m.Parent]
	if parent == nil {
		return script.Question{}, false
	}
	return script.Parse(parent.Content)
}

// isDeletion reports whether an event is the end that a deletion leaves viewers.
func isDeletion(e *history.Seen) bool { return e.Kind == history.Finished && e.Error == "DELETED" }
