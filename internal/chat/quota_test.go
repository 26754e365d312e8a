package chat_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/ent"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/upstream/upstreamtest"
)

// Replies that are being written, and those that wait, hold what they may use: together
// they do not pass the limit.
func TestReservedTokens(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{TokensPerDay: 3006}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		first := b.running(t, u, nil, "one ")
		id := first.Conversation.ID
		queued := b.send(t, u, chat.SendInput{ConversationID: &id, Content: "two", OnBusy: chat.Queue})
		for what, in := range map[string]chat.SendInput{
			"new":    {Content: "three"},
			"queued": {Content: "three", ConversationID: &id, OnBusy: chat.Queue},
			"short":  {Content: "three", Parameters: &reply.Parameters{MaxTokens: ptr(1)}},
		} {
			if got := b.outOfTokens(t, u, in); got > 10 {
				t.Errorf("%s: wait for %d seconds, want a few: what is held may be given back", what, got)
			}
		}
		b.ask(t, other, nil, "unaffected")
		if _, err := b.StopReply(u.ctx, u.id, first.Reply.ID); err != nil {
			t.Fatal(err)
		}
		b.final(t, u, queued.Reply.ID)
		b.ask(t, u, nil, "what was held and not used is free again")
	})
}

// What a reply held that was cancelled is no part of its conversation.
func TestTokensOfACancelledReply(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{TokensPerDay: 3000}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		first := b.running(t, u, nil, "one ")
		in := chat.SendInput{ConversationID: &first.Conversation.ID, Content: "two", OnBusy: chat.Queue,
			Parameters: &reply.Parameters{MaxTokens: ptr(5000)}}
		for _, id := range []pid.ID{b.send(t, u, in).Reply.ID, first.Reply.ID} {
			if _, err := b.StopReply(u.ctx, u.id, id); err != nil {
				t.Fatal(err)
			}
			b.final(t, u, id)
		}
		got := b.send(t, u, chat.SendInput{ConversationID: &first.Conversation.ID, Content: "three", Wait: true})
		if held := got.Reply.ReservedTokens; held == nil || *held > 1010 {
			t.Errorf("the next reply holds %v tokens, want a few beside the 1000 of an answer", deref(held))
		}
	})
}

// A message that interrupts does not count what the replies hold that it cancels.
func TestInterruptFreesTokens(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{TokensPerDay: 4000}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		first := b.running(t, u, nil, "one ")
		in := chat.SendInput{ConversationID: &first.Conversation.ID, Content: "two", OnBusy: chat.Queue,
			Parameters: &reply.Parameters{MaxTokens: ptr(1900)}}
		b.send(t, u, in)
		in.Content = "three"
		b.outOfTokens(t, u, in)
		in.OnBusy = chat.Interrupt
		b.final(t, u, b.send(t, u, in).Reply.ID)
	})
}

// What a reply holds is what it is asked with and for.
func TestWhatAReplyHolds(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{SystemPrompt: strings.Repeat("x", 400)})
		if err != nil {
			t.Fatal(err)
		}
		in := chat.SendInput{ConversationID: &c.ID, Content: strings.Repeat("y", 40), Wait: true,
			Parameters: &reply.Parameters{MaxTokens: ptr(7)}}
		if got := deref(b.send(t, u, in).Reply.ReservedTokens); got != 100+10+7 {
			t.Errorf("the first reply holds %v tokens, want 117", got)
		}
		in.Parameters = nil
		if got := deref(b.send(t, u, in).Reply.ReservedTokens); got != 15+10+1000 { // The model counted 10 and 5.
			t.Errorf("the second reply holds %v tokens, want 1025", got)
		}
		b.upstream.Next(upstreamtest.Fail(400, "bad"))
		b.send(t, u, in)
		if got := b.line(t, u, c.ID)[1].ReservedTokens; got != nil {
			t.Errorf("a question holds %d tokens, want none", *got)
		}
	})
}

// A quota holds when many come at once.
func TestTokensAtOnce(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{TokensPerDay: 3000}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		for range 50 {
			b.upstream.Next(upstreamtest.Then("x", upstreamtest.Hang))
		}
		wantAdmitted(t, 3, func(n int) error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: fmt.Sprint("message ", n)})
			return err
		})
	})
}

// wantAdmitted does something 50 times at once, of which so many must not be refused.
func wantAdmitted(t *testing.T, want int64, try func(n int) error) {
	t.Helper()
	var all sync.WaitGroup
	var admitted atomic.Int64
	for n := range 50 {
		all.Go(func() {
			if err := try(n); err == nil {
				admitted.Add(1)
			} else if !refusal.Is(err, refusal.CodeQuotaExceeded) {
				t.Errorf("got %v, want QUOTA_EXCEEDED", err)
			}
		})
	}
	all.Wait()
	if got := admitted.Load(); got != want {
		t.Errorf("%d of 50 were admitted, want %d", got, want)
	}
}

func TestConversationsPerDay(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{ConversationsPerDay: 3}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		create := func() error {
			_, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
			return err
		}
		send := func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: "new", Wait: true})
			return err
		}
		made := b.ask(t, u, nil, "first").Conversation.ID
		for range 2 {
			if err := create(); err != nil {
				t.Fatal(err)
			}
		}
		for _, try := range []func() error{create, send} {
			now := time.Now().UTC()
			left := now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
			if got := b.outOf(t, "conversations_per_day", try); got > int(left.Seconds())+2 {
				t.Errorf("wait for %d seconds, want the rest of the day", got)
			}
		}
		b.ask(t, u, &made, "this one goes on")
		b.ask(t, other, nil, "unaffected")
		// One that is deleted does not count, nor does one of yesterday that changes today.
		if err := b.DeleteConversation(u.ctx, u.id, made); err != nil {
			t.Fatal(err)
		}
		if err := send(); err != nil {
			t.Errorf("got %v, want room for one", err)
		}
		b.outOf(t, "conversations_per_day", create)
		b.raw(t, func(tx *ent.Tx) error {
			day := "'1 day'::interval"
			if b.store.Dialect() != "postgres" {
				day = "86400000000"
			}
			_, err := tx.ExecContext(t.Context(), "UPDATE conversations SET created_at = created_at - "+day)
			return err
		})
		wantAdmitted(t, 3, func(n int) error {
			if n%2 == 0 {
				return create()
			}
			return send()
		})
	})
}

func TestBytesPerUser(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{BytesPerUser: 2000}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		// 1200 bytes of a question, and as much and more of its answer.
		known := chat.SendInput{Content: strings.Repeat("long", 300), ClientKey: ptr("key-00001"), Wait: true}
		first := b.send(t, u, known)
		b.ask(t, other, nil, "unaffected")
		b.restart(t) // It would not measure so soon.
		for _, try := range []func() error{
			func() error {
				_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: "more"})
				return err
			},
			func() error {
				_, err := b.SendMessage(u.ctx, u.id,
					chat.SendInput{Content: "more", ConversationID: &first.Conversation.ID})
				return err
			},
			func() error { _, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{}); return err },
		} {
			extras := b.unchanged(t, refusal.CodeQuotaExceeded, try)
			if len(extras) != 1 || extras["quota"] != "bytes_per_user" {
				t.Errorf("got extras %v, want the name of the quota, and no time", extras)
			}
		}
		samePair(t, first, b.send(t, u, known))
		b.ask(t, other, nil, "unaffected")
		if err := b.DeleteConversation(u.ctx, u.id, first.Conversation.ID); err != nil {
			t.Fatal(err)
		}
		b.restart(t)
		b.ask(t, u, nil, "there is room again")
		if n, err := b.store.StoredBytes(u.ctx, other.id); err == nil {
			t.Errorf("a user was told that another one stores %d bytes", n)
		}
		n, err := b.store.StoredBytes(other.ctx, other.id)
		if err != nil || n != 2*len("unaffectedYou said: unaffected") {
			t.Errorf("got %d bytes, %v, want two questions with their answers", n, err)
		}
	})
}

// A model server that is down, or refuses everybody, spends nobody's tokens: what a send has held
// is given back, and nothing is counted.
func TestTokensOfFailures(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{TokensPerDay: 1002}, func(t *testing.T, b *bundle) {
		for _, failing := range []struct {
			name   string
			script upstreamtest.Script
		}{
			{"401", upstreamtest.Fail(401, "no")}, {"404", upstreamtest.Fail(404, "model_not_found")},
			{"429", upstreamtest.Fail(429, "slow")}, {"down", upstreamtest.Cut},
			{"503", upstreamtest.Fail(503, "busy")},
		} {
			name, u := failing.name, b.user(t)
			b.upstream.Always(failing.script)
			for range 10 {
				r := b.send(t, u, chat.SendInput{Content: "hello", Wait: true})
				if r.Reply.ErrorCode == nil || r.Reply.PromptTokens != nil {
					t.Errorf("%s: ended with %v and %v tokens, want a failure and none", name, deref(r.Reply.ErrorCode),
						deref(r.Reply.PromptTokens))
				}
			}
		}
	})
}
