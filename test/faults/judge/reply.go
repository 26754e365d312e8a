package judge

import (
	"strings"
	"time"

	"parley/test/faults/history"
)

// oneGenerator is I4: one replica at most writes a reply effectively. In the order
// of the database, attempts never decrease, an attempt has one owner, nothing is
// written for an attempt that its owner gave back, and two calls of the model for
// one reply overlap no longer than a replica may be out of touch.
func oneGenerator(b *book) []string {
	var bad report
	for id, writes := range b.writes {
		for n := 1; n < len(writes); n++ {
			before, now := writes[n-1].Write, writes[n].Write
			switch {
			case now.Kind == "DELETE":
			case now.Attempt < before.Attempt:
				bad.add("%s: attempt %d written after attempt %d", id, now.Attempt, before.Attempt)
			// A claim, or the start of a queued reply.
			case now.Attempt > before.Attempt || before.Status != "STREAMING":
			// Somebody asks for it to be stopped.
			case now.Owner == "" && now.Status == before.Status && now.Length == before.Length:
			case before.Owner == "":
				bad.add("%s: written by %s after attempt %d was given back", id, now.Owner, now.Attempt)
			case now.Owner != before.Owner && now.Owner != "":
				bad.add("%s: attempt %d written by %s and by %s", id, now.Attempt, before.Owner, now.Owner)
			}
		}
	}
	for key, calls := range b.calls {
		for n, a := range calls {
			for _, z := range calls[n+1:] {
				if overlap := min(a.At, z.At) - max(a.From, z.From); overlap > b.grace() {
					bad.add("the calls %d and %d for %s ran beside each other for %v", a.Call.Take, z.Call.Take, key,
						overlap)
				}
			}
		}
	}
	return bad
}

// stableEnds is I10: a final reply never changes. Nothing is written to its row any
// more, and nobody who asks later gets a snapshot of it being written. (Deltas that
// catch up with a final text do say STREAMING, until the end comes.)
func stableEnds(b *book) []string {
	var bad report
	for id, writes := range b.writes {
		for n := 1; n < len(writes); n++ {
			before, now := writes[n-1].Write, writes[n].Write
			if history.IsFinal(before.Status) && now.Kind != "DELETE" {
				bad.add("%s: written as %s by %s after it had ended as %s", id, now.Status, now.Owner, before.Status)
			}
		}
	}
	ended := make(map[string]time.Duration)
	for _, s := range b.steps {
		if at, is := ended[s.Reply]; s.Event.Kind == history.Finished && !isDeletion(s.Event) && (!is || s.At < at) {
			ended[s.Reply] = s.At
		}
	}
	for _, s := range b.steps {
		at, is := ended[s.Reply]
		sub := b.subs[s.Sub]
		if is && sub != nil && sub.begin.At > at && s.Event.Kind == history.Snapshot &&
			!history.IsFinal(s.Event.Status) {
			bad.add("%s was told on %s that %s is %s after it had ended", s.Who, s.Replica, s.Reply, s.Event.Status)
		}
	}
	return bad
}

// everythingEnds is I11: once the faults are over, every reply becomes final in
// time, and none is left over.
func everythingEnds(b *book) []string {
	var bad report
	if b.healed < 0 || b.settled < 0 {
		bad.add("the run never came to rest")
	} else if took := b.settled - b.healed; took > b.run.Settle {
		bad.add("the replies took %v after the last fault, the most is %v", took, b.run.Settle)
	}
	for _, m := range b.rows {
		if !history.IsFinal(m.Status) {
			bad.add("%s is still %s", m.ID, m.Status)
		}
	}
	return bad
}

// completedIsProven is I12: a COMPLETED reply is, word for word, a take that the
// model has finished, behind the whole text of the reply that it continues, if it does.
func completedIsProven(b *book) []string {
	var bad report
	for _, m := range b.rows {
		if m.Role != "ASSISTANT" || m.Status != "COMPLETED" {
			continue
		}
		q, is := b.question(m)
		if !is {
			continue // I2, or no question of ours.
		}
		proven := false
		for _, c := range b.calls[q.Key] {
			proven = proven || c.Call.Finished && b.isTake(m, q.Answer(c.Call.Take))
		}
		if !proven {
			bad.add("%s is COMPLETED as %s, which is no take that the model has finished for %s", m.ID,
				quote(m.Content), q.Key)
		}
	}
	return bad
}

// isTake reports whether the text of a reply is an answer.
func (b *book) isTake(m *history.Row, answer string) bool {
	if m.Content == answer && (m.Continued == 0 || len(b.upgrades) > 0) {
		return true // An earlier version answers anew what it takes over.
	}
	begun, is := strings.CutSuffix(m.Content, answer)
	if !is || m.Continued == 0 {
		return false
	}
	old := b.rows[m.Continues]
	return old == nil || old.Content == begun || len(b.upgrades) > 0
}

// shownWhileRunning is I22: a running reply that nobody has asked to stop is on the visible
// line, at each moment in the order of the database.
func shownWhileRunning(b *book) []string {
	var bad report
	for _, w := range b.order {
		if w.Write.Kind != "DELETE" && w.Write.Status == "STREAMING" && !w.Write.Stop && !w.Write.Active {
			bad.add("%s is being written and not shown, and nobody has asked it to stop", w.Write.Message)
		}
	}
	return bad
}

// stopStops is I14: after an acknowledged stop the reply ends as STOPPED, or has
// ended otherwise by then or in the moment in which a replica may be out of touch.
// Later than that no text is added, and the model is not called.
func stopStops(b *book) []string {
	var bad report
	for _, stop := range b.stops {
		if stop.Outcome != history.OK {
			continue
		}
		limit := stop.At + b.grace()
		length := 0
		for _, w := range b.writes[stop.Reply] {
			switch {
			case w.At <= limit || w.Write.Kind == "DELETE":
			case history.IsFinal(w.Write.Status) && w.Write.Status != "STOPPED":
				bad.add("%s became %s %v after its stop was acknowledged", stop.Reply, w.Write.Status, w.At-stop.At)
			case w.Write.Status == "STREAMING" && w.Write.Length > length:
				bad.add("%s grew %v after its stop was acknowledged", stop.Reply, w.At-stop.At)
			}
			length = w.Write.Length
		}
		for _, c := range b.calls[b.keyOf[stop.Reply]] {
			// Another version of the reply is another reply to the same question.
			if c.From > limit && len(b.repliesOf[b.keyOf[stop.Reply]]) == 1 {
				bad.add("the model was called for %s %v after its stop was acknowledged", stop.Reply, c.From-stop.At)
			}
		}
	}
	return bad
}

// callsPerAttempt is how often the model is called for one attempt: once, and two
// tries more.
const callsPerAttempt = 3

// boundedCalls is I15: the model is called three times at most for each attempt.
func boundedCalls(b *book) []string {
	var bad report
	for key, calls := range b.calls {
		attempts := 0
		for _, reply := range b.repliesOf[key] {
			most := 1
			for _, w := range b.writes[reply] {
				most = max(most, w.Write.Attempt)
			}
			attempts += most
		}
		attempts = max(attempts, 1)
		if len(calls) > callsPerAttempt*attempts {
			bad.add("%d calls of the model for %s in %d attempts", len(calls), key, attempts)
		}
	}
	return bad
}

// boundedRunning is I17: in the order of the database, no user ever has more
// replies running than allowed, over all replicas.
func boundedRunning(b *book) []string {
	var bad report
	running := make(map[string]map[string]bool) // By user: replies.
	for _, w := range b.order {
		mine := running[w.Write.User]
		if mine == nil {
			mine = make(map[string]bool)
			running[w.Write.User] = mine
		}
		if w.Write.Kind == "DELETE" || w.Write.Status != "STREAMING" {
			delete(mine, w.Write.Message)
			continue
		}
		if !mine[w.Write.Message] && len(mine) >= b.run.MaxRunning {
			bad.add("%s started while %d replies of its user ran, the most is %d", w.Write.Message, len(mine),
				b.run.MaxRunning)
		}
		mine[w.Write.Message] = true
	}
	return bad
}
