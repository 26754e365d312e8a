package reply_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/usageday"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/usage"
)

// counted says a text and counts its tokens.
func counted(prompt, completion int) script {
	return func(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
		used := reply.Usage{PromptTokens: prompt, CompletionTokens: completion, CachedTokens: new(2),
			ReasoningTokens: new(1)}
		return reply.Result{FinishReason: reply.FinishStop, Usage: &used}, out.Append(reply.Content, "yes")
	}
}

// wantUsage fails unless the user has used this much, of the model "m" on one day.
func (b *bundle) wantUsage(calls, prompt, completion, estimated int) {
	b.t.Helper()
	rows := b.store.Client().UsageDay.Query().AllX(b.ctx)
	if calls == 0 {
		if len(rows) != 0 {
			b.t.Errorf("got %v, want no usage", rows)
		}
		return
	}
	if len(rows) != 1 {
		b.t.Fatalf("got %v, want one row", rows)
	}
	r := rows[0]
	if r.UserID != b.user || r.Model != "m" || r.Purpose != usageday.PurposeREPLY || r.Currency != "" || r.Micros != 0 {
		b.t.Errorf("got %v, want a row of the user's replies by m", r)
	}
	if r.Calls != calls || r.PromptTokens != prompt || r.CompletionTokens != completion ||
		r.EstimatedCalls != estimated {
		b.t.Errorf("got %d calls (%d estimated), %d and %d tokens, want %d (%d), %d and %d", r.Calls, r.EstimatedCalls,
			r.PromptTokens, r.CompletionTokens, calls, estimated, prompt, completion)
	}
}

func TestFinalCountsUsage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, counted(7, 3))
		b.wants(b.start("one").ID, message.StatusCOMPLETED, "yes", "")
		b.wantUsage(1, 7, 3, 0)
		b.wants(b.start("two").ID, message.StatusCOMPLETED, "yes", "")
		b.wantUsage(2, 14, 6, 0)
		if r := s.Client().UsageDay.Query().OnlyX(b.ctx); r.CachedTokens != 4 || r.ReasoningTokens != 2 {
			t.Errorf("got %d cached and %d of reasoning, want 4 and 2", r.CachedTokens, r.ReasoningTokens)
		}
	})
}

// A reply that is stopped counts too, by an estimate: "hi" and "12345678".
func TestStoppedCountsUsage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, hang("12345678"))
		row := b.start("hi")
		until(t, "the text arrives", func() bool { return b.first(row.ID, nil).State().Content != "" })
		b.wantUsage(0, 0, 0, 0)
		if err := b.engine.RequestStop(b.ctx, b.user, row.ID); err != nil {
			t.Fatal(err)
		}
		b.wants(row.ID, message.StatusSTOPPED, "12345678", "")
		b.wantUsage(1, 1, 2, 1)
	})
}

// A reply counts for the day on which it was asked for.
func TestUsageOfYesterday(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, counted(7, 3))
	owner, yesterday := b.engine.ID(), time.Now().Add(-24*time.Hour)
	row := b.ask("hi", &owner, func(m *ent.MessageCreate) { m.SetCreatedAt(yesterday) })
	run, err := b.engine.Prepare(t.Context(), row)
	if err != nil {
		t.Fatal(err)
	}
	run.Go()
	b.final(row.ID)
	if got := b.store.Client().UsageDay.Query().OnlyX(b.ctx).Day; got != usage.Day(yesterday) {
		t.Errorf("got the day %s, want %s", got, usage.Day(yesterday))
	}
}

// lossy loses the answers to some commits, and so do networks.
type lossy struct {
	*store.Store
	lose atomic.Int64
	lost atomic.Int64
}

var errLost = errors.New("the answer to the commit is lost")

func (s *lossy) InTx(ctx context.Context, fn func(tx *ent.Tx) error) error {
	err := s.Store.InTx(ctx, fn)
	if err == nil && s.lose.Add(-1) >= 0 {
		s.lost.Add(1)
		return errLost
	}
	return err
}

// The last write is tried again when the answer to its commit is lost. The fence lets
// it through once, and so it counts once.
func TestRepeatedFinalCountsOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ch := make(chan string)
		b := newBundle(t, s, reply.Config{Checkpoint: time.Hour}, say("unused"))
		lossy := &lossy{Store: s}
		b.useStore(lossy, reply.Config{Checkpoint: time.Hour}, pieces(ch))
		row := b.start("hi")
		ch <- "12345678"
		lossy.lose.Store(1)
		close(ch)
		b.wants(row.ID, message.StatusCOMPLETED, "12345678", "")
		if n := lossy.lost.Load(); n != 1 {
			t.Errorf("%d answers were lost, want that of the last write", n)
		}
		until(t, "the engine has made sure", func() bool { return b.engine.Running() == 0 })
		b.wantUsage(1, 1, 2, 1)
	})
}

// Who has lost a reply to another replica writes nothing and counts nothing.
func TestFencedFinalCountsNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ch := make(chan string)
		b := newBundle(t, s, reply.Config{}, pieces(ch))
		row := b.start("hi")
		ch <- "12345678"
		b.takeOver(row.ID, b.alive(), 2, "")
		close(ch)
		until(t, "the run ends", func() bool { return b.engine.Running() == 0 })
		b.wantUsage(0, 0, 0, 0)
	})
}

// A release is no end. Whoever takes the reply up counts its own call.
func TestReleaseCountsNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, hang("released"))
		row := b.start("hi")
		until(t, "the text arrives", func() bool { return b.first(row.ID, nil).State().Content != "" })
		stopNow(b.engine)
		b.wantUsage(0, 0, 0, 0)
		b.use(reply.Config{SoleReplica: true}, counted(7, 3))
		b.wants(row.ID, message.StatusCOMPLETED, "yes", "")
		b.wantUsage(1, 7, 3, 0)
	})
}

// A reply that nobody runs again is ended by the claim, which counts what its text
// shows, in the row as in the sum. Without a text no call is proven.
func TestClaimedEndCountsUsage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit       func(m *ent.MessageCreate)
		prompt     int
		completion int
	}{
		"a text":          {func(m *ent.MessageCreate) { m.SetContent("12345678") }, 2, 2},
		"reasoning only":  {func(m *ent.MessageCreate) { m.SetReasoning("1234") }, 2, 1},
		"an earlier text": {func(m *ent.MessageCreate) { m.SetContent("1234").SetSalvage("123456789") }, 2, 3},
		// Then the line is not read, which may be what the owner died of.
		"a known prompt": {func(m *ent.MessageCreate) { m.SetContent("1234").SetPromptBytes(400) }, 100, 1},
		"nothing":        {func(*ent.MessageCreate) {}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				b := newBundle(t, s, reply.Config{}, say("unused"))
				stopNow(b.engine)
				gone := pid.New(pid.Replica)
				row := b.ask("question", &gone, test.edit)
				b.use(reply.Config{InterruptOnCrash: true}, say("unused"))
				m := b.final(row.ID)
				if m.Status != message.StatusINTERRUPTED {
					t.Fatalf("got %s, want INTERRUPTED", m.Status)
				}
				if test.completion == 0 {
					b.wantUsage(0, 0, 0, 0)
					if m.PromptTokens != nil || m.UsageEstimated {
						t.Errorf("the row says %v, want no usage", m)
					}
					return
				}
				b.wantUsage(1, test.prompt, test.completion, 1)
				if m.PromptTokens == nil || *m.PromptTokens != test.prompt || *m.CompletionTokens != test.completion ||
					!m.UsageEstimated {
					t.Errorf("the row says %v, want the same estimate", m)
				}
			})
		})
	}
}

// What never reached a model costs nothing; what has said something, or may have begun, does.
func TestUsageOfFailures(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for _, test := range []struct {
			name string
			text string
			err  reply.Error
			cost bool
		}{
			{"nobody there", "", reply.Error{Code: reply.CodeUnavailable}, false},
			{"401", "", reply.Error{Code: reply.CodeUnauthorized, Status: 401}, false},
			{"404", "", reply.Error{Code: reply.CodeModelUnavailable, Status: 404}, false},
			{"a wrong path", "", reply.Error{Code: reply.CodeProtocol, Status: 404}, false},
			{"no upstream", "", reply.Error{Code: reply.CodeModelUnavailable}, false},
			{"429", "", reply.Error{Code: reply.CodeRateLimited, Status: 429}, false},
			{"429 for money", "", reply.Error{Code: reply.CodeQuota, Status: 429}, false},
			{"400", "", reply.Error{Code: reply.CodeRejected, Status: 400}, false},
			{"too long", "", reply.Error{Code: reply.CodeContextTooLong, Status: 400}, false},
			{"too long, in the stream", "", reply.Error{Code: reply.CodeContextTooLong, Status: 200}, false},
			{"500", "", reply.Error{Code: reply.CodeUnavailable, Status: 500}, false},
			{"cannot be said", "", reply.Error{Code: reply.CodeRejected}, false},
			{"500 behind text", "some", reply.Error{Code: reply.CodeUnavailable, Status: 500}, true},
			{"cut", "", reply.Error{Code: reply.CodeTruncated, Status: 200}, true},
			{"silent", "", reply.Error{Code: reply.CodeTimeout}, true},
			{"failed in the stream", "", reply.Error{Code: reply.CodeUpstream, Status: 200}, true},
		} {
			fails := func(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
				if test.text != "" {
					if err := out.Append(reply.Content, test.text); err != nil {
						return reply.Result{}, err
					}
				}
				return reply.Result{}, &test.err
			}
			b := newBundle(t, s, reply.Config{}, script(fails))
			row := b.start("hello")
			got := b.wants(row.ID, message.StatusFAILED, test.text, test.err.Code)
			if counted := got.PromptTokens != nil; counted != test.cost {
				t.Errorf("%s: counted: %t, want %t", test.name, counted, test.cost)
			}
			if n := s.Client().UsageDay.Query().Where(usageday.UserID(b.user)).CountX(b.ctx); n > 0 != test.cost {
				t.Errorf("%s: %d rows of usage, want some: %t", test.name, n, test.cost)
			}
		}
	})
}
