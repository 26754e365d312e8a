package feed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/ent"
	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/feed"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/store/storetest"
	"parley/internal/upstream/upstreamtest"
)

func (b *bundle) conversationFeed(t *testing.T, u person, id pid.ID) *feed.Feed {
	t.Helper()
	f, err := b.feeds.Conversation(u.ctx, u.id, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// next takes one event.
func next(t *testing.T, u person, f *feed.Feed) feed.Event {
	t.Helper()
	e, err := f.Next(deadline(t, u.ctx))
	if err != nil {
		t.Fatalf("next event: %v", err)
	}
	return e
}

// describe names an event; deltas look alike, so that their number does not matter.
func describe(e feed.Event) string {
	switch e.Kind {
	case feed.Opened:
		return "opened"
	case feed.ConversationCreated:
		return "created"
	case feed.ConversationUpdated:
		return "updated"
	case feed.ConversationDeleted:
		return "deleted"
	case feed.MessageAdded:
		return "added " + string(e.Message.Role)
	case feed.Reply:
		switch e.Update.Kind {
		case reply.Snapshot:
			return "snapshot"
		case reply.Delta:
			return "delta"
		case reply.Finished:
			return "finished " + string(e.Update.State().Status)
		}
	}
	return fmt.Sprintf("kind %d", e.Kind)
}

// until takes events up to the one described as last, and rebuilds the text of the
// reply from its snapshots and deltas.
func until(t *testing.T, u person, f *feed.Feed, last string) (list []string, text string) {
	t.Helper()
	var told *ent.Conversation
	for {
		e := next(t, u, f)
		what := describe(e)
		if e.Kind == feed.ConversationUpdated {
			stirred := told != nil && told.LastMessageAt.Equal(e.Conversation.LastMessageAt) &&
				told.Name == e.Conversation.Name
			told = e.Conversation
			if stirred && what != last { // A reply has ended, before or behind what is told of it.
				continue
			}
		}
		if what != "delta" || len(list) == 0 || list[len(list)-1] != "delta" {
			list = append(list, what)
		}
		if e.Kind == feed.Reply {
			switch e.Update.Kind {
			case reply.Snapshot:
				text = e.Update.State().Content
			case reply.Delta:
				if e.Update.Units != len([]rune(text)) { // The texts here hold no surrogate pairs.
					t.Errorf("got a delta at %d after %q", e.Update.Units, text)
				}
				text += e.Update.Text
				if e.Update.State().Content != text {
					t.Errorf("got %q as the state at a delta, want %q", e.Update.State().Content, text)
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
		if first.Kind != feed.Opened || first.Conversation == nil || first.Conversation.ID != c.ID ||
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
		if e := next(t, u, f); e.Kind != feed.ConversationUpdated || e.Conversation.Name != "hello" ||
			!e.Conversation.UpdatedAt.After(r.Conversation.UpdatedAt) {
			t.Errorf("got %+v behind the end, want the conversation as the end has left it", e)
		}
		if e := next(t, u, f); e.Kind != feed.ConversationUpdated || e.Conversation.Name != "new" {
			t.Errorf("got %+v after a renaming, want the new name", e)
		}

		// A second feed comes in the middle of a reply, and a deletion ends both.
		live := b.running(t, u, &c.ID, "half ")
		until(t, u, f, "snapshot")
		late := b.conversationFeed(t, u, c.ID)
		if e := next(t, u, late); e.Kind != feed.Opened || e.Message == nil || e.Message.ID != live.Reply.ID ||
			e.Message.Content != "half " {
			t.Errorf("got %+v first, want the running reply with its text", e)
		}
		if e := next(t, u, late); describe(e) != "snapshot" || e.Update.State().Content != "half " {
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
		if last.Update.State() == nil || describe(last) != "finished STOPPED" ||
			*last.Update.State().ErrorCode != "DELETED" || last.Update.State().Content != "half " {
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
		if _, err := b.feeds.Conversation(u.ctx, u.id, c.ID); err == nil {
			t.Error("got a feed of a deleted conversation")
		}
	})
}

// Somebody else's conversation is one that does not exist, whoever the context says is
// asking.
func TestFeedOfAnotherUser(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		owner, stranger := b.user(t), b.user(t)
		id := b.running(t, owner, nil, "x ").Conversation.ID
		for name, ask := range map[string]person{
			"a stranger": stranger, "a stranger's argument": {stranger.id, owner.ctx},
			"a stranger's context": {owner.id, stranger.ctx},
		} {
			f, err := b.feeds.Conversation(ask.ctx, ask.id, id)
			if f != nil || !refusal.Is(err, refusal.CodeNotFound) {
				t.Errorf("%s: got %v, %v, want not found", name, f, err)
			}
		}
	})
}

func TestFeedsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		r := b.running(t, u, nil, "x ")
		own := b.bus.Listeners()
		for _, f := range []*feed.Feed{b.conversationFeed(t, u, r.Conversation.ID), b.feeds.List(u.id)} {
			next(t, u, f)
			ctx, cancel := context.WithCancel(u.ctx)
			cancel()
			for {
				e, err := f.Next(ctx)
				if errors.Is(err, context.Canceled) {
					break
				}
				if err != nil || e.Kind != feed.Reply {
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
		f := b.feeds.List(u.id)
		t.Cleanup(f.Close)
		if e := next(t, u, f); e.Kind != feed.Opened {
			t.Errorf("got %+v first, want opened", e)
		}
		b.ask(t, other, nil, "not to be heard")
		r := b.ask(t, u, nil, "one")
		if e := next(t, u, f); e.Kind != feed.ConversationCreated || e.Conversation.ID != r.Conversation.ID ||
			e.Conversation.Name != "one" {
			t.Errorf("got %+v, want the new conversation", e)
		}
		b.ask(t, u, &r.Conversation.ID, "two")
		for _, what := range []string{"the end", "a send", "the end of its reply"} {
			if e := next(t, u, f); e.Kind != feed.ConversationUpdated || e.ConversationID != r.Conversation.ID {
				t.Errorf("got %+v, want an update by %s", e, what)
			}
		}
		// Gone before it is looked at: the fact has the row, so that both are told.
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.DeleteConversation(u.ctx, u.id, c.ID); err != nil {
			t.Fatal(err)
		}
		list, _ := until(t, u, f, "deleted")
		want(t, "events of a short life", list, []string{"created", "deleted"})
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
			if describe(e) != "finished COMPLETED" || e.Update.State().ID != first.Reply.ID ||
				e.Update.State().Content != "text" {
				t.Errorf("got %s of %s, want the end of the first reply", describe(e), e.Update.State().ID)
			}
			for {
				e := next(t, u, f)
				if e.Kind != feed.Reply || e.Update.State().ID != second.Reply.ID {
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

// Facts without anything behind them, and those that carry somebody else's rows, make
// no events and no errors.
func TestFeedIgnoresStrayFacts(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		mine, theirs := b.ask(t, u, nil, "mine"), b.ask(t, other, nil, "theirs")
		f, sidebar := b.conversationFeed(t, u, mine.Conversation.ID), b.feeds.List(u.id)
		t.Cleanup(sidebar.Close)
		next(t, u, f)
		next(t, u, sidebar)
		id, later := mine.Conversation.ID, time.Now().Add(time.Hour)
		stolen := &ent.Conversation{ID: theirs.Conversation.ID, UserID: other.id, UpdatedAt: later}
		for _, stray := range []fact.Fact{
			{Kind: fact.MessageAdded, ConversationID: id, MessageID: pid.New(pid.Message)},
			{Kind: fact.MessageAdded, ConversationID: id, MessageID: theirs.Reply.ID},
			{Kind: fact.ReplyStarted, ConversationID: id, MessageID: theirs.Reply.ID},
			{Kind: fact.ReplyStarted, ConversationID: id, MessageID: pid.New(pid.Message)},
			{Kind: fact.ReplyFinished, ConversationID: id, MessageID: theirs.Reply.ID},
			{Kind: fact.ConversationCreated, UserID: u.id, ConversationID: theirs.Conversation.ID},
			{Kind: fact.ConversationUpdated, UserID: u.id, ConversationID: theirs.Conversation.ID},
			// Rows that are not this user's, or not what the fact is about, are not shown.
			{Kind: fact.ConversationUpdated, UserID: u.id, ConversationID: id, Conversation: stolen},
			{Kind: fact.ConversationCreated, UserID: u.id, ConversationID: stolen.ID, Conversation: stolen},
			{Kind: fact.ConversationUpdated, UserID: u.id, ConversationID: id,
				Conversation: &ent.Conversation{ID: id, UserID: other.id, UpdatedAt: later}},
			{Kind: fact.MessageAdded, ConversationID: id, MessageID: theirs.Reply.ID, Message: theirs.Reply},
			{Kind: fact.MessageAdded, ConversationID: id, MessageID: theirs.Reply.ID,
				Message: &ent.Message{ID: theirs.Reply.ID, ConversationID: id, UserID: other.id, Index: 9}},
			{Kind: fact.ConversationDeleted, UserID: u.id, ConversationID: id, Conversation: stolen},
			{Kind: fact.ConversationDeleted, UserID: u.id, ConversationID: stolen.ID, Conversation: stolen},
		} {
			b.bus.Publish(stray)
		}
		b.rename(t, u, id, "new")
		for name, f := range map[string]*feed.Feed{"conversation": f, "list": sidebar} {
			if e := next(t, u, f); describe(e) != "updated" || e.Conversation.Name != "new" {
				t.Errorf("%s: got %+v of a stray fact", name, e)
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
		if e.Kind != feed.Reply {
			continue
		}
		if e.Update.State().ID != running.Reply.ID {
			t.Fatalf("got %s of the reply that waits", describe(e))
		}
		if e.Update.State().Content == "live text" {
			break
		}
	}
	close(pieces)
	until(t, u, f, "finished COMPLETED")
	for {
		e := next(t, u, f)
		if e.Kind == feed.Reply && e.Update.State().ID != waiting.Reply.ID {
			t.Fatalf("got %s of the first reply after its end", describe(e))
		}
		if describe(e) == "finished COMPLETED" {
			break
		}
	}
}

// The feed of a conversation tells queued replies in order, and at once when one is
// cancelled.
func TestFeedOfAQueue(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		running := b.running(t, u, nil, "half ")
		id := running.Conversation.ID
		early := b.conversationFeed(t, u, id)
		until(t, u, early, "snapshot")
		cancelled := b.queue(t, u, id, "two")
		kept := b.queue(t, u, id, "three")
		late := b.conversationFeed(t, u, id) // Learns of the queue by its opening.
		until(t, u, late, "snapshot")
		if _, err := b.StopReply(u.ctx, u.id, cancelled.Reply.ID); err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]*feed.Feed{"early": early, "late": late} {
			want := []pid.ID{cancelled.UserMessage.ID, cancelled.Reply.ID}
			for len(want) > 0 {
				e := next(t, u, f)
				if e.Kind != feed.Reply {
					continue
				}
				if describe(e) != "finished STOPPED" || e.Update.State().ID != want[0] {
					t.Errorf("%s: got %s of %s, want the end of the cancelled question, then of the reply", name,
						describe(e), e.Update.State().ID)
				}
				want = want[1:]
			}
		}
		if _, err := b.StopReply(u.ctx, u.id, running.Reply.ID); err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]*feed.Feed{"early": early, "late": late} {
			if e := next(t, u, f); describe(e) != "finished STOPPED" || e.Update.State().ID != running.Reply.ID {
				t.Errorf("%s: got %s, want the running reply's end", name, describe(e))
			}
			list, text := until(t, u, f, "finished COMPLETED")
			if text != "You said: three" {
				t.Errorf("%s: got %q by %q of reply %s", name, text, list, kept.Reply.ID)
			}
		}
	})
}

// TestDirectDeltas: what is told where it arises and what Next returns come one after the other,
// and are all of it. The log has no lock: who tells is the one who waits, for that moment.
func TestDirectDeltas(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), chat.Config{})
	u := b.user(t)
	pieces := make(chan string)
	b.upstream.Next(upstreamtest.Pieces(pieces))
	r := b.send(t, u, chat.SendInput{Content: "one"})
	f := b.conversationFeed(t, u, r.Conversation.ID)
	var text strings.Builder
	var events []string
	direct := 0
	f.Direct(func(e feed.Event) bool {
		if direct%10 == 9 { // As a client that is slow for a moment.
			direct++
			return false
		}
		direct++
		text.WriteString(e.Update.Text)
		return true
	})
	want := ""
	for i := range 300 {
		want += strings.Repeat("é😀", i%3) + "x"
	}
	go func() {
		defer close(pieces)
		for i := range 300 {
			pieces <- strings.Repeat("é😀", i%3) + "x"
			if i%100 == 50 {
				b.rename(t, u, r.Conversation.ID, strings.Repeat("name", i/50))
			}
		}
	}()
	for {
		e := next(t, u, f)
		if e.Kind == feed.Reply && e.Update.Kind == reply.Delta {
			text.WriteString(e.Update.Text)
			continue
		}
		if events = append(events, describe(e)); e.Kind == feed.Reply && e.Update.Kind == reply.Finished {
			break
		}
	}
	if text.String() != want {
		t.Errorf("got %d bytes, want %d", text.Len(), len(want))
	}
	if n := strings.Count(strings.Join(events, " "), "updated"); n < 3 {
		t.Errorf("the renames were told %d times, want 3: %v", n, events)
	}
	if direct == 0 {
		t.Error("no delta was told where it arises")
	}
}
