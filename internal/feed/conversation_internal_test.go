package feed

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
)

// chatStory is a conversation as the database has it, its feed, and the client.
type chatStory struct {
	story
	userID, id pid.ID
	row        *ent.Conversation // nil: deleted
	messages   []*ent.Message    // of the visible line, by index
	// off are those that are not on it, of which one may still be written.
	off     map[pid.ID]*ent.Message
	made    int
	turns   int // and edits
	watcher *fakeWatcher
	client  *screen
	cancels int
}

func newChatStory(seed uint64) *chatStory {
	c := &chatStory{story: newStory(seed), userID: "usr_1", id: "cnv_1"}
	now := c.tick()
	root := &ent.Message{ID: "msg_0", ConversationID: c.id, UserID: c.userID, Role: message.RoleSYSTEM,
		Status: message.StatusCOMPLETED, Active: true, CreatedAt: now}
	c.off = make(map[pid.ID]*ent.Message)
	c.messages = []*ent.Message{root}
	c.row = &ent.Conversation{ID: c.id, UserID: c.userID, HeadID: root.ID, CreatedAt: now, UpdatedAt: now}
	c.answer, c.change, c.show, c.poll, c.reconnect = c.fulfil, c.happen, c.shows, c.look, c.connect
	c.then = c.asSent
	for c.IntN(3) > 0 {
		c.happen()
	}
	c.connect()
	return c
}

// connect subscribes anew.
func (c *chatStory) connect() {
	c.state, c.watcher, c.client = newConversation(c.userID, c.id), nil, newScreen(c)
}

func (c *chatStory) shows(e Event) { c.client.take(e) }

// find returns a row as it is now, nil when it is gone.
func (c *chatStory) find(id pid.ID) *ent.Message {
	if c.row == nil {
		return nil
	}
	return c.last(id)
}

// last returns a row as it is, or was when the conversation was deleted.
func (c *chatStory) last(id pid.ID) *ent.Message {
	for _, m := range c.messages {
		if m.ID == id {
			return m
		}
	}
	return c.off[id]
}

// with returns the messages in one of the statuses.
func (c *chatStory) with(statuses ...message.Status) []*ent.Message {
	return slices.DeleteFunc(slices.Clone(c.messages), func(m *ent.Message) bool {
		return !slices.Contains(statuses, m.Status)
	})
}

// write changes a row as a statement does: a new value.
func (c *chatStory) write(old *ent.Message, change func(m *ent.Message)) *ent.Message {
	next := *old
	change(&next)
	if next.Active {
		c.messages[next.Index] = &next
	} else {
		c.off[next.ID] = &next
	}
	return &next
}

func (c *chatStory) revised() *ent.Conversation {
	row := *c.row
	row.Revision++
	return &row
}

// hasVersions reports whether a question has another reply.
func (c *chatStory) hasVersions(m *ent.Message) bool {
	for _, other := range c.off {
		if *other.ParentID == *m.ParentID {
			return true
		}
	}
	return false
}

// leaving is the reply that is stopped and not on the line any more, nil when there is none.
func (c *chatStory) leaving() *ent.Message {
	for _, m := range c.off {
		if m.Status == message.StatusSTREAMING {
			return m
		}
	}
	return nil
}

// turn has another line shown: from an index on, a new reply or pair, or one that was there.
func (c *chatStory) turn() {
	k := 1 + c.IntN(len(c.messages)-1)
	if c.messages[k-1].Role == message.RoleUSER && c.messages[k-1].Status == message.StatusSTOPPED {
		k-- // One that was cancelled is asked anew.
	}
	parent := c.messages[k-1]
	waits := c.leaving() != nil || len(c.with(message.StatusSTREAMING, message.StatusQUEUED)) > 0
	var facts []fact.Fact
	for _, m := range c.messages[k:] {
		m = c.write(m, func(m *ent.Message) {
			m.Active = false
			if m.Status == message.StatusQUEUED {
				m.Status = message.StatusSTOPPED
				c.cancels++
			}
		})
		c.off[m.ID] = m
	}
	c.messages = c.messages[:k]
	c.turns++
	c.note("turned at %d", k)
	now := c.tick()
	if parent.Role != message.RoleUSER {
		facts = append(facts, c.about(fact.MessageAdded, c.append(message.RoleUSER, message.StatusCOMPLETED, 0, now)))
	}
	status, attempt := message.StatusSTREAMING, 1
	if waits {
		status, attempt = message.StatusQUEUED, 0
	}
	facts = append(facts, c.about(fact.MessageAdded, c.append(message.RoleASSISTANT, status, attempt, now)))
	c.row = c.revised()
	turned := fact.Fact{Kind: fact.LineChanged, UserID: c.userID, ConversationID: c.id, Index: k,
		Revision: c.row.Revision}
	c.publish(append([]fact.Fact{turned, c.touchAt(now)}, facts...)...)
}

func (c *chatStory) append(role message.Role, status message.Status, attempt int, now time.Time) *ent.Message {
	parent := c.messages[len(c.messages)-1].ID
	c.made++
	m := &ent.Message{ID: pid.ID(fmt.Sprint("msg_", c.made)), ConversationID: c.id, UserID: c.userID, Active: true,
		ParentID: &parent, Index: len(c.messages), Role: role, Status: status, Attempt: attempt, CreatedAt: now}
	c.messages = append(c.messages, m)
	return m
}

func (c *chatStory) touch() fact.Fact { return c.touchAt(c.tick()) }

func (c *chatStory) touchAt(now time.Time) fact.Fact {
	row := *c.row
	row.UpdatedAt, row.HeadID = now, c.messages[len(c.messages)-1].ID
	c.row = &row
	return fact.Fact{Kind: fact.ConversationUpdated, UserID: c.userID, ConversationID: c.id, Conversation: c.row}
}

// touchBy is what the end of a reply does to the conversation.
func (c *chatStory) touchBy(m *ent.Message) fact.Fact {
	f := c.touch()
	f.MessageID = m.ID
	return f
}

func (c *chatStory) about(kind fact.Kind, m *ent.Message) fact.Fact {
	f := fact.Fact{Kind: kind, UserID: c.userID, ConversationID: c.id, MessageID: m.ID}
	if kind != fact.ReplyFinished || m.Attempt == 0 {
		f.Message = m
	}
	return f
}

// happen commits something and publishes its facts.
func (c *chatStory) happen() {
	if c.row == nil {
		return
	}
	streaming, queued := c.with(message.StatusSTREAMING), c.with(message.StatusQUEUED)
	if m := c.leaving(); m != nil && c.IntN(3) == 0 {
		c.finish(m)
		return
	}
	switch n := c.IntN(44); {
	case n < 6:
		c.publish(c.touch())
		c.note("renamed: %v", c.row.UpdatedAt.UnixMicro())
	case n < 14 && len(streaming)+len(queued) < 5:
		c.send(len(streaming) > 0 || len(queued) > 0 || c.leaving() != nil)
	case n < 26 && len(streaming) > 0:
		c.write(streaming[0], func(m *ent.Message) { m.Content += "x" })
	case n < 32 && len(streaming) > 0:
		c.finish(streaming[0])
	case n < 34 && len(streaming) > 0:
		m := c.write(streaming[0], func(m *ent.Message) { m.Attempt, m.Content = m.Attempt+1, "" })
		c.publish(c.about(fact.ReplyStarted, m))
		c.note("attempt %d of %s", m.Attempt, m.ID)
	case n < 37 && len(queued) > 0:
		m := c.write(queued[c.IntN(len(queued))], func(m *ent.Message) { m.Status = message.StatusSTOPPED })
		if !c.hasVersions(m) {
			c.write(c.find(*m.ParentID), func(m *ent.Message) { m.Status = message.StatusSTOPPED })
		}
		c.publish(c.about(fact.ReplyFinished, m), c.touchBy(m))
		c.cancels++
		c.note("cancelled %s", m.ID)
	case n == 37 && c.IntN(6) == 0:
		c.row = nil
		c.publish(fact.Fact{Kind: fact.ConversationDeleted, UserID: c.userID, ConversationID: c.id,
			Conversation: &ent.Conversation{ID: c.id, UserID: c.userID}})
		c.note("deleted")
	case n > 38 && n < 42 && len(c.messages) > 1:
		c.turn()
	case n > 41 && len(c.messages) > 1:
		c.edit()
	case n == 38: // A commit that failed, or a fact of something else.
		c.publish(fact.Fact{Kind: fact.Kind(1 + c.IntN(6)), UserID: c.userID, ConversationID: c.id,
			MessageID: []pid.ID{"msg_0", "msg_none", "msg_1"}[c.IntN(3)]}.Hint())
	}
}

// send adds a pair.
func (c *chatStory) send(waits bool) {
	now := c.tick()
	add := func(role message.Role, status message.Status, attempt int) *ent.Message {
		return c.append(role, status, attempt, now)
	}
	question := add(message.RoleUSER, message.StatusCOMPLETED, 0)
	var answer *ent.Message
	if waits {
		answer = add(message.RoleASSISTANT, message.StatusQUEUED, 0)
	} else {
		answer = add(message.RoleASSISTANT, message.StatusSTREAMING, 1)
	}
	c.note("sent %s %s", answer.ID, answer.Status)
	c.publish(c.touchAt(now), c.about(fact.MessageAdded, question), c.about(fact.MessageAdded, answer))
}

// edit corrects a message that is final.
func (c *chatStory) edit() {
	m := c.messages[1+c.IntN(len(c.messages)-1)]
	if !reply.IsFinal(m.Status) || m.Role == message.RoleASSISTANT && m.Attempt == 0 {
		return
	}
	m = c.write(m, func(m *ent.Message) { m.Attempt, m.Content = m.Attempt+1, "edited" })
	c.row = c.revised()
	c.turns++
	edited := c.about(fact.MessageEdited, m)
	edited.Revision = c.row.Revision
	c.publish(edited, c.touch())
	c.note("edited %s", m.ID)
}

// finish ends the running reply and starts the one that waits.
func (c *chatStory) finish(m *ent.Message) {
	m = c.write(m, func(m *ent.Message) { m.Status = message.StatusCOMPLETED })
	c.note("finished %s", m.ID)
	facts := []fact.Fact{c.about(fact.ReplyFinished, m)}
	if queued := c.with(message.StatusQUEUED); len(queued) > 0 {
		next := c.write(queued[0], func(m *ent.Message) { m.Status, m.Attempt = message.StatusSTREAMING, 1 })
		facts = append(facts, c.about(fact.ReplyStarted, next))
		c.note("started %s", next.ID)
	}
	c.publish(append(facts, c.touchBy(m))...)
}

// fulfil reads, while more may happen between the rows.
func (c *chatStory) fulfil(w want) input {
	meanwhile := func() {
		for c.IntN(5) == 0 {
			c.change()
		}
	}
	switch w.kind {
	case wantBeginning, wantComparison:
		now := lineRead{want: w, conversation: c.row}
		if c.row == nil {
			return now
		}
		meanwhile()
		if c.row != nil {
			now.unfinished = c.with(message.StatusSTREAMING, message.StatusQUEUED)
		}
		meanwhile()
		m := c.find(now.conversation.HeadID)
		if m == nil {
			return c.fulfil(w)
		}
		now.headIndex = m.Index
		return now
	case wantConversation:
		return conversationRead{want: w, row: c.row}
	case wantMessage, wantQuestion:
		return messageRead{w, c.find(w.id)}
	case wantWatch:
		if c.find(w.id) == nil {
			return unwatchable{w}
		}
		c.watcher = &fakeWatcher{id: w.id}
	case wantUnwatch:
		c.watcher = nil
	}
	return nil
}

// asSent is what a look-up finds when a fact is sent.
func (c *chatStory) asSent(f fact.Fact) input {
	if f.MessageID != "" && f.Kind != fact.ConversationUpdated {
		return messageRead{row: c.find(f.MessageID)}
	}
	return conversationRead{row: c.row}
}

// look polls the reply that is watched.
func (c *chatStory) look() (input, bool) {
	if c.watcher == nil {
		return nil, false
	}
	if wants := c.state.(*conversationState).watching; wants == nil || wants.ID != c.watcher.id {
		fail("%s is watched, and nobody wants it", c.watcher.id)
	}
	m := c.find(c.watcher.id)
	if m == nil { // Its text outlives it.
		last := *c.last(c.watcher.id)
		last.Status = message.StatusSTOPPED
		m = &last
	}
	u, ok := c.watcher.poll(m)
	if ok && u.Kind == reply.Finished {
		c.watcher = nil
	}
	return updated{u}, ok
}

// fakeWatcher is a reply.Watcher that looks at the row.
type fakeWatcher struct {
	id      pid.ID
	started bool
	// attempt and text are what was shown, once it has started.
	attempt int
	text    int
}

func (w *fakeWatcher) poll(m *ent.Message) (reply.Update, bool) {
	u := reply.Update{Row: m}
	switch {
	case !w.started || w.attempt != m.Attempt:
		u.Kind = reply.Snapshot
	case w.text < len(m.Content):
		running := *m
		running.Status = message.StatusSTREAMING
		u.Kind, u.Row, u.Texts = reply.Delta, &running, reply.TextsOf(m)
	case reply.IsFinal(m.Status):
		u.Kind = reply.Finished
	default:
		return u, false
	}
	w.started, w.attempt, w.text = true, m.Attempt, len(m.Content)
	return u, true
}

// screen is what a client holds, by the rules of the protocol. It checks everything that
// may not be as it goes.
type screen struct {
	world    *chatStory
	opened   bool
	deleted  bool
	version  time.Time
	messages map[pid.ID]*ent.Message
	// told are the messages that were added or were there at an opening, finished those
	// whose end was told, begun those of which something was since the last opening.
	told, finished, begun map[pid.ID]bool
	// shown is the latest state that an event has shown.
	shown map[pid.ID]*ent.Message
}

func newScreen(world *chatStory) *screen {
	return &screen{world: world, told: make(map[pid.ID]bool), finished: make(map[pid.ID]bool),
		shown: make(map[pid.ID]*ent.Message)}
}

func (s *screen) take(e Event) {
	if s.deleted {
		fail("event %d after the deletion", e.Kind)
	}
	if !s.opened && e.Kind != Opened && e.Kind != ConversationDeleted {
		fail("first comes event %d", e.Kind)
	}
	switch e.Kind {
	case Opened:
		s.open(e)
	case ConversationUpdated:
		if !e.Conversation.UpdatedAt.After(s.version) {
			fail("told version %d after %d", e.Conversation.UpdatedAt.UnixMicro(), s.version.UnixMicro())
		}
		s.version = e.Conversation.UpdatedAt
	case ConversationDeleted:
		s.deleted = true
		if s.world.row != nil {
			fail("told a deletion that never was")
		}
	case MessageAdded:
		if s.told[e.Message.ID] {
			fail("%s is added twice", e.Message.ID)
		}
		s.told[e.Message.ID] = true
		s.see(e.Message)
	case Reply:
		s.update(e.Update)
	default:
		fail("event %d", e.Kind)
	}
}

// open fetches everything.
func (s *screen) open(e Event) {
	if e.Conversation.UpdatedAt.Before(s.version) {
		fail("opened with version %d after %d", e.Conversation.UpdatedAt.UnixMicro(), s.version.UnixMicro())
	}
	s.opened, s.version, s.begun = true, e.Conversation.UpdatedAt, make(map[pid.ID]bool)
	before := s.messages
	s.messages = make(map[pid.ID]*ent.Message)
	for _, m := range s.world.messages {
		s.messages[m.ID] = m
		if kept := before[m.ID]; e.From != nil && m.Index < *e.From && kept != nil {
			s.messages[m.ID] = kept // It is not fetched again.
		}
		if !m.CreatedAt.After(e.Conversation.UpdatedAt) {
			s.told[m.ID] = true
		}
	}
	if e.Message != nil {
		s.see(e.Message)
	}
}

// see notes a state. It is never older than the one before.
func (s *screen) see(m *ent.Message) {
	if was := s.shown[m.ID]; was != nil {
		older := m.Attempt < was.Attempt || m.Attempt == was.Attempt && len(m.Content) < len(was.Content) ||
			m.Status == message.StatusQUEUED && was.Status != message.StatusQUEUED
		if older {
			fail("%s: shown is attempt %d %s with %d after attempt %d %s with %d", m.ID, m.Attempt, m.Status,
				len(m.Content), was.Attempt, was.Status, len(was.Content))
		}
	}
	s.shown[m.ID], s.messages[m.ID] = m, m
}

func (s *screen) update(u reply.Update) {
	m := u.State()
	if s.world.off[m.ID] != nil {
		delete(s.begun, m.ID)
		return // Another line is shown already, as the client is yet to be told.
	}
	if !s.told[m.ID] {
		if s.world.turns > 0 {
			return // The fact that would have told it is late: what the client shows is of another line.
		}
		fail("update %d of %s, which was not told", u.Kind, m.ID)
	}
	if u.Kind == reply.Snapshot && reply.IsFinal(m.Status) && !s.begun[m.ID] { // It was edited.
		s.see(m)
		return
	}
	if s.finished[m.ID] {
		fail("update %d of %s after its end", u.Kind, m.ID)
	}
	if m.Role == message.RoleASSISTANT && !(u.Kind == reply.Finished && m.Attempt == 0) {
		for id := range s.begun {
			if s.messages[id].Index < m.Index {
				fail("%s begins before the end of %s", m.ID, id)
			}
		}
	}
	s.see(m)
	if u.Kind == reply.Finished {
		s.finished[m.ID] = true
		delete(s.begun, m.ID)
		return
	}
	s.begun[m.ID] = true
}

// compare fails unless the client has the truth.
func (s *screen) compare() {
	if s.world.row == nil {
		if !s.deleted {
			fail("the client was not told of the deletion")
		}
		return
	}
	if s.deleted || !s.version.Equal(s.world.row.UpdatedAt) {
		fail("the client has version %d, the truth is %d", s.version.UnixMicro(), s.world.row.UpdatedAt.UnixMicro())
	}
	if len(s.messages) != len(s.world.messages) {
		fail("the client has %d messages, the truth has %d", len(s.messages), len(s.world.messages))
	}
	for _, want := range s.world.messages {
		got := s.messages[want.ID]
		if got == nil || got.Status != want.Status || got.Attempt != want.Attempt || got.Content != want.Content {
			fail("the client has %v, the truth is %v", got, want)
		}
	}
}

// Whatever is lost, doubled, late or out of order, whatever changes between two reads,
// and whatever fails: the client ends with the truth, and is told nothing twice, nothing
// older, and nothing after the end.
func TestEveryConversation(t *testing.T) {
	tell(t, 20_000, func(seed uint64, log *[]string) {
		c := newChatStory(seed)
		defer func() { *log = c.log }()
		c.tell()
		// One that was cancelled before it was heard of may look as if it waited.
		calm := c.losses == 0 && c.failures == 0 && c.epoch == 0 && c.overflows == 0 && c.cancels == 0 &&
			c.turns == 0
		if calm && c.openings > 1 {
			fail("nothing was lost, and the feed began anew %d times", c.openings-1)
		}
	})
}

// tell tells the story to its end.
func (c *chatStory) tell() {
	for range 20 + c.IntN(150) {
		c.step()
	}
	c.end()
	c.client.compare()
}

// The same with the connection cut after each read, and with each read failing.
func TestEveryReadOfAConversation(t *testing.T) {
	tell(t, 60, func(seed uint64, log *[]string) {
		atEachRead(func(cutAt, failAt int) int {
			c := newChatStory(seed)
			defer func() { *log = c.log }()
			c.cutAt, c.failAt = cutAt, failAt
			c.tell()
			return c.reads
		})
	})
}

// What the end of a reply has made of the conversation is told behind the end, however the
// two are heard.
func TestTheEndComesFirst(t *testing.T) {
	t.Parallel()
	c := newConversation("usr_1", "cnv_1")
	m := &ent.Message{ID: "msg_2", ConversationID: "cnv_1", UserID: "usr_1", Index: 2, Attempt: 1,
		Role: message.RoleASSISTANT, Status: message.StatusSTREAMING}
	row := &ent.Conversation{ID: "cnv_1", UserID: "usr_1", HeadID: m.ID, UpdatedAt: time.UnixMicro(1)}
	c.apply(begun{})
	c.apply(lineRead{want: want{kind: wantBeginning}, conversation: row, headIndex: 2, unfinished: []*ent.Message{m}})
	next := *row
	next.UpdatedAt = time.UnixMicro(2)
	heardOf := fact.Fact{Kind: fact.ConversationUpdated, UserID: "usr_1", ConversationID: "cnv_1", MessageID: m.ID,
		Conversation: &next}
	if o := c.apply(heard{heardOf}); len(o.events)+len(o.wants) > 0 {
		t.Errorf("got %+v before the end", o)
	}
	c.apply(doubted{})
	o := c.apply(lineRead{want: want{kind: wantComparison}, conversation: &next})
	if len(o.events) > 0 || c.at != following {
		t.Errorf("got %+v of what is going to be told", o)
	}
	end := *m
	end.Status = message.StatusCOMPLETED
	o = c.apply(updated{reply.Update{Kind: reply.Finished, Row: &end}})
	if len(o.events) != 2 || o.events[0].Kind != Reply || o.events[1].Conversation != &next {
		t.Errorf("got %+v, want the end and then the conversation", o.events)
	}
}

// So it is where the fact carries no row, and while the client is yet to be told the end of
// the reply before.
func TestTheEndComesFirstForWhoLags(t *testing.T) {
	t.Parallel()
	c := newConversation("usr_1", "cnv_1")
	replies := make([]*ent.Message, 2)
	for i := range replies {
		replies[i] = &ent.Message{ID: pid.ID(fmt.Sprintf("msg_%d", i)), ConversationID: "cnv_1", UserID: "usr_1",
			Index: 2 * i, Attempt: 1, Role: message.RoleASSISTANT, Status: message.StatusSTREAMING}
	}
	row := &ent.Conversation{ID: "cnv_1", UserID: "usr_1", HeadID: "msg_1", UpdatedAt: time.UnixMicro(1)}
	c.apply(begun{})
	c.apply(lineRead{want: want{kind: wantBeginning}, conversation: row, headIndex: 2, unfinished: replies})
	rows := make([]*ent.Conversation, 2)
	for i, m := range replies {
		next := *row
		next.UpdatedAt = time.UnixMicro(int64(2 + i))
		rows[i] = &next
		o := c.apply(heard{fact.Fact{Kind: fact.ConversationUpdated, UserID: "usr_1", ConversationID: "cnv_1",
			MessageID: m.ID}})
		if len(o.events) > 0 || len(o.wants) != 1 || o.wants[0].kind != wantConversation {
			t.Fatalf("got %+v of a fact without its row, want a look at it", o)
		}
		if o = c.apply(conversationRead{o.wants[0], &next, true}); len(o.events) > 0 {
			t.Errorf("got %+v before the end", o)
		}
	}
	for i, m := range replies {
		end := *m
		end.Status = message.StatusCOMPLETED
		o := c.apply(updated{reply.Update{Kind: reply.Finished, Row: &end}})
		if len(o.events) != 2 || o.events[0].Kind != Reply || o.events[1].Conversation != rows[i] {
			t.Errorf("got %+v, want the end of %s and then the conversation", o.events, m.ID)
		}
	}
}
