package chat

import (
	"context"
	"io"
	"slices"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
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
	facts   fact.Subscription
	opened  bool
	known   listState
	doubt   suspicion
}

// ViewerFeed opens the feed of a user. The caller closes it.
func (s *Service) ViewerFeed(userID pid.ID) *ViewerFeed {
	return &ViewerFeed{service: s, userID: userID, facts: s.bus.Subscribe(fact.OfUser(userID))}
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
		case heard := <-f.facts.Facts():
			e, ok, err := f.service.conversationEvent(ctx, f.userID, heard)
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
		f.doubt.postpone()
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
// false when that is nothing: when the conversation is gone again, which a fact of its
// own tells, or is said to be gone and is not.
func (s *Service) conversationEvent(ctx context.Context, userID pid.ID, heard fact.Fact) (FeedEvent, bool, error) {
	e := FeedEvent{ConversationID: heard.ConversationID}
	switch heard.Kind {
	case fact.ConversationCreated:
		e.Kind = FeedConversationCreated
	case fact.ConversationUpdated:
		e.Kind = FeedConversationUpdated
	case fact.ConversationDeleted:
		e.Kind = FeedConversationDeleted
	default:
		return e, false, nil
	}
	found, err := s.Conversations(ctx, userID, []pid.ID{heard.ConversationID})
	if err != nil {
		return e, false, err
	}
	if len(found) > 0 {
		e.Conversation = found[0]
	}
	return e, (e.Conversation == nil) == (e.Kind == FeedConversationDeleted), nil
}

// ConversationFeed tells a user everything that happens in one conversation, the
// running reply included. It is not safe for concurrent use.
type ConversationFeed struct {
	service *Service
	userID  pid.ID
	id      pid.ID
	facts   fact.Subscription
	opened  bool
	// deleted is set when the conversation is known to be gone, ended when that has
	// been told too.
	deleted, ended bool

	// replying watches the reply watched; nil when none runs.
	replying *reply.Watcher
	watched  place
	// upcoming are replies to watch once this one has been told to its end, by index:
	// those that wait, and the next one, which may be admitted a moment before the
	// viewers of the last one know that it is final.
	upcoming []place
	// stash is an event that comes after the one just told; nil: none.
	stash *FeedEvent
	// told is set after an update of the reply. Facts have their turn then, since a
	// reader slower than the model would find new text for ever.
	told bool

	// updatedAt is the version of the conversation that the client was told of, and
	// unended the replies whose end it was not told. lastIndex is the index of the last
	// message it was told of, head that message, and skipped those before it that it was
	// not told of. A difference from the database means that facts were lost.
	updatedAt time.Time
	unended   map[pid.ID]bool
	head      pid.ID
	lastIndex int
	skipped   map[int]bool
	doubt     suspicion
}

// place is a reply and where it stands on the line.
type place struct {
	id    pid.ID
	index int
}

// ConversationFeed opens the feed of a conversation. The caller closes it. Error:
// NOT_FOUND.
func (s *Service) ConversationFeed(ctx context.Context, userID, id pid.ID) (*ConversationFeed, error) {
	f := &ConversationFeed{service: s, userID: userID, id: id}
	// Listening comes before reading, so that nothing falls between.
	f.facts = s.bus.Subscribe(fact.OfConversation(id))
	found, err := s.Conversations(ctx, userID, []pid.ID{id})
	if err == nil && len(found) == 0 {
		err = refusal.NotFound("conversation")
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
		if !f.opened {
			break
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
		case heard := <-f.facts.Facts():
			e, ok, err = f.hear(ctx, heard)
		}
		if ok || err != nil {
			return e, err
		}
	}
	return f.open(ctx)
}

// poll takes what is there without waiting: a fact or a doubt when an update of the
// reply was told last, else what is new in the reply, else the end.
func (f *ConversationFeed) poll(ctx context.Context) (FeedEvent, bool, error) {
	if f.stash != nil {
		e := *f.stash
		f.stash = nil
		return e, true, nil
	}
	if f.told {
		f.told = false
		var e FeedEvent
		var ok bool
		var err error
		select {
		case <-f.facts.Missed():
			err = f.check(ctx)
		case <-f.doubt.again:
			err = f.check(ctx)
		case heard := <-f.facts.Facts():
			e, ok, err = f.hear(ctx, heard)
		default:
		}
		if ok || err != nil || !f.opened {
			return e, ok, err
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
	head := now.conversation.HeadID
	lastIndex, err := f.service.indexOf(ctx, f.userID, head)
	if err != nil {
		return FeedEvent{}, err
	}
	e := FeedEvent{Kind: FeedOpened, ConversationID: f.id, Conversation: now.conversation}
	f.updatedAt, f.head, f.lastIndex = now.conversation.UpdatedAt, head, lastIndex
	f.unended, f.skipped, f.stash = make(map[pid.ID]bool), make(map[int]bool), nil
	f.upcoming, f.doubt = nil, suspicion{}
	if len(now.unfinished) > 0 && f.watched.index > now.unfinished[0].Index {
		f.unwatch() // It waits, and another one runs.
		f.watched = place{}
	}
	for _, m := range now.unfinished {
		f.unended[m.ID] = true
		if m.Status == message.StatusSTREAMING {
			e.Message = m
		}
		if err := f.follow(ctx, place{m.ID, m.Index}); err != nil {
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
		f.doubt.postpone()
		return err
	}
	f.opened = !f.doubt.confirm(f.deleted || f.knows(now))
	return nil
}

// knows reports whether the client has been told of this state, or will be by the
// replies that are watched.
func (f *ConversationFeed) knows(now conversationState) bool {
	if now.conversation == nil || !f.updatedAt.Equal(now.conversation.UpdatedAt) || f.head != now.conversation.HeadID ||
		len(f.skipped) > 0 {
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
		watched := f.replying != nil && f.watched.id == id
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
		if err := f.watchNext(ctx); err != nil {
			return FeedEvent{}, false, err
		}
	}
	u, ok, err := f.replying.Poll(ctx)
	if err != nil || !ok {
		return FeedEvent{}, false, err
	}
	e := FeedEvent{Kind: FeedReply, ConversationID: f.id, Update: u}
	if u.Kind == reply.Finished {
		f.unwatch()
		delete(f.unended, u.Message.ID)
		if u.Message.Attempt == 0 { // Cancelled before its turn.
			e, err = f.withQuestion(ctx, e)
		}
	}
	return e, err == nil, err
}

// hear turns a fact into an event, if it makes one. When the database does not
// answer, the fact is gone and the next call of Next begins anew.
func (f *ConversationFeed) hear(ctx context.Context, heard fact.Fact) (FeedEvent, bool, error) {
	e, ok, err := f.understand(ctx, heard)
	if err != nil {
		f.opened = false
	}
	return e, ok, err
}

func (f *ConversationFeed) understand(ctx context.Context, heard fact.Fact) (FeedEvent, bool, error) {
	switch heard.Kind {
	case fact.MessageAdded, fact.ReplyStarted: // Either may be heard first.
		return f.added(ctx, heard.MessageID)
	case fact.ReplyFinished:
		return f.cancelled(ctx, heard.MessageID)
	}
	e, ok, err := f.service.conversationEvent(ctx, f.userID, heard)
	switch {
	case !ok || err != nil:
	case e.Kind == FeedConversationDeleted:
		f.deleted = true // The reply's end is told first.
		return FeedEvent{}, false, nil
	default:
		f.updatedAt = e.Conversation.UpdatedAt
	}
	return e, ok, err
}

// added tells of a new message, once. Messages are told in the order of their facts;
// a gap between their indexes is given a moment to close.
func (f *ConversationFeed) added(ctx context.Context, id pid.ID) (FeedEvent, bool, error) {
	if f.unended[id] {
		return FeedEvent{}, false, nil // Told already, and followed to its end.
	}
	found, err := f.service.Messages(ctx, f.userID, []pid.ID{id})
	if err != nil || len(found) == 0 || found[0].ConversationID != f.id {
		return FeedEvent{}, false, err
	}
	m := found[0]
	switch {
	case f.skipped[m.Index]:
		delete(f.skipped, m.Index)
		if len(f.skipped) == 0 {
			f.doubt = suspicion{}
		}
	case m.Index <= f.lastIndex:
		return FeedEvent{}, false, nil // Told already.
	default:
		for i := f.lastIndex + 1; i < m.Index; i++ {
			f.skipped[i] = true
		}
		f.head, f.lastIndex = m.ID, m.Index
	}
	if len(f.skipped) > 0 && f.doubt.again == nil {
		f.doubt.again = time.After(settle)
	}
	if m.Role == message.RoleASSISTANT {
		f.unended[m.ID] = true
		if err := f.follow(ctx, place{m.ID, m.Index}); err != nil {
			return FeedEvent{}, false, err
		}
	}
	return FeedEvent{Kind: FeedMessageAdded, ConversationID: f.id, Message: m}, true, nil
}

// cancelled tells the end of a reply that never had its turn, and of its question. The
// ends of all others are told where they are watched, behind their text.
func (f *ConversationFeed) cancelled(ctx context.Context, id pid.ID) (FeedEvent, bool, error) {
	at := slices.IndexFunc(f.upcoming, func(p place) bool { return p.id == id })
	if at < 0 {
		return FeedEvent{}, false, nil
	}
	found, err := f.service.Messages(ctx, f.userID, []pid.ID{id})
	if err != nil || len(found) == 0 || found[0].Attempt > 0 || !reply.IsFinal(found[0].Status) {
		return FeedEvent{}, false, err
	}
	e, err := f.withQuestion(ctx, FeedEvent{
		Kind: FeedReply, ConversationID: f.id,
		Update: reply.Update{Kind: reply.Finished, Message: found[0]},
	})
	if err != nil {
		return FeedEvent{}, false, err
	}
	f.upcoming = slices.Delete(f.upcoming, at, at+1)
	delete(f.unended, id)
	return e, true, nil
}

// withQuestion returns the end of the question that was cancelled with a reply, and
// keeps the reply's own for the next call.
func (f *ConversationFeed) withQuestion(ctx context.Context, end FeedEvent) (FeedEvent, error) {
	m := end.Update.Message
	if m.ParentID == nil {
		return end, nil
	}
	found, err := f.service.Messages(ctx, f.userID, []pid.ID{*m.ParentID})
	if err != nil || len(found) == 0 {
		return end, err
	}
	f.stash = &end
	question := end
	question.Update = reply.Update{Kind: reply.Finished, Message: found[0]}
	return question, nil
}

// follow watches a reply from its beginning, when those before it on the line have
// been told to their ends, unless it is or has been watched already.
func (f *ConversationFeed) follow(ctx context.Context, p place) error {
	if f.watched == p || slices.Contains(f.upcoming, p) {
		return nil
	}
	if f.replying != nil && f.watched.index > p.index {
		// The one that is watched waits for this one, which was heard of later.
		f.upcoming = append(f.upcoming, f.watched)
		f.unwatch()
		f.watched = place{}
	}
	f.upcoming = append(f.upcoming, p)
	slices.SortFunc(f.upcoming, func(a, b place) int { return a.index - b.index })
	if f.replying != nil {
		return nil
	}
	return f.watchNext(ctx)
}

// watchNext watches the first of the upcoming replies.
func (f *ConversationFeed) watchNext(ctx context.Context) error {
	next := f.upcoming[0]
	v, err := f.service.replies.Attach(ctx, next.id, nil)
	if err != nil && !ent.IsNotFound(err) {
		return err
	}
	f.upcoming = f.upcoming[1:]
	if err == nil { // Else it is deleted; the fact follows.
		f.replying, f.watched = v, next
	}
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
func drain(facts fact.Subscription) {
	for {
		select {
		case <-facts.Facts():
		default:
			return
		}
	}
}
