package chat_test

import (
	"context"
	"runtime/metrics"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/internal/catalog"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/store/storetest"
	"parley/internal/upstream/upstreamtest"
	"parley/internal/waittest"
)

// wide are limits that every send is measured against and none reaches.
var wide = chat.Config{SendsPerMinute: 1 << 20, TokensPerDay: 1 << 40, ConversationsPerDay: 1 << 20}

// What a send costs does not depend on what there is. On Postgres it is a statement that
// locks, one that reads and one that writes. SQLite's transaction is the lock already, and
// it has no statement that writes to the three tables at once.
func TestStatementsOfASend(t *testing.T) {
	t.Parallel()
	each(t, wide, func(t *testing.T, b *bundle) {
		least := map[string]int{"sqlite3": 4, "postgres": 3}[b.store.Dialect()]
		s, counter := storetest.Count(b.store)
		counted := b.service(t, wide, s)
		u := b.user(t)
		short := b.ask(t, u, nil, "one").Conversation.ID
		long := b.long(t, u, 5000)
		busy := b.running(t, u, nil, "half ").Conversation.ID
		repeated := chat.SendInput{Content: "again", ClientKey: ptr("known-key"), ConversationID: &short}
		b.send(t, u, repeated)
		for _, x := range []struct {
			what       string
			in         chat.SendInput
			statements int
		}{
			{"without a key", chat.SendInput{ConversationID: &short}, least},
			{"with a key", chat.SendInput{ConversationID: &short, ClientKey: ptr("key-00001")}, least},
			{"with all there is", chat.SendInput{ConversationID: &short, ClientKey: ptr("key-00002"),
				Model: ptr("other"), Parameters: &reply.Parameters{Temperature: ptr(0.5)}}, least},
			{"into a long conversation", chat.SendInput{ConversationID: &long, ClientKey: ptr("key-00003")}, least},
			{"into a new conversation", chat.SendInput{ClientKey: ptr("key-00004")}, least},
			{"behind another one", chat.SendInput{ConversationID: &busy, OnBusy: chat.Queue}, least},
			// Two for each that is cancelled, and one for the stop.
			{"instead of another one", chat.SendInput{ConversationID: &busy, OnBusy: chat.Interrupt}, least + 3},
			// The locks, where there are any, what is known, and the rows as they are.
			{"again", repeated, least - map[string]int{"sqlite3": 3, "postgres": 1}[b.store.Dialect()] + 2},
		} {
			if x.in.Content == "" {
				x.in.Content = x.what
			}
			eventually(t, "the end of the reply before", func() bool {
				running, err := b.RunningReplies(u.ctx, u.id, []pid.ID{short, long})
				return err == nil && len(running) == 0
			})
			statements, commits := counter.Cost(func() {
				if _, err := counted.SendMessage(u.ctx, u.id, x.in); err != nil {
					t.Fatalf("%s: %v", x.what, err)
				}
			})
			if statements != x.statements || commits != 1 {
				t.Errorf("%s: %d statements and %d commits, want %d and 1", x.what, statements, commits, x.statements)
			}
		}
	})
}

// long makes a conversation of so many messages.
func (b *bundle) long(t *testing.T, u person, n int) pid.ID {
	t.Helper()
	c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
	if err != nil {
		t.Fatal(err)
	}
	last := c.HeadID
	for i := 1; i < n; {
		var batch []*ent.MessageCreate
		for ; i < n && len(batch) < 200; i++ {
			id, role := pid.New(pid.Message), message.RoleUSER
			if i%2 == 0 {
				role = message.RoleASSISTANT
			}
			batch = append(batch, b.store.Client().Message.Create().SetID(id).SetConversationID(c.ID).SetUserID(u.id).
				SetIndex(i).SetRole(role).SetContent("text").SetParentID(last))
			last = id
		}
		b.store.Client().Message.CreateBulk(batch...).ExecX(u.ctx)
	}
	b.store.Client().Conversation.UpdateOneID(c.ID).SetHeadID(last).ExecX(u.ctx)
	return c.ID
}

// What a send returns is what it has stored, though it is not read back.
func TestSendReturnsWhatIsStored(t *testing.T) {
	t.Parallel()
	values := cmpopts.IgnoreUnexported(ent.Conversation{}, ent.Message{}, ent.ConversationEdges{}, ent.MessageEdges{})
	each(t, wide, func(t *testing.T, b *bundle) {
		u := b.user(t)
		made, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{Name: ptr("mine"), Model: ptr("other"),
			SystemPrompt: "Be brief.", Parameters: &reply.Parameters{Seed: ptr(7)}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.UpdateConversation(u.ctx, u.id, made.ID,
			chat.ConversationPatch{Pinned: ptr(true), Archived: ptr(true)})
		if err != nil {
			t.Fatal(err)
		}
		busy := b.running(t, u, nil, "half ").Conversation.ID
		for what, in := range map[string]chat.SendInput{
			"bare": {},
			"new": {Model: ptr("other"), Parameters: &reply.Parameters{Stop: []string{"END"}},
				ClientKey: ptr("key-00001")},
			"existing": {ConversationID: &made.ID, Parameters: &reply.Parameters{MaxTokens: ptr(9)}},
			"queued":   {ConversationID: &busy, OnBusy: chat.Queue},
		} {
			in.Content = "  " + what + "\n\t ä𝄞 '\" \\ "
			// The reply must not end before its row is read.
			pieces := make(chan string)
			if in.OnBusy == "" {
				b.upstream.Next(func(c *upstreamtest.Call) { <-pieces; c.Text("x"); c.End() })
			}
			r := b.send(t, u, in)
			for _, row := range []struct{ got, want any }{
				{r.Conversation, b.store.Client().Conversation.Query().
					Where(conversation.ID(r.Conversation.ID)).OnlyX(u.ctx)},
				{r.UserMessage, b.row(t, u, r.UserMessage.ID)},
				{r.Reply, b.row(t, u, r.Reply.ID)},
			} {
				if diff := cmp.Diff(row.want, row.got, values); diff != "" {
					t.Errorf("%s (-stored +returned):\n%s", what, diff)
				}
			}
			close(pieces)
			if in.OnBusy == "" { // The next one is to get its own answer.
				b.final(t, u, r.Reply.ID)
			}
		}
	})
}

// A list of models that has to be asked for is asked for outside the transaction, once.
func TestSendAsksForModels(t *testing.T) {
	t.Parallel()
	each(t, wide, func(t *testing.T, b *bundle) {
		s, counter := storetest.Count(b.store)
		u := b.user(t)
		asked := 0
		source := askedModels(func(ctx context.Context) ([]string, error) {
			asked++
			ctx, cancel := context.WithTimeout(ctx, waittest.Limit)
			defer cancel()
			err := b.store.InTx(ctx, func(tx *ent.Tx) error { return b.store.Lock(ctx, tx, string(u.id)) })
			if err != nil {
				t.Errorf("models are asked for within a transaction: %v", err)
			}
			return []string{"test"}, nil
		})
		b.offer(catalog.Config{Upstream: "upstream", Source: source})
		service := b.service(t, wide, s)
		in := chat.SendInput{Content: "hello", ClientKey: ptr("key-00001"), Wait: true}
		r, err := service.SendMessage(u.ctx, u.id, in)
		if err != nil || deref(r.Reply.Model) != "test" || asked != 1 {
			t.Fatalf("got %v, %v after asking %d times, want the only model there is", r.Reply, err, asked)
		}
		_, commits := counter.Cost(func() {
			again, err := service.SendMessage(u.ctx, u.id, in)
			if err != nil || !again.Deduplicated || asked != 1 {
				t.Errorf("got %v, %v after asking %d times, want the known pair without asking", again, err, asked)
			}
		})
		if commits != 1 {
			t.Errorf("a known key took %d transactions, want 1", commits)
		}
		_, err = service.SendMessage(u.ctx, u.id, chat.SendInput{Content: "hello", Model: ptr("none")})
		refused(t, err, refusal.CodeBadUserInput)
	})
}

// askedModels is a source of models that remembers nothing.
type askedModels func(ctx context.Context) ([]string, error)

// Models implements catalog.Source.
func (f askedModels) Models(ctx context.Context) ([]string, error) { return f(ctx) }

// A send with its reply starts few goroutines: on a server that has little to do, each of them
// wakes a thread, which costs as much as a statement. It is not parallel, since others would count.
func TestGoroutinesOfASend(t *testing.T) {
	b := setup(t, storetest.SQLite(t), wide)
	u := b.user(t)
	conversation := b.ask(t, u, nil, "one").Conversation.ID
	created := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}}
	count := func() uint64 {
		metrics.Read(created)
		return created[0].Value.Uint64()
	}
	const sends = 100
	before := count()
	for range sends {
		b.ask(t, u, &conversation, "more")
	}
	n := float64(count()-before) / sends
	if most := 3.0; n > most {
		t.Errorf("a send starts %.2f goroutines, want at most %.1f", n, most)
	}
}
