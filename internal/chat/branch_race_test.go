package chat_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/upstream/upstreamtest"
)

// Eight at once regenerate, select, edit and delete, over two replicas: each refusal is one of
// the contract, and what is left is a tree with one visible line.
func TestBranchesAtOnce(t *testing.T) {
	t.Parallel()
	all := replicas(t, 2, chat.Config{})
	u := all[0].user(t)
	first := all[0].ask(t, u, nil, "one")
	id := first.Conversation.ID
	second := all[0].ask(t, u, &id, "two")
	targets := []pid.ID{first.Reply.ID, second.UserMessage.ID, second.Reply.ID}
	for _, b := range all {
		b.upstream.Always(upstreamtest.Reply("another"))
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			b := all[n%2]
			for i := range 6 {
				target := targets[(n+i)%len(targets)]
				in := chat.Again{MessageID: target}
				if i%2 == 1 {
					in.OnBusy = chat.Interrupt
				}
				var err error
				switch n % 4 {
				case 0, 1:
					_, err = b.RegenerateReply(u.ctx, u.id, in)
				case 2:
					_, _, err = b.SelectBranch(u.ctx, u.id, target, nil)
				case 3:
					_, err = b.EditMessage(u.ctx, u.id, in, fmt.Sprint("edited ", i))
				}
				if err == nil || b.store.IsUnavailable(err) {
					continue
				}
				if e, ok := refusal.As(err); !ok || !slices.Contains([]refusal.Code{refusal.CodeConversationBusy,
					refusal.CodeBadUserInput}, e.Code) {
					t.Errorf("got %v, want a refusal of the contract", err)
				}
				b.checkTree(t, u, id)
			}
		})
	}
	wg.Wait()
	all[0].settled(t, u, id)
	all[0].checkTree(t, u, id)
	for _, target := range targets {
		for _, b := range all {
			if _, _, err := b.SelectBranch(u.ctx, u.id, target, nil); err != nil {
				t.Error(err)
			}
			b.checkTree(t, u, id)
		}
	}
}

// settled waits for the end of all replies of a conversation.
func (b *bundle) settled(t testing.TB, u person, id pid.ID) {
	t.Helper()
	eventually(t, "the end of all replies", func() bool {
		return !slices.ContainsFunc(b.line(t, u, id), func(m *ent.Message) bool {
			return m.Status == message.StatusQUEUED || m.Status == message.StatusSTREAMING
		})
	})
}

// The same key fifty times at once, over two replicas, has one effect and calls the model once
// at most. The last one repeats what has been deleted or replaced meanwhile.
func TestBranchKeysOverReplicas(t *testing.T) {
	t.Parallel()
	all := replicas(t, 2, chat.Config{})
	for i, b := range all {
		b.upstream.Always(upstreamtest.Reply(fmt.Sprint("of replica ", i)))
	}
	key := ptr("key-of-branches")
	type made struct {
		ids          string
		deduplicated bool
	}
	asked := func(r chat.SendResult, err error) (made, error) {
		if err != nil {
			return made{}, err
		}
		return made{string(r.Conversation.ID + r.UserMessage.ID + r.Reply.ID), r.Deduplicated}, nil
	}
	for what, x := range map[string]struct {
		try   func(b *bundle, u person, m *ent.Message) (made, error)
		rows  int // It adds.
		calls int
	}{
		"regenerate": {func(b *bundle, u person, m *ent.Message) (made, error) {
			return asked(b.RegenerateReply(u.ctx, u.id, chat.Again{MessageID: m.ID, ClientKey: key}))
		}, 1, 1},
		"edit": {func(b *bundle, u person, m *ent.Message) (made, error) {
			return asked(b.EditMessage(u.ctx, u.id, chat.Again{MessageID: *m.ParentID, ClientKey: key}, "other"))
		}, 2, 1},
		"continue": {func(b *bundle, u person, m *ent.Message) (made, error) {
			return asked(b.ContinueReply(u.ctx, u.id, chat.Again{MessageID: m.ID, ClientKey: key}))
		}, 1, 1},
		"add": {func(b *bundle, u person, m *ent.Message) (made, error) {
			r, err := b.AddMessages(u.ctx, u.id, chat.AddInput{ConversationID: &m.ConversationID, AfterID: &m.ID,
				ClientKey: key, Messages: []chat.NewMessage{{Role: message.RoleUSER, Content: "by hand"}}})
			if err != nil {
				return made{}, err
			}
			return made{string(r.Messages[0].ID), r.Deduplicated}, nil
		}, 1, 0},
		"fork": {func(b *bundle, u person, m *ent.Message) (made, error) {
			c, deduplicated, err := b.ForkConversation(u.ctx, u.id, chat.ForkInput{MessageID: m.ID, ClientKey: key})
			if err != nil {
				return made{}, err
			}
			return made{string(c.ID), deduplicated}, nil
		}, 3, 0},
	} {
		u := all[0].user(t)
		cut := all[0].running(t, u, nil, "half of it ")
		if _, err := all[0].StopReply(u.ctx, u.id, cut.Reply.ID); err != nil {
			t.Fatal(err)
		}
		m := all[0].final(t, u, cut.Reply.ID)
		rows := func() int { return all[0].store.Client().Message.Query().CountX(u.ctx) }
		before, asked := rows(), calls(all)
		results := make([]made, 50)
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() {
				for { // A client repeats what was not answered.
					var err error
					results[i], err = x.try(all[i%2], u, m)
					if _, refused := refusal.As(err); err == nil || refused && !all[0].store.IsUnavailable(err) {
						if err != nil {
							t.Errorf("%s: %v", what, err)
						}
						return
					}
				}
			})
		}
		wg.Wait()
		firsts := 0
		for _, r := range results {
			if !r.deduplicated {
				firsts++
			}
			if r.ids != results[0].ids {
				t.Errorf("%s: got %s and %s, want the same", what, r.ids, results[0].ids)
			}
		}
		all[0].settled(t, u, m.ConversationID)
		if n := rows() - before; firsts != 1 || n != x.rows || calls(all)-asked != x.calls {
			t.Errorf("%s: %d say that they are the first, %d rows, %d calls, want 1, %d and %d", what, firsts, n,
				calls(all)-asked, x.rows, x.calls)
		}
		if what == "edit" || what == "add" {
			continue
		}
		// What it was made from is deleted: the key is known all the same.
		if _, err := all[0].DeleteMessage(u.ctx, u.id, m.ID); err != nil {
			t.Fatal(err)
		}
		if r, err := x.try(all[1], u, m); err != nil || !r.deduplicated || r.ids != results[0].ids {
			t.Errorf("%s: got %v, %v without the old message, want the same again", what, r, err)
		}
		if again := calls(all) - asked; again != x.calls {
			t.Errorf("%s: %d calls, want %d", what, again, x.calls)
		}
	}
}

// What no prompt is made from any more is in no summary either, and the length of a line is
// what it is now.
func TestCorrectedTextIsForgotten(t *testing.T) {
	t.Parallel()
	each(t, wide, func(t *testing.T, b *bundle) {
		u := b.user(t)
		first := b.ask(t, u, nil, "the password is mellon")
		id := first.Conversation.ID
		for range 9 {
			b.ask(t, u, &id, "question")
		}
		made, err := b.SummarizeConversation(u.ctx, u.id, id)
		if err != nil || made == nil {
			t.Fatalf("got %v, %v, want a summary", made, err)
		}
		last := b.line(t, u, id)[20]
		if _, err := b.UpdateMessage(u.ctx, u.id, last.ID, "behind it"); err != nil {
			t.Fatal(err)
		}
		if n := b.count(t, "summaries"); n != 1 {
			t.Errorf("%d summaries are left after a change behind it, want one", n)
		}
		// While another one is made, what it is made from is corrected.
		b.upstream.Next(func(c *upstreamtest.Call) {
			if _, err := b.UpdateMessage(u.ctx, u.id, first.UserMessage.ID, "nothing"); err != nil {
				t.Error(err)
			}
			c.Text("The password is mellon.")
			c.End()
		})
		for range 9 {
			b.ask(t, u, &id, "question")
		}
		if n := b.count(t, "summaries"); n != 0 {
			t.Errorf("%d summaries are left of a text that was corrected, want none", n)
		}
	})
}

// The length of a line counts as it is, also when a text was corrected while another line was
// shown.
func TestLengthOfASelectedLine(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{MaxPromptBytes: 100 << 10, MaxMessageBytes: 1 << 10}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		first := b.ask(t, u, nil, "one")
		id := first.Conversation.ID
		second := b.ask(t, u, &id, "two")
		if _, err := b.RegenerateReply(u.ctx, u.id, again(second.Reply.ID)); err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("long ", 22<<10)
		if _, err := b.UpdateMessage(u.ctx, u.id, first.Reply.ID, long); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.SelectBranch(u.ctx, u.id, second.Reply.ID, nil); err != nil {
			t.Fatal(err)
		}
		b.unchanged(t, refusal.CodeContextTooLong, func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &id, Content: "three"})
			return err
		})
	})
}

// A version that waits for a running reply starts also when that one is deleted.
func TestDeleteWhatAVersionWaitsFor(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		running := b.running(t, u, nil, "half")
		in := chat.Again{MessageID: running.Reply.ID, OnBusy: chat.Interrupt}
		b.upstream.Next(upstreamtest.Reply("whole"))
		version, err := b.RegenerateReply(u.ctx, u.id, in)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.DeleteMessage(u.ctx, u.id, running.Reply.ID); err != nil {
			t.Fatal(err)
		}
		if m := b.final(t, u, version.Reply.ID); m.Content != "whole" || !m.Active {
			t.Errorf("got %v, want the version written", m)
		}
		b.checkTree(t, u, running.Conversation.ID)
		b.wantShown(t, u, running.Conversation.ID, "go on", "whole")
	})
}

// A cursor from before a correction does not go on in the middle of another text.
func TestCursorFromBeforeACorrection(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		r := b.ask(t, u, nil, "one")
		for _, id := range []pid.ID{r.Reply.ID, r.UserMessage.ID} {
			old := reply.SnapshotOf(b.row(t, u, id)).Cursor
			if _, err := b.UpdateMessage(u.ctx, u.id, id, "corrected"); err != nil {
				t.Fatal(err)
			}
			w, err := b.engine.Attach(u.ctx, u.id, id, &old)
			if err != nil {
				t.Fatal(err)
			}
			got, ok, err := w.Poll(u.ctx)
			w.Close()
			if err != nil || !ok || got.State().Content != "corrected" || got.Kind == reply.Delta {
				t.Errorf("got %+v, %t, %v, want the whole text", got, ok, err)
			}
		}
	})
}
