package feed

import (
	"context"
	"io"
	"math/rand/v2"
	"time"

	"parley/ent"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
)

// settle is how long a fact may be on its way: a difference from the database that lasts
// longer means that one was lost.
const settle = 250 * time.Millisecond

// retryAfter is when the database is asked again that did not answer, and up to as much
// later, so that not all feeds ask at once.
const retryAfter = time.Second

// Feed tells a user what happens. It reads and waits for its state, which decides. It is
// not safe for concurrent use.
type Feed struct {
	service *Service
	userID  pid.ID
	state   state
	// read reads all that decides whether the feed is up to date.
	read  func(ctx context.Context, userID pid.ID, w want) (input, error)
	facts fact.Subscription
	// hint is the fact that is being heard, when it carries no row; else nil.
	hint *fact.Fact
	// behind is set when facts were lost, until all that are left were heard. Meanwhile each
	// look-up is the feed's own: it may show what was lost.
	behind bool
	// events are those that the reader has not taken yet.
	events []Event
	// watcher watches the running reply; nil: none does.
	watcher *reply.Watcher
	// direct tells a delta while the feed waits: see Direct. Nil: nobody does.
	direct func(Event) bool
	turn   turn
	// wake fires when the state wants to be woken; nil: it does not.
	wake <-chan time.Time
}

// turn is who is heard first.
type turn uint8

const (
	replyFirst turn = iota
	// factsFirst holds after an update of the reply: a reader slower than the model would
	// find new text for ever.
	factsFirst
)

// Close ends the feed. It may be called more than once.
func (f *Feed) Close() {
	f.unwatch()
	f.facts.Close()
}

// Direct has deltas told while Next or Wait waits for an event, and instead of it: in the
// goroutine that writes the reply, which tell must not hold up. Tell returns false for what it
// leaves to Next. The caller must not touch what tell uses until Next or Wait returns.
func (f *Feed) Direct(tell func(Event) bool) {
	f.direct = tell
	if f.watcher != nil {
		f.watcher.Direct(f.tell)
	}
}

// tell is what the watcher is given for Direct. A delta changes nothing in the state.
func (f *Feed) tell(u reply.Update) bool {
	if len(f.facts.Facts()) > 0 || len(f.facts.Missed()) > 0 {
		return false // They come first.
	}
	e, ok := f.state.delta(u)
	return ok && f.direct(e)
}

// Next blocks until there is an event. After a conversation's deletion it returns io.EOF;
// when ctx ends, its cause. After any other error, which is the database's, it may be
// called again; it begins anew where something was lost.
func (f *Feed) Next(ctx context.Context) (Event, error) {
	if err := f.Wait(ctx); err != nil {
		return Event{}, err
	}
	e := f.events[0]
	f.events[0] = Event{} // Its rows may be large.
	if f.events = f.events[1:]; len(f.events) == 0 {
		f.events = nil // Most feeds wait most of the time.
	}
	return e, nil
}

// Wait blocks until Next has an event at once, and returns the errors of Next. Most feeds are
// here most of the time, and the stack of each is as deep as this: an event has no room on it.
func (f *Feed) Wait(ctx context.Context) error {
	for len(f.events) == 0 {
		var err error
		switch f.state.phase() {
		case over:
			return io.EOF
		case fresh:
			err = f.begin(ctx)
		default:
			var in input
			if in, err = f.wait(ctx); err == nil {
				err = f.play(ctx, in)
			}
			f.hint = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begin has the state begin. What it then reads is newer than the facts that wait.
func (f *Feed) begin(ctx context.Context) error {
	for {
		select {
		case <-f.facts.Facts():
			continue
		default:
		}
		return f.play(ctx, begun{})
	}
}

// wait returns what happens next: what is there already, or what comes.
func (f *Feed) wait(ctx context.Context) (input, error) {
	if f.turn == factsFirst {
		f.turn = replyFirst
		if in, ok := f.look(); ok {
			return f.taken(in), nil
		}
	}
	for {
		var ready <-chan struct{}
		if f.watcher != nil {
			if in, err := f.poll(ctx); in != nil || err != nil {
				return in, err
			}
			ready = f.watcher.Ready()
		}
		in, err := f.park(ctx, ready)
		if in != nil || err != nil {
			return f.taken(in), err
		}
	}
}

// poll returns how the reply goes on, nil when there is nothing new.
func (f *Feed) poll(ctx context.Context) (input, error) {
	u, ok, err := f.watcher.Poll(ctx)
	if err != nil || !ok {
		return nil, err
	}
	f.turn = factsFirst
	if u.Kind == reply.Finished {
		f.unwatch()
	}
	return updated{u}, nil
}

// look returns what is there of all that is not the reply.
func (f *Feed) look() (input, bool) {
	select {
	case <-f.facts.Missed():
		return doubted{}, true
	case <-f.wake:
		return woken{}, true
	case heardOf := <-f.facts.Facts():
		return heardOf, true
	default:
		return nil, false
	}
}

// park waits for what comes, nil when that is more of the reply. Meanwhile deltas are told
// where they arise: see Direct.
func (f *Feed) park(ctx context.Context, ready <-chan struct{}) (input, error) {
	if f.watcher != nil {
		f.watcher.Park()
		defer f.watcher.Unpark()
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-ready:
		return nil, nil
	case <-f.facts.Missed():
		return doubted{}, nil
	case <-f.wake:
		return woken{}, nil
	case heardOf := <-f.facts.Facts():
		return heardOf, nil
	}
}

// taken is what look or park has returned as the state hears it.
func (f *Feed) taken(in input) input {
	switch in := in.(type) {
	case doubted:
		f.behind = len(f.facts.Facts()) > 0
	case *fact.Fact:
		return f.heard(in)
	}
	return in
}

// heard is a fact as an input. The row of a running reply has its live text, as any that
// is read: the fact may have waited for a while.
func (f *Feed) heard(heardOf *fact.Fact) input {
	in := heard{*heardOf}
	switch m := heardOf.Message; {
	case m != nil:
		row := *m // The fact's own is shared.
		f.service.replies.Overlay(&row)
		in.fact.Message = &row
	case heardOf.Conversation == nil && heardOf.UserID == f.userID && !f.behind && len(f.facts.Missed()) == 0:
		f.hint = heardOf
	}
	f.behind = f.behind && len(f.facts.Facts()) > 0
	return in
}

// play gives the state an input, and then what it wants. When something could not be
// done, what was wanted after it is left out.
func (f *Feed) play(ctx context.Context, in input) error {
	o := f.state.apply(in)
	f.events = append(f.events, o.events...)
	for _, w := range o.wants {
		answer, err := f.fulfil(ctx, w)
		if err != nil {
			_ = f.play(ctx, failed{w}) // It wants no more than to be woken, or to watch no more.
			return err
		}
		if answer == nil {
			continue
		}
		if err := f.play(ctx, answer); err != nil {
			return err
		}
	}
	return nil
}

// fulfil does what the state wants and returns the answer, nil when there is none.
func (f *Feed) fulfil(ctx context.Context, w want) (input, error) {
	switch w.kind {
	case wantBeginning, wantComparison:
		return f.read(ctx, f.userID, w)
	case wantConversation:
		if f.hint != nil && !w.anew && w.id == f.hint.ConversationID {
			row, err := f.service.sharedConversation(ctx, f.userID, f.hint)
			return conversationRead{w, row, true}, err
		}
		row, err := f.service.conversation(ctx, f.userID, w.id)
		return conversationRead{w, row, false}, err
	case wantMessage, wantQuestion:
		if f.hint != nil && w.kind == wantMessage && !w.anew && w.id == f.hint.MessageID {
			row, err := f.service.sharedMessage(ctx, f.userID, f.hint)
			return messageRead{w, row}, err
		}
		row, err := f.service.message(ctx, f.userID, w.id)
		return messageRead{w, row}, err
	case wantWatch:
		return f.watch(ctx, w)
	case wantUnwatch:
		f.unwatch()
	case wantSettle:
		f.wake = time.After(settle)
	case wantRetry:
		f.wake = time.After(retryAfter + rand.N(retryAfter))
	}
	return nil, nil
}

func (f *Feed) watch(ctx context.Context, w want) (input, error) {
	f.unwatch()
	v, err := f.service.replies.Follow(ctx, f.userID, w.message)
	switch {
	case ent.IsNotFound(err):
		return unwatchable{w}, nil
	case err != nil:
		return nil, err
	}
	if f.direct != nil {
		v.Direct(f.tell)
	}
	f.watcher = v
	return nil, nil
}

func (f *Feed) unwatch() {
	if f.watcher != nil {
		f.watcher.Close()
		f.watcher = nil
	}
}
