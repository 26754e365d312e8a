package graph

import (
	"context"
	"io"
	"log/slog"
	"time"

	"parley/ent"
	"parley/graph/model"
	"parley/internal/feed"
	"parley/internal/reply"
)

// retryPause is how long a feed rests after the database did not answer.
const retryPause = time.Second

// eventsOf makes a source of what next gives, until it ends or ctx does, and then calls
// closeSource. A feed whose database does not answer goes on when it does: an end would
// look like the end of the reply.
func eventsOf[S, T any](
	ctx context.Context, r *Resolver, next func(context.Context) (S, error), convert func(S) T, closeSource func(),
) <-chan T {
	events := make(chan T, 1)
	sourceOf(ctx).open(func(ctx context.Context) (more bool) {
		for {
			e, err := step(ctx, next, convert)
			switch {
			case ctx.Err() != nil || err == io.EOF: // Itself: a broken connection may be one too.
				return false
			case err == nil:
				events <- e // There is room: the last one has been taken.
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
		closeSource()
	})
	return events
}

// step gives the next event. A panic becomes an error: this is no resolver, so nobody else
// would recover.
func step[S, T any](
	ctx context.Context, next func(context.Context) (S, error), convert func(S) T,
) (event T, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = recovered(ctx, v)
		}
	}()
	s, err := next(ctx)
	if err != nil {
		return event, err
	}
	return convert(s), nil
}

func messageEvent(u reply.Update) model.MessageEvent {
	switch u.Kind {
	case reply.Snapshot:
		return &model.MessageSnapshot{Message: u.Message, Cursor: u.Cursor.String()}
	case reply.Delta:
		if u.Channel == reply.Reasoning {
			return &model.MessageReasoningDelta{Message: u.Message, Offset: u.Units, Text: u.Text,
				Cursor: u.Cursor.String()}
		}
		return &model.MessageDelta{Message: u.Message, Offset: u.Units, Text: u.Text, Cursor: u.Cursor.String()}
	}
	return &model.MessageFinished{Message: u.Message}
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
