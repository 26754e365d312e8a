package chat_test

import (
	"testing"
	"time"

	"parley/ent"
	"parley/ent/send"
	"parley/ent/usageday"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/upstream/upstreamtest"
	"parley/internal/usage"
	"parley/internal/viewer"
)

// limited checks that a send is refused, and returns how long to wait.
func (b *bundle) limited(t *testing.T, u person, in chat.SendInput) int {
	t.Helper()
	return wait(t, b.unchanged(t, refusal.CodeRateLimited, func() error {
		_, err := b.SendMessage(u.ctx, u.id, in)
		return err
	}))
}

// outOf checks that something is refused since a quota of the day is used up, and returns
// how long to wait.
func (b *bundle) outOf(t *testing.T, quota string, try func() error) int {
	t.Helper()
	extras := b.unchanged(t, refusal.CodeQuotaExceeded, try)
	tomorrow := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour).Format(time.RFC3339)
	if extras["quota"] != quota || extras["resetsOn"] != tomorrow {
		t.Errorf("got extras %v, want the quota %s, and that it resets on %s", extras, quota, tomorrow)
	}
	return wait(t, extras)
}

// outOfTokens is outOf for a send beyond the tokens of the day.
func (b *bundle) outOfTokens(t *testing.T, u person, in chat.SendInput) int {
	t.Helper()
	return b.outOf(t, "tokens_per_day", func() error {
		_, err := b.SendMessage(u.ctx, u.id, in)
		return err
	})
}

// wait is how long a refusal says to wait.
func wait(t *testing.T, extras map[string]any) int {
	t.Helper()
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
		b.restart(t) // It would not look again.
		if got := b.limited(t, u, chat.SendInput{Content: "fourth"}); got > 11 {
			t.Errorf("got retryAfter %d, want what the oldest send has left", got)
		}
		b.backdate(t, ids[0], 11*time.Second)
		b.restart(t)
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

// restart forgets what the service has learnt of limits.
func (b *bundle) restart(t *testing.T) {
	t.Helper()
	b.Service = b.service(t, b.cfg, b.store)
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
	each(t, chat.Config{TokensPerDay: 31}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		b.ask(t, u, nil, "10 asked and 5 answered")
		// A reply that was begun and failed counts by an estimate, one token here.
		b.upstream.Next(func(c *upstreamtest.Call) { c.Raw(": hi\n\n"); c.Cut() })
		b.send(t, u, chat.SendInput{Content: "x", Wait: true})
		// What was used yesterday does not matter.
		b.store.Client().UsageDay.Create().SetUserID(u.id).SetDay(usage.Day(time.Now().Add(-24 * time.Hour))).
			SetModel("test").SetPurpose(usageday.PurposeREPLY).SetPromptTokens(1 << 40).SetCompletionTokens(1 << 40).
			ExecX(u.ctx)
		b.ask(t, u, nil, "31 with this one")
		now := time.Now().UTC()
		got := b.outOfTokens(t, u, chat.SendInput{Content: "32"})
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
		b.outOfTokens(t, u, chat.SendInput{Content: "no more"})
		// What was spent yesterday does not count today.
		b.raw(t, func(tx *ent.Tx) error {
			_, err := tx.ExecContext(t.Context(),
				"UPDATE usage_days SET day = '"+usage.Day(time.Now().Add(-24*time.Hour))+"'")
			return err
		})
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
		b.outOfTokens(t, u, chat.SendInput{Content: "a third"})
	})
}

// What is counted is the reply's row, as the message has it; it stays when the
// conversation goes, with a limit or without one.
func TestUsageOutlivesConversations(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		first := b.ask(t, u, nil, "one")
		b.send(t, u, chat.SendInput{ConversationID: &first.Conversation.ID, Content: "two", Wait: true,
			Model: ptr("other")})
		b.ask(t, u, &first.Conversation.ID, "three")
		want := map[string]ent.UsageDay{}
		for _, m := range b.line(t, u, first.Conversation.ID) {
			if m.Model != nil {
				sum := want[*m.Model]
				sum.Calls++
				sum.PromptTokens += *m.PromptTokens
				sum.CompletionTokens += *m.CompletionTokens
				want[*m.Model] = sum
			}
		}
		check := func(when string) {
			t.Helper()
			rows := b.store.Client().UsageDay.Query().Where(usageday.UserID(u.id)).AllX(u.ctx)
			if len(rows) != 2 || len(want) != 2 {
				t.Fatalf("%s: got the rows %v, want one for each of two models", when, rows)
			}
			for _, r := range rows {
				w := want[r.Model]
				if r.Day != usage.Day(time.Now()) || r.Purpose != usageday.PurposeREPLY || r.Calls != w.Calls ||
					r.PromptTokens != w.PromptTokens || r.CompletionTokens != w.CompletionTokens ||
					r.EstimatedCalls != 0 {
					t.Errorf("%s: got %v, want the sums of its messages, %v", when, r, w)
				}
			}
		}
		check("with the conversation")
		if err := b.DeleteConversation(u.ctx, u.id, first.Conversation.ID); err != nil {
			t.Fatal(err)
		}
		check("without it")
		if n := b.store.Client().UsageDay.Query().CountX(other.ctx); n != 0 {
			t.Errorf("another user sees %d rows, want none", n)
		}
	})
}

// A reply that is deleted in the middle counts by an estimate, once, and one that
// waits for its turn counts nothing. The deletion of somebody else's counts nothing.
func TestUsageOfDeletedRunningReplies(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		r := b.running(t, u, nil, "12345678")
		id := r.Conversation.ID
		b.send(t, u, chat.SendInput{ConversationID: &id, Content: "queued", OnBusy: chat.Queue})
		refused(t, b.DeleteConversation(other.ctx, other.id, id), refusal.CodeNotFound)
		if n := b.count(t, "usage_days"); n != 0 {
			t.Errorf("got %d rows of a reply that still runs, want none", n)
		}
		if err := b.DeleteConversation(u.ctx, u.id, id); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end of the run", func() bool { return b.engine.Running() == 0 })
		refused(t, b.DeleteConversation(u.ctx, u.id, id), refusal.CodeNotFound)
		rows := b.store.Client().UsageDay.Query().AllX(u.ctx)
		if len(rows) != 1 || rows[0].Calls != 1 || rows[0].EstimatedCalls != 1 || rows[0].Model != "test" ||
			rows[0].PromptTokens != 2 || rows[0].CompletionTokens != 2 { // "go on" and the 8 bytes.
			t.Errorf("got %v, want one estimated call", rows)
		}
	})
}
