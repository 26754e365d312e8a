package graph

import (
	"context"
	"io"
	"log/slog"
	"time"

	"parley/ent"
	"parley/graph/model"
	"parley/internal/direct"
	"parley/internal/feed"
	"parley/internal/reply"
)

// retryPause is how long a feed rests after the database did not answer.
const retryPause = time.Second

// origin is where events arise: a feed, or the watcher of a reply.
type origin[S any] interface {
	// Wait blocks until Next has an event at once. Both return the same errors.
	Wait(ctx context.Context) error
	Next(ctx context.Context) (S, error)
	// Direct has some events told while Wait or Next waits.
	Direct(tell func(S) bool)
	Close()
}

// eventsOf makes a source of what an origin gives, until it ends or ctx does, and then closes
// it. What is an update of a reply, as updateOf says, may be written at once, and where it
// arises. A feed whose database does not answer goes on when it does: an end would look like
// the end of the reply.
func eventsOf[S, T any](
	ctx context.Context, r *Resolver, from origin[S], updateOf func(*S) *reply.Update, convert func(S) T,
) <-chan T {
	events := make(chan T, 1)
	s := sourceOf(ctx)
	if write := direct.Of(ctx); write != nil {
		from.Direct(func(e S) bool { return s.direct(updateOf(&e), write) })
	}
	tell := func(e S) {
		if u := updateOf(&e); u != nil {
			if s.ready = s.deltas.write(u); s.ready != nil {
				return
			}
		}
		events <- convert(e) // There is room: the last one has been taken.
	}
	s.open(func(ctx context.Context) (more bool) {
		for {
			err := step(ctx, from, tell)
			switch {
			case ctx.Err() != nil || err == io.EOF: // Itself: a broken connection may be one too.
				return false
			case err == nil:
				return true
			}
			level := slog.LevelWarn
			if r.Unavailable(err) { // The store says so once, not each feed each second.
				level = slog.LevelDebug
			}
			r.Log.Log(ctx, level, "feed interrupted", "err", err)
			select {
			case <-time.After(retryPause):
			case <-ctx.Done():
				return false
			}
		}
	}, func() {
		close(events)
		from.Close()
	})
	return events
}

// step tells the next event. A panic becomes an error: this is no resolver, so nobody else
// would recover.
func step[S any](ctx context.Context, from origin[S], tell func(S)) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = recovered(ctx, v)
		}
	}()
	if err := from.Wait(ctx); err != nil {
		return err
	}
	return take(ctx, from, tell)
}

// take tells an event that is there. It has its own frame, which nobody who waits has on the
// stack.
//
//go:noinline
func take[S any](ctx context.Context, from origin[S], tell func(S)) error {
	s, err := from.Next(ctx)
	if err != nil {
		return err
	}
	tell(s)
	return nil
}

// ofWatcher is the update that a watcher gives.
func ofWatcher(u *reply.Update) *reply.Update { return u }

// ofFeed is the one that a feed gives, or nil.
func ofFeed(e *feed.Event) *reply.Update {
	if e.Kind != feed.Reply {
		return nil
	}
	return &e.Update
}

func messageEvent(u reply.Update) model.MessageEvent {
	switch u.Kind {
	case reply.Snapshot:
		return &model.MessageSnapshot{Message: u.State(), Cursor: u.Cursor.String()}
	case reply.Delta:
		if u.Channel == reply.Reasoning {
			return &model.MessageReasoningDelta{Message: u.State(), Offset: u.Units, Text: u.Text,
				Cursor: u.Cursor.String()}
		}
		return &model.MessageDelta{Message: u.State(), Offset: u.Units, Text: u.Text, Cursor: u.Cursor.String()}
	}
	return &model.MessageFinished{Message: u.State()}
}

func conversationEvent(e feed.Event) model.ConversationEvent {
	switch e.Kind {
	case feed.Opened:
		return &model.ConversationSnapshot{Conversation: e.Conversation, RunningReply: e.Message,
			FromIndex: e.From}
	case feed.ConversationDeleted:
		return &model.ConversationDeleted{ConversationID: e.ConversationID}
	case feed.MessageAdded:
		return &model.MessageAdded{Message: e.Message, Edge: messageEdge(e.Message)}
	case feed.Reply:
		return messageEvent(e.Update).(model.ConversationEvent)
	}
	return &model.ConversationUpdated{Conversation: e.Conversation, Edge: conversationEdge(e.Conversation)}
}

func viewerEvent(user *ent.User) func(feed.Event) model.ViewerEvent {
	return func(e feed.Event) model.ViewerEvent {
		switch e.Kind {
		case feed.Opened:
			return &model.ViewerReady{Viewer: user}
		case feed.ConversationCreated:
			return &model.ConversationCreated{Conversation: e.Conversation, Edge: conversationEdge(e.Conversation)}
		case feed.ConversationDeleted:
			return &model.ConversationDeleted{ConversationID: e.ConversationID}
		}
		return &model.ConversationUpdated{Conversation: e.Conversation, Edge: conversationEdge(e.Conversation)}
	}
}
