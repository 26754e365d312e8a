package reply_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/ent/summary"
	"parley/ent/usageday"
	"parley/internal/fact"
	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/reply/replytest"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/waittest"
)

// summaryModel answers replies with a text, and asides with what its script says.
type summaryModel struct {
	mu     sync.Mutex
	script script
	asked  []string
	// prompt is what the last reply was made from.
	prompt []prompt.Message
}

// sent is the prompt of the last reply as one text.
func (m *summaryModel) sent() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := ""
	for _, message := range m.prompt {
		all += string(message.Role) + ": " + message.Text() + "\n"
	}
	return all
}

// turnText is how long a question and a reply are, each.
const turnText = 400

func text(what string, n int) string {
	s := fmt.Sprintf("%s %d: ", what, n)
	return s + strings.Repeat("x", turnText-len(s))
}

func (m *summaryModel) Generate(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
	if !req.Aside {
		m.mu.Lock()
		m.prompt = req.Messages
		m.mu.Unlock()
		return say(text("reply", len(req.Messages)/2))(ctx, req, out)
	}
	m.mu.Lock()
	m.asked = append(m.asked, req.Messages[0].Text())
	script := m.script
	m.mu.Unlock()
	return script(ctx, req, out)
}

func (m *summaryModel) calls() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.asked...)
}

func (m *summaryModel) says(s script) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.script = s
}

// summed runs a test on both databases with so many turns.
func summed(t *testing.T, turns int, asides reply.Asides, test func(b *bundle, m *summaryModel, last *ent.Message)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		m := &summaryModel{script: say("They spoke of x.")}
		b := newBundle(t, s, reply.Config{Asides: asides}, m)
		test(b, m, b.turns(turns))
	})
}

// turns goes on with so many turns, and returns the last reply.
func (b *bundle) turns(n int) *ent.Message {
	b.t.Helper()
	var last *ent.Message
	for range n {
		last = b.final(b.start(text("question", b.head.Index/2)).ID)
	}
	if last != nil {
		last.UsageEstimated = true // Four bytes are a token.
	}
	return last
}

func (b *bundle) summaries() []*ent.Summary {
	b.t.Helper()
	return b.store.Client().Summary.Query().Where(summary.UserID(b.user)).WithMessage().Order(summary.ByID()).
		AllX(b.ctx)
}

// summary waits for the nth summary.
func (b *bundle) summary(n int) *ent.Summary {
	b.t.Helper()
	until(b.t, fmt.Sprint("summary ", n), func() bool { return len(b.summaries()) >= n })
	return b.summaries()[n-1]
}

// used waits until so many summaries have been counted.
func (b *bundle) used(calls int) {
	b.t.Helper()
	until(b.t, fmt.Sprint(calls, " counted summaries"), func() bool {
		n := 0
		summaries := usageday.PurposeEQ(usageday.PurposeSUMMARY)
		for _, d := range b.store.Client().UsageDay.Query().Where(summaries).AllX(b.ctx) {
			n += d.Calls
		}
		return n >= calls
	})
}

// A summary ends at a whole turn, leaves the newest 40 percent as they are, and is made of the
// one before it and the turns since.
func TestSummaries(t *testing.T) {
	t.Parallel()
	summed(t, 10, reply.Asides{}, func(b *bundle, m *summaryModel, last *ent.Message) {
		facts := b.bus.Subscribe(fact.OfUser(b.user))
		defer facts.Close()
		before := b.store.Client().Conversation.Query().Where(conversation.ID(b.conv)).OnlyX(b.ctx)
		const budget = 2000 // Tokens: 8,000 bytes, ten turns.
		b.engine.SummarizeAfter(last, budget)
		first := b.summary(1)
		// 3,200 bytes are four turns: six are summed up.
		if at := first.Edges.Message; at.Index != 12 || at.Role != message.RoleASSISTANT || first.Model != "m" ||
			first.Content != "They spoke of x." {
			b.t.Errorf("got %q by %s, which reaches to %d, want the first 6 turns", first.Content, first.Model,
				at.Index)
		}
		asked := m.calls()[0]
		for i := range 10 {
			if in := strings.Contains(asked, text("question", i)); in != (i < 6) {
				b.t.Errorf("turn %d: in the summary is %v", i, in)
			}
		}
		b.used(1)
		after := b.store.Client().Conversation.Query().Where(conversation.ID(b.conv)).OnlyX(b.ctx)
		if !after.UpdatedAt.After(before.UpdatedAt) {
			b.t.Error("the conversation has no new version")
		}
		until(b.t, "word of the summary", func() bool {
			select {
			case f := <-facts.Facts():
				return f.Kind == fact.ConversationUpdated && f.MessageID == "" && f.Conversation != nil &&
					f.Conversation.UpdatedAt.Equal(after.UpdatedAt)
			default:
				return false
			}
		})

		m.says(say("They spoke of x and y."))
		last = b.turns(6)
		b.engine.SummarizeAfter(last, budget)
		second := b.summary(2)
		if at := second.Edges.Message; at.Index != 24 {
			b.t.Errorf("the second one reaches to %d, want 12 turns", at.Index)
		}
		asked = m.calls()[1]
		if !strings.Contains(asked, first.Content) {
			b.t.Errorf("the second summary is not made of the first: %q", asked)
		}
		for i := range 16 {
			if in := strings.Contains(asked, text("question", i)); in != (i >= 6 && i < 12) {
				b.t.Errorf("turn %d: in the second summary is %v", i, in)
			}
		}
		newest, err := b.store.NewestSummary(b.ctx, b.user, b.conv, last.Index+1)
		if err != nil || newest.ID != second.ID {
			b.t.Errorf("got %v, %v, want the second one", newest, err)
		}

		// On another branch the first one holds, and the next is made of that.
		b.store.Client().Message.Update().Where(message.ConversationID(b.conv), message.IndexGT(12)).SetActive(false).
			ExecX(b.ctx)
		b.head = b.row(first.MessageID)
		last = b.turns(6)
		b.engine.SummarizeAfter(last, budget)
		b.summary(3)
		if asked := m.calls()[2]; !strings.Contains(asked, first.Content) || strings.Contains(asked, second.Content) {
			b.t.Errorf("on a branch: made of %q", asked)
		}
	})
}

// A conversation that is longer than its model's context goes on with a summary, and without
// one as long as there is none.
func TestConversationIsSummedUp(t *testing.T) {
	t.Parallel()
	summed(t, 0, reply.Asides{}, func(b *bundle, m *summaryModel, _ *ent.Message) {
		down := func(context.Context, reply.Request, reply.Output) (reply.Result, error) {
			return reply.Result{}, &reply.Error{Code: reply.CodeUnavailable}
		}
		m.says(down)
		settings := prompt.Settings{Policy: prompt.Summarize, LimitTokens: 4000}.Encode()
		b.store.Client().Conversation.UpdateOneID(b.conv).SetContextSettings(settings).ExecX(b.ctx)
		b.turns(8)
		if n := len(m.calls()); n != 0 {
			b.t.Errorf("asked for %d summaries while there is room", n)
		}
		b.turns(12)
		until(b.t, "a summary to be asked for", func() bool { return len(m.calls()) > 0 })
		if sent := m.sent(); strings.Contains(sent, text("question", 0)) ||
			!strings.Contains(sent, text("question", 19)) {
			b.t.Errorf("without a summary it was asked with %.300q, want the newest turns", sent)
		}
		if n := b.store.Client().Message.Query().Where(message.Active(true)).CountX(b.ctx); n != 41 {
			b.t.Errorf("%d messages are left of 41", n)
		}
		m.says(say("They spoke of x."))
		var last *ent.Message
		until(b.t, "a summary in a prompt", func() bool {
			last = b.turns(1)
			return strings.Contains(m.sent(), "They spoke of x.")
		})
		if sent := m.sent(); !strings.HasPrefix(sent, "system: ") || !strings.Contains(sent, "They spoke of x.") ||
			strings.Contains(sent, text("question", 0)) {
			b.t.Errorf("with a summary it was asked with %.300q", sent)
		}
		if last.ContextSummaryID == nil || *last.ContextPolicy != message.ContextPolicySUMMARIZE {
			b.t.Errorf("the reply says it was made with %v by %v", last.ContextSummaryID, last.ContextPolicy)
		}
	})
}

func TestSummaryIsNotAskedFor(t *testing.T) {
	t.Parallel()
	spares := func(model string) bool { return model == "spared" }
	asides := reply.Asides{Spares: spares, TokensPerDay: 1 << 20}
	summed(t, 10, asides, func(b *bundle, m *summaryModel, last *ent.Message) {
		with := func(edit func(m *ent.Message)) *ent.Message {
			row := *last
			edit(&row)
			return &row
		}
		spared := "spared"
		b.engine.SummarizeAfter(last, 0)
		b.engine.SummarizeAfter(last, 20_000) // All of it is in the newest 40 percent.
		b.engine.SummarizeAfter(with(func(m *ent.Message) { m.Model = &spared }), 2000)
		b.store.Client().UsageDay.Create().SetUserID(b.user).SetDay(time.Now().UTC().Format(time.DateOnly)).
			SetModel("other").SetPurpose(usageday.PurposeREPLY).SetPromptTokens(1 << 20).ExecX(b.ctx)
		if _, err := b.engine.SummarizeNow(b.ctx, b.user, b.conv); !errors.Is(err, reply.ErrNoTokens) {
			b.t.Errorf("got %v, want that there are no tokens left", err)
		}
		// Behind the others, which have had their turn.
		if n := len(m.calls()); n != 0 {
			b.t.Errorf("asked %d times", n)
		}
	})
}

// A summary that fails changes nothing, and is asked for again.
func TestSummaryInVain(t *testing.T) {
	t.Parallel()
	for what, s := range map[string]script{
		"fails": func(context.Context, reply.Request, reply.Output) (reply.Result, error) {
			return reply.Result{}, &reply.Error{Code: reply.CodeUnavailable}
		},
		"hangs":        hang("half of a summ"),
		"says nothing": say(" \n"),
		"only thinks":  say("<think>what did they say"),
		"panics":       func(context.Context, reply.Request, reply.Output) (reply.Result, error) { panic("model") },
		"filters": func(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
			return reply.Result{FinishReason: reply.FinishContentFilter}, out.Append(reply.Content, "I")
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			asides := reply.Asides{SummaryLimit: 50 * time.Millisecond}
			summed(t, 10, asides, func(b *bundle, m *summaryModel, last *ent.Message) {
				m.says(s)
				if got, err := b.engine.SummarizeNow(b.ctx, b.user, b.conv); err == nil {
					b.t.Errorf("got %v and no error", got)
				}
				b.engine.SummarizeAfter(last, 2000)
				until(b.t, "both calls", func() bool { return len(m.calls()) == 2 })
				m.says(say("fine"))
				last = b.turns(1)
				until(b.t, "a summary", func() bool {
					b.engine.SummarizeAfter(last, 2000) // The one before may still be on its way.
					return len(b.summaries()) > 0
				})
				if got := b.summaries()[0]; got.Content != "fine" {
					b.t.Errorf("got %q", got.Content)
				}
			})
		})
	}
}

// What the model server refused to answer stands in no prompt, and so in none for a summary: it
// would be refused as well, and all that come after it.
func TestSummaryWithoutWhatWasRefused(t *testing.T) {
	t.Parallel()
	summed(t, 2, reply.Asides{}, func(b *bundle, m *summaryModel, _ *ent.Message) {
		b.ask("refused by an error", nil, func(c *ent.MessageCreate) {
			c.SetStatus(message.StatusFAILED).SetErrorCode(string(reply.CodeContentFilter)).SetContent("I can")
		})
		b.ask("refused by a filter", nil, func(c *ent.MessageCreate) {
			c.SetStatus(message.StatusCOMPLETED).SetFinishReason(message.FinishReasonCONTENT_FILTER).SetContent(" \n")
		})
		b.ask("failed", nil, func(c *ent.MessageCreate) {
			c.SetStatus(message.StatusFAILED).SetErrorCode(string(reply.CodeTruncated)).SetContent("half a reply")
		})
		b.turns(10)
		s, err := b.engine.SummarizeNow(b.ctx, b.user, b.conv)
		if err != nil || s == nil {
			b.t.Fatalf("got %v, %v, want a summary", s, err)
		}
		asked := m.calls()[0]
		for _, part := range []string{text("question", 0), "failed", "half a reply", text("question", 6)} {
			if !strings.Contains(asked, part) {
				b.t.Errorf("%.20q is not in it", part)
			}
		}
		for _, part := range []string{"refused by", "I can"} {
			if strings.Contains(asked, part) {
				b.t.Errorf("%q is in it: %.300q", part, asked)
			}
		}
	})
}

// What is read while another branch becomes the visible one is no line: one half of it is of
// the one, and one of the other. It gets no summary.
func TestNoSummaryOfTwoBranches(t *testing.T) {
	t.Parallel()
	summed(t, 10, reply.Asides{}, func(b *bundle, m *summaryModel, last *ent.Message) {
		visible := func(at int) *ent.Message {
			return b.store.Client().Message.Query().Where(message.ConversationID(b.conv), message.Index(at),
				message.Active(true)).OnlyX(b.ctx)
		}
		replace := func(at int) (back func()) {
			old := visible(at)
			old.Update().SetActive(false).ExecX(b.ctx)
			other := b.store.Client().Message.Create().SetConversationID(b.conv).SetUserID(b.user).SetIndex(at).
				SetParentID(*old.ParentID).SetRole(old.Role).SetContent("of another branch").SaveX(b.ctx)
			return func() {
				other.Update().SetActive(false).ExecX(b.ctx)
				old.Update().SetActive(true).ExecX(b.ctx)
			}
		}
		back := replace(6)
		if s, err := b.engine.SummarizeNow(b.ctx, b.user, b.conv); err != nil || s != nil || len(m.calls()) > 0 {
			b.t.Errorf("got %v, %v of two branches", s, err)
		}
		back()
		b.engine.SummarizeAfter(last, 2000)
		b.summary(1)
		b.turns(6)
		if s, err := b.engine.SummarizeNow(b.ctx, b.user, b.conv); err != nil || s == nil {
			b.t.Errorf("got %v, %v of one branch", s, err)
		}
	})
}

// Of two replicas that make the same one wins, and none fails. What both used counts.
func TestSummaryByTwoReplicas(t *testing.T) {
	t.Parallel()
	summed(t, 10, reply.Asides{}, func(b *bundle, m *summaryModel, last *ent.Message) {
		second := reply.New(replytest.Config(reply.Config{}), b.store, m, b.bus, nil, slog.New(slog.DiscardHandler))
		if err := second.Start(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() { stopNow(second) })
		both := make(chan struct{})
		var called sync.WaitGroup
		called.Add(2)
		go func() { called.Wait(); close(both) }()
		m.says(func(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
			called.Done()
			<-both
			return say("once")(ctx, req, out)
		})
		var done sync.WaitGroup
		for _, e := range []*reply.Engine{b.engine, second} {
			done.Go(func() {
				if s, err := e.SummarizeNow(b.ctx, b.user, b.conv); err != nil || s == nil || s.Content != "once" {
					b.t.Errorf("got %v, %v, want the one there is", s, err)
				}
			})
		}
		done.Wait()
		if n := len(b.summaries()); n != 1 {
			b.t.Errorf("%d summaries, want one", n)
		}
		b.used(2)
	})
}

// What is gone when the model answers gets no summary. What it used counts.
func TestSummaryOfWhatIsGone(t *testing.T) {
	t.Parallel()
	summed(t, 10, reply.Asides{}, func(b *bundle, m *summaryModel, last *ent.Message) {
		b.engine.SummarizeAfter(last, 2000)
		first := b.summary(1)
		b.turns(6)
		while := func(do func()) script {
			return func(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
				do()
				return say("late")(ctx, req, out)
			}
		}
		m.says(while(func() { b.store.Client().Summary.DeleteOne(first).ExecX(b.ctx) }))
		if s, err := b.engine.SummarizeNow(b.ctx, b.user, b.conv); err != nil || s != nil {
			b.t.Errorf("got %v, %v of a summary that was thrown away", s, err)
		}
		m.says(while(b.deleteConversation))
		if s, err := b.engine.SummarizeNow(b.ctx, b.user, b.conv); err != nil || s != nil {
			b.t.Errorf("got %v, %v of a conversation that is gone", s, err)
		}
		b.used(3)
		if n := len(b.summaries()); n != 0 {
			b.t.Errorf("%d summaries are left", n)
		}
	})
}

// A part that is too long to be read at once is summed up from its beginning, and a summary
// that is too long is cut.
func TestSummaryOfMuch(t *testing.T) {
	t.Parallel()
	summed(t, 70, reply.Asides{}, func(b *bundle, m *summaryModel, last *ent.Message) {
		m.says(say(strings.Repeat("word ", 1000)))
		const budget = 4000 // 16,000 bytes: 11,200 are read, 1,600 may come of it.
		b.engine.SummarizeAfter(last, budget)
		s := b.summary(1)
		if at := s.Edges.Message.Index; at != 26 {
			b.t.Errorf("reaches to %d, want the 13 turns that can be read at once", at)
		}
		if n := len(s.Content); n > 1600 || n < 1500 || strings.HasSuffix(s.Content, "wor") {
			b.t.Errorf("%d bytes, want what may be of them: %q", n, s.Content)
		}
		// The next ones go on from there, until the newest 40 percent are left: 8 turns.
		until(b.t, "the last part", func() bool {
			all := b.summaries()
			return all[len(all)-1].Edges.Message.Index == 124
		})
		for i, asked := range m.calls()[1:] {
			if !strings.Contains(asked, "word word") {
				b.t.Errorf("part %d is not made of the one before it", i+1)
			}
		}
	})
	// A turn that is longer than all that is read is summed up by its beginning.
	summed(t, 4, reply.Asides{}, func(b *bundle, m *summaryModel, last *ent.Message) {
		b.engine.SummarizeAfter(last, 120)
		if at := b.summary(1).Edges.Message.Index; at != 2 {
			b.t.Errorf("reaches to %d, want one turn", at)
		}
		if n := len(m.calls()[0]); n > 1500 {
			b.t.Errorf("asked with %d bytes for 336 that may be read", n)
		}
	})
}

// readsAtMost answers what it can read, and refuses the rest with the limit that it names.
func (m *summaryModel) readsAtMost(bytes, named int) script {
	return func(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
		if len(req.Messages[0].Text()) > bytes {
			return reply.Result{}, &reply.Error{Code: reply.CodeContextTooLong, Status: 400, ContextTokens: named}
		}
		return say("They spoke of x.")(ctx, req, out)
	}
}

// limited is a model whose limit is known.
type limited int

func (l limited) ContextTokens(string) (int, bool) { return int(l), true }

// A line that is sent whole is summed up as the model can read it, whether its limit is known, or
// told by a refusal, or by nobody.
func TestSummaryOfWhatWasSentWhole(t *testing.T) {
	t.Parallel()
	const reads = 8000
	for what, c := range map[string]struct {
		windows reply.Windows
		named   int
		calls   int // At most: those that make it, and those that find out how much can be read.
	}{
		"known": {windows: limited(2000), calls: 6},
		"named": {named: 2000, calls: 7},
		"found": {calls: 9},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				m := &summaryModel{script: say("unused")}
				b := newBundle(t, s, reply.Config{Windows: c.windows}, m)
				full := prompt.Settings{Policy: prompt.Full}.Encode()
				b.store.Client().Conversation.UpdateOneID(b.conv).SetContextSettings(full).ExecX(b.ctx)
				b.turns(40)
				m.says(m.readsAtMost(reads, c.named))
				made, err := b.engine.SummarizeNow(b.ctx, b.user, b.conv)
				if err != nil || made == nil {
					t.Fatalf("got %v, %v, want a summary", made, err)
				}
				if n := len(m.calls()); n > c.calls {
					t.Errorf("asked %d times, want %d at most", n, c.calls)
				}
			})
		})
	}
}

// An engine that is stopped waits for no summary.
func TestStopEndsSummaries(t *testing.T) {
	t.Parallel()
	summed(t, 10, reply.Asides{}, func(b *bundle, m *summaryModel, last *ent.Message) {
		m.says(hang("half"))
		b.engine.SummarizeAfter(last, 2000)
		until(b.t, "the call", func() bool { return len(m.calls()) == 1 })
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			stopNow(b.engine)
		}()
		select {
		case <-ended:
		case <-time.After(waittest.Limit):
			b.t.Error("the stop waits for a model")
		}
		if n := len(b.summaries()); n != 0 {
			b.t.Errorf("%d summaries", n)
		}
	})
}
