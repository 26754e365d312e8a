package faulttest

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// The story of a good history: Ada's first reply is taken over once and completed,
// her second one stopped; a third send is refused. Bob's reply is completed. Both
// watch, and everything is read through two replicas at the end.
var (
	first  = question{Key: "ada-w0-1", User: "ada", Words: 30, Pace: time.Millisecond}
	second = question{Key: "ada-w0-2", User: "ada", Words: 30, Pace: time.Millisecond}
	third  = question{Key: "ada-w0-3", User: "ada", Words: 30, Pace: time.Millisecond}
	other  = question{Key: "bob-w0-1", User: "bob", Words: 30, Pace: time.Millisecond}
)

const s = time.Second

func storedRows() []row {
	stopped := second.answer(1)[:20]
	return []row{
		{ID: "a0", Conversation: "ca", User: "usr_a", Index: 0, Active: true, Role: "SYSTEM", Status: "COMPLETED"},
		{ID: "a1", Conversation: "ca", User: "usr_a", Parent: "a0", Index: 1, Active: true, Role: "USER",
			Content: first.String(), Status: "COMPLETED"},
		{ID: "a2", Conversation: "ca", User: "usr_a", Parent: "a1", Index: 2, Active: true, Role: "ASSISTANT",
			Content: first.answer(2), Status: "COMPLETED", Attempt: 2},
		{ID: "a3", Conversation: "ca", User: "usr_a", Parent: "a2", Index: 3, Active: true, Role: "USER",
			Content: second.String(), Status: "COMPLETED"},
		{ID: "a4", Conversation: "ca", User: "usr_a", Parent: "a3", Index: 4, Active: true, Role: "ASSISTANT",
			Content: stopped, Status: "STOPPED", Attempt: 1},
		{ID: "b0", Conversation: "cb", User: "usr_b", Index: 0, Active: true, Role: "SYSTEM", Status: "COMPLETED"},
		{ID: "b1", Conversation: "cb", User: "usr_b", Parent: "b0", Index: 1, Active: true, Role: "USER",
			Content: other.String(), Status: "COMPLETED"},
		{ID: "b2", Conversation: "cb", User: "usr_b", Parent: "b1", Index: 2, Active: true, Role: "ASSISTANT",
			Content: other.answer(1), Status: "COMPLETED", Attempt: 1},
	}
}

// cutAt splits a text at a rune boundary near n.
func cutAt(text string, n int) (string, string) {
	runes := []rune(text)
	return string(runes[:n]), string(runes[n:])
}

func goodHistory() []record {
	var h []record
	at := func(t time.Duration, r record) { r.At = t; h = append(h, r) }
	send := func(t time.Duration, q question, conversation, message, reply string, again bool) {
		at(t, record{Op: opSend, From: t - s/10, Who: q.User + "-w0", User: q.User, Replica: "r0", Outcome: ok,
			Key: q.Key, Content: q.String(), Conversation: conversation, Message: message, Reply: reply,
			Deduplicated: again, Canaries: []string{q.User}})
	}
	wrote := func(t time.Duration, kind, message, user string, attempt int, owner, status string, length int) {
		at(t, record{Op: opWrite, Write: &write{Seq: int64(len(h)), Kind: kind, Message: message, User: user,
			Attempt: attempt, Owner: owner, Status: status, Length: length}})
	}
	begin := func(t time.Duration, sub int, q question, reply, cursor string, late bool) {
		at(t, record{Op: opSubscribe, Who: q.Key + "-v0", User: q.User, Replica: "r1", Reply: reply, Sub: sub,
			Cursor: cursor, Late: late})
	}
	event := func(t time.Duration, sub int, q question, reply string, e seen) {
		at(t, record{Op: opEvent, Who: q.Key + "-v0", User: q.User, Replica: "r1", Reply: reply, Sub: sub, Event: &e,
			Canaries: []string{q.User}})
	}
	end := func(t time.Duration, sub int, q question, reply, note string) {
		at(t, record{Op: opEnd, Who: q.Key + "-v0", User: q.User, Replica: "r1", Reply: reply, Sub: sub, Note: note})
	}
	rows := storedRows()

	at(0, record{Op: opRun, Run: &settings{Seed: 1, Lease: 3 * s, MaxRunning: 1, Settle: 90 * s}})
	// Ada's first reply: attempt 1 dies with r0, attempt 2 is completed.
	wrote(1*s, "INSERT", "a2", "usr_a", 1, "rep_0", "STREAMING", 0)
	send(1*s, first, "ca", "a1", "a2", false)
	send(2*s, first, "ca", "a1", "a2", true)
	old, oldRest := cutAt(first.answer(1), 30)
	begin(1*s, 1, first, "a2", "", false)
	event(1*s, 1, first, "a2", seen{Kind: snapshot, Status: "STREAMING", Attempt: 1, Content: old, Cursor: "c1"})
	more, _ := cutAt(oldRest, 5)
	event(1*s, 1, first, "a2", seen{Kind: delta, Status: "STREAMING", Attempt: 1, Offset: units(old), Text: more,
		Content: old + more, Cursor: "c2"})
	wrote(2*s, "UPDATE", "a2", "usr_a", 1, "rep_0", "STREAMING", 30)
	at(3*s, record{Op: opFault, Replica: "r0", Note: "kill"})
	at(3*s, record{Op: opCall, From: 1 * s, Call: &call{Key: first.Key, Take: 1, Canaries: []string{"ada"}}})
	end(3*s, 1, first, "a2", endCut)
	wrote(6*s, "UPDATE", "a2", "usr_a", 2, "rep_1", "STREAMING", 0)
	begin(7*s, 2, first, "a2", "c2", false)
	half, rest := cutAt(first.answer(2), 40)
	event(7*s, 2, first, "a2", seen{Kind: snapshot, Status: "STREAMING", Attempt: 2, Content: half, Cursor: "c3"})
	event(8*s, 2, first, "a2", seen{Kind: delta, Status: "STREAMING", Attempt: 2, Offset: units(half), Text: rest,
		Cursor: "c4"})
	wrote(8*s, "UPDATE", "a2", "usr_a", 2, "rep_1", "COMPLETED", 100)
	at(8*s, record{Op: opCall, From: 6 * s,
		Call: &call{Key: first.Key, Take: 2, Finished: true, Canaries: []string{"ada"}}})
	event(8*s, 2, first, "a2", seen{Kind: finished, Status: "COMPLETED", Attempt: 2, Content: first.answer(2)})
	end(8*s, 2, first, "a2", endComplete)
	// Ada's second reply is stopped, her third send refused meanwhile.
	wrote(10*s, "INSERT", "a4", "usr_a", 1, "rep_1", "STREAMING", 0)
	send(10*s, second, "ca", "a3", "a4", false)
	at(11*s, record{Op: opSend, Who: "ada-w0", User: "ada", Replica: "r1", Outcome: refused, Code: "CONVERSATION_BUSY",
		Key: third.Key, Content: third.String(), Conversation: "ca"})
	wrote(12*s, "UPDATE", "a4", "usr_a", 1, "rep_1", "STOPPED", 20)
	at(12*s, record{Op: opCall, From: 10 * s, Call: &call{Key: second.Key, Take: 1, Canaries: []string{"ada"}}})
	at(12*s, record{Op: opStop, Who: "ada-w0", User: "ada", Replica: "r0", Outcome: ok, Reply: "a4", Note: "STOPPED"})
	// Bob's reply, and what he is not told of Ada's.
	wrote(13*s, "INSERT", "b2", "usr_b", 1, "rep_1", "STREAMING", 0)
	send(13*s, other, "cb", "b1", "b2", false)
	at(14*s, record{Op: opProbe, Who: "bob-probe", User: "bob", Replica: "r0", Outcome: refused, Code: "NOT_FOUND",
		Reply: "a2"})
	wrote(14*s, "UPDATE", "b2", "usr_b", 1, "rep_1", "COMPLETED", 100)
	at(14*s, record{Op: opCall, From: 13 * s,
		Call: &call{Key: other.Key, Take: 1, Finished: true, Canaries: []string{"bob"}}})

	// Bob follows his list and his conversation to the end.
	feed := func(t time.Duration, sub int, conversation, reply, note string, e seen) {
		at(t, record{Op: opFeed, Who: "bob-feed", User: "bob", Replica: "r0", Conversation: conversation, Reply: reply,
			Note: note, Sub: sub, Event: &e})
	}
	feed(5*s, 100, "", "", "", seen{Kind: "ViewerReady"})
	feed(13*s, 100, "", "", "cb", seen{Kind: "ConversationCreated"})
	feed(13*s, 101, "cb", "", "", seen{Kind: "ConversationSnapshot"})
	feed(13*s, 101, "cb", "b2", "", seen{Kind: "MessageAdded"})
	feed(14*s, 101, "cb", "b2", "", seen{Kind: finished, Status: "COMPLETED", Attempt: 1, Content: other.answer(1)})

	at(15*s, record{Op: opHeal})
	at(16*s, record{Op: opSettled})
	for n, late := range []struct {
		q     question
		reply row
	}{{first, rows[2]}, {second, rows[4]}, {other, rows[7]}} {
		begin(17*s, 10+n, late.q, late.reply.ID, "", true)
		event(17*s, 10+n, late.q, late.reply.ID, seen{Kind: snapshot, Status: late.reply.Status,
			Attempt: late.reply.Attempt, Content: late.reply.Content, Cursor: "l"})
		event(17*s, 10+n, late.q, late.reply.ID,
			seen{Kind: finished, Status: late.reply.Status, Attempt: late.reply.Attempt, Content: late.reply.Content})
		end(17*s, 10+n, late.q, late.reply.ID, endComplete)
	}
	for _, sub := range []int{100, 101} {
		at(40*s, record{Op: opFeedEnd, Who: "bob-feed", User: "bob", Replica: "r0", Sub: sub})
	}
	for _, replica := range []string{"r0", "r1"} {
		for _, m := range rows {
			if m.Role != "SYSTEM" {
				user := canariesIn([]byte(rows[1].Content))[0]
				if m.Conversation == "cb" {
					user = "bob"
				}
				at(18*s, record{Op: opRead, User: user, Replica: replica, Conversation: m.Conversation,
					Canaries: []string{user}, Row: &m})
			}
		}
	}
	for _, m := range rows {
		at(19*s, record{Op: opRow, Row: &m})
	}
	at(19*s, record{Op: opSendRow, Key: first.Key, Conversation: "ca", Message: "a1", Reply: "a2"})
	at(19*s, record{Op: opSendRow, Key: second.Key, Conversation: "ca", Message: "a3", Reply: "a4"})
	at(19*s, record{Op: opSendRow, Key: other.Key, Conversation: "cb", Message: "b1", Reply: "b2"})
	return h
}

// story is a copy of the good history that a plant may change.
type story struct {
	t       *testing.T
	records []record
}

func newStory(t *testing.T) *story {
	t.Helper()
	// Through a file, as a history is that somebody looks at later.
	h := newHistory()
	for _, r := range goodHistory() {
		h.addAt(r)
	}
	path := filepath.Join(t.TempDir(), "history.jsonl")
	if err := h.save(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	st := &story{t: t}
	if st.records, err = readHistory(bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return st
}

// edit changes the records that match; there must be some.
func (st *story) edit(match func(r record) bool, change func(r *record)) {
	st.t.Helper()
	n := 0
	for i := range st.records {
		if match(st.records[i]) {
			change(&st.records[i])
			n++
		}
	}
	if n == 0 {
		st.t.Fatal("the plant changes nothing")
	}
}

// drop removes the records that match; there must be some.
func (st *story) drop(match func(r record) bool) {
	st.t.Helper()
	before := len(st.records)
	st.records = slices.DeleteFunc(st.records, match)
	if len(st.records) == before {
		st.t.Fatal("the plant removes nothing")
	}
}

func (st *story) add(list ...record) { st.records = append(st.records, list...) }

func isRow(ids ...string) func(record) bool {
	return func(r record) bool { return r.Op == opRow && slices.Contains(ids, r.Row.ID) }
}

func isRead(ids ...string) func(record) bool {
	return func(r record) bool { return r.Op == opRead && slices.Contains(ids, r.Row.ID) }
}

func isWrite(id, status string) func(record) bool {
	return func(r record) bool { return r.Op == opWrite && r.Write.Message == id && r.Write.Status == status }
}

func isEvent(sub int, kind string) func(record) bool {
	return func(r record) bool { return r.Op == opEvent && r.Sub == sub && r.Event.Kind == kind }
}

func isSendRow(key string) func(record) bool {
	return func(r record) bool { return r.Op == opSendRow && r.Key == key }
}

func either(matches ...func(record) bool) func(record) bool {
	return func(r record) bool {
		return slices.ContainsFunc(matches, func(match func(record) bool) bool { return match(r) })
	}
}

// plants are histories that break exactly one rule each.
var plants = []struct {
	rule, name string
	plant      func(st *story)
}{
	{"I1", "an acknowledged pair is gone", func(st *story) {
		st.drop(either(isRow("a3", "a4"), isRead("a3", "a4"), isSendRow(second.Key)))
	}},
	{"I1", "other words are stored", func(st *story) {
		st.edit(isRow("b1"), func(r *record) { r.Row.Content = "Hm. " + r.Row.Content })
	}},
	{"I1", "one replica does not find a message that the other has", func(st *story) {
		st.edit(isRow("a1"), func(r *record) { r.Row.Active = false })
		st.drop(either(isRow("a0", "a3", "a4"), isRead("a1", "a2", "a3", "a4"), isSendRow(second.Key)))
		st.edit(isRow("a2"), func(r *record) { r.Row.Active = false })
	}},
	{"I2", "a user message has no reply", func(st *story) {
		orphan := row{ID: "x1", Conversation: "cx", User: "usr_a", Index: 1, Role: "USER", Status: "COMPLETED"}
		st.add(record{Op: opRow, Row: &orphan})
	}},
	{"I2", "a reply has no record of its send", func(st *story) { st.drop(isSendRow(second.Key)) }},
	{"I2", "a record of a send names a message that is not there", func(st *story) {
		st.add(record{Op: opSendRow, Key: "ada-w0-9", Conversation: "ca", Message: "x1", Reply: "x2"})
	}},
	{"I3", "a repeat got another pair", func(st *story) {
		st.edit(func(r record) bool { return r.Op == opSend && r.Deduplicated },
			func(r *record) { r.Message, r.Reply = "a3", "a4" })
		st.edit(func(r record) bool { return r.Op == opSend && r.Deduplicated },
			func(r *record) { r.Content = second.String() })
	}},
	{"I3", "two answers say that they were the first", func(st *story) {
		st.edit(func(r record) bool { return r.Op == opSend && r.Deduplicated },
			func(r *record) { r.Deduplicated = false })
	}},
	{"I3", "a key has two records", func(st *story) {
		st.edit(isSendRow(second.Key), func(r *record) { r.Key = first.Key })
	}},
	{"I4", "an old attempt writes after the new one", func(st *story) {
		late := record{Op: opWrite, At: 7 * s, Write: &write{Seq: 0, Kind: "UPDATE", Message: "a2", User: "usr_a",
			Attempt: 1, Owner: "rep_0", Status: "STREAMING", Length: 40}}
		seq := int64(0)
		for _, r := range st.records {
			if isWrite("a2", "STREAMING")(r) && r.Write.Attempt == 2 {
				seq = r.Write.Seq
			}
		}
		for i, r := range st.records { // Room for one more in between.
			if r.Op == opWrite && r.Write.Seq > seq {
				st.records[i].Write.Seq++
			}
		}
		late.Write.Seq = seq + 1
		st.add(late)
	}},
	{"I4", "two owners of one attempt", func(st *story) {
		st.edit(isWrite("b2", "COMPLETED"), func(r *record) { r.Write.Owner = "rep_9" })
	}},
	{"I4", "an attempt that was given back is written", func(st *story) {
		st.edit(func(r record) bool { return isWrite("a2", "STREAMING")(r) && r.Write.Length == 30 },
			func(r *record) { r.Write.Owner = "" })
		st.edit(func(r record) bool { return isWrite("a2", "STREAMING")(r) && r.Write.Attempt == 2 },
			func(r *record) { r.Write.Attempt, r.Write.Length = 1, 40 })
	}},
	{"I4", "two calls of the model beside each other for long", func(st *story) {
		st.edit(func(r record) bool { return r.Op == opCall && r.Call.Key == first.Key },
			func(r *record) { r.At = 30 * s })
	}},
	{"I5", "a gap", func(st *story) { st.edit(isEvent(2, delta), func(r *record) { r.Event.Offset++ }) }},
	{"I5", "a repeat", func(st *story) { st.edit(isEvent(2, delta), func(r *record) { r.Event.Offset-- }) }},
	{"I5", "a delta before any snapshot", func(st *story) {
		st.edit(func(r record) bool { return r.Op == opSubscribe && r.Sub == 2 }, func(r *record) { r.Cursor = "" })
		st.edit(isEvent(2, snapshot), func(r *record) { r.Event.Kind = "MessageReasoningDelta" })
		st.edit(isEvent(2, delta), func(r *record) { r.Event.Text, r.Event.Offset = first.answer(2), 0 })
	}},
	{"I5", "the whole text of a delta is not what its deltas make", func(st *story) {
		st.edit(isEvent(1, delta), func(r *record) { r.Event.Content += "!" })
	}},
	{"I5", "a cursor is refused", func(st *story) {
		st.add(
			record{Op: opSubscribe, At: 18 * s, Who: first.Key + "-v0", Reply: "a2", Sub: 20, Cursor: "c3"},
			record{Op: opEnd, At: 18 * s, Who: first.Key + "-v0", Reply: "a2", Sub: 20, Code: "BAD_USER_INPUT",
				Note: endCut})
	}},
	{"I6", "a delta says something else than is stored", func(st *story) {
		st.edit(isEvent(2, delta), func(r *record) { r.Event.Text = "Never mind." })
	}},
	{"I6", "two clients hold different texts of an attempt that was given up", func(st *story) {
		st.add(
			record{Op: opSubscribe, At: 2 * s, Who: "v9", User: "ada", Reply: "a2", Sub: 21},
			record{Op: opEvent, At: 2 * s, Who: "v9", User: "ada", Reply: "a2", Sub: 21,
				Event: &seen{Kind: snapshot, Status: "STREAMING", Attempt: 1, Content: first.answer(2)}},
			record{Op: opEnd, At: 2 * s, Who: "v9", User: "ada", Reply: "a2", Sub: 21, Note: endLeft})
	}},
	{"I6", "the end has another text than is stored", func(st *story) {
		st.edit(isEvent(2, finished), func(r *record) { r.Event.Content += "!" })
	}},
	{"I7", "two clients saw different ends", func(st *story) {
		st.edit(isEvent(2, finished), func(r *record) { r.Event.Status = "FAILED" })
	}},
	{"I7", "one replica reads another text", func(st *story) {
		st.edit(func(r record) bool { return isRead("b2")(r) && r.Replica == "r1" },
			func(r *record) { r.Row.Content += "!" })
	}},
	{"I8", "an event after the end", func(st *story) {
		text := first.answer(2)
		st.add(record{Op: opEvent, At: 8 * s, Who: first.Key + "-v0", User: "ada", Reply: "a2", Sub: 2,
			Event: &seen{Kind: snapshot, Status: "COMPLETED", Attempt: 2, Content: text}})
	}},
	{"I8", "completed without the end", func(st *story) {
		st.edit(func(r record) bool { return r.Op == opEnd && r.Sub == 1 }, func(r *record) { r.Note = endComplete })
	}},
	{"I8", "not completed after the end, while nothing is wrong", func(st *story) {
		st.edit(func(r record) bool { return r.Op == opEnd && r.Sub == 11 }, func(r *record) { r.Note = endCut })
	}},
	{"I8", "no end for who comes late", func(st *story) {
		st.drop(isEvent(12, finished))
		st.edit(func(r record) bool { return r.Op == opEnd && r.Sub == 12 }, func(r *record) { r.Note = endCut })
	}},
	{"I9", "the attempt goes back", func(st *story) {
		old, _ := cutAt(first.answer(1), 30)
		st.add(
			record{Op: opSubscribe, At: 7 * s, Who: first.Key + "-v0", User: "ada", Replica: "r0", Reply: "a2",
				Sub: 22},
			record{Op: opEvent, At: 7 * s, Who: first.Key + "-v0", User: "ada", Replica: "r0", Reply: "a2", Sub: 22,
				Event: &seen{Kind: snapshot, Status: "STREAMING", Attempt: 1, Content: old}},
			record{Op: opEnd, At: 7 * s, Who: first.Key + "-v0", User: "ada", Replica: "r0", Reply: "a2", Sub: 22,
				Note: endLeft})
	}},
	{"I9", "a new attempt is not announced", func(st *story) {
		// The client holds nothing yet, so that the delta fits where it comes.
		st.drop(isEvent(2, delta))
		st.edit(isEvent(1, snapshot), func(r *record) { r.Event.Content = "" })
		st.edit(isEvent(1, delta), func(r *record) { r.Event.Text, r.Event.Offset, r.Event.Content = "", 0, "" })
		st.edit(isEvent(2, snapshot),
			func(r *record) { r.Event.Kind, r.Event.Text, r.Event.Content = delta, r.Event.Content, "" })
	}},
	{"I10", "a final reply is written again", func(st *story) {
		st.add(record{Op: opWrite, At: 16 * s, Write: &write{Seq: 1000, Kind: "UPDATE", Message: "a2", User: "usr_a",
			Attempt: 2, Owner: "rep_1", Status: "COMPLETED", Length: 101}})
	}},
	{"I10", "a final reply is shown as running", func(st *story) {
		st.edit(isEvent(10, snapshot), func(r *record) { r.Event.Status = "STREAMING" })
	}},
	{"I11", "the run never came to rest", func(st *story) {
		st.drop(func(r record) bool { return r.Op == opSettled })
	}},
	{"I11", "it took too long", func(st *story) {
		st.edit(func(r record) bool { return r.Op == opSettled }, func(r *record) { r.At = 200 * s })
	}},
	{"I11", "a reply is left over", func(st *story) {
		st.edit(isRow("a4"), func(r *record) { r.Row.Status = "STREAMING" })
	}},
	{"I12", "completed though the model was cut off", func(st *story) {
		st.edit(func(r record) bool { return r.Op == opCall && r.Call.Key == other.Key },
			func(r *record) { r.Call.Finished = false })
	}},
	{"I13", "an answer holds another user's words", func(st *story) {
		st.edit(func(r record) bool { return r.Op == opProbe }, func(r *record) { r.Canaries = []string{"ada"} })
	}},
	{"I13", "a prompt holds another user's words", func(st *story) {
		st.edit(func(r record) bool { return r.Op == opCall && r.Call.Key == other.Key },
			func(r *record) { r.Call.Canaries = []string{"bob", "ada"} })
	}},
	{"I13", "another user's reply is found", func(st *story) {
		st.edit(func(r record) bool { return r.Op == opProbe }, func(r *record) { r.Outcome = ok })
	}},
	{"I14", "a stopped reply completes later", func(st *story) {
		st.edit(isWrite("a4", "STOPPED"), func(r *record) { r.Write.Status, r.At = "FAILED", 40*s })
		st.edit(either(isRow("a4"), isRead("a4")), func(r *record) { r.Row.Status = "FAILED" })
		st.edit(either(isEvent(11, finished), isEvent(11, snapshot)), func(r *record) { r.Event.Status = "FAILED" })
	}},
	{"I14", "the model is called after a stop", func(st *story) {
		st.add(record{Op: opCall, From: 40 * s, At: 41 * s,
			Call: &call{Key: second.Key, Take: 2, Canaries: []string{"ada"}}})
	}},
	{"I15", "the model is called too often", func(st *story) {
		for take := range 3 {
			st.add(record{Op: opCall, From: 13 * s, At: 13 * s,
				Call: &call{Key: other.Key, Take: 2 + take, Canaries: []string{"bob"}}})
		}
	}},
	{"I16", "a hole in a conversation", func(st *story) {
		st.edit(either(isRow("b1", "b2"), isRead("b1", "b2")), func(r *record) { r.Row.Index++ })
	}},
	{"I16", "a reply before its user message", func(st *story) {
		st.edit(either(isRow("b1"), isRead("b1")), func(r *record) { r.Row.Index = 2 })
		st.edit(either(isRow("b2"), isRead("b2")), func(r *record) { r.Row.Index = 1 })
	}},
	{"I16", "a reader sees another order", func(st *story) {
		last := slices.IndexFunc(st.records, isRead("a2"))
		before := slices.IndexFunc(st.records, isRead("a1"))
		st.records[last].Row.Index, st.records[before].Row.Index = 1, 2
		st.records[last], st.records[before] = st.records[before], st.records[last]
	}},
	{"I17", "more replies of a user than may run", func(st *story) {
		st.edit(isWrite("b2", "STREAMING"), func(r *record) { r.Write.User = "usr_a" })
		st.edit(isWrite("b2", "COMPLETED"), func(r *record) { r.Write.User = "usr_a" })
		st.edit(isWrite("a4", "STOPPED"), func(r *record) { r.Write.Seq = 1000 })
	}},
	{"I19", "a conversation's feed leaves out the end", func(st *story) {
		st.drop(func(r record) bool { return r.Op == opFeed && r.Event.Kind == finished })
	}},
	{"I19", "a conversation's feed leaves out a message", func(st *story) {
		st.drop(func(r record) bool { return r.Op == opFeed && r.Event.Kind == "MessageAdded" })
	}},
	{"I19", "the list's feed leaves out a conversation", func(st *story) {
		st.drop(func(r record) bool { return r.Op == opFeed && r.Event.Kind == "ConversationCreated" })
	}},
	{"I18", "a refused send has left a record", func(st *story) {
		st.add(record{Op: opSendRow, Key: third.Key, Conversation: "gone", Message: "x1", Reply: "x2"})
	}},
	{"I18", "a refused send has reached the model", func(st *story) {
		st.add(record{Op: opWrite, At: 12 * s,
			Write: &write{Seq: 2000, Kind: "DELETE", Message: "x2", User: "usr_a", Attempt: 1, Status: "STREAMING"}})
		st.edit(func(r record) bool { return r.Op == opSend && r.Key == third.Key }, func(r *record) { r.Reply = "x2" })
		st.add(record{Op: opCall, From: 11 * s, At: 12 * s,
			Call: &call{Key: third.Key, Take: 1, Canaries: []string{"ada"}}})
	}},
}

func TestChecker(t *testing.T) {
	t.Parallel()
	t.Run("a good history", func(t *testing.T) {
		t.Parallel()
		for _, v := range check(newStory(t).records) {
			t.Error(v)
		}
	})
	planted := make(map[string]bool)
	for _, p := range plants {
		planted[p.rule] = true
		t.Run(p.rule+": "+p.name, func(t *testing.T) {
			t.Parallel()
			st := newStory(t)
			p.plant(st)
			found := check(st.records)
			if len(found) == 0 {
				t.Errorf("%s was not reported", p.rule)
			}
			for _, v := range found {
				if v.rule != p.rule {
					t.Errorf("got %v, want violations of %s alone", v, p.rule)
				}
			}
		})
	}
	for _, r := range rules {
		if !planted[r.name] {
			t.Errorf("no history breaks %s: nothing shows that it is checked", r.name)
		}
	}
}
