package judge

import (
	"slices"
	"time"

	"parley/test/faults/history"
)

// feedsMissNothing is I19, which is of this protocol: who follows a conversation or
// the list from before something happens until all is quiet is told of it, or is told
// later that something may have been missed, and looks. Facts get lost: they are told
// after the commit, and a replica may die or lose the bus in between. Feeds notice by
// comparing with the database, which takes a while: see Feed in history.Settings.
func feedsMissNothing(b *book) []string {
	var bad report
	if b.settled < 0 {
		return nil
	}
	for _, f := range b.feeds {
		if f.end == nil || f.end.At < b.settled+b.run.Feed {
			continue // Was over before it had to know.
		}
		if f.begin.Conversation == "" {
			b.listMisses(&bad, f)
		} else if b.alive[f.begin.Conversation] {
			b.conversationMisses(&bad, f)
		}
	}
	return bad
}

// told reports whether a feed has an event of a kind that says it, or begins anew
// after a time.
func (s *sub) told(after time.Duration, anew string, says func(r history.Record) bool) bool {
	return slices.ContainsFunc(s.events, func(r history.Record) bool {
		return r.Event != nil && (says(r) || r.Event.Kind == anew && r.At > after)
	})
}

// conversationMisses looks for messages and ends that a conversation's feed left out.
func (b *book) conversationMisses(bad *report, f *sub) {
	for _, m := range b.lines[f.begin.Conversation] {
		for _, w := range b.writes[m.ID] {
			if w.At < f.begin.At || w.At > b.settled {
				continue
			}
			is := func(kind string) func(history.Record) bool {
				return func(r history.Record) bool { return r.Event.Kind == kind && r.Reply == m.ID }
			}
			switch {
			case w.Write.Kind == "INSERT" && !f.told(w.At, "ConversationSnapshot", is("MessageAdded")):
				bad.add("%s, feed %d on %s was not told of the new %s", f.begin.Who, f.begin.Sub, f.begin.Replica, m.ID)
			case history.IsFinal(w.Write.Status) && !f.told(w.At, "ConversationSnapshot", is(history.Finished)):
				bad.add("%s, feed %d on %s was not told of the end of %s", f.begin.Who, f.begin.Sub, f.begin.Replica,
					m.ID)
			}
		}
	}
}

// listMisses looks for new conversations that a list's feed left out.
func (b *book) listMisses(bad *report, f *sub) {
	for _, sends := range b.sends {
		for _, r := range sends {
			// The answer came after the conversation was made, the request before.
			if r.Outcome != history.OK || r.User != f.begin.User || r.From < f.begin.At || r.At > b.settled ||
				b.createdBefore(r) {
				continue
			}
			if !f.told(r.At, "ViewerReady", func(e history.Record) bool {
				return e.Note == r.Conversation &&
					(e.Event.Kind == "ConversationCreated" || e.Event.Kind == "ConversationUpdated")
			}) {
				bad.add("%s, feed %d on %s was not told of conversation %s", f.begin.Who, f.begin.Sub, f.begin.Replica,
					r.Conversation)
			}
		}
	}
}

// createdBefore reports whether a send went to a conversation that was known when it
// was sent, or may have been made by an earlier try.
func (b *book) createdBefore(r history.Record) bool {
	if r.Deduplicated {
		return true
	}
	line := b.lines[r.Conversation]
	return len(line) < 2 || line[1].ID != r.Message
}
