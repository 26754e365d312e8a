package judge

import (
	"slices"
	"strings"
	"unicode/utf16"

	"parley/test/faults/history"
	"parley/test/faults/script"
)

// units is the length of a text as offsets count it.
func units(text string) int { return len(utf16.Encode([]rune(text))) }

// noGapNoRepeat is I5: for one client and attempt the deltas go on exactly where the
// text that it holds ends, a snapshot comes before the first, and every cursor that was
// given out is good for as long as the message exists, on every replica but one of an
// earlier version.
func noGapNoRepeat(b *book) []string {
	var bad report
	for _, s := range b.steps {
		e := s.Event
		if e.Kind != history.Delta {
			continue
		}
		switch {
		case s.before == nil:
			bad.add("%s, subscription %d to %s: a delta at %d before any snapshot", s.Who, s.Sub, s.Reply, e.Offset)
		case s.before.attempt != e.Attempt: // I9.
		case e.Offset != units(s.before.text):
			bad.add("%s, subscription %d to %s: a delta at %d, where %d units are held", s.Who, s.Sub, s.Reply,
				e.Offset, units(s.before.text))
		case e.Content != "" && e.Content != s.after.text:
			bad.add("%s, subscription %d to %s: the message of a delta at %d is %s, held is %s", s.Who, s.Sub, s.Reply,
				e.Offset, quote(e.Content), quote(s.after.text))
		}
	}
	for _, s := range b.sorted() {
		if s.end != nil && s.end.Code == "BAD_USER_INPUT" && s.begin.Cursor != "" && !b.fromLater(s) {
			bad.add("%s, subscription %d to %s: a cursor that the server gave is refused", s.begin.Who, s.begin.Sub,
				s.begin.Reply)
		}
	}
	return bad
}

// sorted returns the subscriptions in order.
func (b *book) sorted() []*sub {
	list := make([]*sub, 0, len(b.subs))
	for _, s := range b.subs {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, z *sub) int { return a.begin.Sub - z.begin.Sub })
	return list
}

// prefixOfStored is I6: what clients were given of one attempt is always a
// beginning of one and the same text, which is the stored one if that attempt is
// the last; and the end that they were told is the stored text.
func prefixOfStored(b *book) []string {
	var bad report
	type take struct {
		reply   string
		attempt int
	}
	longest := make(map[take]string)
	for _, s := range b.steps {
		stored := b.rows[s.Reply]
		if isDeletion(s.Event) {
			continue
		}
		if s.Event.Kind == history.Finished {
			if stored != nil && s.Event.Content != stored.Content {
				bad.add("%s was told that %s ends as %s, stored is %s", s.Who, s.Reply, quote(s.Event.Content),
					quote(stored.Content))
			}
			continue
		}
		if s.after == nil {
			continue
		}
		text := s.after.text
		if stored != nil && history.IsFinal(stored.Status) && stored.Attempt == s.after.attempt &&
			!strings.HasPrefix(stored.Content, text) {
			bad.add("%s holds %s of attempt %d of %s, stored is %s", s.Who, quote(text), s.after.attempt, s.Reply,
				quote(stored.Content))
			continue
		}
		key := take{s.Reply, s.after.attempt}
		switch known := longest[key]; {
		case strings.HasPrefix(text, known):
			longest[key] = text
		case !strings.HasPrefix(known, text):
			bad.add("%s holds %s of attempt %d of %s, others hold %s", s.Who, quote(text), key.attempt, s.Reply,
				quote(known))
		}
	}
	return bad
}

// clientsAgree is I7: all who saw a reply end saw the same end, by subscription and
// by reading it through any replica.
func clientsAgree(b *book) []string {
	var bad report
	type end struct{ status, content string }
	ends := make(map[string]end)
	compare := func(who, reply string, got end) {
		known, is := ends[reply]
		if !is {
			ends[reply] = got
		} else if known.status != got.status {
			bad.add("%s saw %s end as %s, others as %s", who, reply, got.status, known.status)
		} else if known.content != got.content {
			bad.add("%s saw %s end as %s, others as %s", who, reply, quote(got.content), quote(known.content))
		}
	}
	for _, r := range b.reads {
		if history.IsFinal(r.Row.Status) {
			compare("a read through "+r.Replica, r.Row.ID, end{r.Row.Status, r.Row.Content})
		}
	}
	for _, s := range b.steps {
		// A wrong text at the end breaks I6; here it counts when nothing is stored.
		if e := s.Event; e.Kind == history.Finished && !isDeletion(e) {
			got := end{e.Status, e.Content}
			if b.rows[s.Reply] != nil {
				got.content = ends[s.Reply].content
			}
			compare(s.Who, s.Reply, got)
		}
	}
	return bad
}

// oneEnd is I8: a subscription to a message has one end at most, as its last event,
// and completes after it; it does not complete without; and once all replies are
// final, every subscription gets the end.
func oneEnd(b *book) []string {
	var bad report
	for _, s := range b.sorted() {
		ends := 0
		for n, e := range s.events {
			if e.Event.Kind != history.Finished {
				continue
			}
			ends++
			if n != len(s.events)-1 {
				bad.add("%s, subscription %d to %s: the end is not the last event", s.begin.Who, s.begin.Sub,
					s.begin.Reply)
			}
		}
		if s.end == nil {
			bad.add("%s, subscription %d to %s was never over", s.begin.Who, s.begin.Sub, s.begin.Reply)
			continue
		}
		calm := b.healed >= 0 && s.begin.At > b.healed
		switch {
		case ends > 1:
			bad.add("%s, subscription %d to %s: %d ends", s.begin.Who, s.begin.Sub, s.begin.Reply, ends)
		case ends == 1 && calm && s.end.Note != history.EndComplete:
			bad.add("%s, subscription %d to %s: not completed after the end: %s %s", s.begin.Who, s.begin.Sub,
				s.begin.Reply, s.end.Note, s.end.Content)
		case ends == 0 && s.end.Note == history.EndComplete && s.end.Code == "":
			bad.add("%s, subscription %d to %s: completed without the end", s.begin.Who, s.begin.Sub, s.begin.Reply)
		case ends == 0 && s.begin.Late && b.rows[s.begin.Reply] != nil:
			bad.add("%s, subscription %d to %s, which is final: no end: %s %s", s.begin.Who, s.begin.Sub, s.begin.Reply,
				s.end.Note, s.end.Content)
		}
	}
	return bad
}

// announcedAttempts is I9: the attempts that a client sees never decrease, and a
// new one begins with a snapshot, or with the end.
func announcedAttempts(b *book) []string {
	var bad report
	type client struct{ who, reply string }
	highest := make(map[client]int)
	for _, s := range b.steps {
		e := s.Event
		c := client{s.Who, s.Reply}
		if e.Attempt < highest[c] && !isDeletion(e) {
			bad.add("%s, subscription %d to %s on %s: attempt %d after attempt %d", s.Who, s.Sub, s.Reply, s.Replica,
				e.Attempt, highest[c])
		}
		highest[c] = max(highest[c], e.Attempt)
		if e.Kind == history.Delta && s.before != nil && s.before.attempt != e.Attempt {
			bad.add("%s, subscription %d to %s: a delta of attempt %d after attempt %d, without a snapshot", s.Who,
				s.Sub, s.Reply, e.Attempt, s.before.attempt)
		}
	}
	return bad
}

// nothingOfOthers is I13: no client, reply or prompt ever holds another user's
// words, and asking for another user's reply finds nothing.
func nothingOfOthers(b *book) []string {
	var bad report
	for _, r := range b.records {
		user := r.User
		if r.Op == history.OpCall {
			if i := strings.Index(r.Call.Key, "-"); i > 0 {
				user = r.Call.Key[:i]
			}
			r.Canaries = r.Call.Canaries
		}
		for _, canary := range r.Canaries {
			if user != "" && canary != user {
				bad.add("%s %s: words of %s reached %s", r.Op, r.Who, canary, user)
			}
		}
		if r.Op == history.OpProbe && r.Outcome == history.OK {
			bad.add("%s asked for %s, which is another user's, and got it", r.User, r.Reply)
		}
	}
	names := make(map[string]string) // By the database's id of the user.
	for _, m := range b.rows {
		for _, canary := range script.Canaries([]byte(m.Content)) {
			if known := names[m.User]; known != "" && known != canary {
				bad.add("user %s has words of %s and of %s", m.User, known, canary)
			}
			names[m.User] = canary
		}
	}
	return bad
}
