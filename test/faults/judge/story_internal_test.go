package judge

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"parley/test/faults/history"
	"parley/test/faults/script"
)

// The story of a good history: Ada's first reply is taken over once and completed,
// her second one stopped; a third send is refused. Bob's reply is completed. Both
// watch, and everything is read through two replicas at the end.
var (
	first  = script.Question{Key: "ada-w0-1", User: "ada", Words: 30, Pace: time.Millisecond}
	second = script.Question{Key: "ada-w0-2", User: "ada", Words: 30, Pace: time.Millisecond}
	third  = script.Question{Key: "ada-w0-3", User: "ada", Words: 30, Pace: time.Millisecond}
	other  = script.Question{Key: "bob-w0-1", User: "bob", Words: 30, Pace: time.Millisecond}
)

const s = time.Second

func storedRows() []history.Row {
	stopped := second.Answer(1)[:20]
	return []history.Row{
		{ID: "a0", Conversation: "ca", User: "usr_a", Index: 0, Active: true, Role: "SYSTEM", Status: "COMPLETED"},
		{ID: "a1", Conversation: "ca", User: "usr_a", Parent: "a0", Index: 1, Active: true, Role: "USER",
			Content: first.String(), Status: "COMPLETED"},
		{ID: "a2", Conversation: "ca", User: "usr_a", Parent: "a1", Index: 2, Active: true, Role: "ASSISTANT",
			Content: first.Answer(2), Status: "COMPLETED", Attempt: 2},
		{ID: "a3", Conversation: "ca", User: "usr_a", Parent: "a2", Index: 3, Active: true, Role: "USER",
			Content: second.String(), Status: "COMPLETED"},
		{ID: "a4", Conversation: "ca", User: "usr_a", Parent: "a3", Index: 4, Active: true, Role: "ASSISTANT",
			Content: stopped, Status: "STOPPED", Attempt: 1},
		{ID: "b0", Conversation: "cb", User: "usr_b", Index: 0, Active: true, Role: "SYSTEM", Status: "COMPLETED"},
		{ID: "b1", Conversation: "cb", User: "usr_b", Parent: "b0", Index: 1, Active: true, Role: "USER",
			Content: other.String(), Status: "COMPLETED"},
		{ID: "b2", Conversation: "cb", User: "usr_b", Parent: "b1", Index: 2, Active: true, Role: "ASSISTANT",
			Content: other.Answer(1), Status: "COMPLETED", Attempt: 1},
	}
}

// cutAt splits a text at a rune boundary near n.
func cutAt(text string, n int) (string, string) {
	runes := []rune(text)
	return string(runes[:n]), string(runes[n:])
}

// goodHistory tells the story. The order of its records is that of a real history.
func goodHistory() []history.Record {
	var t teller
	t.at(0, history.Record{Op: history.OpRun, Run: &history.Settings{Seed: 1, Lease: 3 * s, MaxRunning: 1,
		Settle: 90 * s, Fault: 5 * s, Feed: 10 * s}})
	for n, place := range []string{"r0", "r1"} {
		t.at(0, history.Record{Op: history.OpProcess, Replica: place, Process: 100 + n, Address: "here/" + place})
		t.at(0, history.Record{Op: history.OpLease,
			Lease: &history.Lease{Replica: fmt.Sprintf("rep_%d", n), Address: "here/" + place, Kind: "INSERT"}})
	}
	t.at(5*s/2, history.Record{Op: history.OpLease,
		Lease: &history.Lease{Replica: "rep_0", Address: "here/r0", Kind: "UPDATE"}})
	t.takenOver()
	t.stopped()
	t.others()
	// A later process may be given the address of one that has died.
	t.at(14*s, history.Record{Op: history.OpProcess, Replica: "r1", Process: 102, Address: "here/r0"})
	t.at(14*s, history.Record{Op: history.OpLease,
		Lease: &history.Lease{Replica: "rep_2", Address: "here/r0", Kind: "INSERT"}})
	t.at(15*s, history.Record{Op: history.OpHeal})
	t.at(16*s, history.Record{Op: history.OpSettled})
	t.finalReads()
	return t.records
}

// teller puts the records of a history together.
type teller struct{ records []history.Record }

// takenOver is Ada's first reply: attempt 1 dies with r0, attempt 2 is completed.
func (t *teller) takenOver() {
	t.wrote(1*s, "INSERT", "a2", "usr_a", 1, "rep_0", "STREAMING", 0)
	t.send(1*s, first, "ca", "a1", "a2", false)
	t.send(2*s, first, "ca", "a1", "a2", true)
	old, oldRest := cutAt(first.Answer(1), 30)
	more, _ := cutAt(oldRest, 5)
	t.begin(1*s, 1, first, "a2", "", false)
	t.event(1*s, 1, first, "a2",
		history.Seen{Kind: history.Snapshot, Status: "STREAMING", Attempt: 1, Content: old, Cursor: "c1"})
	t.event(1*s, 1, first, "a2", history.Seen{Kind: history.Delta, Status: "STREAMING", Attempt: 1,
		Offset: units(old), Text: more, Content: old + more, Cursor: "c2"})
	t.wrote(2*s, "UPDATE", "a2", "usr_a", 1, "rep_0", "STREAMING", 30)
	t.at(3*s, history.Record{Op: history.OpFault, Replica: "r0", Note: "kill"})
	t.at(3*s, history.Record{Op: history.OpMishap, Replica: "r0", Process: 100, From: 3 * s, Mishap: history.Ended})
	t.called(1*s, 3*s, first, 1, false)
	t.end(3*s, 1, first, "a2", history.EndCut)
	t.wrote(6*s, "UPDATE", "a2", "usr_a", 2, "rep_1", "STREAMING", 0)
	half, rest := cutAt(first.Answer(2), 40)
	t.begin(7*s, 2, first, "a2", "c2", false)
	t.event(7*s, 2, first, "a2",
		history.Seen{Kind: history.Snapshot, Status: "STREAMING", Attempt: 2, Content: half, Cursor: "c3"})
	t.event(8*s, 2, first, "a2", history.Seen{Kind: history.Delta, Status: "STREAMING", Attempt: 2,
		Offset: units(half), Text: rest, Cursor: "c4"})
	t.wrote(8*s, "UPDATE", "a2", "usr_a", 2, "rep_1", "COMPLETED", 100)
	t.called(6*s, 8*s, first, 2, true)
	t.event(8*s, 2, first, "a2",
		history.Seen{Kind: history.Finished, Status: "COMPLETED", Attempt: 2, Content: first.Answer(2)})
	t.end(8*s, 2, first, "a2", history.EndComplete)
}

// stopped is Ada's second reply, which is stopped; her third send is refused meanwhile.
func (t *teller) stopped() {
	t.wrote(10*s, "INSERT", "a4", "usr_a", 1, "rep_1", "STREAMING", 0)
	t.send(10*s, second, "ca", "a3", "a4", false)
	t.at(11*s, history.Record{Op: history.OpSend, Who: "ada-w0", User: "ada", Replica: "r1",
		Outcome: history.Refused, Code: "CONVERSATION_BUSY",
		Key: third.Key, Content: third.String(), Conversation: "ca"})
	t.wrote(12*s, "UPDATE", "a4", "usr_a", 1, "rep_1", "STOPPED", 20)
	t.called(10*s, 12*s, second, 1, false)
	t.at(12*s, history.Record{Op: history.OpStop, Who: "ada-w0", User: "ada", Replica: "r0",
		Outcome: history.OK, Reply: "a4", Note: "STOPPED"})
}

// others is Bob's reply, what he is not told of Ada's, and what his list and his
// conversation tell him to the end.
func (t *teller) others() {
	t.wrote(13*s, "INSERT", "b2", "usr_b", 1, "rep_1", "STREAMING", 0)
	t.send(13*s, other, "cb", "b1", "b2", false)
	t.at(14*s, history.Record{Op: history.OpProbe, Who: "bob-probe", User: "bob", Replica: "r0",
		Outcome: history.Refused, Code: "NOT_FOUND", Reply: "a2"})
	t.wrote(14*s, "UPDATE", "b2", "usr_b", 1, "rep_1", "COMPLETED", 100)
	t.called(13*s, 14*s, other, 1, true)
	t.feed(5*s, 100, "", "", "", history.Seen{Kind: "ViewerReady"})
	t.feed(13*s, 100, "", "", "cb", history.Seen{Kind: "ConversationCreated"})
	t.feed(13*s, 101, "cb", "", "", history.Seen{Kind: "ConversationSnapshot"})
	t.feed(13*s, 101, "cb", "b2", "", history.Seen{Kind: "MessageAdded"})
	t.feed(14*s, 101, "cb", "b2", "",
		history.Seen{Kind: history.Finished, Status: "COMPLETED", Attempt: 1, Content: other.Answer(1)})
}

// finalReads is what is seen when all is quiet.
func (t *teller) finalReads() {
	rows := storedRows()
	for n, late := range []struct {
		q     script.Question
		reply history.Row
	}{{first, rows[2]}, {second, rows[4]}, {other, rows[7]}} {
		m := late.reply
		t.begin(17*s, 10+n, late.q, m.ID, "", true)
		t.event(17*s, 10+n, late.q, m.ID,
			history.Seen{Kind: history.Snapshot, Status: m.Status, Attempt: m.Attempt, Content: m.Content, Cursor: "l"})
		t.event(17*s, 10+n, late.q, m.ID,
			history.Seen{Kind: history.Finished, Status: m.Status, Attempt: m.Attempt, Content: m.Content})
		t.end(17*s, 10+n, late.q, m.ID, history.EndComplete)
	}
	for _, sub := range []int{100, 101} {
		t.at(40*s, history.Record{Op: history.OpFeedEnd, Who: "bob-feed", User: "bob", Replica: "r0", Sub: sub})
	}
	for _, replica := range []string{"r0", "r1"} {
		for _, m := range rows {
			if m.Role == "SYSTEM" {
				continue
			}
			user := map[string]string{"ca": "ada", "cb": "bob"}[m.Conversation]
			t.at(18*s, history.Record{Op: history.OpRead, User: user, Replica: replica,
				Conversation: m.Conversation, Canaries: []string{user}, Row: &m})
		}
	}
	for _, m := range rows {
		t.at(19*s, history.Record{Op: history.OpRow, Row: &m})
	}
	t.at(19*s, history.Record{Op: history.OpSendRow, Key: first.Key, Conversation: "ca", Message: "a1", Reply: "a2"})
	t.at(19*s, history.Record{Op: history.OpSendRow, Key: second.Key, Conversation: "ca", Message: "a3", Reply: "a4"})
	t.at(19*s, history.Record{Op: history.OpSendRow, Key: other.Key, Conversation: "cb", Message: "b1", Reply: "b2"})
}

func (t *teller) at(at time.Duration, r history.Record) {
	r.At = at
	t.records = append(t.records, r)
}

func (t *teller) send(at time.Duration, q script.Question, conversation, message, reply string, again bool) {
	t.at(at, history.Record{Op: history.OpSend, From: at - s/10, Who: q.User + "-w0", User: q.User, Replica: "r0",
		Outcome: history.OK, Key: q.Key, Content: q.String(), Conversation: conversation, Message: message,
		Reply: reply, Deduplicated: again, Canaries: []string{q.User}})
}

func (t *teller) wrote(
	at time.Duration, kind, message, user string, attempt int, owner, status string, length int,
) {
	t.at(at, history.Record{Op: history.OpWrite, Write: &history.Write{Seq: int64(len(t.records)), Kind: kind,
		Message: message, User: user, Attempt: attempt, Owner: owner, Status: status, Length: length,
		Active: true}})
}

func (t *teller) called(from, to time.Duration, q script.Question, take int, whole bool) {
	t.at(to, history.Record{Op: history.OpCall, From: from,
		Call: &history.Call{Key: q.Key, Take: take, Finished: whole, Canaries: []string{q.User}}})
}

func (t *teller) begin(at time.Duration, sub int, q script.Question, reply, cursor string, late bool) {
	t.at(at, history.Record{Op: history.OpSubscribe, Who: q.Key + "-v0", User: q.User, Replica: "r1",
		Reply: reply, Sub: sub, Cursor: cursor, Late: late})
}

func (t *teller) event(at time.Duration, sub int, q script.Question, reply string, e history.Seen) {
	t.at(at, history.Record{Op: history.OpEvent, Who: q.Key + "-v0", User: q.User, Replica: "r1",
		Reply: reply, Sub: sub, Event: &e, Canaries: []string{q.User}})
}

func (t *teller) end(at time.Duration, sub int, q script.Question, reply, note string) {
	t.at(at, history.Record{Op: history.OpEnd, Who: q.Key + "-v0", User: q.User, Replica: "r1",
		Reply: reply, Sub: sub, Note: note})
}

func (t *teller) feed(at time.Duration, sub int, conversation, reply, note string, e history.Seen) {
	t.at(at, history.Record{Op: history.OpFeed, Who: "bob-feed", User: "bob", Replica: "r0",
		Conversation: conversation, Reply: reply, Note: note, Sub: sub, Event: &e})
}

// story is a copy of the good history that a plant may change.
type story struct {
	t       *testing.T
	records []history.Record
}

func newStory(t *testing.T) *story {
	t.Helper()
	// Through a file, as a history is that somebody looks at later.
	h := history.New()
	for _, r := range goodHistory() {
		h.AddAt(r)
	}
	path := filepath.Join(t.TempDir(), "history.jsonl")
	if err := h.Save(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	st := &story{t: t}
	if st.records, err = history.Read(bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return st
}

// edit changes the records that match; there must be some.
func (st *story) edit(match func(r history.Record) bool, change func(r *history.Record)) {
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
func (st *story) drop(match func(r history.Record) bool) {
	st.t.Helper()
	before := len(st.records)
	st.records = slices.DeleteFunc(st.records, match)
	if len(st.records) == before {
		st.t.Fatal("the plant removes nothing")
	}
}

func (st *story) add(list ...history.Record) { st.records = append(st.records, list...) }

// upgradeAtStart gives replicas a newer version before anything happens.
func (st *story) upgradeAtStart(replicas ...string) {
	for _, r := range replicas {
		st.records = slices.Insert(st.records, 1, history.Record{Op: history.OpUpgrade, Replica: r})
	}
}

// disturb has the way to the model of a replica disturbed for a while.
func (st *story) disturb(replica string, from, to time.Duration) {
	st.add(history.Record{Op: history.OpMishap, Replica: replica, From: from, At: to, Mishap: history.Upstream})
}

func isRow(ids ...string) func(history.Record) bool {
	return func(r history.Record) bool { return r.Op == history.OpRow && slices.Contains(ids, r.Row.ID) }
}

func isRead(ids ...string) func(history.Record) bool {
	return func(r history.Record) bool { return r.Op == history.OpRead && slices.Contains(ids, r.Row.ID) }
}

func isWrite(id, status string) func(history.Record) bool {
	return func(r history.Record) bool {
		return r.Op == history.OpWrite && r.Write.Message == id && r.Write.Status == status
	}
}

// isMishap matches what befell a process.
func isMishap(r history.Record) bool { return r.Op == history.OpMishap }

func isEvent(sub int, kind string) func(history.Record) bool {
	return func(r history.Record) bool { return r.Op == history.OpEvent && r.Sub == sub && r.Event.Kind == kind }
}

func isSendRow(key string) func(history.Record) bool {
	return func(r history.Record) bool { return r.Op == history.OpSendRow && r.Key == key }
}

func either(matches ...func(history.Record) bool) func(history.Record) bool {
	return func(r history.Record) bool {
		return slices.ContainsFunc(matches, func(match func(history.Record) bool) bool { return match(r) })
	}
}
