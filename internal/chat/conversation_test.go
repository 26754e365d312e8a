package chat_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// reread returns a conversation as it is stored.
func (b *bundle) reread(t *testing.T, u person, id pid.ID) *ent.Conversation {
	t.Helper()
	c, err := b.Conversations(u.ctx, u.id, []pid.ID{id})
	if err != nil || len(c) != 1 {
		t.Fatalf("got %v, %v, want the conversation", c, err)
	}
	return c[0]
}

func TestCreateConversation(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		if c.Name != "" || c.NameSource != "PLACEHOLDER" || c.Model != nil || c.Parameters != "" || c.Pinned ||
			c.ArchivedAt != nil {
			t.Errorf("got %v, want nothing set", c)
		}
		b.wantLine(t, u, c.ID, 1)
		pages, err := b.ListMessages(u.ctx, u.id, []pid.ID{c.ID}, chat.PageArgs{})
		counts, err2 := b.CountMessages(u.ctx, u.id, []pid.ID{c.ID})
		prompts, err3 := b.SystemPrompts(u.ctx, u.id, []pid.ID{c.ID})
		if err != nil || err2 != nil || err3 != nil || len(pages[c.ID].Items) != 0 || counts[c.ID] != 0 ||
			len(prompts) != 0 {
			t.Errorf("got %v, %v, %v, want an empty system prompt not to be listed", pages, counts, prompts)
		}
		// Its first message names it.
		r := b.ask(t, u, &c.ID, strings.Repeat("word ", 30))
		if name := []rune(r.Conversation.Name); len(name) > 60 || name[len(name)-1] != '…' ||
			r.Conversation.NameSource != "PLACEHOLDER" {
			t.Errorf("got name %q, want the beginning of the first message", r.Conversation.Name)
		}
		before := r.Conversation.Name
		if again := b.ask(t, u, &c.ID, "something else"); again.Conversation.Name != before {
			t.Errorf("got name %q after the second message, want %q", again.Conversation.Name, before)
		}
		if owner, err := c.QueryUser().OnlyID(u.ctx); err != nil || owner != u.id {
			t.Errorf("query from the conversation: got %v, %v", owner, err)
		}
	})
}

func TestUpdateConversation(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{
			SystemPrompt: "old", Parameters: &reply.Parameters{Temperature: ptr(1.0), TopP: ptr(0.5)},
		})
		if err != nil {
			t.Fatal(err)
		}
		update := func(in chat.ConversationPatch) *ent.Conversation {
			t.Helper()
			got, err := b.UpdateConversation(u.ctx, u.id, c.ID, in)
			if err != nil {
				t.Fatalf("update: %v", err)
			}
			if stored := b.reread(t, u, c.ID); stored.String() != got.String() {
				t.Errorf("got %v, stored is %v", got, stored)
			}
			return got
		}
		same := func(what string, want, got *ent.Conversation) {
			t.Helper()
			w := *want
			w.UpdatedAt = got.UpdatedAt
			if w.String() != got.String() {
				t.Errorf("%s: got %v, want %v", what, got, &w)
			}
		}
		last := update(chat.ConversationPatch{})
		same("an empty patch", c, last)
		step := func(what string, in chat.ConversationPatch, change func(c *ent.Conversation)) {
			t.Helper()
			got := update(in)
			change(last)
			same(what, last, got)
			last = got
		}
		step("name", chat.ConversationPatch{Name: ptr("mine")},
			func(c *ent.Conversation) { c.Name, c.NameSource = "mine", "USER" })
		step("model", chat.ConversationPatch{Model: ptr("other")}, func(c *ent.Conversation) { c.Model = ptr("other") })
		step("no model", chat.ConversationPatch{Model: ptr("")}, func(c *ent.Conversation) { c.Model = nil })
		step("pin", chat.ConversationPatch{Pinned: ptr(true)}, func(c *ent.Conversation) { c.Pinned = true })
		step("unpin", chat.ConversationPatch{Pinned: ptr(false)}, func(c *ent.Conversation) { c.Pinned = false })
		archived := update(chat.ConversationPatch{Archived: ptr(true)})
		if archived.ArchivedAt == nil {
			t.Error("got no time of archiving")
		}
		if again := update(chat.ConversationPatch{Archived: ptr(true)}); again.ArchivedAt == nil ||
			!again.ArchivedAt.Equal(*archived.ArchivedAt) {
			t.Errorf("archived twice: got %v, want the first time, %v", again.ArchivedAt, archived.ArchivedAt)
		}
		step("unarchive", chat.ConversationPatch{Archived: ptr(false)}, func(*ent.Conversation) {})
		step("parameters", chat.ConversationPatch{Parameters: &reply.Parameters{TopP: ptr(0.0)}},
			func(c *ent.Conversation) { c.Parameters = `{"topP":0}` })
		step("no parameters", chat.ConversationPatch{Parameters: &reply.Parameters{}},
			func(c *ent.Conversation) { c.Parameters = "" })
		step("everything", chat.ConversationPatch{
			Name: ptr("all"), Model: ptr("test"), SystemPrompt: ptr("new"), Parameters: &reply.Parameters{Seed: ptr(1)},
			Pinned: ptr(true),
		}, func(c *ent.Conversation) {
			c.Name, c.Model, c.Parameters, c.Pinned = "all", ptr("test"), `{"seed":1}`, true
		})
		prompts, err := b.SystemPrompts(u.ctx, u.id, []pid.ID{c.ID})
		if err != nil || prompts[c.ID] != "new" {
			t.Errorf("got system prompts %v, %v, want new", prompts, err)
		}
		// "" gives the name from the first message back, of which there is none yet.
		step("no name", chat.ConversationPatch{Name: ptr("")},
			func(c *ent.Conversation) { c.Name, c.NameSource = "", "PLACEHOLDER" })
		b.ask(t, u, &c.ID, "first\nmessage")
		b.ask(t, u, &c.ID, "second message")
		last = b.reread(t, u, c.ID)
		step("name again", chat.ConversationPatch{Name: ptr("chosen")},
			func(c *ent.Conversation) { c.Name, c.NameSource = "chosen", "USER" })
		step("no name again", chat.ConversationPatch{Name: ptr("")},
			func(c *ent.Conversation) { c.Name, c.NameSource = "first message", "PLACEHOLDER" })
		b.wantLine(t, u, c.ID, 5)
	})
}

func TestDeleteConversation(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		kept := b.ask(t, u, nil, "kept")
		r := b.running(t, u, nil, "half ")
		if err := b.DeleteConversation(u.ctx, u.id, r.Conversation.ID); err != nil {
			t.Fatal(err)
		}
		if err := b.upstream.Wait(deadline(t, t.Context()),
			func() bool { return b.upstream.Cancelled() == 1 && b.upstream.Running() == 0 }); err != nil {
			t.Error("the model server was not hung up on")
		}
		eventually(t, "the end of the run", func() bool { return b.engine.Running() == 0 })
		if got := b.counts(t); got["conversations"] != 1 || got["messages"] != 3 {
			t.Errorf("got %v, want the other conversation only: no row may reappear", got)
		}
		refused(t, b.DeleteConversation(u.ctx, u.id, r.Conversation.ID), refusal.CodeNotFound)
		_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &r.Conversation.ID, Content: "x"})
		refused(t, err, refusal.CodeNotFound)
		_, err = b.StopReply(u.ctx, u.id, r.Reply.ID)
		refused(t, err, refusal.CodeNotFound)
		b.wantLine(t, u, kept.Conversation.ID, 3)
	})
}

// Who waits for a reply whose conversation is deleted is told so, as data.
func TestDeleteWhileSomebodyWaits(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		r := b.running(t, u, nil, "half ")
		waited := make(chan *ent.Message, 1)
		go func() {
			m, err := b.engine.Wait(u.ctx, u.id, r.Reply.ID, waitLimit)
			if err != nil {
				t.Errorf("wait: %v", err)
			}
			waited <- m
		}()
		if err := b.DeleteConversation(u.ctx, u.id, r.Conversation.ID); err != nil {
			t.Fatal(err)
		}
		if m := <-waited; m == nil || m.Status != message.StatusSTOPPED || deref(m.ErrorCode) != "DELETED" ||
			m.Content != "half " {
			t.Errorf("got %v, want STOPPED, DELETED with the text so far", m)
		}
	})
}

// Another user's ids do what random ids do, in every method.
func TestStrangers(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, stranger := b.user(t), b.user(t)
		done := b.ask(t, u, nil, "a secret")
		live := b.running(t, u, nil, "half ")
		own := b.ask(t, stranger, nil, "own")
		before := b.counts(t)
		type ids struct{ conversation, userMessage, reply, live, liveConversation pid.ID }
		theirs := ids{done.Conversation.ID, done.UserMessage.ID, done.Reply.ID, live.Reply.ID, live.Conversation.ID}
		random := ids{pid.New(pid.Conversation), pid.New(pid.Message), pid.New(pid.Message), pid.New(pid.Message),
			pid.New(pid.Conversation)}
		methods := map[string]func(i ids) (any, error){
			"SendMessage": func(i ids) (any, error) {
				r, err := b.SendMessage(stranger.ctx, stranger.id,
					chat.SendInput{ConversationID: &i.conversation, Content: "x", Wait: true})
				return r.Reply, err
			},
			"SendMessage to a busy one": func(i ids) (any, error) {
				r, err := b.SendMessage(stranger.ctx, stranger.id,
					chat.SendInput{ConversationID: &i.liveConversation, Content: "x"})
				return r.Reply, err
			},
			"SendMessage with a head": func(i ids) (any, error) {
				r, err := b.SendMessage(stranger.ctx, stranger.id,
					chat.SendInput{ConversationID: &i.conversation, ExpectedHeadID: &i.userMessage, Content: "x"})
				return r.Reply, err
			},
			"SendMessage with their head": func(i ids) (any, error) {
				r, err := b.SendMessage(stranger.ctx, stranger.id,
					chat.SendInput{ConversationID: &own.Conversation.ID, ExpectedHeadID: &i.reply, Content: "x"})
				return r.Reply, err
			},
			"SendMessage with a wrong model": func(i ids) (any, error) {
				r, err := b.SendMessage(stranger.ctx, stranger.id,
					chat.SendInput{ConversationID: &i.conversation, Model: ptr("x"), Content: "x"})
				return r.Reply, err
			},
			"StopReply":        func(i ids) (any, error) { return b.StopReply(stranger.ctx, stranger.id, i.live) },
			"StopReply, final": func(i ids) (any, error) { return b.StopReply(stranger.ctx, stranger.id, i.reply) },
			"StopReply, user's": func(i ids) (any,
				error) {
				return b.StopReply(stranger.ctx, stranger.id, i.userMessage)
			},
			"DeleteConversation": func(i ids) (any, error) {
				return nil, b.DeleteConversation(stranger.ctx, stranger.id, i.conversation)
			},
			"Conversations": func(i ids) (any,
				error) {
				return b.Conversations(stranger.ctx, stranger.id, []pid.ID{i.conversation})
			},
			"Messages": func(i ids) (any, error) {
				return b.Messages(stranger.ctx, stranger.id, []pid.ID{i.userMessage, i.live})
			},
			"CountMessages": func(i ids) (any, error) {
				m, err := b.CountMessages(stranger.ctx, stranger.id, []pid.ID{i.conversation})
				return len(m), err
			},
			"SystemPrompts": func(i ids) (any, error) {
				m, err := b.SystemPrompts(stranger.ctx, stranger.id, []pid.ID{i.conversation})
				return len(m), err
			},
			"RunningReplies": func(i ids) (any, error) {
				m, err := b.RunningReplies(stranger.ctx, stranger.id, []pid.ID{i.liveConversation})
				return len(m), err
			},
			"ListMessages": func(i ids) (any, error) {
				m, err := b.ListMessages(stranger.ctx, stranger.id, []pid.ID{i.conversation}, chat.PageArgs{})
				return m[i.conversation], err
			},
			"ListMessages of many": func(i ids) (any, error) {
				m, err := b.ListMessages(stranger.ctx, stranger.id, []pid.ID{i.conversation, i.liveConversation},
					chat.PageArgs{Last: ptr(5)})
				return m[i.conversation], err
			},
			"UpdateConversation": func(i ids) (any, error) {
				return b.UpdateConversation(stranger.ctx, stranger.id, i.conversation,
					chat.ConversationPatch{SystemPrompt: ptr("x"), Pinned: ptr(true)})
			},
			"UpdateConversation, no": func(i ids) (any, error) {
				return b.UpdateConversation(stranger.ctx, stranger.id, i.conversation, chat.ConversationPatch{})
			},
			"Attach": func(i ids) (any, error) {
				v, err := b.engine.Attach(stranger.ctx, stranger.id, i.live, nil)
				return v == nil, err
			},
			// The user as an argument and the viewer in the context are two locks.
			"argument only": func(i ids) (any,
				error) {
				return b.Messages(stranger.ctx, u.id, []pid.ID{i.userMessage})
			},
			"viewer only": func(i ids) (any, error) {
				return b.Messages(viewer.AsUser(t.Context(), u.id), stranger.id, []pid.ID{i.userMessage})
			},
		}
		for name, try := range methods {
			got, gotErr := try(theirs)
			want, wantErr := try(random)
			same := (gotErr == nil) == (wantErr == nil) && (gotErr == nil || gotErr.Error() == wantErr.Error())
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b *ent.Message) bool { return a == b }),
				cmp.Comparer(func(a, b *ent.Conversation) bool { return a == b })); diff != "" || !same {
				t.Errorf("%s: with another user's id got %v, %v, with a random one %v, %v", name, got, gotErr, want,
					wantErr)
			}
		}
		if diff := cmp.Diff(before, b.counts(t)); diff != "" {
			t.Errorf("a stranger changed the number of rows (-before +after):\n%s", diff)
		}
		if c := b.reread(t, u, done.Conversation.ID); c.Pinned || c.HeadID != done.Reply.ID {
			t.Errorf("a stranger changed %v", c)
		}
		if m := b.row(t, u, live.Reply.ID); m.StopRequestedAt != nil || m.Status != message.StatusSTREAMING {
			t.Errorf("a stranger stopped %v", m)
		}
		for _, r := range b.upstream.Requests() {
			if strings.Contains(string(r.Body), `"x"`) {
				t.Errorf("a stranger's send reached the model: %s", r.Body)
			}
		}
	})
}

// A message of somebody else that has got into the line is never sent upstream.
func TestForeignHistoryIsNotSent(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		r := b.ask(t, u, nil, "mine")
		b.store.Client().Message.Create().SetConversationID(r.Conversation.ID).SetUserID(other.id).SetIndex(100).
			SetRole(message.RoleUSER).SetContent("a canary").ExecX(other.ctx)
		b.ask(t, u, &r.Conversation.ID, "again")
		for _, request := range b.upstream.Requests() {
			if strings.Contains(string(request.Body), "canary") {
				t.Errorf("another user's message was sent: %s", request.Body)
			}
		}
		pages, err := b.ListMessages(u.ctx, u.id, []pid.ID{r.Conversation.ID}, chat.PageArgs{})
		if err != nil || len(pages[r.Conversation.ID].Items) != 4 {
			t.Errorf("got %v, %v, want the user's own four messages", pages, err)
		}
	})
}

// skewed is a database whose clock is an hour behind this machine's.
type skewed struct{ *store.Store }

func (s skewed) NowTx(ctx context.Context, tx *ent.Tx) (time.Time, error) {
	now, err := s.Store.NowTx(ctx, tx)
	return now.Add(-time.Hour), err
}

func (s skewed) LockSend(ctx context.Context, tx *ent.Tx, userID, conversationID pid.ID) (time.Time, error) {
	now, err := s.Store.LockSend(ctx, tx, userID, conversationID)
	return now.Add(-time.Hour), err
}

// All times by which lists are sorted and compared are the database's, whatever this
// machine's clock says.
func TestTimesAreTheDatabases(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	b := setup(t, s, chat.Config{})
	u := b.user(t)
	service := b.service(t, chat.Config{}, skewed{s})
	c, err := service.CreateConversation(u.ctx, u.id, chat.NewConversation{})
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, times ...time.Time) {
		t.Helper()
		for _, at := range times {
			if age := time.Since(at); age < 30*time.Minute {
				t.Errorf("%s: got %v, %v ago, want the database's time", what, at, age)
			}
		}
	}
	check("create", c.CreatedAt, c.UpdatedAt, c.LastMessageAt)
	if c, err = service.UpdateConversation(u.ctx, u.id, c.ID, chat.ConversationPatch{Name: ptr("x")}); err != nil {
		t.Fatal(err)
	}
	check("update", c.UpdatedAt)
	r, err := service.SendMessage(u.ctx, u.id, chat.SendInput{Content: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	check("send", r.Conversation.CreatedAt, r.Conversation.UpdatedAt, r.Conversation.LastMessageAt,
		r.UserMessage.CreatedAt, r.Reply.CreatedAt, *r.Reply.StartedAt)
}
