package chat_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/store/storetest"
	"parley/internal/upstream/upstreamtest"
)

// feed is either of the two.
type feed interface {
	Next(ctx context.Context) (chat.FeedEvent, error)
	Close()
}

func (b *bundle) conversationFeed(t *testing.T, u person, id pid.ID) *chat.ConversationFeed {
	t.Helper()
	f, err := b.ConversationFeed(u.ctx, u.id, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// next takes one event.
func next(t *testing.T, u person, f feed) chat.FeedEvent {
	t.Helper()
	e, err := f.Next(deadline(t, u.ctx))
	if err != nil {
		t.Fatalf("next event: %v", err)
	}
	return e
}

// describe names an event; deltas look alike, so that their number does not matter.
func describe(e chat.FeedEvent) string {
	switch e.Kind {
	case chat.FeedOpened:
		return "opened"
	case chat.FeedConversationCreated:
		return "created"
	case chat.FeedConversationUpdated:
		return "updated"
	case chat.FeedConversationDeleted:
		return "deleted"
	case chat.FeedMessageAdded:
		return "added " + string(e.Message.Role)
	case chat.FeedReply:
		switch e.Update.Kind {
		case reply.Snapshot:
			return "snapshot"
		case reply.TextDelta, reply.ReasoningDelta:
			return "delta"
		case reply.Finished:
			return "finished " + string(e.Update.Message.Status)
		}
	}
	return fmt.Sprintf("kind %d", e.Kind)
}

// until takes events up to the one described as last, and rebuilds the text of the
// reply from its snapshots and deltas.
func until(t *testing.T, u person, f feed, last string) (list []string, text string) {
	t.Helper()
	for {
		e := next(t, u, f)
		what := describe(e)
		if what != "delta" || len(list) == 0 || list[len(list)-1] != "delta" {
			list = append(list, what)
		}
		if e.Kind == chat.FeedReply {
			switch e.Update.Kind {
			case reply.Snapshot:
				text = e.Update.Message.Content
			case reply.TextDelta:
				if e.Update.Units != len([]rune(text)) { // The texts here hold no surrogate pairs.
					t.Errorf("got a delta at %d after %q", e.Update.Units, text)
				}
				text += e.Update.Text
				if e.Update.Message.Content != text {
					t.Errorf("got %q as the state at a delta, want %q", e.Update.Message.Content, text)
				}
			}
		}
		if what == last {
			return list, text
		}
	}
}

func want(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestConversationFeed(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		f := b.conversationFeed(t, u, c.ID)
		first := next(t, u, f)
		if first.Kind != chat.FeedOpened || first.Conversation == nil || first.Conversation.ID != c.ID ||
			first.Message != nil {
			t.Errorf("got %+v first, want the idle conversation", first)
		}
		pieces := make(chan string)
		b.upstream.Next(upstreamtest.Pieces(pieces))
		r := b.send(t, u, chat.SendInput{ConversationID: &c.ID, Content: "hello"})
		list, _ := until(t, u, f, "snapshot")
		want(t, "events of a send", list, []string{"updated", "added USER", "added ASSISTANT", "snapshot"})
		go func() {
			for _, p := range []string{"The ", "quick ", "brown ", "fox ä."} {
				pieces <- p
			}
			close(pieces)
		}()
		list, text := until(t, u, f, "finished COMPLETED")
		want(t, "events of a reply", list, []string{"delta", "finished COMPLETED"})
		if stored := b.row(t, u, r.Reply.ID).Content; text != stored || stored != "The quick brown fox ä." {
			t.Errorf("got %q from the deltas, stored is %q", text, stored)
		}

		if _, err := b.UpdateConversation(u.ctx, u.id, c.ID, chat.ConversationPatch{Name: ptr("new")}); err != nil {
			t.Fatal(err)
		}
		if e := next(t, u, f); e.Kind != chat.FeedConversationUpdated || e.Conversation.Name != "new" {
			t.Errorf("got %+v after a renaming, want the new name", e)
		}

		// A second feed comes in the middle of a reply, and a deletion ends both.
		live := b.running(t, u, &c.ID, "half ")
		until(t, u, f, "snapshot")
		late := b.conversationFeed(t, u, c.ID)
		if e := next(t, u, late); e.Kind != chat.FeedOpened || e.Message == nil || e.Message.ID != live.Reply.ID ||
			e.Message.Content != "half " {
			t.Errorf("got %+v first, want the running reply with its text", e)
		}
		if e := next(t, u, late); describe(e) != "snapshot" || e.Update.Message.Content != "half " {
			t.Errorf("got %+v second, want a snapshot", e)
		}
		if err := b.DeleteConversation(u.ctx, u.id, c.ID); err != nil {
			t.Fatal(err)
		}
		list, _ = until(t, u, f, "deleted")
		if tail := list[max(len(list)-2, 0):]; !slices.Equal(tail, []string{"finished STOPPED", "deleted"}) {
			t.Errorf("got %q, want the reply's end before the conversation's", list)
		}
		last := next(t, u, late)
		if last.Update.Message == nil || describe(last) != "finished STOPPED" ||
			deref(last.Update.Message.ErrorCode) != "DELETED" || last.Update.Message.Content != "half " {
			t.Errorf("got %+v, want STOPPED, DELETED with the text so far", last)
		}
		if e := next(t, u, late); describe(e) != "deleted" || e.ConversationID != c.ID {
			t.Errorf("got %+v, want the deletion", e)
		}
		for range 2 {
			if _, err := late.Next(u.ctx); !errors.Is(err, io.EOF) {
				t.Errorf("got %v after the deletion, want io.EOF", err)
			}
		}
		if _, err := b.ConversationFeed(u.ctx, u.id, c.ID); err == nil {
			t.Error("got a feed of a deleted conversation")
		}
	})
}

func TestFeedsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		r := b.running(t, u, nil, "x ")
		own := b.bus.Listeners()
		for _, f := range []feed{b.conversationFeed(t, u, r.Conversation.ID), b.ViewerFeed(u.id)} {
			next(t, u, f)
			ctx, cancel := context.WithCancel(u.ctx)
			cancel()
			for {
				e, err := f.Next(ctx)
				if errors.Is(err, context.Canceled) {
					break
				}
				if err != nil || e.Kind != chat.FeedReply {
					t.Fatalf("got %+v, %v, want context.Canceled", e, err)
				}
			}
			f.Close()
			f.Close()
		}
		if n := b.bus.Listeners(); n != own {
			t.Errorf("%d listeners are left by closed feeds, want none", n-own)
		}
	})
}

func TestViewerFeed(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		f := b.ViewerFeed(u.id)
		t.Cleanup(f.Close)
		if e := next(t, u, f); e.Kind != chat.FeedOpened {
			t.Errorf("got %+v first, want opened", e)
		}
		b.ask(t, other, nil, "not to be heard")
		r := b.ask(t, u, nil, "one")
		if e := next(t, u, f); e.Kind != chat.FeedConversationCreated || e.Conversation.ID != r.Conversation.ID ||
			e.Conversation.Name != "one" {
			t.Errorf("got %+v, want the new conversation", e)
		}
		b.ask(t, u, &r.Conversation.ID, "two")
		if e := next(t, u, f); e.Kind != chat.FeedConversationUpdated || e.ConversationID != r.Conversation.ID {
			t.Errorf("got %+v, want an update", e)
		}
		// Gone before it is looked at: only the deletion is told.
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.DeleteConversation(u.ctx, u.id, c.ID); err != nil {
			t.Fatal(err)
		}
		if e := next(t, u, f); e.Kind != chat.FeedConversationDeleted || e.ConversationID != c.ID {
			t.Errorf("got %+v, want the deletion", e)
		}
	})
}

// The next send may be admitted as soon as the last reply's row is final, which is
// a moment before its viewers know.
func TestFeedTellsTheEndBeforeTheNextReply(t *testing.T) { // Not parallel: the failpoint is everybody's.
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			s := storetest.SQLite
			if name == "postgres" {
				s = storetest.Postgres
			}
			b := setup(t, s(t), chat.Config{})
			u := b.user(t)
			pieces := make(chan string)
			b.upstream.Next(upstreamtest.Pieces(pieces))
			first := b.send(t, u, chat.SendInput{Content: "one"})
			id := first.Conversation.ID
			f := b.conversationFeed(t, u, id)
			until(t, u, f, "snapshot")
			held, release := make(chan struct{}), make(chan struct{})
			reset := failpoint.Set(func(name string) {
				if name == "reply.after-final" {
					held <- struct{}{}
					<-release
				}
			})
			pieces <- "text"
			until(t, u, f, "delta")
			close(pieces)
			<-held
			reset()
			second := b.send(t, u, chat.SendInput{ConversationID: &id, Content: "two"})
			list, _ := until(t, u, f, "added ASSISTANT")
			want(t, "events of the second send", list, []string{"updated", "added USER", "added ASSISTANT"})
			close(release)
			e := next(t, u, f)
			if describe(e) != "finished COMPLETED" || e.Update.Message.ID != first.Reply.ID ||
				e.Update.Message.Content != "text" {
				t.Errorf("got %s of %s, want the end of the first reply", describe(e), e.Update.Message.ID)
			}
			for {
				e := next(t, u, f)
				if e.Kind != chat.FeedReply || e.Update.Message.ID != second.Reply.ID {
					t.Fatalf("got %s, want the second reply only", describe(e))
				}
				if e.Update.Kind == reply.Finished {
					break
				}
			}
		})
	}
}

// A reader that is slower than the model always finds new text; what else happens
// is told all the same.
func TestFeedTellsFactsBetweenDeltas(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		pieces := make(chan string)
		b.upstream.Next(upstreamtest.Pieces(pieces))
		r := b.send(t, u, chat.SendInput{Content: "one"})
		f := b.conversationFeed(t, u, r.Conversation.ID)
		until(t, u, f, "snapshot")
		if _, err := b.UpdateConversation(u.ctx, u.id, r.Conversation.ID,
			chat.ConversationPatch{Pinned: ptr(true)}); err != nil {
			t.Fatal(err)
		}
		sent := ""
		for range 5 {
			piece := "x "
			pieces <- piece
			sent += piece
			eventually(t, "the piece", func() bool {
				m, err := b.Messages(u.ctx, u.id, []pid.ID{r.Reply.ID})
				return err == nil && strings.HasPrefix(m[0].Content, sent)
			})
			if describe(next(t, u, f)) == "updated" {
				close(pieces)
				return
			}
		}
		t.Error("got deltas only, want the update between them")
		close(pieces)
	})
}

// Facts without anything behind them make no events and no errors.
func TestFeedIgnoresStrayFacts(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		mine, theirs := b.ask(t, u, nil, "mine"), b.ask(t, other, nil, "theirs")
		f, sidebar := b.conversationFeed(t, u, mine.Conversation.ID), b.ViewerFeed(u.id)
		t.Cleanup(sidebar.Close)
		next(t, u, f)
		next(t, u, sidebar)
		id := mine.Conversation.ID
		for _, stray := range []fact.Fact{
			{Kind: fact.MessageAdded, ConversationID: id, MessageID: pid.New(pid.Message)},
			{Kind: fact.MessageAdded, ConversationID: id, MessageID: theirs.Reply.ID},
			{Kind: fact.ReplyStarted, ConversationID: id, MessageID: theirs.Reply.ID},
			{Kind: fact.ReplyStarted, ConversationID: id, MessageID: pid.New(pid.Message)},
			{Kind: fact.ReplyFinished, ConversationID: id, MessageID: theirs.Reply.ID},
			{Kind: fact.ConversationCreated, UserID: u.id, ConversationID: theirs.Conversation.ID},
			{Kind: fact.ConversationUpdated, UserID: u.id, ConversationID: theirs.Conversation.ID},
		} {
			b.bus.Publish(stray)
		}
		b.bus.Publish(fact.Fact{Kind: fact.ConversationUpdated, UserID: u.id, ConversationID: id})
		for name, f := range map[string]feed{"conversation": f, "viewer": sidebar} {
			if e := next(t, u, f); describe(e) != "updated" || e.ConversationID != id {
				t.Errorf("%s: got %+v of a stray fact", name, e)
			}
		}
	})
}

// Text that has been published is in every query, and in the feed, from then on.
func TestOverlayNeverGoesBack(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		r := b.running(t, u, nil, "published ")
		var m ent.Message
		for _, read := range []func() (*ent.Message, error){
			func() (*ent.Message, error) {
				list, err := b.Messages(u.ctx, u.id, []pid.ID{r.Reply.ID})
				return list[0], err
			},
			func() (*ent.Message, error) {
				p, err := b.ListMessages(u.ctx, u.id, []pid.ID{r.Conversation.ID}, chat.PageArgs{Last: ptr(1)})
				return p[r.Conversation.ID].Items[0], err
			},
			func() (*ent.Message, error) {
				p, err := b.RunningReplies(u.ctx, u.id, []pid.ID{r.Conversation.ID})
				return p[r.Conversation.ID], err
			},
		} {
			got, err := read()
			if err != nil || got.Content != "published " || got.Status != message.StatusSTREAMING {
				t.Errorf("got %v, %v, want the live text", got, err)
			}
			// What a caller does with it does not reach the engine's own state.
			got.Content = "changed"
			m = *got
			if owner, err := m.QueryUser().OnlyID(u.ctx); err != nil || owner != u.id {
				t.Errorf("query from a live message: got %v, %v", owner, err)
			}
		}
	})
}

// Facts of two sends may come in the wrong order. The running reply is watched all the
// same, and told before the one that waits for it.
func TestFeedWatchesTheRunningReply(t *testing.T) { // Not parallel: the failpoint is everybody's.
	b := setup(t, storetest.SQLite(t), chat.Config{})
	u := b.user(t)
	id := b.ask(t, u, nil, "one").Conversation.ID
	f := b.conversationFeed(t, u, id)
	next(t, u, f)
	reached, goOn := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	reset := failpoint.Set(func(name string) {
		if name == "chat.after-send-commit" && !held.Swap(true) {
			close(reached)
			<-goOn
		}
	})
	defer reset()
	pieces := make(chan string)
	b.upstream.Next(upstreamtest.Pieces(pieces))
	sent := make(chan chat.SendResult)
	go func() { sent <- b.send(t, u, chat.SendInput{ConversationID: &id, Content: "two"}) }()
	<-reached
	waiting := b.queue(t, u, id, "three")
	for e := next(t, u, f); describe(e) != "snapshot"; e = next(t, u, f) { // Of the one that waits.
	}
	close(goOn)
	running := <-sent
	pieces <- "live text"
	for {
		e := next(t, u, f)
		if e.Kind != chat.FeedReply {
			continue
		}
		if e.Update.Message.ID != running.Reply.ID {
			t.Fatalf("got %s of the reply that waits", describe(e))
		}
		if e.Update.Message.Content == "live text" {
			break
		}
	}
	close(pieces)
	until(t, u, f, "finished COMPLETED")
	for {
		e := next(t, u, f)
		if e.Kind == chat.FeedReply && e.Update.Message.ID != waiting.Reply.ID {
			t.Fatalf("got %s of the first reply after its end", describe(e))
		}
		if describe(e) == "finished COMPLETED" {
			break
		}
	}
}
