package chat

import (
	"context"
	"io"
	"slices"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/event"
	"parley/internal/pid"
	"parley/internal/reply"
)

// FeedKind says what a FeedEvent tells.
type FeedKind uint8

// The kinds of feed events.
const (
	// FeedOpened: here is the state; what was shown before may be out of date. It
	// comes first, and again whenever an event may have been missed.
	FeedOpened FeedKind = iota + 1
	FeedConversationCreated
	FeedConversationUpdated
	FeedConversationDeleted
	FeedMessageAdded
	// FeedReply: Update tells how the running reply goes on.
	FeedReply
)

// FeedEvent is one event of a feed. Fields that do not apply to its kind are zero.
type FeedEvent struct {
	Kind           FeedKind
	ConversationID pid.ID
	Conversation   *ent.Conversation
	Message        *ent.Message
	Update         reply.Update
}

// ViewerFeed tells a user what happens to the list of conversations. It is not
// safe for concurrent use.
type ViewerFeed struct {
	service *Service
	userID  pid.ID
	facts   event.Subscription
	opened  bool
	known   listState
	doubt   suspicion
}

// ViewerFeed opens the feed of a user. The caller closes it.
func (s *Service) ViewerFeed(userID pid.ID) *ViewerFeed {
	return &ViewerFeed{service: s, userID: userID, facts: s.bus.Subscribe(event.OfUser(userID))}
}

// Close ends the feed. It may be called more than once.
func (f *ViewerFeed) Close() { f.facts.Close() }

// Next blocks until there is an event. When ctx ends it returns its cause.
func (f *ViewerFeed) Next(ctx context.Context) (FeedEvent, error) {
	for f.opened {
		select {
		case <-ctx.Done():
			return FeedEvent{}, context.Cause(ctx)
		case <-f.facts.Missed():
			if err := f.check(ctx); err != nil {
				return FeedEvent{}, err
			}
		case <-f.doubt.again:
			if err := f.check(ctx); err != nil {
				return FeedEvent{}, err
			}
		case fact := <-f.facts.Facts():
			e, ok, err := f.service.conversationEvent(ctx, f.userID, fact)
			if err != nil {
				f.opened = false // The fact is gone: the next call begins anew.
				return FeedEvent{}, err
			}
			if ok {
				f.known.tell(e)
				return e, nil
			}
		}
	}
	return f.open(ctx)
}

// open says that everything is to be fetched. What the client then reads is newer
// than the facts that wait, and than the state noted here.
func (f *ViewerFeed) open(ctx context.Context) (FeedEvent, error) {
	drain(f.facts)
	known, err := f.service.listState(ctx, f.userID)
	if err != nil {
		return FeedEvent{}, err
	}
	f.known, f.doubt, f.opened = known, suspicion{}, true
	return FeedEvent{Kind: FeedOpened}, nil
}

// check compares with the database, and has the next call begin anew when something
// was missed.
func (f *ViewerFeed) check(ctx context.Context) error {
	now, err := f.service.listState(ctx, f.userID)
	if err != nil {
		f.opened = false
		return err
	}
	agrees := f.known.knows(now)
	if agrees {
		f.known = now
	}
	f.opened = !f.doubt.confirm(agrees)
	return nil
}

// conversationEvent reads what a fact about a conversation has changed. It returns
// false when the conversation is gone again: a fact about that follows.
func (s *Service) conversationEvent(ctx context.Context, userID pid.ID, fact event.Fact) (FeedEvent, bool, error) {
	e := FeedEvent{ConversationID: fact.ConversationID}
	switch fact.Kind {
	case event.ConversationCreated:
		e.Kind = FeedConversationCreated
	case event.ConversationUpdated:
		e.Kind = FeedConversationUpdated
	case event.ConversationDeleted:
		e.Kind = FeedConversationDeleted
		return e, true, nil
	default:
		return e, false, nil
	}
	found, err := s.Conversations(ctx, userID, []pid.ID{fact.ConversationID})
	if err != nil || len(found) == 0 {
		return e, false, err
	}
	e.Conversation = found[0]
	return e, true, nil
}

// ConversationFeed tells a user everything that happens in one conversation, the
// running reply included. It is not safe for concurrent use.
type ConversationFeed struct {
	service *Service
	userID  pid.ID
	id      pid.ID
	facts   event.Subscription
	opened  bool
	// deleted is set when the conversation is known to be gone, ended when that has
	// been told too.
	deleted, ended bool

	// replying watches the reply with the id watched; nil when none runs.
	replying *reply.Viewer
	watched  pid.ID
	// upcoming are replies to watch once this one has been told to its end: the
	// next send may be admitted a moment before the viewers of the last reply know
	// that it is final.
	upcoming []pid.ID
	// told is set after an update of the reply. Facts have their turn then, since a
	// reader slower than the model would find new text for ever.
	told bool

	// updatedAt is the version of the conversation that the client was told of, head the
	// last message, and unended the replies whose end it was not told. A difference from
	// the database means that facts were lost.
	updatedAt time.Time
	head      pid.ID
	unended   map[pid.ID]bool
	doubt     suspicion
}

// ConversationFeed opens the feed of a conversation. The caller closes it. Error:
// NOT_FOUND.
func (s *Service) ConversationFeed(ctx context.Context, userID, id pid.ID) (*ConversationFeed, error) {
	f := &ConversationFeed{service: s, userID: userID, id: id}
	// Listening comes before reading, so that nothing falls between.
	f.facts = s.bus.Subscribe(event.OfConversation(id))
	found, err := s.Conversations(ctx, userID, []pid.ID{id})
	if err == nil && len(found) == 0 {
		err = notFound("conversation")
	}
	if err != nil {
		f.facts.Close()
		return nil, err
	}
	return f, nil
}

// Close ends the feed. It may be called more than once.
func (f *ConversationFeed) Close() {
	f.unwatch()
	f.facts.Close()
}

// Next blocks until there is an event. After the conversation's deletion it
// returns io.EOF; when ctx ends, its cause.
func (f *ConversationFeed) Next(ctx context.Context) (FeedEvent, error) {
	for f.opened {
		e, ok, err := f.poll(ctx)
		if ok || err != nil {
			return e, err
		}
		var ready <-chan struct{}
		if f.replying != nil {
			ready = f.replying.Ready()
		}
		select {
		case <-ctx.Done():
			return FeedEvent{}, context.Cause(ctx)
		case <-ready:
		case <-f.facts.Missed():
			err = f.check(ctx)
		case <-f.doubt.again:
			err = f.check(ctx)
		case fact := <-f.facts.Facts():
			e, ok, err = f.hear(ctx, fact)
		}
		if ok || err != nil {
			return e, err
		}
	}
	return f.open(ctx)
}

// poll takes what is there without waiting: a fact when an update of the reply was
// told last, else what is new in the reply, else the end.
func (f *ConversationFeed) poll(ctx context.Context) (FeedEvent, bool, error) {
	if f.told {
		f.told = false
		select {
		case fact := <-f.facts.Facts():
			e, ok, err := f.hear(ctx, fact)
			if ok || err != nil {
				return e, ok, err
			}
		default:
		}
	}
	e, ok, err := f.pollReply(ctx)
	if ok || err != nil {
		f.told = ok
		return e, ok, err
	}
	switch {
	case f.ended:
		return FeedEvent{}, false, io.EOF
	case f.deleted && f.replying == nil:
		f.ended = true
		return FeedEvent{Kind: FeedConversationDeleted, ConversationID: f.id}, true, nil
	}
	return FeedEvent{}, false, nil
}

// open gives the state and watches the replies that have not ended.
func (f *ConversationFeed) open(ctx context.Context) (FeedEvent, error) {
	// What is read below is newer than the facts that wait.
	drain(f.facts)
	now, err := f.service.conversationState(ctx, f.userID, f.id)
	if err != nil {
		return FeedEvent{}, err
	}
	if now.conversation == nil {
		f.opened = true
		f.unwatch()
		f.deleted, f.ended = true, true
		return FeedEvent{Kind: FeedConversationDeleted, ConversationID: f.id}, nil
	}
	e := FeedEvent{Kind: FeedOpened, ConversationID: f.id, Conversation: now.conversation}
	f.updatedAt, f.head = now.conversation.UpdatedAt, now.conversation.HeadID
	f.unended, f.upcoming, f.doubt = make(map[pid.ID]bool), nil, suspicion{}
	for _, m := range now.unfinished {
		f.unended[m.ID] = true
		if m.Status == message.StatusSTREAMING {
			e.Message = m
		}
		if err := f.follow(ctx, m.ID); err != nil {
			return FeedEvent{}, err
		}
	}
	f.opened = true
	return e, nil
}

// check compares with the database, and has the next call begin anew when something
// was missed.
func (f *ConversationFeed) check(ctx context.Context) error {
	now, err := f.service.conversationState(ctx, f.userID, f.id)
	if err != nil {
		f.opened = false
		return err
	}
	f.opened = !f.doubt.confirm(f.deleted || f.knows(now))
	return nil
}

// knows reports whether the client has been told of this state, or will be by the
// replies that are watched.
func (f *ConversationFeed) knows(now conversationState) bool {
	if now.conversation == nil || !f.updatedAt.Equal(now.conversation.UpdatedAt) || f.head != now.conversation.HeadID {
		return false
	}
	running := make(map[pid.ID]bool)
	for _, m := range now.unfinished {
		running[m.ID] = true
		if !f.unended[m.ID] {
			return false
		}
	}
	for id := range f.unended {
		watched := f.replying != nil && f.watched == id
		if !running[id] && !watched {
			return false
		}
	}
	return true
}

// pollReply takes what is new in the running reply.
func (f *ConversationFeed) pollReply(ctx context.Context) (FeedEvent, bool, error) {
	for f.replying == nil {
		if len(f.upcoming) == 0 {
			return FeedEvent{}, false, nil
		}
		if err := f.watch(ctx, f.upcoming[0]); err != nil {
			return FeedEvent{}, false, err
		}
		f.upcoming = f.upcoming[1:]
	}
	u, ok, err := f.replying.Poll(ctx)
	if err != nil || !ok {
		return FeedEvent{}, false, err
	}
	if u.Kind == reply.Finished {
		f.unwatch()
		delete(f.unended, u.Message.ID)
	}
	return FeedEvent{Kind: FeedReply, ConversationID: f.id, Update: u}, true, nil
}

// hear turns a fact into an event, if it makes one. When the database does not
// answer, the fact is gone and the next call of Next begins anew.
func (f *ConversationFeed) hear(ctx context.Context, fact event.Fact) (FeedEvent, bool, error) {
	e, ok, err := f.understand(ctx, fact)
	if err != nil {
		f.opened = false
	}
	return e, ok, err
}

func (f *ConversationFeed) understand(ctx context.Context, fact event.Fact) (FeedEvent, bool, error) {
	switch fact.Kind {
	case event.ConversationDeleted:
		f.deleted = true // The reply's end is told first.
		return FeedEvent{}, false, nil
	case event.ReplyStarted:
		return FeedEvent{}, false, f.follow(ctx, fact.MessageID)
	case event.ReplyFinished:
		return f.cancelled(ctx, fact.MessageID)
	case event.MessageAdded:
		found, err := f.service.Messages(ctx, f.userID, []pid.ID{fact.MessageID})
		if err != nil || len(found) == 0 {
			return FeedEvent{}, false, err
		}
		m := found[0]
		f.head = m.ID
		if m.Role == message.RoleASSISTANT {
			f.unended[m.ID] = true
			if err := f.follow(ctx, m.ID); err != nil {
				return FeedEvent{}, false, err
			}
		}
		return FeedEvent{Kind: FeedMessageAdded, ConversationID: f.id, Message: m}, true, nil
	}
	e, ok, err := f.service.conversationEvent(ctx, f.userID, fact)
	if ok && err == nil && e.Conversation != nil {
		f.updatedAt = e.Conversation.UpdatedAt
	}
	return e, ok, err
}

// cancelled tells the end of a reply that never had its turn. The ends of all others
// are told where they are watched, behind their text.
func (f *ConversationFeed) cancelled(ctx context.Context, id pid.ID) (FeedEvent, bool, error) {
	place := slices.Index(f.upcoming, id)
	if place < 0 {
		return FeedEvent{}, false, nil
	}
	found, err := f.service.Messages(ctx, f.userID, []pid.ID{id})
	if err != nil || len(found) == 0 || found[0].Attempt > 0 || !reply.IsFinal(found[0].Status) {
		return FeedEvent{}, false, err
	}
	f.upcoming = slices.Delete(f.upcoming, place, place+1)
	delete(f.unended, id)
	update := reply.Update{Kind: reply.Finished, Message: found[0]}
	return FeedEvent{Kind: FeedReply, ConversationID: f.id, Update: update}, true, nil
}

// follow watches a reply from its beginning, after the one being watched, unless
// it is or has been watched already.
func (f *ConversationFeed) follow(ctx context.Context, id pid.ID) error {
	switch {
	case f.watched == id, slices.Contains(f.upcoming, id):
		return nil
	case f.replying != nil:
		f.upcoming = append(f.upcoming, id)
		return nil
	}
	return f.watch(ctx, id)
}

func (f *ConversationFeed) watch(ctx context.Context, id pid.ID) error {
	v, err := f.service.replies.Attach(ctx, id, nil)
	if ent.IsNotFound(err) {
		return nil // Deleted meanwhile; the fact follows.
	}
	if err != nil {
		return err
	}
	f.replying, f.watched = v, id
	return nil
}

// unwatch keeps the id of the reply, so that a late fact about it does not show it
// a second time.
func (f *ConversationFeed) unwatch() {
	if f.replying != nil {
		f.replying.Close()
		f.replying = nil
	}
}

// drain drops the facts that are waiting: the state is about to be read anew.
func drain(facts event.Subscription) {
	for {
		select {
		case <-facts.Facts():
		default:
			return
		}
	}
}
