package feed

import (
	"slices"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
)

// conversationState is the pure state of the feed of one conversation.
type conversationState struct {
	userID, id pid.ID
	at         phase
	doubt      doubt
	// version is the UpdatedAt of the conversation that the client was told of.
	version time.Time
	// revision is that of the conversation as the client knows it.
	revision int
	line     line
	// watching is the reply that is watched; nil: none. upcoming are those to watch when
	// it has been told to its end, by index: replies that wait, and the next one, which
	// may be admitted a moment before the watchers of the last one know that it is final.
	watching *ent.Message
	upcoming []*ent.Message
	// held is what the ends of replies have made of the conversation that are yet to be told:
	// it is told behind them. Nil: nothing is held, as mostly.
	held []held
	// from is the index from which on another line is shown than the client knows, while at is
	// fresh because of that; nil: all may be out of date.
	from *int
	// expected is the revision that from is for.
	expected int
	// turned is the version at which the client was told of the line. What was added before and
	// is not on it belongs to another branch. Zero: the line has only grown.
	turned time.Time
}

// held is a conversation as it is by the end of a reply.
type held struct {
	row   *ent.Conversation
	ended pid.ID
}

func newConversation(userID, id pid.ID) *conversationState {
	return &conversationState{userID: userID, id: id}
}

func (c *conversationState) phase() phase { return c.at }

// apply implements state.
func (c *conversationState) apply(in input) outcome {
	var o outcome
	switch in := in.(type) {
	case begun:
		if c.at == fresh {
			o.want(want{kind: wantBeginning, id: c.id})
		}
	case updated:
		c.update(in.update, &o)
	case failed:
		c.fail(in.want, &o)
	case unwatchable:
		if c.watching != nil && c.watching.ID == in.want.id {
			c.watching = nil
		}
	case lineRead:
		c.compare(in, &o)
	case messageRead:
		c.found(in, &o)
	default:
		if c.at == following {
			c.listen(in, &o)
		}
	}
	c.letGo(&o)
	c.goOn(&o)
	return o
}

// listen takes what only counts while the conversation is there.
func (c *conversationState) listen(in input, o *outcome) {
	switch in := in.(type) {
	case heard:
		c.hear(in.fact, o)
	case conversationRead:
		c.readConversation(in, o)
	case doubted:
		if c.doubt.raise() {
			o.want(want{kind: wantComparison, id: c.id})
		}
	case woken:
		if c.doubt.wake() {
			o.want(want{kind: wantComparison, id: c.id})
		}
	}
}

// letGo tells what was held when the end that it was held for has been told.
func (c *conversationState) letGo(o *outcome) {
	c.held = slices.DeleteFunc(c.held, func(h held) bool {
		if c.follows(h.ended) {
			return false
		}
		if c.at == following && h.row.UpdatedAt.After(c.version) {
			c.tellConversation(h.row, o)
		}
		return true
	})
}

// follows reports whether the end of a reply is going to be told where it is watched, or will
// be.
func (c *conversationState) follows(id pid.ID) bool {
	return c.watching != nil && c.watching.ID == id || c.indexOfUpcoming(id) >= 0
}

// goOn watches the next reply when none is watched, and tells the deletion when nothing
// is left to be told before it.
func (c *conversationState) goOn(o *outcome) {
	if c.watching != nil {
		return
	}
	switch {
	case c.at == parting:
		c.at = over
		o.tell(Event{Kind: ConversationDeleted, ConversationID: c.id})
	case c.at == following && len(c.upcoming) > 0:
		c.watching = c.upcoming[0]
		c.upcoming = c.upcoming[1:]
		o.want(want{kind: wantWatch, id: c.watching.ID, message: c.watching})
	}
}

// part begins the end: the conversation is gone. Replies that wait have gone with it.
func (c *conversationState) part() { c.at, c.upcoming = parting, nil }

// fail begins anew when a row could not be read, since what it was to tell, and what was
// wanted after it, is lost otherwise. A comparison loses nothing: it is made again later.
func (c *conversationState) fail(w want, o *outcome) {
	if w.kind == wantComparison {
		c.doubt.fail(o)
		return
	}
	c.from = nil
	c.beginAnew(o)
}

// beginAnew has the state read again and told.
func (c *conversationState) beginAnew(o *outcome) {
	c.at, c.watching, c.upcoming, c.held = fresh, nil, nil, nil
	o.want(want{kind: wantUnwatch})
}

// compare takes the state of the database, as the beginning or as a comparison.
func (c *conversationState) compare(now lineRead, o *outcome) {
	switch {
	case now.conversation == nil:
		c.part()
	case now.want.kind == wantBeginning:
		c.open(now, o)
	case c.doubt.answer(c.knows(now), o):
		c.at, c.from = fresh, nil
	}
}

// open tells the state and follows the replies that have not ended.
func (c *conversationState) open(now lineRead, o *outcome) {
	c.at, c.doubt, c.version = following, calm, now.conversation.UpdatedAt
	c.revision = now.conversation.Revision
	c.line = newLine(now.conversation.HeadID, now.headIndex)
	c.upcoming, c.held = nil, nil
	// What lies behind the head, or is of another line, was added after the conversation was
	// read. Its facts come.
	unfinished := slices.DeleteFunc(now.unfinished, func(m *ent.Message) bool {
		return m.Index > now.headIndex || m.CreatedAt.After(c.version)
	})
	e := Event{Kind: Opened, ConversationID: c.id, Conversation: now.conversation, From: c.from}
	if e.From != nil && c.revision != c.expected {
		e.From = nil // More has changed by now.
	}
	c.from = nil
	if c.revision > 0 {
		c.turned = c.version
	}
	for _, m := range unfinished {
		if m.Status == message.StatusSTREAMING {
			e.Message = m
		}
	}
	o.tell(e)
	for _, m := range unfinished {
		c.line.begin(m.ID)
		c.follow(m, o)
	}
}

// knows reports whether the client has been told of this state, or will be by the reply
// that is watched.
func (c *conversationState) knows(now lineRead) bool {
	version := c.version
	for _, h := range c.held {
		if h.row.UpdatedAt.After(version) {
			version = h.row.UpdatedAt
		}
	}
	if c.revision != now.conversation.Revision {
		return false
	}
	if !version.Equal(now.conversation.UpdatedAt) || c.line.head != now.conversation.HeadID {
		return false
	}
	var watched pid.ID
	if c.watching != nil {
		watched = c.watching.ID
	}
	return c.line.agrees(now.unfinished, watched)
}

// hear takes a fact.
func (c *conversationState) hear(f fact.Fact, o *outcome) {
	switch f.Kind {
	case fact.ConversationUpdated, fact.ConversationDeleted:
		row := f.Conversation
		switch {
		case row == nil || row.ID != c.id || row.UserID != c.userID:
			o.want(want{kind: wantConversation, id: c.id, because: f.Kind, ended: f.MessageID})
		case f.Kind == fact.ConversationDeleted:
			c.part()
		default:
			c.change(row, f.MessageID, o)
		}
	case fact.MessageAdded, fact.ReplyStarted: // Either may be heard first.
		switch {
		case c.line.unended[f.MessageID]: // Told already, and followed to its end.
		case c.owns(f.Message) && f.Message.ID == f.MessageID:
			c.add(f.Message, o)
		default:
			o.want(want{kind: wantMessage, id: f.MessageID, because: f.Kind})
		}
	case fact.LineChanged, fact.MessageEdited:
		c.revise(f, o)
	case fact.ReplyFinished:
		// The ends of replies that had their turn are told where they are watched.
		switch {
		case c.indexOfUpcoming(f.MessageID) < 0:
		case c.owns(f.Message) && f.Message.ID == f.MessageID:
			c.cancelled(f.Message, o)
		default:
			o.want(want{kind: wantMessage, id: f.MessageID, because: f.Kind})
		}
	}
}

// owns reports whether a row may be shown here.
func (c *conversationState) owns(m *ent.Message) bool {
	return m != nil && m.UserID == c.userID && m.ConversationID == c.id
}

// readConversation takes the row as it is now, whatever was heard of it, or as it was when
// another feed looked it up for the same fact.
func (c *conversationState) readConversation(in conversationRead, o *outcome) {
	if in.row == nil {
		c.part()
		return
	}
	c.change(in.row, in.want.ended, o)
}

// change tells a row that is new, behind the end of the reply that has made it so.
func (c *conversationState) change(row *ent.Conversation, ended pid.ID, o *outcome) {
	switch {
	case !row.UpdatedAt.After(c.version):
	case c.follows(ended):
		c.held = append(c.held, held{row, ended})
	default:
		c.tellConversation(row, o)
	}
}

func (c *conversationState) tellConversation(row *ent.Conversation, o *outcome) {
	c.version = row.UpdatedAt
	if row.Revision > c.revision && c.doubt == calm { // The fact is late, or lost.
		c.doubt = gap
		o.want(want{kind: wantSettle})
	}
	o.tell(Event{Kind: ConversationUpdated, ConversationID: c.id, Conversation: row})
}

// found takes a message that was looked up.
func (c *conversationState) found(in messageRead, o *outcome) {
	switch {
	case in.want.kind == wantQuestion:
		if in.row != nil && !in.row.Active {
			return // Both have left the line, which is told.
		}
		if in.row != nil {
			c.add(in.row, o) // If its own fact is late: that has an older row.
		}
		if in.row != nil && in.row.Status != message.StatusCOMPLETED { // Else another version answers it.
			c.tellReply(reply.Update{Kind: reply.Finished, Row: in.row}, o)
		}
		c.tellReply(reply.Update{Kind: reply.Finished, Row: in.want.message}, o)
	case c.at != following || !c.owns(in.row):
	case in.want.because == fact.ReplyFinished:
		c.cancelled(in.row, o)
	case in.want.because == fact.MessageEdited:
		c.edited(in.row, o)
	default:
		c.add(in.row, o)
	}
}

// add tells of a new message, once. Messages are told in the order of their facts; a gap
// between their indexes is given a moment to close.
func (c *conversationState) add(m *ent.Message, o *outcome) {
	if !m.Active || !m.CreatedAt.After(c.turned) || !c.line.add(m) {
		return
	}
	switch {
	case c.line.whole() && c.doubt == gap:
		c.doubt = calm
	case !c.line.whole() && c.doubt == calm:
		c.doubt = gap
		o.want(want{kind: wantSettle})
	}
	o.tell(Event{Kind: MessageAdded, ConversationID: c.id, Message: m})
	if m.Role == message.RoleASSISTANT {
		c.line.begin(m.ID)
		c.follow(m, o)
	}
}

// follow watches a reply when those before it on the line have been told to their ends.
func (c *conversationState) follow(m *ent.Message, o *outcome) {
	switch {
	case c.watching == nil:
	case c.watching.ID == m.ID:
		return // It goes on where it is.
	case c.watching.Index > m.Index:
		// The one that is watched waits for this one, which was heard of later.
		if c.line.unended[c.watching.ID] {
			c.upcoming = append(c.upcoming, c.watching)
		}
		c.watching = nil
		o.want(want{kind: wantUnwatch})
	}
	if c.indexOfUpcoming(m.ID) < 0 {
		c.upcoming = append(c.upcoming, m)
	}
	slices.SortFunc(c.upcoming, func(a, b *ent.Message) int { return a.Index - b.Index })
}

func (c *conversationState) indexOfUpcoming(id pid.ID) int {
	return slices.IndexFunc(c.upcoming, func(m *ent.Message) bool { return m.ID == id })
}

// update tells how the watched reply goes on.
func (c *conversationState) update(u reply.Update, o *outcome) {
	if !c.watches(u) {
		return
	}
	if u.Kind != reply.Finished {
		c.tellReply(u, o)
		return
	}
	c.watching = nil
	c.tellEnd(u, o)
}

func (c *conversationState) watches(u reply.Update) bool {
	return c.watching != nil && c.watching.ID == u.Row.ID
}

// delta implements state.
func (c *conversationState) delta(u reply.Update) (Event, bool) {
	return c.ofReply(u), c.watches(u)
}

// revise takes a fact by which something has changed that was told. What a fact before it
// has changed is told as well, if that was lost.
func (c *conversationState) revise(f fact.Fact, o *outcome) {
	switch {
	case f.Revision > 0 && f.Revision <= c.revision: // It was told with the rest.
	case f.Revision != c.revision+1:
		c.from = nil
		c.beginAnew(o)
	case f.Kind == fact.LineChanged:
		c.reopen(f.Index, f.Revision, o)
	default: // The row on the fact may be older than what was told: its reply may be cancelled.
		c.revision++
		o.want(want{kind: wantMessage, id: f.MessageID, because: f.Kind, anew: true})
	}
}

// reopen has what is shown from an index on told anew, and from the first message on whose
// end, or whose coming, is yet to be told: of a reply that was cancelled, the question is one.
func (c *conversationState) reopen(from, revision int, o *outcome) {
	if c.watching != nil {
		from = min(from, c.watching.Index-1)
	}
	for _, m := range c.upcoming {
		from = min(from, m.Index-1)
	}
	for i := range c.line.skipped {
		from = min(from, i-1)
	}
	from = max(min(from, c.line.last), 0)
	c.from, c.expected = &from, revision
	c.beginAnew(o)
}

// edited tells the text of a message that was corrected. One that was not told of is told
// now, and one whose end is yet to be told would be told older than it is.
func (c *conversationState) edited(m *ent.Message, o *outcome) {
	switch {
	case !m.Active:
	case c.line.unended[m.ID]:
		c.reopen(m.Index, c.revision, o)
	case m.Index > c.line.last || c.line.skipped[m.Index]:
		c.add(m, o)
	default:
		c.tellReply(reply.SnapshotOf(m), o)
	}
}

// cancelled tells the end of a reply that never had its turn. A row that says something
// else is of before.
func (c *conversationState) cancelled(m *ent.Message, o *outcome) {
	at := c.indexOfUpcoming(m.ID)
	if at < 0 || m.Attempt > 0 || !reply.IsFinal(m.Status) {
		return
	}
	c.upcoming = slices.Delete(c.upcoming, at, at+1)
	c.tellEnd(reply.Update{Kind: reply.Finished, Row: m}, o)
}

// tellEnd tells the end of a reply. One that was cancelled before its turn comes behind
// the end of its question, which has to be looked up.
func (c *conversationState) tellEnd(u reply.Update, o *outcome) {
	m := u.Row
	c.line.end(m.ID)
	if m.Attempt == 0 && m.ParentID != nil && c.at == following {
		o.want(want{kind: wantQuestion, id: *m.ParentID, message: m})
		return
	}
	c.tellReply(u, o)
}

func (c *conversationState) tellReply(u reply.Update, o *outcome) {
	o.tell(c.ofReply(u))
}

func (c *conversationState) ofReply(u reply.Update) Event {
	return Event{Kind: Reply, ConversationID: c.id, Update: u}
}
