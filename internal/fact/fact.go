// Package fact holds the facts that cross rooms and replicas, and the Bus that
// carries them. A fact says that something has been committed and names it by
// id. One that was made in this process may also carry the rows it is about; one
// from another replica is a hint, and whoever hears it reads the database as the
// user it serves. The database is the truth; a lost fact costs time, never data.
//
// Its one invariant: a row on a fact has been committed and never changes.
package fact

import (
	"parley/ent"
	"parley/internal/pid"
)

// Kind says what happened.
type Kind uint8

// The kinds of facts, and who listens.
const (
	// ConversationCreated goes to the owner.
	ConversationCreated Kind = iota + 1
	// ConversationUpdated goes to the owner and the conversation, also when a reply has been
	// asked for, and when the one in MessageID has ended.
	ConversationUpdated
	// ConversationDeleted goes to the owner and the conversation, and stops its replies.
	ConversationDeleted
	// MessageAdded goes to the conversation, once for each new row.
	MessageAdded
	// ReplyStarted goes to the conversation: the reply in MessageID is STREAMING
	// (a new attempt included).
	ReplyStarted
	// ReplyFinished goes to the conversation: the reply in MessageID is final.
	ReplyFinished
	// StopRequested goes to every replica: the owner of MessageID stops it, or ends it without
	// a word where its row is gone.
	StopRequested
	// AccessRevoked goes to every replica: SessionID of UserID, or all sessions of
	// UserID when SessionID is empty, may do nothing any more.
	AccessRevoked
	// ReplyReleased goes to every replica: the reply in MessageID has no owner, and
	// one of them takes it up.
	ReplyReleased
	// LineChanged goes to the conversation: from Index on, another line is shown.
	LineChanged
	// MessageEdited goes to the conversation: the text of the message in MessageID is
	// another one.
	MessageEdited
)

// Fact is one thing that happened. Ids that do not apply to its kind are empty.
type Fact struct {
	Kind           Kind
	UserID         pid.ID
	ConversationID pid.ID
	MessageID      pid.ID
	SessionID      pid.ID
	// Index is of LineChanged. Revision is of that and of MessageEdited: the one of the
	// conversation that it has made.
	Index, Revision int

	// Conversation and Message are the rows the fact is about, as they were committed.
	// They are shared by all who hear the fact and must not be changed. Nil: look the
	// row up. A deletion carries the two ids of what was there. Rows never leave the
	// process.
	Conversation *ent.Conversation
	Message      *ent.Message
}

// Hint returns the fact without its rows: for the wire, and for a commit that may
// have failed.
func (f Fact) Hint() Fact {
	f.Conversation, f.Message = nil, nil
	return f
}

// Topic is what one listener listens to. Topics are made from parsed ids only.
type Topic string

// Control is the topic every replica listens to.
const Control Topic = "control"

// OfUser is the topic of the facts about one user's conversations.
func OfUser(id pid.ID) Topic { return Topic("user." + string(id)) }

// OfConversation is the topic of the facts about one conversation.
func OfConversation(id pid.ID) Topic { return Topic("conversation." + string(id)) }

// Topics lists where the fact is to be heard.
func (f Fact) Topics() []Topic {
	switch f.Kind {
	case ConversationCreated:
		return []Topic{OfUser(f.UserID)}
	case ConversationUpdated:
		return []Topic{OfUser(f.UserID), OfConversation(f.ConversationID)}
	case ConversationDeleted:
		return []Topic{OfUser(f.UserID), OfConversation(f.ConversationID), Control}
	case MessageAdded, ReplyStarted, ReplyFinished, LineChanged, MessageEdited:
		return []Topic{OfConversation(f.ConversationID)}
	case StopRequested, AccessRevoked, ReplyReleased:
		return []Topic{Control}
	}
	return nil
}

// Bus carries facts to listeners. It delivers at most once: a fact may be lost,
// and a listener that may have lost one is told so.
type Bus interface {
	// Publish hands the fact to everyone who listens to one of its topics. It
	// never blocks and never fails: what cannot be delivered is lost. Call it
	// after the commit that made the fact true.
	Publish(f Fact)
	// Subscribe starts listening. Everything published after it returns is
	// delivered or reported as missed. The caller must Close the subscription.
	Subscribe(t Topic) Subscription
}

// Subscription is one listener on one topic. It is safe for concurrent use.
type Subscription interface {
	// Facts gives the facts in the order they arrived. It is never closed: wait
	// on it together with your own context.
	Facts() <-chan *Fact
	// Missed is signalled when facts may have been lost since the last signal, and
	// from time to time where losses go unnoticed. Compare what you know with the
	// database then.
	Missed() <-chan struct{}
	// Close stops listening. It may be called more than once.
	Close()
}
