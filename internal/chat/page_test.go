package chat_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
)

// conversationsAt makes conversations with given times of their last messages.
func (b *bundle) conversationsAt(t *testing.T, u person, at ...time.Time) {
	t.Helper()
	for i, at := range at {
		c := b.store.Client().Conversation.Create().SetUserID(u.id).SetHeadID("x").SetLastMessageAt(at).
			SetPinned(i%3 == 0)
		if i%4 == 0 {
			c.SetArchivedAt(at)
		}
		c.ExecX(u.ctx)
	}
}

func conversationIDs(items []*ent.Conversation) []pid.ID {
	var ids []pid.ID
	for _, c := range items {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestWalkConversations(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		base := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
		for i := range 23 {
			// Runs of equal times, and neighbours one microsecond apart.
			b.conversationsAt(t, u, base.Add(time.Duration(i/4)*time.Microsecond))
			b.conversationsAt(t, other, base)
		}
		all, err := b.ListConversations(u.ctx, u.id, chat.ConversationFilter{}, chat.PageArgs{First: ptr(100)})
		if err != nil {
			t.Fatal(err)
		}
		want := conversationIDs(all.Items)
		sorted := slices.IsSortedFunc(all.Items, func(a, b *ent.Conversation) int {
			if c := b.LastMessageAt.Compare(a.LastMessageAt); c != 0 {
				return c
			}
			return cmpStrings(b.ID, a.ID)
		})
		if len(want) != 23 || !sorted || all.HasNext || all.HasPrevious {
			t.Fatalf("got %d conversations, sorted %v, next %v, previous %v, want 23 sorted ones", len(want), sorted,
				all.HasNext, all.HasPrevious)
		}
		cursor := func(c *ent.Conversation) *string { return ptr(chat.ConversationCursor(c.LastMessageAt, c.ID)) }
		for size := 1; size <= 7; size++ {
			var forward, backward []pid.ID
			args := chat.PageArgs{First: &size}
			for {
				p, err := b.ListConversations(u.ctx, u.id, chat.ConversationFilter{}, args)
				if err != nil {
					t.Fatal(err)
				}
				forward = append(forward, conversationIDs(p.Items)...)
				if p.HasPrevious != (args.After != nil) {
					t.Errorf("size %d: got previous %v on page after %v", size, p.HasPrevious, args.After)
				}
				if !p.HasNext {
					break
				}
				args.After = cursor(p.Items[len(p.Items)-1])
			}
			args = chat.PageArgs{Last: &size}
			for {
				p, err := b.ListConversations(u.ctx, u.id, chat.ConversationFilter{}, args)
				if err != nil {
					t.Fatal(err)
				}
				backward = append(conversationIDs(p.Items), backward...)
				if !p.HasPrevious {
					break
				}
				args.Before = cursor(p.Items[0])
			}
			if diff := cmp.Diff(want, forward); diff != "" {
				t.Errorf("size %d forward (-want +got):\n%s", size, diff)
			}
			if diff := cmp.Diff(want, backward); diff != "" {
				t.Errorf("size %d backward (-want +got):\n%s", size, diff)
			}
		}
		// Between two cursors.
		p, err := b.ListConversations(u.ctx, u.id, chat.ConversationFilter{},
			chat.PageArgs{After: cursor(all.Items[4]), Before: cursor(all.Items[9])})
		if diff := cmp.Diff(want[5:9], conversationIDs(p.Items)); err != nil || diff != "" {
			t.Errorf("between two cursors: %v (-want +got):\n%s", err, diff)
		}
	})
}

func cmpStrings(a, b pid.ID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestConversationFilters(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		base := time.Now()
		var at []time.Time
		for i := range 12 {
			at = append(at, base.Add(time.Duration(i)*time.Second))
		}
		b.conversationsAt(t, u, at...)
		b.conversationsAt(t, other, at...)
		for _, c := range []struct {
			archived, pinned *bool
			want             int
		}{
			{nil, nil, 12}, {ptr(true), nil, 3}, {ptr(false), nil, 9}, {nil, ptr(true), 4}, {nil, ptr(false), 8},
			{ptr(true), ptr(true), 1}, {ptr(true), ptr(false), 2}, {ptr(false), ptr(true), 3},
			{ptr(false), ptr(false), 6},
		} {
			filter := chat.ConversationFilter{Archived: c.archived, Pinned: c.pinned}
			p, err := b.ListConversations(u.ctx, u.id, filter, chat.PageArgs{})
			n, err2 := b.CountConversations(u.ctx, u.id, filter)
			if err != nil || err2 != nil || len(p.Items) != c.want || n != c.want {
				t.Errorf("archived %v, pinned %v: got %d listed, %d counted, %v, %v, want %d", deref(c.archived),
					deref(c.pinned), len(p.Items), n, err, err2, c.want)
			}
			for _, item := range p.Items {
				if c.archived != nil && (item.ArchivedAt != nil) != *c.archived || c.pinned != nil &&
					item.Pinned != *c.pinned {
					t.Errorf("archived %v, pinned %v: got %v", deref(c.archived), deref(c.pinned), item)
				}
			}
		}
	})
}

// fill adds messages to a conversation, every other line with a hidden sibling.
func (b *bundle) fill(t testing.TB, u person, n int, systemPrompt string) pid.ID {
	t.Helper()
	c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{SystemPrompt: systemPrompt})
	if err != nil {
		t.Fatal(err)
	}
	var batch []*ent.MessageCreate
	put := func(index int, role message.Role, active bool) {
		batch = append(batch, b.store.Client().Message.Create().SetConversationID(c.ID).SetUserID(u.id).SetIndex(index).
			SetRole(role).SetActive(active).SetContent(fmt.Sprintf("message %d", index)))
	}
	for i := 1; i <= n; i++ {
		role := message.RoleUSER
		if i%2 == 0 {
			role = message.RoleASSISTANT
		}
		put(i, role, true)
		if i%5 == 0 {
			put(i, role, false)
		}
		if len(batch) > 200 || i == n {
			if err := b.store.Client().Message.CreateBulk(batch...).Exec(u.ctx); err != nil {
				t.Fatal(err)
			}
			batch = nil
		}
	}
	return c.ID
}

func TestListMessages(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		ids := []pid.ID{b.fill(t, u, 0, ""), b.fill(t, u, 0, "prompt"), b.fill(t, u, 1, ""), b.fill(t, u, 6, "prompt"),
			b.fill(t, u, 17, "")}
		foreign := b.fill(t, other, 4, "prompt")
		asked := append(slices.Clone(ids), foreign, pid.New(pid.Conversation))
		want := map[pid.ID]int{ids[1]: 1, ids[2]: 1, ids[3]: 7, ids[4]: 17}
		counts, err := b.CountMessages(u.ctx, u.id, asked)
		if diff := cmp.Diff(want, counts); err != nil || diff != "" {
			t.Errorf("counts: %v (-want +got):\n%s", err, diff)
		}
		var cursors []*string
		cursors = append(cursors, nil)
		for _, i := range []int{0, 1, 3, 16, 17, 99} {
			cursors = append(cursors, ptr(chat.MessageCursor(i)))
		}
		indexes := func(p chat.Page[*ent.Message]) string {
			var got []int
			for _, m := range p.Items {
				got = append(got, m.Index)
				if !m.Active {
					t.Errorf("got message %v, want the visible line only", m)
				}
			}
			return fmt.Sprint(got, p.HasNext, p.HasPrevious)
		}
		for size := range 8 {
			for _, after := range cursors {
				for _, before := range cursors {
					for _, args := range []chat.PageArgs{
						{First: &size, After: after, Before: before}, {Last: &size, After: after, Before: before},
					} {
						together, err := b.ListMessages(u.ctx, u.id, asked, args)
						if err != nil || len(together) != len(asked) {
							t.Fatalf("got %d pages, %v, want one of each", len(together), err)
						}
						if len(together[foreign].Items) != 0 {
							t.Error("got another user's messages")
						}
						if size != 3 && (after != nil || before != nil) {
							continue // One by one with all combinations takes long.
						}
						for _, id := range asked {
							alone, err := b.ListMessages(u.ctx, u.id, []pid.ID{id}, args)
							if err != nil {
								t.Fatal(err)
							}
							if got, want := indexes(together[id]), indexes(alone[id]); got != want {
								t.Errorf("%+v: got %s with others, %s alone", args, got, want)
							}
						}
					}
				}
			}
		}
		// Walking sees each message once, in order, in both directions.
		long := ids[4]
		for size := 1; size <= 7; size++ {
			var forward, backward []int
			for args := (chat.PageArgs{First: &size}); ; {
				pages, err := b.ListMessages(u.ctx, u.id, []pid.ID{long}, args)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range pages[long].Items {
					forward = append(forward, m.Index)
				}
				if !pages[long].HasNext {
					break
				}
				args.After = ptr(chat.MessageCursor(forward[len(forward)-1]))
			}
			for args := (chat.PageArgs{Last: &size}); ; {
				pages, err := b.ListMessages(u.ctx, u.id, []pid.ID{long, ids[3]}, args)
				if err != nil {
					t.Fatal(err)
				}
				var page []int
				for _, m := range pages[long].Items {
					page = append(page, m.Index)
				}
				backward = append(page, backward...)
				if !pages[long].HasPrevious {
					break
				}
				args.Before = ptr(chat.MessageCursor(backward[0]))
			}
			var want []int
			for i := 1; i <= 17; i++ {
				want = append(want, i)
			}
			if !slices.Equal(forward, want) || !slices.Equal(backward, want) {
				t.Errorf("size %d: got %v and %v, want 1 to 17", size, forward, backward)
			}
		}
	})
}
