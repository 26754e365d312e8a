package chat_test

import (
	"testing"
	"time"

	"parley/ent/message"
	"parley/ent/send"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/upstream/upstreamtest"
	"parley/internal/viewer"
)

// limited checks that a send is refused, and returns how long to wait.
func (b *bundle) limited(t *testing.T, u person, in chat.SendInput) int {
	t.Helper()
	extras := b.unchanged(t, refusal.CodeRateLimited, func() error {
		_, err := b.SendMessage(u.ctx, u.id, in)
		return err
	})
	seconds, ok := extras["retryAfter"].(int)
	if !ok || seconds < 1 {
		t.Errorf("got extras %v, want retryAfter in seconds, at least 1", extras)
	}
	return seconds
}

func TestRunningLimit(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{MaxRunning: 3}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		var running []chat.SendResult
		for range 3 {
			running = append(running, b.running(t, u, nil, "x "))
		}
		idle, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		b.limited(t, u, chat.SendInput{Content: "fourth"})
		b.limited(t, u, chat.SendInput{Content: "fourth", ConversationID: &idle.ID})
		b.ask(t, other, nil, "unaffected")
		if _, err := b.StopReply(u.ctx, u.id, running[1].Reply.ID); err != nil {
			t.Fatal(err)
		}
		b.ask(t, u, &idle.ID, "fourth")
	})
}

func TestSendsPerMinute(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{SendsPerMinute: 3}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		for range 3 {
			b.ask(t, u, nil, "hello")
		}
		if got := b.limited(t, u, chat.SendInput{Content: "fourth"}); got < 50 || got > 60 {
			t.Errorf("got retryAfter %d, want nearly a minute", got)
		}
		b.ask(t, other, nil, "unaffected")
		// The oldest of them is nearly a minute old: wait for that one only.
		ids := b.store.Client().Send.Query().Order(send.ByCreatedAt()).IDsX(u.ctx)
		b.backdate(t, ids[0], 50*time.Second)
		if got := b.limited(t, u, chat.SendInput{Content: "fourth"}); got > 11 {
			t.Errorf("got retryAfter %d, want what the oldest send has left", got)
		}
		b.backdate(t, ids[0], 11*time.Second)
		b.ask(t, u, nil, "fourth")
		b.limited(t, u, chat.SendInput{Content: "fifth"})
		// Deleting does not give sends back.
		list, err := b.ListConversations(u.ctx, u.id, chat.ConversationFilter{}, chat.PageArgs{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list.Items {
			if err := b.DeleteConversation(u.ctx, u.id, c.ID); err != nil {
				t.Fatal(err)
			}
		}
		b.limited(t, u, chat.SendInput{Content: "fifth"})
	})
}

// backdate makes the record of a send older.
func (b *bundle) backdate(t *testing.T, id pid.ID, by time.Duration) {
	t.Helper()
	// Records never change, so put an older one in its place.
	sweep := viewer.AsSweep(t.Context())
	old := b.store.Client().Send.Query().Where(send.ID(id)).OnlyX(sweep)
	if n := b.store.Client().Send.Delete().Where(send.ID(id)).ExecX(sweep); n != 1 {
		t.Fatalf("removed %d records, want 1", n)
	}
	b.store.Client().Send.Create().SetID(old.ID).SetUserID(old.UserID).SetNillableClientKey(old.ClientKey).
		SetPayloadHash(old.PayloadHash).
		SetConversationID(old.ConversationID).SetUserMessageID(old.UserMessageID).SetReplyID(old.ReplyID).
		SetCreatedAt(old.CreatedAt.Add(-by)).ExecX(viewer.AsUser(t.Context(), old.UserID))
}

func TestTokensPerDay(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{TokensPerDay: 30}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		b.ask(t, u, nil, "10 asked and 5 answered")
		// A reply without a count, and one of yesterday, which do not matter.
		b.upstream.Next(upstreamtest.Fail(400, "bad"))
		failed := b.send(t, u, chat.SendInput{Content: "x", Wait: true})
		spent := b.row(t, u, failed.Reply.ID)
		b.store.Client().Message.Update().Where(message.ID(spent.ID)).ClearPromptTokens().ClearCompletionTokens().
			ExecX(u.ctx)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		b.store.Client().Message.Create().SetConversationID(c.ID).SetUserID(u.id).SetIndex(1).SetActive(false).
			SetRole(message.RoleASSISTANT).
			SetPromptTokens(1 << 40).SetCompletionTokens(1 << 40).SetCreatedAt(time.Now().Add(-24 * time.Hour)).
			ExecX(u.ctx)
		b.ask(t, u, nil, "30 with this one")
		now := time.Now().UTC()
		got := b.limited(t, u, chat.SendInput{Content: "31"})
		if left := now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now); got > int(left.Seconds())+2 ||
			got < int(left.Seconds())-60 {
			t.Errorf("got retryAfter %d, want the rest of the day (UTC), %v", got, left)
		}
		b.ask(t, other, nil, "unaffected")
	})
}

// Deleting gives no tokens back.
func TestDeletedTokensCount(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{TokensPerDay: 30}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		for range 2 { // 15 each.
			r := b.send(t, u, chat.SendInput{Content: "10 asked and 5 answered", Wait: true})
			if err := b.DeleteConversation(u.ctx, u.id, r.Conversation.ID); err != nil {
				t.Fatal(err)
			}
		}
		b.limited(t, u, chat.SendInput{Content: "no more"})
		// What was spent yesterday does not count today.
		b.store.Client().User.UpdateOneID(u.id).
			SetSpentOn(time.Now().UTC().Truncate(24 * time.Hour).Add(-24 * time.Hour)).ExecX(u.ctx)
		b.send(t, u, chat.SendInput{Content: "a new day", Wait: true})
	})
}

// Deleting a conversation while its reply is being written does not make the reply
// free.
func TestTokensOfDeletedRunningReplies(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{TokensPerDay: 30}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		for range 2 {
			r := b.running(t, u, nil, "a text of about twenty tokens, which the model server has charged for already")
			if err := b.DeleteConversation(u.ctx, u.id, r.Conversation.ID); err != nil {
				t.Fatal(err)
			}
		}
		b.limited(t, u, chat.SendInput{Content: "a third"})
	})
}
