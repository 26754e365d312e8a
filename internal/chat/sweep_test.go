package chat_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/send"
	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// Records of sends go when nobody can need them any more, in batches.
func TestSendsExpire(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		now := time.Now()
		made := func(key *string, age time.Duration) *ent.SendCreate {
			// An id holds its time; the rest makes it one of its kind.
			at := now.Add(-age)
			id := string(pid.First(pid.Send, at))[:14] + string(pid.New(pid.Send))[14:]
			return b.store.Client().Send.Create().SetID(pid.ID(id)).SetUserID(u.id).SetNillableClientKey(key).
				SetPayloadHash("hash").SetConversationID("c").SetUserMessageID("m").SetReplyID("r").SetCreatedAt(at)
		}
		const day = 24 * time.Hour
		var all []*ent.SendCreate
		for n := range 600 {
			all = append(all, made(ptr(fmt.Sprint("expired ", n)), chat.KeepKeys+2*time.Hour),
				made(nil, day+2*time.Hour))
		}
		all = append(all, made(ptr("kept"), chat.KeepKeys-2*time.Hour), made(nil, day-2*time.Hour),
			made(ptr("young"), day+2*time.Hour))
		for len(all) > 0 {
			n := min(len(all), 200)
			b.store.Client().Send.CreateBulk(all[:n]...).ExecX(u.ctx)
			all = all[n:]
		}
		if err := b.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		var left []any
		for _, s := range b.store.Client().Send.Query().Where(send.UserID(u.id)).Order(send.ByCreatedAt()).AllX(u.ctx) {
			left = append(left, deref(s.ClientKey))
		}
		if diff := cmp.Diff([]any{"kept", "young", nil}, left); diff != "" {
			t.Errorf("the sends that are left (-want +got):\n%s", diff)
		}
	})
}

// Notes of deletions go after a day, in batches.
func TestDeletionsExpire(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		for range 3 {
			var old []*ent.ConversationDeletionCreate
			for range 200 {
				old = append(old, b.store.Client().ConversationDeletion.Create().SetUserID(u.id).
					SetConversationID("old").SetDeletedAt(now.Add(-25*time.Hour)))
			}
			b.store.Client().ConversationDeletion.CreateBulk(old...).ExecX(u.ctx)
		}
		if err := b.DeleteConversation(u.ctx, u.id, c.ID); err != nil {
			t.Fatal(err)
		}
		if err := b.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		left := b.store.Client().ConversationDeletion.Query().AllX(u.ctx)
		if len(left) != 1 || left[0].ConversationID != c.ID || left[0].DeletedAt.Before(now.Add(-time.Hour)) {
			t.Errorf("%d are left, %v, want the one of now", len(left), left)
		}
	})
}

// What runs for a user who is disabled is stopped with its text, and what waits behind it
// calls no model.
func TestRepliesOfDisabledUsersEnd(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		running := b.running(t, u, nil, "half ")
		theirs := b.running(t, other, nil, "theirs ")
		var queued []pid.ID
		for n := range 3 {
			r := b.send(t, u, chat.SendInput{ConversationID: &running.Conversation.ID, Content: fmt.Sprint("more ", n),
				OnBusy: chat.Queue})
			queued = append(queued, r.Reply.ID)
		}
		calls := len(b.upstream.Requests())
		b.store.Client().User.UpdateOneID(u.id).SetDisabledAt(time.Now()).ExecX(viewer.AsAdmin(t.Context()))
		b.bus.Publish(fact.Fact{Kind: fact.AccessRevoked, UserID: u.id})
		if m := b.final(t, u, running.Reply.ID); m.Status != message.StatusSTOPPED || m.Content != "half " {
			t.Errorf("the running reply ended %s, %q, want it stopped with its text", m.Status, m.Content)
		}
		for _, id := range queued {
			if m := b.final(t, u, id); m.Status != message.StatusSTOPPED || m.Content != "" || m.PromptTokens != nil {
				t.Errorf("a queued reply ended %s, %q, %v tokens, want it stopped", m.Status, m.Content, m.PromptTokens)
			}
		}
		if n := len(b.upstream.Requests()) - calls; n != 0 {
			t.Errorf("the model was called %d times for a user who is disabled", n)
		}
		if m := b.row(t, other, theirs.Reply.ID); m.Status != message.StatusSTREAMING {
			t.Errorf("another user's reply is %s, want it to go on", m.Status)
		}
	})
}
