package judge

import (
	"slices"
	"time"

	"parley/test/faults/history"
	"parley/test/faults/script"
)

// Takeovers returns how long replies stood still between two attempts: from the
// end of the model's call of one attempt to the beginning of the next one's.
func Takeovers(records []history.Record) []time.Duration {
	b := newBook(records)
	var list []time.Duration
	for key, calls := range b.calls {
		for n := 1; n < len(calls); n++ {
			from, to := calls[n-1].At, calls[n].From
			claimed := slices.ContainsFunc(b.repliesOf[key], func(reply string) bool {
				return slices.ContainsFunc(b.writes[reply], func(w history.Record) bool {
					return w.Write.Attempt > 1 && w.Write.Length == 0 && w.Write.Kind == "UPDATE" && w.At > from &&
						w.At <= to
				})
			})
			if claimed {
				list = append(list, to-from)
			}
		}
	}
	return list
}

// Lags compares what two clients held of one reply and when.
func Lags(records []history.Record, near, far string) []time.Duration {
	type point struct {
		at    time.Duration
		units int
	}
	var first []point
	for _, s := range newBook(records).steps {
		if s.Who == near && s.after != nil {
			first = append(first, point{s.At, units(s.after.text)})
		}
	}
	var list []time.Duration
	for _, s := range newBook(records).steps {
		if s.Who != far || s.after == nil || s.Event.Kind != history.Delta {
			continue
		}
		for _, p := range first {
			if p.units >= units(s.after.text) {
				list = append(list, s.At-p.at)
				break
			}
		}
	}
	return list
}

// Acknowledged counts the messages that were acknowledged, each key once.
func Acknowledged(records []history.Record) int {
	n := 0
	for _, sends := range newBook(records).sends {
		if slices.ContainsFunc(sends, func(r history.Record) bool { return r.Outcome == history.OK }) {
			n++
		}
	}
	return n
}

// Branches counts the other versions of replies that were acknowledged, each key once, the
// choices of a line, and the deletions of messages.
func Branches(records []history.Record) (versions, choices, trims int) {
	seen := make(map[string]bool)
	for _, r := range records {
		switch {
		case r.Outcome != history.OK:
		case r.Op == history.OpChoose:
			choices++
		case r.Op == history.OpTrim:
			trims++
		case r.Op == history.OpSend && script.KeyOf(r.Key) != r.Key && !seen[r.Key]:
			seen[r.Key] = true
			versions++
		}
	}
	return versions, choices, trims
}

// Growth counts how often a text grew before the eyes of a client while the reply was
// still being written.
func Growth(records []history.Record, who string) int {
	n, held := 0, 0
	for _, s := range newBook(records).steps {
		if s.Who != who || s.after == nil || s.Event.Kind == history.Finished {
			continue
		}
		if now := units(s.after.text); s.Event.Status == "STREAMING" && now > held {
			n, held = n+1, now
		}
	}
	return n
}

// LaterCursors counts the cursors that a replica refused since a later version had given
// them.
func LaterCursors(records []history.Record) int {
	n := 0
	b := newBook(records)
	for _, s := range b.subs {
		if s.end != nil && s.end.Code == "BAD_USER_INPUT" && b.fromLater(s) {
			n++
		}
	}
	return n
}

// Overloads counts the sends that were refused since a server had too much to do.
func Overloads(records []history.Record) int {
	n := 0
	for _, r := range records {
		if r.Op == history.OpSend && r.Code == history.Overloaded {
			n++
		}
	}
	return n
}
