package reply_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// windows says how much every model can read.
type windows int

// ContextTokens implements reply.Windows.
func (w windows) ContextTokens(string) (int, bool) { return int(w), w > 0 }

// talk adds so many turns of about 500 bytes that are over.
func (b *bundle) talk(turns int) {
	b.t.Helper()
	for range turns {
		b.ask(strings.Repeat("q", 250), nil, func(m *ent.MessageCreate) {
			m.SetStatus(message.StatusCOMPLETED).SetContent(strings.Repeat("a", 250))
		})
	}
}

// recorded answers, and notes what it was asked.
func recorded(requests chan<- reply.Request, next reply.Upstream) script {
	return func(ctx context.Context, r reply.Request, out reply.Output) (reply.Result, error) {
		requests <- r
		return next.Generate(ctx, r, out)
	}
}

// wantWindow fails unless a reply says what its model was sent: so many messages up to the
// question before it.
func (b *bundle) wantWindow(m *ent.Message, policy message.ContextPolicy, sent reply.Request) {
	b.t.Helper()
	n := len(sent.Messages)
	if m.ContextPolicy == nil || *m.ContextPolicy != policy || *m.ContextCount != n ||
		*m.ContextFromIndex != m.Index-n || *m.ContextDropped != m.Index-n-1 ||
		*m.PromptBytes != prompt.Size(sent.Messages) {
		b.t.Errorf("%d messages were sent, the reply at %d says by %v %v from %v without %v, want %s", n, m.Index,
			m.ContextPolicy, m.ContextCount, m.ContextFromIndex, m.ContextDropped, policy)
	}
}

// Whoever writes a reply anew chooses what is sent anew, and the window is what it would have
// been. What the first attempt has reserved does not matter.
func TestWindowOfATakeover(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, say("unused"))
		b.talk(40)
		requests := make(chan reply.Request, 10)
		cfg := reply.Config{Windows: windows(1000)}
		b.use(cfg, recorded(requests, say("one")))
		m := b.wants(b.start("first").ID, message.StatusCOMPLETED, "one", "")
		b.wantWindow(m, message.ContextPolicyTRUNCATE, <-requests)
		from := *m.ContextFromIndex

		stopNow(b.engine)
		row := b.ask("second", dead(), func(m *ent.MessageCreate) { m.SetContent("half").SetPromptBytes(12345) })
		b.use(cfg, recorded(requests, say("again")))
		m = b.wants(row.ID, message.StatusCOMPLETED, "again", "")
		b.wantWindow(m, message.ContextPolicyTRUNCATE, <-requests)
		if m.Attempt != 2 || *m.ContextFromIndex != from || *m.ContextLimit != 1000 {
			t.Errorf("attempt %d is sent the line from %d with a limit of %v, want the second from %d", m.Attempt,
				*m.ContextFromIndex, m.ContextLimit, from)
		}
	})
}

// A reply that has waited is made from what the line is when it begins, and by what the
// conversation says then.
func TestWindowOfAQueuedReply(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, say("unused"))
		b.talk(40)
		requests, ends := make(chan reply.Request), make(chan struct{})
		up := func(ctx context.Context, r reply.Request, out reply.Output) (reply.Result, error) {
			requests <- r
			select {
			case <-ends:
				return say("yes")(ctx, r, out)
			case <-ctx.Done():
				return reply.Result{}, context.Cause(ctx)
			}
		}
		b.use(reply.Config{Windows: windows(1000)}, script(up))
		replies := []*ent.Message{b.start("one"), b.queued("two"), b.queued("three")}
		for i, policy := range []message.ContextPolicy{message.ContextPolicyTRUNCATE, message.ContextPolicyTRUNCATE,
			message.ContextPolicyLAST_N} {
			r := <-requests
			if i == 1 { // While the last one waits.
				settings := prompt.Settings{Policy: prompt.LastN, Turns: 2}.Encode()
				s.Client().Conversation.UpdateOneID(b.conv).SetContextSettings(settings).ExecX(b.ctx)
			}
			ends <- struct{}{}
			m := b.wants(replies[i].ID, message.StatusCOMPLETED, "yes", "")
			b.wantWindow(m, policy, r)
			n := len(r.Messages)
			if i > 0 && r.Messages[n-2].Text() != "yes" || policy == message.ContextPolicyLAST_N && n != 3 {
				t.Errorf("reply %d was made from %d messages, the last but one %q", i, n, r.Messages[n-2].Text())
			}
		}
	})
}

// A limit that a refusal names is kept to in the same attempt, once; what it reads less of is
// said, and only the call that has answered counts.
func TestNamedLimit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for _, test := range []struct {
			what     string
			named    int // In the first refusal.
			refusals int
			calls    int
			most     int // How many tokens of four bytes the last call may have.
			limit    *int
		}{
			{"with a limit", 1000, 1, 2, 700, new(1000)},
			{"with no limit", 0, 1, 2, 2600, nil},
			{"with a limit that it would have fitted", 1 << 20, 1, 2, 2600, nil},
			{"twice", 1000, 2, 2, 700, new(1000)},
		} {
			var calls []reply.Request
			b := newBundle(t, s, reply.Config{}, say("unused"))
			b.talk(40)
			up := func(_ context.Context, r reply.Request, out reply.Output) (reply.Result, error) {
				if calls = append(calls, r); len(calls) <= test.refusals {
					return reply.Result{}, &reply.Error{Code: reply.CodeContextTooLong, ContextTokens: test.named,
						Status: 400}
				}
				used := reply.Usage{PromptTokens: 70, CompletionTokens: 3}
				return reply.Result{Usage: &used}, out.Append(reply.Content, "yes")
			}
			b.use(reply.Config{}, script(up))
			m := b.final(b.start("newest").ID)
			if len(calls) != test.calls {
				t.Errorf("%s: the model was asked %d times, want %d", test.what, len(calls), test.calls)
			}
			last := calls[len(calls)-1]
			if tokens := prompt.Estimate(last.Messages); tokens > test.most || tokens < test.most/3 {
				t.Errorf("%s: about %d tokens were sent in the end, want at most %d", test.what, tokens, test.most)
			}
			policy := message.ContextPolicyFULL
			if test.limit != nil {
				policy = message.ContextPolicyTRUNCATE
			}
			b.wantWindow(m, policy, last)
			if fmt.Sprint(deref(m.ContextLimit)) != fmt.Sprint(deref(test.limit)) {
				t.Errorf("%s: kept to a limit of %d", test.what, deref(m.ContextLimit))
			}
			if test.refusals > 1 {
				if m.Status != message.StatusFAILED || *m.ErrorCode != string(reply.CodeContextTooLong) ||
					m.PromptTokens != nil {
					t.Errorf("%s: got %s %v with %v tokens, want it to fail for nothing", test.what, m.Status,
						m.ErrorCode, m.PromptTokens)
				}
				continue
			}
			if m.Status != message.StatusCOMPLETED || *m.PromptTokens != 70 {
				t.Errorf("%s: got %s, %v tokens", test.what, m.Status, m.PromptTokens)
			}
			b.wantUsage(1, 70, 3, 0)
		}
	})
}

func deref(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}
