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

	at(0, record{Op: opRun, Run: &settings{Seed: 1, Lease: 3 * s, MaxRunning: 1, Settle: 90 * s, Fault: 5 * s,
		Feed: 10 * s}})
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
