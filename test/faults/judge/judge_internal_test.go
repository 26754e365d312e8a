package judge

import (
	"slices"
	"testing"

	"parley/test/faults/history"
)

// plants are histories that break exactly one rule each.
var plants = []struct {
	rule, name string
	plant      func(st *story)
}{
	{"I1", "an acknowledged pair is gone", func(st *story) {
		st.drop(either(isRow("a3", "a4"), isRead("a3", "a4"), isSendRow(second.Key)))
	}},
	{"I1", "other words are stored", func(st *story) {
		st.edit(isRow("b1"), func(r *history.Record) { r.Row.Content = "Hm. " + r.Row.Content })
	}},
	{"I1", "one replica does not find a message that the other has", func(st *story) {
		st.edit(isRow("a0", "a1"), func(r *history.Record) { r.Row.Active = false })
		st.drop(either(isRow("a3", "a4"), isRead("a1", "a2", "a3", "a4"), isSendRow(second.Key)))
		st.edit(isRow("a2"), func(r *history.Record) { r.Row.Active = false })
	}},
	{"I2", "a user message has no reply", func(st *story) {
		orphan := history.Row{ID: "x1", Conversation: "ca", User: "usr_a", Parent: "a0", Index: 1, Role: "USER",
			Status: "COMPLETED"}
		st.add(history.Record{Op: history.OpRow, Row: &orphan})
	}},
	{"I21", "a message follows nothing", func(st *story) {
		lone := history.Row{ID: "x1", Conversation: "cx", User: "usr_a", Parent: "x0", Index: 1, Role: "SYSTEM"}
		lone.Status = "COMPLETED"
		st.add(history.Record{Op: history.OpRow, Row: &lone})
	}},
	{"I22", "what is being written is not shown", func(st *story) {
		st.edit(isWrite("a2", "STREAMING"), func(r *history.Record) { r.Write.Active = false })
	}},
	{"I2", "a reply has no record of its send", func(st *story) { st.drop(isSendRow(second.Key)) }},
	{"I2", "a record of a send names a message that is not there", func(st *story) {
		st.add(history.Record{Op: history.OpSendRow, Key: "ada-w0-9", Conversation: "ca", Message: "x1", Reply: "x2"})
	}},
	{"I3", "a repeat got another pair", func(st *story) {
		st.edit(func(r history.Record) bool { return r.Op == history.OpSend && r.Deduplicated },
			func(r *history.Record) { r.Message, r.Reply = "a3", "a4" })
		st.edit(func(r history.Record) bool { return r.Op == history.OpSend && r.Deduplicated },
			func(r *history.Record) { r.Content = second.String() })
	}},
	{"I3", "two answers say that they were the first", func(st *story) {
		st.edit(func(r history.Record) bool { return r.Op == history.OpSend && r.Deduplicated },
			func(r *history.Record) { r.Deduplicated = false })
	}},
	{"I3", "a key has two records", func(st *story) {
		st.edit(isSendRow(second.Key), func(r *history.Record) { r.Key = first.Key })
	}},
	{"I4", "an old attempt writes after the new one", func(st *story) {
		late := history.Record{Op: history.OpWrite, At: 7 * s,
			Write: &history.Write{Seq: 0, Kind: "UPDATE", Message: "a2", User: "usr_a",
				Attempt: 1, Owner: "rep_0", Status: "STREAMING", Active: true, Length: 40}}
		seq := int64(0)
		for _, r := range st.records {
			if isWrite("a2", "STREAMING")(r) && r.Write.Attempt == 2 {
				seq = r.Write.Seq
			}
		}
		for i, r := range st.records { // Room for one more in between.
			if r.Op == history.OpWrite && r.Write.Seq > seq {
				st.records[i].Write.Seq++
			}
		}
		late.Write.Seq = seq + 1
		st.add(late)
	}},
	{"I4", "two owners of one attempt", func(st *story) {
		st.edit(isWrite("b2", "COMPLETED"), func(r *history.Record) { r.Write.Owner = "rep_9" })
	}},
	{"I4", "an attempt that was given back is written", func(st *story) {
		st.edit(func(r history.Record) bool { return isWrite("a2", "STREAMING")(r) && r.Write.Length == 30 },
			func(r *history.Record) { r.Write.Owner = "" })
		st.edit(func(r history.Record) bool { return isWrite("a2", "STREAMING")(r) && r.Write.Attempt == 2 },
			func(r *history.Record) { r.Write.Attempt, r.Write.Length = 1, 40 })
		st.disturb("r0", 3*s, 6*s)
	}},
	{"I4", "two calls of the model beside each other for long", func(st *story) {
		st.edit(func(r history.Record) bool { return r.Op == history.OpCall && r.Call.Key == first.Key },
			func(r *history.Record) { r.At = 30 * s })
	}},
	{"I5", "a gap", func(st *story) {
		st.edit(isEvent(2, history.Delta),
			func(r *history.Record) { r.Event.Offset++ })
	}},
	{"I5", "a repeat", func(st *story) {
		st.edit(isEvent(2, history.Delta),
			func(r *history.Record) { r.Event.Offset-- })
	}},
	{"I5", "a delta before any snapshot", func(st *story) {
		st.edit(func(r history.Record) bool { return r.Op == history.OpSubscribe && r.Sub == 2 },
			func(r *history.Record) { r.Cursor = "" })
		st.edit(isEvent(2, history.Snapshot), func(r *history.Record) { r.Event.Kind = "MessageReasoningDelta" })
		st.edit(isEvent(2, history.Delta), func(r *history.Record) {
			r.Event.Text, r.Event.Offset = first.Answer(2),
				0
		})
	}},
	{"I5", "the whole text of a delta is not what its deltas make", func(st *story) {
		st.edit(isEvent(1, history.Delta), func(r *history.Record) { r.Event.Content += "!" })
	}},
	{"I5", "a cursor is refused", func(st *story) {
		st.add(
			history.Record{Op: history.OpSubscribe, At: 18 * s, Who: first.Key + "-v0", Reply: "a2", Sub: 20,
				Cursor: "c3"},
			history.Record{Op: history.OpEnd, At: 18 * s, Who: first.Key + "-v0", Reply: "a2", Sub: 20,
				Code: "BAD_USER_INPUT",
				Note: history.EndCut})
	}},
	{"I5", "a cursor of the version before is refused after an upgrade", func(st *story) {
		st.add(
			history.Record{Op: history.OpUpgrade, At: 17 * s, Replica: "r1"},
			history.Record{Op: history.OpSubscribe, At: 18 * s, Who: first.Key + "-v0", Replica: "r1", Reply: "a2",
				Sub: 20, Cursor: "c3"},
			history.Record{Op: history.OpEnd, At: 18 * s, Who: first.Key + "-v0", Replica: "r1", Reply: "a2", Sub: 20,
				Code: "BAD_USER_INPUT", Note: history.EndCut})
	}},
	{"I5", "a cursor of the new version is refused by the new version", func(st *story) {
		st.upgradeAtStart("r0", "r1")
		st.add(
			history.Record{Op: history.OpSubscribe, At: 18 * s, Who: first.Key + "-v0", Replica: "r0", Reply: "a2",
				Sub: 20, Cursor: "c3"},
			history.Record{Op: history.OpEnd, At: 18 * s, Who: first.Key + "-v0", Replica: "r0", Reply: "a2", Sub: 20,
				Code: "BAD_USER_INPUT", Note: history.EndCut})
	}},
	{"I6", "a delta says something else than is stored", func(st *story) {
		st.edit(isEvent(2, history.Delta), func(r *history.Record) { r.Event.Text = "Never mind." })
	}},
	{"I6", "two clients hold different texts of an attempt that was given up", func(st *story) {
		st.add(
			history.Record{Op: history.OpSubscribe, At: 2 * s, Who: "v9", User: "ada", Reply: "a2", Sub: 21},
			history.Record{Op: history.OpEvent, At: 2 * s, Who: "v9", User: "ada", Reply: "a2", Sub: 21,
				Event: &history.Seen{Kind: history.Snapshot, Status: "STREAMING", Attempt: 1,
					Content: first.Answer(2)}},
			history.Record{Op: history.OpEnd, At: 2 * s, Who: "v9", User: "ada", Reply: "a2", Sub: 21,
				Note: history.EndLeft})
	}},
	{"I6", "the end has another text than is stored", func(st *story) {
		st.edit(isEvent(2, history.Finished), func(r *history.Record) { r.Event.Content += "!" })
	}},
	{"I7", "two clients saw different ends", func(st *story) {
		st.edit(isEvent(2, history.Finished), func(r *history.Record) { r.Event.Status = "FAILED" })
	}},
	{"I7", "one replica reads another text", func(st *story) {
		st.edit(func(r history.Record) bool { return isRead("b2")(r) && r.Replica == "r1" },
			func(r *history.Record) { r.Row.Content += "!" })
	}},
	{"I8", "an event after the end", func(st *story) {
		text := first.Answer(2)
		st.add(history.Record{Op: history.OpEvent, At: 8 * s, Who: first.Key + "-v0", User: "ada", Reply: "a2", Sub: 2,
			Event: &history.Seen{Kind: history.Snapshot, Status: "COMPLETED", Attempt: 2, Content: text}})
	}},
	{"I8", "completed without the end", func(st *story) {
		st.edit(func(r history.Record) bool { return r.Op == history.OpEnd && r.Sub == 1 },
			func(r *history.Record) { r.Note = history.EndComplete })
	}},
	{"I8", "not completed after the end, while nothing is wrong", func(st *story) {
		st.edit(func(r history.Record) bool { return r.Op == history.OpEnd && r.Sub == 11 },
			func(r *history.Record) { r.Note = history.EndCut })
	}},
	{"I8", "no end for who comes late", func(st *story) {
		st.drop(isEvent(12, history.Finished))
		st.edit(func(r history.Record) bool { return r.Op == history.OpEnd && r.Sub == 12 },
			func(r *history.Record) { r.Note = history.EndCut })
	}},
	{"I9", "the attempt goes back", func(st *story) {
		old, _ := cutAt(first.Answer(1), 30)
		st.add(
			history.Record{Op: history.OpSubscribe, At: 7 * s, Who: first.Key + "-v0", User: "ada", Replica: "r0",
				Reply: "a2",
				Sub:   22},
			history.Record{Op: history.OpEvent, At: 7 * s, Who: first.Key + "-v0", User: "ada", Replica: "r0",
				Reply: "a2", Sub: 22,
				Event: &history.Seen{Kind: history.Snapshot, Status: "STREAMING", Attempt: 1, Content: old}},
			history.Record{Op: history.OpEnd, At: 7 * s, Who: first.Key + "-v0", User: "ada", Replica: "r0",
				Reply: "a2", Sub: 22,
				Note: history.EndLeft})
	}},
	{"I9", "a new attempt is not announced", func(st *story) {
		// The client holds nothing yet, so that the delta fits where it comes.
		st.drop(isEvent(2, history.Delta))
		st.edit(isEvent(1, history.Snapshot), func(r *history.Record) { r.Event.Content = "" })
		st.edit(isEvent(1, history.Delta), func(r *history.Record) {
			r.Event.Text, r.Event.Offset,
				r.Event.Content = "", 0, ""
		})
		st.edit(isEvent(2, history.Snapshot),
			func(r *history.Record) {
				r.Event.Kind, r.Event.Text, r.Event.Content = history.Delta, r.Event.Content, ""
			})
	}},
	{"I10", "a final reply is written again", func(st *story) {
		st.add(history.Record{Op: history.OpWrite, At: 16 * s,
			Write: &history.Write{Seq: 1000, Kind: "UPDATE", Message: "a2", User: "usr_a",
				Attempt: 2, Owner: "rep_1", Status: "COMPLETED", Length: 101}})
	}},
	{"I10", "a final reply is shown as running", func(st *story) {
		st.edit(isEvent(10, history.Snapshot), func(r *history.Record) { r.Event.Status = "STREAMING" })
	}},
	{"I11", "the run never came to rest", func(st *story) {
		st.drop(func(r history.Record) bool { return r.Op == history.OpSettled })
	}},
	{"I11", "it took too long", func(st *story) {
		st.edit(func(r history.Record) bool { return r.Op == history.OpSettled },
			func(r *history.Record) { r.At = 200 * s })
	}},
	{"I11", "a reply is left over", func(st *story) {
		st.edit(isRow("a4"), func(r *history.Record) { r.Row.Status = "STREAMING" })
	}},
	{"I12", "completed though the model was cut off", func(st *story) {
		st.edit(func(r history.Record) bool { return r.Op == history.OpCall && r.Call.Key == other.Key },
			func(r *history.Record) { r.Call.Finished = false })
	}},
	{"I13", "an answer holds another user's words", func(st *story) {
		st.edit(func(r history.Record) bool { return r.Op == history.OpProbe },
			func(r *history.Record) { r.Canaries = []string{"ada"} })
	}},
	{"I13", "a prompt holds another user's words", func(st *story) {
		st.edit(func(r history.Record) bool { return r.Op == history.OpCall && r.Call.Key == other.Key },
			func(r *history.Record) { r.Call.Canaries = []string{"bob", "ada"} })
	}},
	{"I13", "another user's reply is found", func(st *story) {
		st.edit(func(r history.Record) bool { return r.Op == history.OpProbe },
			func(r *history.Record) { r.Outcome = history.OK })
	}},
	{"I14", "a stopped reply completes later", func(st *story) {
		st.edit(isWrite("a4", "STOPPED"), func(r *history.Record) { r.Write.Status, r.At = "FAILED", 40*s })
		st.edit(either(isRow("a4"), isRead("a4")), func(r *history.Record) { r.Row.Status = "FAILED" })
		st.edit(either(isEvent(11, history.Finished), isEvent(11, history.Snapshot)),
			func(r *history.Record) { r.Event.Status = "FAILED" })
	}},
	{"I14", "the model is called after a stop", func(st *story) {
		st.add(history.Record{Op: history.OpCall, From: 40 * s, At: 41 * s,
			Call: &history.Call{Key: second.Key, Take: 2, Canaries: []string{"ada"}}})
		st.disturb("r1", 12*s, 40*s)
	}},
	{"I15", "the model is called too often", func(st *story) {
		for take := range 3 {
			st.add(history.Record{Op: history.OpCall, From: 13 * s, At: 13 * s,
				Call: &history.Call{Key: other.Key, Take: 2 + take, Canaries: []string{"bob"}}})
		}
		st.disturb("r1", 13*s, 14*s)
	}},
	{"I16", "a hole in a conversation", func(st *story) {
		st.edit(either(isRow("b1", "b2"), isRead("b1", "b2")), func(r *history.Record) { r.Row.Index++ })
	}},
	{"I16", "a reply before its user message", func(st *story) {
		st.edit(either(isRow("b1"), isRead("b1")), func(r *history.Record) { r.Row.Index = 2 })
		st.edit(either(isRow("b2"), isRead("b2")), func(r *history.Record) { r.Row.Index = 1 })
	}},
	{"I16", "a reader sees another order", func(st *story) {
		last := slices.IndexFunc(st.records, isRead("a2"))
		before := slices.IndexFunc(st.records, isRead("a1"))
		st.records[last].Row.Index, st.records[before].Row.Index = 1, 2
		st.records[last], st.records[before] = st.records[before], st.records[last]
	}},
	{"I17", "more replies of a user than may run", func(st *story) {
		st.edit(isWrite("b2", "STREAMING"), func(r *history.Record) { r.Write.User = "usr_a" })
		st.edit(isWrite("b2", "COMPLETED"), func(r *history.Record) { r.Write.User = "usr_a" })
		st.edit(isWrite("a4", "STOPPED"), func(r *history.Record) { r.Write.Seq = 1000 })
	}},
	{"I19", "a conversation's feed leaves out the end", func(st *story) {
		st.drop(func(r history.Record) bool { return r.Op == history.OpFeed && r.Event.Kind == history.Finished })
	}},
	{"I19", "a conversation's feed leaves out a message", func(st *story) {
		st.drop(func(r history.Record) bool { return r.Op == history.OpFeed && r.Event.Kind == "MessageAdded" })
	}},
	{"I19", "the list's feed leaves out a conversation", func(st *story) {
		st.drop(func(r history.Record) bool { return r.Op == history.OpFeed && r.Event.Kind == "ConversationCreated" })
	}},
	{"I20", "a reply is taken though nothing has befallen its owner", func(st *story) { st.drop(isMishap) }},
	{"I20", "its owner died only afterwards", func(st *story) {
		st.edit(isMishap, func(r *history.Record) { r.From, r.At = 8*s, 8*s })
	}},
	{"I20", "another process has died", func(st *story) {
		st.edit(isMishap, func(r *history.Record) { r.Process, r.Replica = 101, "r1" })
	}},
	{"I20", "its owner was cut off for a moment", func(st *story) {
		st.edit(isMishap, func(r *history.Record) {
			r.Mishap, r.Process, r.From, r.At = history.CutOff, 0, 4*s, 4*s+s/2
		})
	}},
	{"I20", "its owner was frozen, and has renewed its lease since", func(st *story) {
		st.edit(isMishap, func(r *history.Record) { r.Mishap, r.From, r.At = history.Frozen, 0, s })
	}},
	{"I20", "its owner gave it back though nobody asked it to end", func(st *story) {
		st.edit(isMishap, func(r *history.Record) { r.Mishap, r.From, r.At = history.Frozen, 3*s, 6*s })
		st.edit(func(r history.Record) bool { return isWrite("a2", "STREAMING")(r) && r.Write.Length == 30 },
			func(r *history.Record) { r.Write.Owner = "" })
	}},
	{"I20", "one attempt calls the model twice", func(st *story) {
		st.add(history.Record{Op: history.OpCall, From: 13 * s, At: 14 * s,
			Call: &history.Call{Key: other.Key, Take: 2, Canaries: []string{"bob"}}})
	}},
	{"I18", "a refused send has left a record", func(st *story) {
		st.add(history.Record{Op: history.OpSendRow, Key: third.Key, Conversation: "gone", Message: "x1", Reply: "x2"})
	}},
	{"I18", "a refused send has reached the model", func(st *story) {
		st.add(history.Record{Op: history.OpWrite, At: 12 * s,
			Write: &history.Write{Seq: 2000, Kind: "DELETE", Message: "x2", User: "usr_a", Attempt: 1,
				Status: "STREAMING"}})
		st.edit(func(r history.Record) bool { return r.Op == history.OpSend && r.Key == third.Key },
			func(r *history.Record) { r.Reply = "x2" })
		st.add(history.Record{Op: history.OpCall, From: 11 * s, At: 12 * s,
			Call: &history.Call{Key: third.Key, Take: 1, Canaries: []string{"ada"}}})
	}},
}

func TestCheck(t *testing.T) {
	t.Parallel()
	t.Run("a good history", func(t *testing.T) {
		t.Parallel()
		for _, v := range Check(newStory(t).records) {
			t.Error(v)
		}
	})
	t.Run("a cursor of a later version may be refused", func(t *testing.T) {
		t.Parallel()
		st := newStory(t)
		st.upgradeAtStart("r1") // It gives all cursors of the story.
		st.add(
			history.Record{Op: history.OpSubscribe, At: 18 * s, Who: first.Key + "-v0", Replica: "r0", Reply: "a2",
				Sub: 20, Cursor: "c3"},
			history.Record{Op: history.OpEnd, At: 18 * s, Who: first.Key + "-v0", Replica: "r0", Reply: "a2", Sub: 20,
				Code: "BAD_USER_INPUT", Note: history.EndCut})
		for _, v := range Check(st.records) {
			t.Error(v)
		}
	})
	for name, excuse := range map[string]func(r *history.Record){
		"asked to end": func(r *history.Record) { r.Mishap = history.Asked },
		"panicked":     func(r *history.Record) { r.Mishap = history.Panicked },
		"frozen":       func(r *history.Record) { r.Mishap, r.From, r.At = history.Frozen, 3*s, 7*s },
		"cut off": func(r *history.Record) {
			r.Mishap, r.Process, r.From, r.At = history.CutOff, 0, 3*s, 7*s
		},
	} {
		t.Run("a reply may be taken from an owner that was "+name, func(t *testing.T) {
			t.Parallel()
			st := newStory(t)
			st.edit(isMishap, excuse)
			for _, v := range Check(st.records) {
				t.Error(v)
			}
		})
	}
	t.Run("the model may be called again when the way to it was disturbed", func(t *testing.T) {
		t.Parallel()
		st := newStory(t)
		st.add(history.Record{Op: history.OpCall, From: 13*s + s/2, At: 14 * s,
			Call: &history.Call{Key: other.Key, Take: 2, Canaries: []string{"bob"}}})
		st.disturb("r1", 13*s, 14*s)
		for _, v := range Check(st.records) {
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
			found := Check(st.records)
			if len(found) == 0 {
				t.Errorf("%s was not reported", p.rule)
			}
			for _, v := range found {
				if v.Rule != p.rule {
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
