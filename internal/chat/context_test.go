package chat_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/reply/replytest"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/upstream/upstreamtest"
)

// refuser is a model server that refuses a prompt that holds a word, and one that is too long.
func refuser(word string, most int, answer string) upstreamtest.Script {
	return func(c *upstreamtest.Call) {
		length := 0
		for _, m := range c.Request.Messages {
			if strings.Contains(m.Content, word) {
				upstreamtest.Fail(400, "content_filter")(c)
				return
			}
			length += len(m.Content)
		}
		if length > most {
			upstreamtest.Fail(400, "context_length_exceeded")(c)
			return
		}
		c.Text(answer)
		c.End()
	}
}

// No history can poison a conversation: after a refusal the next message is answered, be it the
// question that is refused or what stands in an old reply, and it stays so.
func TestNothingPoisonsAConversation(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		say := func(c pid.ID, text string) *ent.Message {
			return b.row(t, u, b.send(t, u, chat.SendInput{ConversationID: &c, Content: text, Wait: true}).Reply.ID)
		}
		b.upstream.Always(refuser("poison", 1<<20, "ok"))
		c := b.ask(t, u, nil, "one").Conversation.ID
		if m := say(c, "a poison"); m.Status != message.StatusFAILED || *m.ContextFromIndex != 1 {
			t.Fatalf("got %s from %v, want FAILED with the whole line", m.Status, m.ContextFromIndex)
		}
		if m := say(c, "two"); m.Status != message.StatusCOMPLETED || *m.ContextDropped != 0 || *m.ContextCount != 3 {
			t.Errorf("got %s after a refused question, %d messages, %d dropped, want 3 and none", m.Status,
				*m.ContextCount, *m.ContextDropped)
		}
		// What the model said yesterday is refused today.
		b.upstream.Next(upstreamtest.Reply("a poison in a reply"))
		say(c, "three")
		if m := say(c, "four"); m.Status != message.StatusFAILED {
			t.Fatalf("got %s, want the history refused", m.Status)
		}
		calls := len(b.upstream.Requests())
		m := say(c, "five")
		if m.Status != message.StatusCOMPLETED || *m.ContextDropped == 0 || *m.ContextFromIndex != m.Index-1 {
			t.Errorf("got %s, %v dropped from %v, want an answer without the history", m.Status, m.ContextDropped,
				m.ContextFromIndex)
		}
		if n := len(b.upstream.Requests()) - calls; n != 2 {
			t.Errorf("the model was asked %d times, want twice", n)
		}
		for n, text := range []string{"six", "seven"} {
			calls := len(b.upstream.Requests())
			m := say(c, text)
			if m.Status != message.StatusCOMPLETED || len(b.upstream.Requests()) != calls+1 ||
				*m.ContextCount != 2*n+3 {
				t.Errorf("%s: got %s with %d messages after %d calls, want it answered at once", text, m.Status,
					*m.ContextCount, len(b.upstream.Requests())-calls)
			}
		}
		// A user who asks twice what is refused loses nothing.
		for _, text := range []string{"poison", "poison again", "poison once more"} {
			if m := say(c, text); m.Status != message.StatusFAILED {
				t.Errorf("%s: got %s", text, m.Status)
			}
		}
		if m := say(c, "eight"); m.Status != message.StatusCOMPLETED || *m.ContextCount != 7 {
			t.Errorf("got %s with %d messages, want all 7 since the history was left out", m.Status, *m.ContextCount)
		}
	})
}

// Where nobody knows the limit the newest half is sent after a refusal, in the same attempt,
// and what was left out stays out.
func TestTooLongForAnUnknownLimit(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		b.upstream.Always(refuser("poison", 10_000, strings.Repeat("y", 500)))
		var c *pid.ID
		cuts, again := 0, 0
		for n := range 30 {
			calls := len(b.upstream.Requests())
			text := fmt.Sprint(n, strings.Repeat("x", 500))
			r := b.send(t, u, chat.SendInput{ConversationID: c, Content: text, Wait: true})
			c = &r.Conversation.ID
			if r.Reply.Status != message.StatusCOMPLETED {
				t.Fatalf("message %d ended as %s %v", n, r.Reply.Status, deref(r.Reply.ErrorCode))
			}
			if *r.Reply.ContextPolicy != message.ContextPolicyFULL {
				t.Errorf("message %d was cut by %s", n, *r.Reply.ContextPolicy)
			}
			switch len(b.upstream.Requests()) - calls {
			case 1:
			case 2:
				again++
			default:
				t.Errorf("message %d took %d calls", n, len(b.upstream.Requests())-calls)
			}
			if *r.Reply.ContextDropped > 0 {
				cuts++
			}
		}
		if again < 2 || again > 6 || cuts < 15 {
			t.Errorf("%d of 30 were asked twice, %d cut; want few and most", again, cuts)
		}
		// Even what the half is too long for is answered at the second message.
		b.upstream.Always(refuser("poison", 900, "ok"))
		r := b.send(t, u, chat.SendInput{ConversationID: c, Content: "short", Wait: true})
		r = b.send(t, u, chat.SendInput{ConversationID: c, Content: "shorter", Wait: true})
		if r.Reply.Status != message.StatusCOMPLETED {
			t.Errorf("got %s %v, want an answer", r.Reply.Status, deref(r.Reply.ErrorCode))
		}
	})
}

// A conversation that its model can read a part of only goes on also when all of it is more than
// this server would send, and a question that is refused twice moves nothing.
func TestPartOfALongLine(t *testing.T) {
	t.Parallel()
	const most = maxMessage + maxSystem
	each(t, chat.Config{MaxPromptBytes: most}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		b.upstream.Always(refuser("poison", 10_000, strings.Repeat("y", 2000)))
		var c *pid.ID
		from := 0
		for n := range 2 * most / 4000 {
			r := b.ask(t, u, c, fmt.Sprint(n, strings.Repeat("x", 2000)))
			c, from = &r.Conversation.ID, *r.Reply.ContextFromIndex
		}
		if line := b.line(t, u, *c); len(line)*2000 < most || from < len(line)-10 {
			t.Fatalf("%d messages, sent from %d: this proves little", len(line), from)
		}
		for _, text := range []string{"poison", "poison again"} {
			m := b.send(t, u, chat.SendInput{ConversationID: c, Content: text, Wait: true}).Reply
			if m.Status != message.StatusFAILED || deref(m.ErrorCode) != string(reply.CodeContentFilter) {
				t.Errorf("%s: got %s, %v", text, m.Status, deref(m.ErrorCode))
			}
		}
		calls := len(b.upstream.Requests())
		if m := b.ask(t, u, c, "short").Reply; *m.ContextFromIndex != from || len(b.upstream.Requests()) != calls+1 {
			t.Errorf("sent from %d after %d calls, want it from %d as before, at once", *m.ContextFromIndex,
				len(b.upstream.Requests())-calls, from)
		}
	})
}

// A windowed send costs what it costs in a short conversation, and what is stored says what was
// sent.
func TestWindowedSend(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{MaxPromptBytes: 256 << 10}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		b.contextTokens.Store(1000)
		counted := b.service(t, b.cfg, b.store)
		long := b.long(t, u, 5000)
		for n := range 3 {
			r, err := counted.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &long,
				Content: fmt.Sprint("hello ", n), Wait: true})
			if err != nil || r.Reply.Status != message.StatusCOMPLETED {
				t.Fatalf("got %v, %v", r.Reply, err)
			}
			m := r.Reply
			if *m.ContextPolicy != message.ContextPolicyTRUNCATE || *m.ContextLimit != 1000 ||
				*m.ContextDropped != *m.ContextFromIndex-1 || *m.ContextCount > 300 || *m.ContextCount < 30 {
				t.Errorf("sent %d messages from %d, %d dropped, limit %d", *m.ContextCount, *m.ContextFromIndex,
					*m.ContextDropped, *m.ContextLimit)
			}
			if reserved := *b.row(t, u, m.ID).ReservedTokens; reserved > 3000 {
				t.Errorf("%d tokens are reserved, want no more than a window", reserved)
			}
		}
		// The question alone is too long.
		b.unchanged(t, refusal.CodeContextTooLong, func() error {
			_, err := counted.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &long,
				Content: strings.Repeat("long ", 1000)})
			return err
		})
		b.unchanged(t, refusal.CodeContextTooLong, func() error {
			_, err := counted.SendMessage(u.ctx, u.id, chat.SendInput{Content: strings.Repeat("long ", 1000)})
			return err
		})
		use, err := counted.ContextUse(u.ctx, u.id, long, "")
		if err != nil || *use.LimitTokens != 1000 || use.ReservedTokens != 250 || use.DroppedCount < 4000 ||
			use.UsedTokens < 1 || !use.Measured || use.UsedTokens > 1000 {
			t.Errorf("got %+v, %v", use, err)
		}
		other := b.user(t)
		_, err = counted.ContextUse(other.ctx, other.id, long, "")
		refused(t, err, refusal.CodeNotFound)
	})
}

// lines is a database that counts the rows of lines that are read for prompts.
type lines struct {
	*store.Store
	rows atomic.Int64
}

// ReadLine implements reply.Store.
func (l *lines) ReadLine(ctx context.Context, q reply.LineQuery, line *prompt.Line) error {
	before := len(line.Rows)
	err := l.Store.ReadLine(ctx, q, line)
	l.rows.Add(int64(len(line.Rows) - before))
	return err
}

// replies is a model client that answers without a server.
type replies string

// Generate implements reply.Upstream.
func (s replies) Generate(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
	return reply.Result{FinishReason: reply.FinishStop}, out.Append(reply.Content, string(s))
}

// From the question to the end of the reply a windowed send takes as many statements in a
// conversation of 5,000 messages as in one of 10, and reads no more than its window and a batch.
func TestCostOfAWindowedSend(t *testing.T) {
	t.Parallel()
	each(t, wide, func(t *testing.T, b *bundle) {
		b.contextTokens.Store(512)
		counted, counter := storetest.Count(b.store)
		l := &lines{Store: counted}
		engine := reply.New(replytest.Config(reply.Config{Windows: b}), l, replies("ok"), b.bus, nil,
			slog.New(slog.DiscardHandler))
		if err := engine.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { engine.Stop(context.WithoutCancel(t.Context())) })
		service, err := chat.New(config(wide), counted, engine, b.catalog, b.bus, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		u := b.user(t)
		cost := make(map[int][]int)
		for _, n := range []int{10, 5000} {
			c := b.long(t, u, n+1)
			for send := range 4 {
				var m *ent.Message
				before := l.rows.Load()
				statements, commits := counter.Cost(func() {
					r, err := service.SendMessage(u.ctx, u.id,
						chat.SendInput{ConversationID: &c, Content: "hi", Wait: true})
					if err != nil || r.Reply.Status != message.StatusCOMPLETED {
						t.Fatalf("got %v, %v", r.Reply, err)
					}
					m = r.Reply
				})
				most := *m.ContextCount + reply.LineBatch
				if send == 0 { // It looks for where a window would begin.
					most += reply.LineBatch
				}
				if rows := int(l.rows.Load() - before); rows > most {
					t.Errorf("%d messages, send %d: %d rows are read for a window of %d", n, send, rows,
						*m.ContextCount)
				}
				if send > 0 {
					cost[n] = append(cost[n], statements, commits)
				}
			}
		}
		if diff := cmp.Diff(cost[10], cost[5000]); diff != "" {
			t.Errorf("statements and commits of sends (-10 +5000 messages):\n%s", diff)
		}
	})
}

// The last turns, as many as the conversation says.
func TestLastTurns(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{MaxPromptBytes: 128 << 10}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		long := b.long(t, u, 401)
		settings := prompt.Settings{Policy: prompt.LastN, Turns: 3}.Encode()
		b.store.Client().Conversation.UpdateOneID(long).SetContextSettings(settings).ExecX(u.ctx)
		r := b.send(t, u, chat.SendInput{ConversationID: &long, Content: "hello", Wait: true})
		requests := b.upstream.Requests()
		if sent := requests[len(requests)-1].Messages; len(sent) != 5 || *r.Reply.ContextCount != 5 ||
			*r.Reply.ContextPolicy != message.ContextPolicyLAST_N || r.Reply.ContextLimit != nil {
			t.Errorf("sent %d messages, said %d by %s, want 5", len(sent), *r.Reply.ContextCount,
				*r.Reply.ContextPolicy)
		}
	})
}

// A model server that reads less than it is sent is found out; one that does not count is not
// blamed, and neither is one whose tokens are long.
func TestCutByServer(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), chat.Config{})
	u := b.user(t)
	for _, test := range []struct {
		bytes, counted int
		cut            bool
	}{{8000, 900, true}, {8000, 1100, false}, {8000, 0, false}, {2000, 100, false}} {
		b.upstream.Next(func(c *upstreamtest.Call) {
			c.Text("ok")
			c.Finish("stop")
			if test.counted > 0 {
				c.Usage(test.counted, 1)
			}
			c.Done()
		})
		r := b.send(t, u, chat.SendInput{Content: strings.Repeat("w", test.bytes), Wait: true})
		if r.Reply.CutByServer != test.cut {
			t.Errorf("%d tokens of %d bytes: cut is %t, want %t", test.counted, test.bytes, r.Reply.CutByServer,
				test.cut)
		}
	}
}

// A summary stands in for what it tells, as a part of the only system message, and all that is
// behind it is sent. One that leaves no room for that is not used.
func TestSummaryInAPrompt(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		long := b.long(t, u, 401)
		at := b.line(t, u, long)[396] // A reply.
		settings := prompt.Settings{Policy: prompt.Summarize}.Encode()
		b.store.Client().Conversation.UpdateOneID(long).SetContextSettings(settings).ExecX(u.ctx)
		s := b.store.Client().Summary.Create().SetUserID(u.id).SetConversationID(long).SetMessageID(at.ID).
			SetContent("In short: text.").SetModel("test").SaveX(u.ctx)
		r := b.send(t, u, chat.SendInput{ConversationID: &long, Content: "hello", Wait: true}).Reply
		requests := b.upstream.Requests()
		sent := requests[len(requests)-1].Messages
		if sent[0].Role != "system" || sent[0].Content != "In short: text." || len(sent) != 1+*r.ContextCount ||
			deref(r.ContextSummaryID) != s.ID || *r.ContextFromIndex != at.Index+1 ||
			*r.ContextPolicy != message.ContextPolicySUMMARIZE {
			t.Errorf("sent %v, said %d messages from %d by %s with %v, want the summary and what is behind %d", sent,
				*r.ContextCount, *r.ContextFromIndex, *r.ContextPolicy, deref(r.ContextSummaryID), at.Index)
		}
		b.contextTokens.Store(40)
		r = b.send(t, u, chat.SendInput{ConversationID: &long, Content: "hello", Wait: true}).Reply
		if r.ContextSummaryID != nil || *r.ContextPolicy != message.ContextPolicyTRUNCATE {
			t.Errorf("cut by %s with %v, want no summary where there is no room", *r.ContextPolicy, r.ContextSummaryID)
		}
	})
}
