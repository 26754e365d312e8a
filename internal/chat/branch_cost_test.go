package chat_test

import (
	"fmt"
	"slices"
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/store/storetest"
	"parley/internal/upstream/upstreamtest"
)

// branches puts n versions below a message, of two messages each.
func (b *bundle) branches(t testing.TB, u person, conversation, parent pid.ID, index, n int) {
	t.Helper()
	for some := range slices.Chunk(make([]struct{}, n), 200) {
		var rows []*ent.MessageCreate
		for range some {
			id := pid.New(pid.Message)
			rows = append(rows, b.store.Client().Message.Create().SetID(id).SetConversationID(conversation).
				SetUserID(u.id).SetIndex(index).SetRole(message.RoleUSER).SetContent("text").SetParentID(parent).
				SetActive(false))
			rows = append(rows, b.store.Client().Message.Create().SetConversationID(conversation).SetUserID(u.id).
				SetIndex(index+1).SetRole(message.RoleASSISTANT).SetContent("text").SetParentID(id).SetActive(false))
		}
		b.store.Client().Message.CreateBulk(rows...).ExecX(u.ctx)
	}
}

// A send costs what it costs however many branches there are, and so does another version.
func TestStatementsWithBranches(t *testing.T) {
	t.Parallel()
	each(t, wide, func(t *testing.T, b *bundle) {
		s, counter := storetest.Count(b.store)
		counted := b.service(t, wide, s)
		u := b.user(t)
		cost := func(do func() error) string {
			eventually(t, "an idle engine", func() bool { return b.engine.Running() == 0 })
			statements, commits := counter.Cost(func() {
				if err := do(); err != nil {
					t.Fatal(err)
				}
			})
			return fmt.Sprintf("%d statements, %d commits", statements, commits)
		}
		var want []string
		for _, n := range []int{0, 1000} {
			first := b.ask(t, u, nil, "one")
			id := first.Conversation.ID
			root := *first.UserMessage.ParentID
			b.branches(t, u, id, root, 1, n/2)
			b.branches(t, u, id, first.Reply.ID, 3, n/2)
			asked := 0
			hold := func() {
				asked = len(b.upstream.Requests())
				b.upstream.Next(upstreamtest.Then("half", upstreamtest.Hang))
			}
			stop := func() {
				eventually(t, "the call of the model", func() bool { return len(b.upstream.Requests()) > asked })
				for _, m := range b.line(t, u, id) {
					if m.Status == message.StatusSTREAMING {
						if _, err := b.StopReply(u.ctx, u.id, m.ID); err != nil {
							t.Fatal(err)
						}
					}
				}
				b.settled(t, u, id)
			}
			hold() // No end of a reply is counted.
			got := []string{cost(func() error {
				_, err := counted.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &id, Content: "two"})
				return err
			})}
			stop()
			hold()
			got = append(got, cost(func() error {
				_, err := counted.RegenerateReply(u.ctx, u.id, chat.Again{MessageID: first.Reply.ID})
				return err
			}))
			stop()
			hold()
			got = append(got, cost(func() error {
				_, err := counted.EditMessage(u.ctx, u.id, chat.Again{MessageID: first.UserMessage.ID}, "uno")
				return err
			}))
			stop()
			b.checkTree(t, u, id)
			if want == nil {
				want = got
				t.Log(want)
			} else if !slices.Equal(got, want) {
				t.Errorf("with %d branches: %q, without: %q", n, got, want)
			}
		}
	})
}

// A branch of 5,000 rows is selected, and deleted, in few statements.
func TestLongBranch(t *testing.T) {
	t.Parallel()
	each(t, wide, func(t *testing.T, b *bundle) {
		s, counter := storetest.Count(b.store)
		counted := b.service(t, wide, s)
		u := b.user(t)
		id := b.long(t, u, 5000)
		rows := b.line(t, u, id)
		if _, err := b.EditMessage(u.ctx, u.id, again(rows[1].ID), "short"); err != nil {
			t.Fatal(err)
		}
		b.settled(t, u, id)
		want := map[string][]int{"sqlite3": {20, 1}, "postgres": {22, 1}}[b.store.Dialect()]
		statements, commits := counter.Cost(func() {
			c, from, err := counted.SelectBranch(u.ctx, u.id, rows[2].ID, nil)
			if err != nil || from != 1 || c.HeadID != rows[4999].ID {
				t.Fatalf("got %v from %d, %v, want the long branch", c, from, err)
			}
		})
		if statements > want[0] || commits != want[1] {
			t.Errorf("a choice takes %d statements and %d commits, want %v", statements, commits, want)
		}
		b.checkTree(t, u, id)
		statements, commits = counter.Cost(func() {
			d, err := counted.DeleteMessage(u.ctx, u.id, rows[1].ID)
			if err != nil || d.Deleted != 4999 || d.From != 1 {
				t.Fatalf("got %+v, %v, want 4999 rows gone", d, err)
			}
		})
		if statements > want[0]+10 || commits != want[1] {
			t.Errorf("a deletion takes %d statements and %d commits, want %v", statements, commits, want)
		}
		b.wantShown(t, u, id, "short", b.shown(t, u, id)[1])
		b.checkTree(t, u, id)
	})
}
