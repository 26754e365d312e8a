package judge

import (
	"maps"
	"slices"

	"parley/test/faults/history"
	"parley/test/faults/script"
)

// keptSends is I1: no acknowledged message is ever lost. Both messages of every
// send that was answered are in the database at the end, with the words that were
// sent, and the owner reads them through every replica; unless the conversation
// was to be deleted, or a message that they follow.
func keptSends(b *book) []string {
	var bad report
	readers := make(map[string]bool)
	readBy := make(map[[2]string]bool)
	for _, r := range b.reads {
		readers[r.Replica] = true
		readBy[[2]string{r.Replica, r.Row.ID}] = true
	}
	for _, r := range b.everySend() {
		if r.Outcome != history.OK || b.maybeDeleted[r.Conversation] {
			continue
		}
		for _, id := range []string{r.Message, r.Reply} {
			m := b.rows[id]
			if m == nil {
				if b.mayBeTrimmed(r) {
					continue
				}
				bad.add("message %s of the acknowledged send %s is gone", id, r.Key)
				continue
			}
			if id == r.Message && m.Content != r.Content {
				bad.add("message %s of send %s is stored as %s, sent was %s", id, r.Key, quote(m.Content),
					quote(r.Content))
			}
			for replica := range readers {
				if m.Active && !readBy[[2]string{replica, id}] {
					bad.add("message %s of send %s cannot be read through %s", id, r.Key, replica)
				}
			}
		}
	}
	return bad
}

// everySend returns the sends in an order that does not change between runs.
func (b *book) everySend() []history.Record {
	var list []history.Record
	for _, key := range slices.Sorted(maps.Keys(b.sends)) {
		list = append(list, b.sends[key]...)
	}
	return list
}

// wholeSends is I2: a send is all or nothing, acknowledged or not. Every user
// message has its one reply, every reply its user message and its record of a
// send, and every record of a send both messages, unless their conversation is
// gone.
func wholeSends(b *book) []string {
	var bad report
	replies := make(map[string]int)
	recorded := make(map[string]bool)
	for _, m := range b.rows {
		if m.Role == "ASSISTANT" {
			replies[m.Parent]++
		}
	}
	for _, s := range b.sendRows {
		recorded[s.Reply] = true
		gone := b.rows[s.Message] == nil || b.rows[s.Reply] == nil
		if gone && b.alive[s.Conversation] && len(b.trims[s.Conversation]) == 0 {
			bad.add("the record of send %s names messages that are not there", s.Key)
		}
	}
	for _, m := range b.rows {
		switch m.Role {
		case "USER":
			if replies[m.ID] == 0 {
				bad.add("user message %s has no reply", m.ID)
			}
		case "ASSISTANT":
			if parent := b.rows[m.Parent]; parent == nil || parent.Role != "USER" {
				bad.add("reply %s has no user message", m.ID)
			}
			if !recorded[m.ID] {
				bad.add("reply %s has no record of a send", m.ID)
			}
		}
	}
	return bad
}

// oneReplyPerKey is I3: however often a send with one key arrives, there is one
// user message and one reply; every answer names that pair, and one at most says
// that it was the first.
func oneReplyPerKey(b *book) []string {
	var bad report
	records := make(map[string]int)
	for _, s := range b.sendRows {
		records[s.Key]++
	}
	for key, n := range records {
		if n > 1 {
			bad.add("%d records of send %s", n, key)
		}
	}
	// Versions of a question stand at one place: one that was cancelled is asked anew in its words.
	places := make(map[string]map[string]bool)
	for _, m := range b.rows {
		if q, is := script.Parse(m.Content); is && m.Role == "USER" {
			if places[q.Key] == nil {
				places[q.Key] = make(map[string]bool)
			}
			places[q.Key][m.Parent] = true
		}
	}
	for key, at := range places {
		if len(at) > 1 {
			bad.add("%d user messages of send %s", len(at), key)
		}
	}
	for key, sends := range b.sends {
		var first *history.Record
		firsts := 0
		for _, r := range sends {
			if r.Outcome != history.OK {
				continue
			}
			if first == nil {
				first = &r
			}
			if r.Message != first.Message || r.Reply != first.Reply || r.Conversation != first.Conversation {
				bad.add("send %s was answered with the pairs %s %s and %s %s", key, first.Message, first.Reply,
					r.Message, r.Reply)
			}
			if !r.Deduplicated {
				firsts++
			}
		}
		if firsts > 1 {
			bad.add("%d answers to send %s say that they were the first", firsts, key)
		}
	}
	return bad
}

// conversationOrder is I16: the visible line of a conversation is 0, 1, 2, … without
// a hole, each message follows the one before, replies follow user messages, and
// every reader sees the same line.
func conversationOrder(b *book) []string {
	var bad report
	for id, line := range b.lines {
		for n, m := range line {
			role := "ASSISTANT"
			switch {
			case n == 0:
				role = "SYSTEM"
			case n%2 == 1:
				role = "USER"
			}
			parent := ""
			if n > 0 {
				parent = line[n-1].ID
			}
			if m.Index != n || m.Role != role || m.Parent != parent {
				bad.add("conversation %s: message %s is %s with index %d behind %q, want %s with index %d behind %q",
					id, m.ID, m.Role, m.Index, m.Parent, role, n, parent)
				break
			}
		}
	}
	for _, read := range b.readLines() {
		var want []*history.Row
		for _, m := range b.lines[read.conversation] {
			if m.Role != "SYSTEM" || m.Content != "" {
				want = append(want, m)
			}
		}
		same := slices.EqualFunc(read.line, want, func(got, want *history.Row) bool {
			return got.ID == want.ID && got.Index == want.Index && got.Role == want.Role
		})
		if !same && !b.maybeDeleted[read.conversation] {
			bad.add("conversation %s through %s: got %d messages in another order or with other indexes than the database has %d", read.conversation, read.replica, len(read.line), len(want))
		}
	}
	return bad
}

// oneTree is I21: whatever is asked for at once, the messages of a conversation are a tree:
// each follows one that is there, at the place before it, and what is shown follows what is
// shown. The places on the visible line are I16's.
func oneTree(b *book) []string {
	var bad report
	for _, m := range b.rows {
		parent := b.rows[m.Parent]
		switch {
		case m.Index == 0 && m.Parent == "":
		case parent == nil || parent.Conversation != m.Conversation || !m.Active && parent.Index != m.Index-1:
			bad.add("message %s with index %d follows %q, which is not there or not before it", m.ID, m.Index, m.Parent)
		case m.Active && !parent.Active:
			bad.add("message %s is shown, and %s, which it follows, is not", m.ID, m.Parent)
		}
	}
	return bad
}

// readLine is one final read of a conversation through the API.
type readLine struct {
	conversation, replica string
	line                  []*history.Row
}

// readLines puts the records of the final reads together again: a new read begins
// where the index does not grow.
func (b *book) readLines() []*readLine {
	type reader struct{ conversation, replica string }
	open := make(map[reader]*readLine)
	var list []*readLine
	for _, r := range b.reads {
		key := reader{r.Conversation, r.Replica}
		at := open[key]
		if at == nil || r.Row.Index <= at.line[len(at.line)-1].Index {
			at = &readLine{conversation: r.Conversation, replica: r.Replica}
			open[key] = at
			list = append(list, at)
		}
		at.line = append(at.line, r.Row)
	}
	return list
}

// refusalsAreSilent is I18: a send that was refused, and of which no try had
// another outcome, has left nothing in the database and has not reached the model.
func refusalsAreSilent(b *book) []string {
	var bad report
	silent := make(map[string]bool)
	for key, sends := range b.sends {
		silent[key] = !slices.ContainsFunc(sends, func(r history.Record) bool { return r.Outcome != history.Refused })
	}
	for _, m := range b.rows {
		if q, is := script.Parse(m.Content); is && silent[q.Key] && m.Role == "USER" {
			bad.add("the refused send %s has stored message %s", q.Key, m.ID)
		}
	}
	for _, s := range b.sendRows {
		if silent[s.Key] {
			bad.add("the refused send %s has a record", s.Key)
		}
	}
	for key, calls := range b.calls {
		if silent[key] {
			bad.add("the refused send %s has reached the model %d times", key, len(calls))
		}
	}
	return bad
}
