package feed

import (
	"parley/ent"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
)

// state is the pure half of a feed. All wants of an apply are fulfilled in their order,
// each followed by the input that answers it, before anything else is heard.
type state interface {
	apply(in input) outcome
	phase() phase
	// delta is what a delta of the watched reply is told as, if it is one: what apply would
	// tell of it, and no more.
	delta(u reply.Update) (Event, bool)
}

// phase is how far a feed has come.
type phase uint8

const (
	// fresh: nothing was told yet, or something was missed. It waits for begun.
	fresh phase = iota
	// following: the client knows all that was heard of.
	following
	// parting: the conversation is gone; the end of its reply is told first.
	parting
	// over: the deletion has been told, and nothing follows.
	over
)

// input is what may happen to a feed: one of the types below.
type input any

type (
	// begun: the reader asks for the first event. No fact from before waits.
	begun struct{}
	// heard: somebody says that something has happened.
	heard struct{ fact fact.Fact }
	// doubted: facts may have been lost.
	doubted struct{}
	// woken: the time of a wake has passed.
	woken struct{}
	// updated: the reply that is watched goes on.
	updated struct{ update reply.Update }

	// The rest are answers to wants.

	// failed: the database did not answer.
	failed struct{ want want }
	// conversationRead: the row, nil when there is none. One that was shared is as new as
	// the fact, and may be older than what was told.
	conversationRead struct {
		want   want
		row    *ent.Conversation
		shared bool
	}
	// messageRead: the row, nil when there is none.
	messageRead struct {
		want want
		row  *ent.Message
	}
	// lineRead: all that decides whether a feed of a conversation is up to date.
	lineRead struct {
		want want
		// conversation is nil when it is gone.
		conversation *ent.Conversation
		// headIndex is where the head stands; read for a beginning only.
		headIndex int
		// unfinished are the replies that have not ended, by index.
		unfinished []*ent.Message
	}
	// windowRead: all that decides whether a feed of the list is up to date.
	windowRead struct {
		want   want
		window window
		// deletions are the user's, in their order: those after the one that was asked for. For
		// a beginning, it is the last one alone.
		deletions []deletion
	}
	// unwatchable: the reply is gone with its row.
	unwatchable struct{ want want }
)

// outcome is what follows from an input.
type outcome struct {
	events []Event
	wants  []want
}

func (o *outcome) tell(e Event) { o.events = append(o.events, e) }

func (o *outcome) want(w want) { o.wants = append(o.wants, w) }

// wantKind says what a feed wants.
type wantKind uint8

const (
	// wantBeginning and wantComparison read a lineRead or a windowRead.
	wantBeginning wantKind = iota + 1
	wantComparison
	// wantConversation and wantMessage look up what a fact is about.
	wantConversation
	wantMessage
	// wantQuestion reads the question of a reply that was cancelled.
	wantQuestion
	// wantWatch and wantUnwatch watch one reply at a time.
	wantWatch
	wantUnwatch
	// wantSettle and wantRetry wake the feed, when a fact has had its time to arrive and
	// when the database may answer again. A later one replaces an earlier one.
	wantSettle
	wantRetry
)

// want is something to be done for a state.
type want struct {
	kind wantKind
	id   pid.ID
	// because is the kind of the fact that made it look something up.
	because fact.Kind
	// ended is the reply by whose end a conversation has changed; empty: by something else.
	ended pid.ID
	// after is the number of the last deletion that need not be read for a comparison.
	after int
	// anew asks for a row that is read now, and not shared with other feeds.
	anew bool
	// message is the reply to watch, or the one whose question is wanted.
	message *ent.Message
}
