package feed

import (
	"parley/ent"
	"parley/internal/pid"
	"parley/internal/reply"
)

// Kind says what an Event tells.
type Kind uint8

// The kinds of events.
const (
	// Opened: here is the state; what was shown before may be out of date. It comes
	// first, and again whenever an event may have been missed.
	Opened Kind = iota + 1
	ConversationCreated
	ConversationUpdated
	// ConversationDeleted is the last event of a conversation's feed.
	ConversationDeleted
	MessageAdded
	// Reply: Update tells how a reply goes on.
	Reply
)

// Event is one event of a feed. Fields that do not apply to its kind are zero. Its rows
// are shared and must not be changed.
type Event struct {
	Kind           Kind
	ConversationID pid.ID
	Conversation   *ent.Conversation
	// Message is the one that was added; of Opened, the running reply, if there is one.
	Message *ent.Message
	Update  reply.Update
	// From is of Opened: what is shown from this index on may be out of date. Nil: all of it.
	From *int
}
