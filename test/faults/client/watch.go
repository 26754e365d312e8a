package client

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"parley/test/faults/history"
	"parley/test/faults/wait"
)

// messageEvents is the subscription to a message. With full, deltas carry the
// whole text so far as well, as a client with a normalised cache asks for it.
func messageEvents(full bool) string {
	deltas := "id status attempt"
	if full {
		deltas += " content"
	}
	return `subscription ($id: ID!, $after: String) { messageEvents(messageId: $id, after: $after) { __typename
		... on MessageSnapshot { cursor message { id status attempt content } }
		... on MessageDelta { offset text cursor message { ` + deltas + ` } }
		... on MessageReasoningDelta { offset text cursor message { id status attempt } }
		... on MessageFinished { message { id status attempt content error { code } } } } }`
}

// messageEvent is an event of a message as it comes over the wire.
type messageEvent struct {
	Typename string `json:"__typename"`
	Offset   int
	Text     string
	Cursor   string
	// Conversation is the one that an event of the list is about.
	Conversation struct{ ID string }
	Message      struct {
		ID, Status, Content string
		Attempt             int
		Error               *struct{ Code string }
	}
}

func (e messageEvent) seen() *history.Seen {
	s := &history.Seen{
		Kind: e.Typename, Status: e.Message.Status, Attempt: e.Message.Attempt, Content: e.Message.Content,
		Offset: e.Offset, Text: e.Text, Cursor: e.Cursor,
	}
	if e.Message.Error != nil {
		s.Error = e.Message.Error.Code
	}
	return s
}

// Watcher is one client that follows one reply until it has seen the end, over
// any number of subscriptions.
type Watcher struct {
	User     *User
	Who      string
	Reply    string
	Random   *rand.Rand
	Faithful bool     // Stays until the end, on whichever replica it has got.
	Late     bool     // Began after all replies were final.
	Only     *Replica // nil: any.
	cursors  []string // All that it was given.
}

// Follow returns when it has seen the end of the reply, the reply is not there, or
// ctx ends.
func (w *Watcher) Follow(ctx context.Context) {
	for ctx.Err() == nil {
		if w.once(ctx) {
			return
		}
		// As real clients do, lest it asks a dead replica a thousand times.
		if !wait.For(ctx, time.Duration(20+w.Random.IntN(200))*time.Millisecond) {
			return
		}
	}
}

// once makes one subscription. It returns true when there is no need for another.
func (w *Watcher) once(ctx context.Context) (done bool) {
	on := w.User.any(w.Random)
	if w.Only != nil {
		on = *w.Only
	}
	variables := map[string]any{"id": w.Reply}
	r := history.Record{Op: history.OpSubscribe, Who: w.Who, User: w.User.Name, Replica: on.Name, Reply: w.Reply,
		Late: w.Late,
		Sub:  w.User.history.Subscription()}
	if r.Cursor = w.cursor(); r.Cursor != "" {
		variables["after"] = r.Cursor
	}
	w.User.history.Add(r)
	leaveAfter := -1
	if !w.Faithful && w.Random.IntN(5) < 2 {
		leaveAfter = 1 + w.Random.IntN(20)
	}
	end := history.Record{Op: history.OpEnd, Who: w.Who, User: w.User.Name, Replica: on.Name, Reply: w.Reply,
		Sub: r.Sub}
	err := subscribe(ctx, on, w.Random.IntN(2) == 0, w.User.token, messageEvents(w.Random.IntN(4) == 0), variables,
		func(a answer) error {
			end.Code = a.code()
			end.Canaries = append(end.Canaries, a.canaries...)
			var data struct{ MessageEvents *messageEvent }
			if err := json.Unmarshal(a.Data, &data); err != nil || data.MessageEvents == nil {
				return nil // An error alone.
			}
			e := data.MessageEvents
			w.User.history.Add(history.Record{Op: history.OpEvent, Who: w.Who, User: w.User.Name, Replica: on.Name,
				Reply: w.Reply,
				Sub:   r.Sub, Event: e.seen(), Canaries: a.canaries})
			done = done || e.Typename == history.Finished
			if e.Cursor != "" {
				w.cursors = append(w.cursors, e.Cursor)
			}
			if leaveAfter--; leaveAfter == 0 && !done {
				return errLeft
			}
			return nil
		})
	end.Note = history.EndCut
	switch {
	case err == nil:
		end.Note = history.EndComplete
	case errors.Is(err, errLeft), ctx.Err() != nil:
		end.Note = history.EndLeft
	default:
		end.Content = err.Error()
	}
	w.User.history.Add(end)
	if end.Code == "BAD_USER_INPUT" {
		w.cursors = nil // The client starts over; whether that is a violation is for the judge.
	}
	return done || end.Code == "NOT_FOUND"
}

// cursor picks where to go on: nowhere, behind all that it has, or further back.
func (w *Watcher) cursor() string {
	switch n := len(w.cursors); {
	case n == 0 || w.Random.IntN(3) == 0:
		return ""
	case w.Random.IntN(3) > 0:
		return w.cursors[n-1]
	default:
		return w.cursors[w.Random.IntN(n)]
	}
}

const conversationEvents = `subscription ($id: ID!) { conversationEvents(conversationId: $id) { __typename
	... on ConversationSnapshot { conversation { id } runningReply { id status } }
	... on MessageAdded { message { id } }
	... on MessageSnapshot { cursor message { id status attempt content } }
	... on MessageDelta { offset text cursor message { id status attempt } }
	... on MessageFinished { message { id status attempt content error { code } } } } }`

const viewerEvents = `subscription { viewerEvents { __typename ... on ConversationCreated { conversation { id name } } ... on ConversationUpdated { conversation { id name } } } }`

// feed follows a conversation, or the list of conversations when there is none,
// until ctx ends, or the conversation is gone.
func (u *User) feed(ctx context.Context, who, conversation string, random *rand.Rand) {
	for ctx.Err() == nil {
		on, sub, gone := u.any(random), u.history.Subscription(), false
		query, variables := viewerEvents, map[string]any(nil)
		if conversation != "" {
			query, variables = conversationEvents, map[string]any{"id": conversation}
		}
		_ = subscribe(ctx, on, random.IntN(2) == 0, u.token, query, variables, func(a answer) error {
			r := history.Record{Op: history.OpFeed, Who: who, User: u.Name, Replica: on.Name,
				Conversation: conversation, Sub: sub,
				Canaries: a.canaries, Code: a.code()}
			var data struct{ ConversationEvents, ViewerEvents *messageEvent }
			if err := json.Unmarshal(a.Data, &data); err == nil { // Otherwise it is an error alone.
				if e := data.ConversationEvents; e != nil {
					r.Reply, r.Event = e.Message.ID, e.seen()
				} else if e := data.ViewerEvents; e != nil {
					r.Event, r.Note = e.seen(), e.Conversation.ID
				}
			}
			u.history.Add(r)
			gone = r.Code == "NOT_FOUND" || r.Event != nil && r.Event.Kind == "ConversationDeleted"
			return nil
		}) // However it ended, it begins again.
		u.history.Add(history.Record{Op: history.OpFeedEnd, Who: who, User: u.Name, Replica: on.Name,
			Conversation: conversation,
			Sub:          sub})
		if gone || !wait.For(ctx, time.Duration(50+random.IntN(200))*time.Millisecond) {
			return
		}
	}
}
