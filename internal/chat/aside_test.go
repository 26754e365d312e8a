package chat_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"parley/ent/usageday"
	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/upstream/upstreamtest"
)

// isSummary recognizes a call that asks for a summary.
func isSummary(r upstreamtest.Request) bool { return strings.Contains(r.LastUser(), "Sum it up") }

func TestSummarizeConversation(t *testing.T) {
	t.Parallel()
	each(t, wide, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		b.upstream.Always(upstreamtest.Reply("A reply of some words."))
		id := b.ask(t, u, nil, "question 0").Conversation.ID
		again := func() (any, error) {
			s, err := b.SummarizeConversation(u.ctx, u.id, id)
			if s == nil {
				return nil, err
			}
			return s.Content, err
		}
		if s, err := again(); err != nil || s != nil {
			t.Errorf("got %v, %v of one turn, want nothing", s, err)
		}
		_, err := b.SummarizeConversation(other.ctx, other.id, id)
		refused(t, err, refusal.CodeNotFound)
		for n := 1; n < 10; n++ {
			b.ask(t, u, &id, fmt.Sprint("question ", n))
		}
		b.upstream.Next(upstreamtest.Fail(http.StatusInternalServerError, "down"))
		_, err = again()
		refused(t, err, refusal.CodeModelUnavailable)
		// What cannot go well is not called passing.
		b.upstream.Next(upstreamtest.Fail(http.StatusBadRequest, "content_filter"))
		_, err = again()
		if refused(t, err, refusal.CodeModelUnavailable); err == nil || strings.Contains(err.Error(), "Try again") {
			t.Errorf("got %v, want the user told that it is refused", err)
		}
		b.upstream.Next(upstreamtest.Reply("They asked ten things."))
		made, err := b.SummarizeConversation(u.ctx, u.id, id)
		if err != nil || made == nil || made.Content != "They asked ten things." || made.Model != "test" {
			t.Fatalf("got %v, %v", made, err)
		}
		if calls, tokens := b.asides(u, usageday.PurposeSUMMARY); calls != 1 || tokens != 15 {
			t.Errorf("counted %d calls and %d tokens, want 1 and 15", calls, tokens)
		}
		asked := b.upstream.Requests()
		last := asked[len(asked)-1].LastUser()
		if !isSummary(asked[len(asked)-1]) || !strings.Contains(last, "question 5") ||
			strings.Contains(last, "question 6") {
			t.Errorf("the summary is made of %q, want the first 6 turns", last)
		}
		if reached := b.row(t, u, made.MessageID); reached.Index != 12 {
			t.Errorf("it reaches to %d, want 12", reached.Index)
		}
		if s, err := again(); err != nil || s != nil {
			t.Errorf("got %v, %v of what is left, want nothing", s, err)
		}
		b.deleteSummary(t, u, other, id, made.ID)
		if s, err := again(); err != nil || s == nil {
			t.Errorf("after the summary was thrown away: got %v, %v", s, err)
		}
		_, err = again()
		refused(t, err, refusal.CodeRateLimited)
	})
}

func (b *bundle) deleteSummary(t *testing.T, u, other person, conversation, id pid.ID) {
	t.Helper()
	refused(t, b.DeleteSummary(other.ctx, other.id, id), refusal.CodeNotFound)
	before := b.conversation(t, u, conversation)
	facts := b.bus.Subscribe(fact.OfUser(u.id))
	defer facts.Close()
	if err := b.DeleteSummary(u.ctx, u.id, id); err != nil {
		t.Fatal(err)
	}
	f := <-facts.Facts()
	if f.Kind != fact.ConversationUpdated || f.Conversation == nil ||
		!f.Conversation.UpdatedAt.After(before.UpdatedAt) {
		t.Errorf("got %v, want a new version of the conversation", f)
	}
	refused(t, b.DeleteSummary(u.ctx, u.id, id), refusal.CodeNotFound)
	if c := b.count(t, "summaries"); c != 0 {
		t.Errorf("%d summaries are left", c)
	}
}

// Summaries go with their conversation.
func TestSummariesAreDeleted(t *testing.T) {
	t.Parallel()
	each(t, wide, func(t *testing.T, b *bundle) {
		u := b.user(t)
		id := b.ask(t, u, nil, "question").Conversation.ID
		for range 9 {
			b.ask(t, u, &id, "question")
		}
		if s, err := b.SummarizeConversation(u.ctx, u.id, id); err != nil || s == nil {
			t.Fatalf("got %v, %v", s, err)
		}
		if err := b.DeleteConversation(u.ctx, u.id, id); err != nil {
			t.Fatal(err)
		}
		if n := b.count(t, "summaries"); n != 0 {
			t.Errorf("%d summaries are left", n)
		}
		_, err := b.SummarizeConversation(u.ctx, u.id, id)
		refused(t, err, refusal.CodeNotFound)
	})
}

// How often a user may have summaries made is nothing to another one.
func TestPaceIsEachUsersOwn(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		for range 2 {
			u := b.user(t)
			id := b.ask(t, u, nil, "question").Conversation.ID
			for range 6 {
				if _, err := b.SummarizeConversation(u.ctx, u.id, id); err != nil {
					t.Fatal(err)
				}
			}
			_, err := b.SummarizeConversation(u.ctx, u.id, id)
			refused(t, err, refusal.CodeRateLimited)
		}
	})
}

// Where trying again does not help, a refusal says what does.
func TestAsidesAreRefusedForGood(t *testing.T) {
	t.Parallel()
	named(t, wide, reply.Asides{}, func(t *testing.T, b *namingBundle) {
		u := b.user(t)
		id := b.ask(t, u, nil, "question").Conversation.ID
		for range 9 {
			b.ask(t, u, &id, "question")
		}
		b.named(t, u, id)
		says := func(err error, want string) {
			t.Helper()
			refused(t, err, refusal.CodeModelUnavailable)
			if e, _ := refusal.As(err); !strings.Contains(e.Message, want) {
				t.Errorf("got %q, want %q in it", e.Message, want)
			}
		}
		for status, want := range map[int][2]string{
			http.StatusUnauthorized:       {"Name it yourself.", "another model"},
			http.StatusServiceUnavailable: {"Try again.", "Try again."},
		} {
			down := upstreamtest.Fail(status, "no")
			b.says(down)
			_, err := b.RegenerateName(u.ctx, u.id, id)
			says(err, want[0])
			b.upstream.Next(down)
			_, err = b.SummarizeConversation(u.ctx, u.id, id)
			says(err, want[1])
		}
	})
}
