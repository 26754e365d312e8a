package reply_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

func TestReplyIsStoredInOnePiece(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var got reply.Request
		up := script(func(_ context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
			got = req
			for _, p := range []string{"Hel", "lo \xf0\x9f", "\x98\x80"} {
				if err := out.Append(reply.Content, p); err != nil {
					return reply.Result{}, err
				}
			}
			if err := out.Append(reply.Reasoning, "because"); err != nil {
				return reply.Result{}, err
			}
			return reply.Result{
				FinishReason: reply.FinishLength,
				Usage: &reply.Usage{PromptTokens: 7, CompletionTokens: 3, CachedTokens: new(2),
					ReasoningTokens: new(1)},
			}, nil
		})
		b := newBundle(t, s, reply.Config{}, up)
		m := b.wants(b.start("hi").ID, message.StatusCOMPLETED, "Hello 😀", "")
		if m.Reasoning != "because" || *m.FinishReason != message.FinishReasonLENGTH {
			t.Errorf("reasoning %q, reason %v", m.Reasoning, *m.FinishReason)
		}
		if *m.PromptTokens != 7 || *m.CompletionTokens != 3 || *m.CachedTokens != 2 || *m.ReasoningTokens != 1 ||
			m.UsageEstimated {
			t.Errorf("usage is stored wrongly: %+v", m)
		}
		if got.Model != "m" || len(got.Messages) != 1 ||
			got.Messages[0].Role != prompt.User || got.Messages[0].Text() != "hi" {
			t.Errorf("the model was asked %+v", got)
		}
	})
}

func TestUsageIsEstimatedWhenTheModelDoesNotCount(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, say("12345678"))
	m := b.wants(b.start("abcd").ID, message.StatusCOMPLETED, "12345678", "")
	if !m.UsageEstimated || *m.PromptTokens != 1 || *m.CompletionTokens != 2 || m.CachedTokens != nil {
		t.Errorf("got %v %v estimated %v", *m.PromptTokens, *m.CompletionTokens, m.UsageEstimated)
	}
}

func TestFailureKeepsTheText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		up   script
		text string
		code reply.Code
	}{
		"cut": {func(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
			_ = out.Append(reply.Content, "half")
			return reply.Result{}, &reply.Error{Code: reply.CodeTruncated}
		}, "half", reply.CodeTruncated},
		"unknown error": {func(context.Context, reply.Request, reply.Output) (reply.Result, error) {
			return reply.Result{}, errBroken
		}, "", reply.CodeInternal},
		"panic": {func(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
			_ = out.Append(reply.Content, "half")
			panic("on purpose")
		}, "half", reply.CodeInternal},
		"too long": {func(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
			for {
				if err := out.Append(reply.Content, strings.Repeat("x", 40)); err != nil {
					return reply.Result{}, err
				}
			}
		}, strings.Repeat("x", 80), reply.CodeLimit},
		"too slow": {hang("half"), "half", reply.CodeLimit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := reply.Config{MaxReplyBytes: 100}
			if name == "too slow" {
				cfg.ReplyLimit = 200 * time.Millisecond
			}
			b := newBundle(t, storetest.SQLite(t), cfg, c.up)
			b.wants(b.start("hi").ID, message.StatusFAILED, c.text, c.code)
		})
	}
}

func TestStopKeepsTheText(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, hang("so far"))
		row := b.start("hi")
		until(t, "text arrives", func() bool {
			m := b.row(row.ID)
			b.engine.Overlay(m)
			return m.Content == "so far"
		})
		for range 2 {
			if err := b.engine.RequestStop(b.ctx, b.user, row.ID); err != nil {
				t.Fatal(err)
			}
		}
		m := b.wants(row.ID, message.StatusSTOPPED, "so far", "")
		if m.StopRequestedAt == nil {
			t.Error("the request is not in the row, want it durable")
		}
		before := *m.FinishedAt
		if err := b.engine.RequestStop(b.ctx, b.user, row.ID); err != nil {
			t.Fatal(err)
		}
		if after := b.row(row.ID); !after.FinishedAt.Equal(before) || after.Status != message.StatusSTOPPED {
			t.Error("a stop after the end changed the row")
		}
	})
}

// A signal that gets lost costs a second, not the stop.
func TestStopWithoutSignal(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, hang("x"))
	row := b.start("hi")
	b.store.Client().Message.UpdateOneID(row.ID).SetStopRequestedAt(time.Now()).ExecX(b.ctx)
	b.wants(row.ID, message.StatusSTOPPED, "x", "")
}

func TestDeletedInMidReply(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for _, signalled := range []bool{true, false} {
			closed := make(chan struct{})
			up := script(func(ctx context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
				defer close(closed)
				_ = out.Append(reply.Content, "so far")
				<-ctx.Done()
				return reply.Result{}, context.Cause(ctx)
			})
			b := newBundle(t, s, reply.Config{}, up)
			row := b.start("hi")
			w := b.watch(row.ID, nil)
			until(t, "the viewer sees text", func() bool { return rebuild(t, "", w.seen()) == "so far" })
			if signalled {
				b.deleteConversation()
			} else {
				b.store.Client().Conversation.DeleteOneID(b.conv).ExecX(b.ctx)
			}
			select {
			case <-closed:
			case <-time.After(deadline):
				t.Fatal("the upstream is still open")
			}
			updates := w.wait(t)
			last := updates[len(updates)-1]
			if last.Kind != reply.Finished || last.State().Status != message.StatusSTOPPED ||
				last.State().ErrorCode == nil ||
				*last.State().ErrorCode != string(reply.CodeDeleted) || last.State().Content != "so far" {
				t.Errorf("the viewer's last update is %+v", last.State())
			}
			if n := b.store.Client().Message.Query().CountX(b.ctx); n != 0 {
				t.Errorf("%d rows reappeared", n)
			}
		}
	})
}

func TestCheckpointSurvives(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ch := make(chan string)
		b := newBundle(t, s, reply.Config{Checkpoint: 10 * time.Millisecond}, pieces(ch))
		row := b.start("hi")
		want := ""
		for _, p := range []string{"one ", "two ", "three"} {
			ch <- p
			want += p
			until(t, "the row has "+want, func() bool { return b.row(row.ID).Content == want })
			if m := b.row(row.ID); m.Status != message.StatusSTREAMING {
				t.Fatalf("a checkpoint made it %s", m.Status)
			}
		}
		close(ch)
		b.wants(row.ID, message.StatusCOMPLETED, want, "")
	})
}

// A shutdown gives the reply back with its text; the next process writes it anew
// and viewers start over.
func TestReleaseAndTakeover(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, hang("first attempt"))
		row := b.start("hi")
		w := b.watch(row.ID, nil)
		until(t, "text arrives", func() bool { return rebuild(t, "", w.seen()) == "first attempt" })
		stopNow(b.engine)
		m := b.row(row.ID)
		if m.Owner != nil || m.Content != "first attempt" || m.Status != message.StatusSTREAMING || m.Attempt != 1 {
			t.Fatalf("released as %+v", m)
		}
		if n := s.Client().Replica.Query().CountX(viewer.AsSweep(t.Context())); n != 0 {
			t.Errorf("%d leases are left after the shutdown", n)
		}
		b.use(reply.Config{}, say("second"))
		m = b.wants(row.ID, message.StatusCOMPLETED, "second", "")
		if m.Attempt != 2 || m.Crashes != 0 {
			t.Errorf("attempt %d after %d crashes, want 2 and 0: a release is no crash", m.Attempt, m.Crashes)
		}
	})
}

func dead() *pid.ID {
	id := pid.New(pid.Replica)
	return &id
}

func TestTakeoverFromTheDead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg     reply.Config
		up      script
		edit    func(*ent.MessageCreate)
		status  message.Status
		content string
		code    reply.Code
		attempt int
		crashes int
		thought string
	}{
		"generated anew": {
			up: say("new"), edit: func(m *ent.MessageCreate) { m.SetContent("old text").SetReasoning("old") },
			status: message.StatusCOMPLETED, content: "new", attempt: 2, crashes: 1,
		},
		"fails later, the longest text stays": {
			up: func(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
				_ = out.Append(reply.Content, "new")
				return reply.Result{}, &reply.Error{Code: reply.CodeTruncated}
			},
			edit:   func(m *ent.MessageCreate) { m.SetContent("the old text was longer") },
			status: message.StatusFAILED, content: "the old text was longer", code: reply.CodeTruncated, attempt: 3,
			crashes: 1,
		},
		"interrupted by policy": {
			cfg: reply.Config{InterruptOnCrash: true},
			up:  say("new"), edit: func(m *ent.MessageCreate) { m.SetContent("so far").SetReasoning("thus") },
			status: message.StatusINTERRUPTED, content: "so far", code: reply.CodeRestarted, attempt: 2, crashes: 1,
			thought: "thus",
		},
		"interrupted by policy while it thought": {
			cfg: reply.Config{InterruptOnCrash: true},
			up:  say("new"), edit: func(m *ent.MessageCreate) { m.SetReasoning("thus") },
			status: message.StatusINTERRUPTED, code: reply.CodeRestarted, attempt: 2, crashes: 1, thought: "thus",
		},
		"stop was requested": {
			up: say("new"), edit: func(m *ent.MessageCreate) { m.SetContent("so far").SetStopRequestedAt(time.Now()) },
			status: message.StatusSTOPPED, content: "so far", attempt: 2, crashes: 1,
		},
		"crashed too often": {
			up: say("new"), edit: func(m *ent.MessageCreate) {
				m.SetContent("x").SetReasoning("of x").SetSalvage("longer").SetCrashes(3)
			},
			status: message.StatusFAILED, content: "longer", code: reply.CodeCrashed, attempt: 2, crashes: 4,
		},
		"crashed twice, made from much": {
			up: say("new"), edit: func(m *ent.MessageCreate) {
				m.SetContent("x").SetSalvage("longer").SetCrashes(1).SetPromptBytes(256 << 10)
			},
			status: message.StatusFAILED, content: "longer", code: reply.CodeCrashed, attempt: 2, crashes: 2,
		},
		"crashed once, made from much": {
			up: say("new"), edit: func(m *ent.MessageCreate) { m.SetContent("x").SetPromptBytes(256 << 10) },
			status: message.StatusCOMPLETED, content: "new", attempt: 2, crashes: 1,
		},
		"crashed twice, made from little": {
			up: say("new"), edit: func(m *ent.MessageCreate) { m.SetContent("x").SetCrashes(1).SetPromptBytes(9) },
			status: message.StatusCOMPLETED, content: "new", attempt: 2, crashes: 2,
		},
		"took too long": {
			up: say("new"), edit: func(m *ent.MessageCreate) { m.SetStartedAt(time.Now().Add(-time.Hour)) },
			status: message.StatusFAILED, content: "", code: reply.CodeLimit, attempt: 2, crashes: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				b := newBundle(t, s, reply.Config{}, say("unused"))
				stopNow(b.engine)
				row := b.ask("hi", dead(), c.edit)
				b.use(c.cfg, c.up)
				m := b.wants(row.ID, c.status, c.content, c.code)
				if m.Attempt != c.attempt || m.Crashes != c.crashes {
					t.Errorf("attempt %d, crashes %d, want %d and %d", m.Attempt, m.Crashes, c.attempt, c.crashes)
				}
				if m.Reasoning != c.thought {
					t.Errorf("reasoning %q, want %q, which goes with the text", m.Reasoning, c.thought)
				}
			})
		})
	}
}

// A replica with a valid lease keeps its replies; when the lease ends, one of
// several takes over, and the dead one's late writes change nothing.
func TestLeaseDecides(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var calls atomic.Int32
		up := script(func(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
			calls.Add(1)
			return reply.Result{FinishReason: reply.FinishStop}, out.Append(reply.Content, "taken over")
		})
		cfg := reply.Config{Lease: 15 * time.Second} // Its renewals are not late on a busy machine.
		b := newBundle(t, s, cfg, up)
		other := dead()
		sweep := viewer.AsSweep(t.Context())
		s.Client().Replica.Create().SetID(*other).SetLeaseExpiresAt(time.Now().Add(time.Hour)).ExecX(sweep)
		row := b.ask("hi", other)
		b.use(cfg, up)
		b.use(cfg, up)
		// Several sweeps later it is still the other's.
		mine := b.startElsewhere(t, "elsewhere")
		b.wants(mine, message.StatusCOMPLETED, "taken over", "")
		if m := b.row(row.ID); m.Status != message.StatusSTREAMING || *m.Owner != *other {
			t.Fatalf("a reply of a living replica was taken: %+v", m)
		}
		s.Client().Replica.UpdateOneID(*other).SetLeaseExpiresAt(time.Now().Add(-time.Second)).ExecX(sweep)
		m := b.wants(row.ID, message.StatusCOMPLETED, "taken over", "")
		if m.Attempt != 2 || calls.Load() != 2 {
			t.Errorf("attempt %d with %d calls, want 2 and 2: exactly one replica takes over", m.Attempt, calls.Load())
		}
		late := reply.Checkpoint{MessageID: row.ID, UserID: b.user, Attempt: 1,
			Texts: reply.Texts{reply.Content: "late"}}
		lost, err := s.Checkpoint(sweep, *other, []reply.Checkpoint{late})
		if err != nil || len(lost) != 1 || lost[0] != row.ID {
			t.Errorf("a late checkpoint gives %v, %v; want the reply reported as lost", lost, err)
		}
		if got := b.row(row.ID).Content; got != "taken over" {
			t.Errorf("a late checkpoint changed the text to %q", got)
		}
	})
}

// startElsewhere starts a reply in a conversation of its own.
func (b *bundle) startElsewhere(t *testing.T, question string) pid.ID {
	t.Helper()
	conv, head := b.conv, b.head
	defer func() { b.conv, b.head = conv, head }()
	root := pid.New(pid.Message)
	b.conv = b.store.Client().Conversation.Create().SetUserID(b.user).SetHeadID(root).SaveX(b.ctx).ID
	b.head = b.store.Client().Message.Create().SetID(root).SetConversationID(b.conv).SetUserID(b.user).
		SetIndex(0).SetRole(message.RoleSYSTEM).SaveX(b.ctx)
	return b.start(question).ID
}

// A replica whose row was claimed stops at once, writes nothing, and its viewers
// go on with the new owner.
func TestFencedOwnerStops(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		closed := make(chan struct{})
		up := script(func(ctx context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
			defer close(closed)
			_ = out.Append(reply.Content, "old owner")
			<-ctx.Done()
			return reply.Result{}, context.Cause(ctx)
		})
		b := newBundle(t, s, reply.Config{}, up)
		row := b.start("hi")
		w := b.watch(row.ID, nil)
		until(t, "text arrives", func() bool { return rebuild(t, "", w.seen()) == "old owner" })
		other := dead()
		s.Client().Replica.Create().SetID(*other).SetLeaseExpiresAt(time.Now().Add(time.Hour)).
			ExecX(viewer.AsSweep(t.Context()))
		s.Client().Message.UpdateOneID(row.ID).SetOwner(*other).SetAttempt(2).SetContent("new").ExecX(b.ctx)
		select {
		case <-closed:
		case <-time.After(deadline):
			t.Fatal("the old owner still generates")
		}
		until(t, "the viewer sees the new owner's text", func() bool {
			u := w.seen()
			return len(u) > 0 && u[len(u)-1].Kind == reply.Snapshot && u[len(u)-1].State().Content == "new"
		})
		s.Client().Message.UpdateOneID(row.ID).SetContent("new owner").SetStatus(message.StatusCOMPLETED).ExecX(b.ctx)
		if got := rebuild(t, "", w.wait(t)); got != "new owner" {
			t.Errorf("the viewer ends with %q, want the new owner's text", got)
		}
	})
}

// A replica that lost a reply, and claims it again before it has noticed, runs it
// once only.
func TestClaimedBackFromTheDead(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int32
	up := script(func(ctx context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		if err := out.Append(reply.Content, "text"); err != nil {
			return reply.Result{}, err
		}
		<-ctx.Done()
		return reply.Result{}, context.Cause(ctx)
	})
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, up)
	row := b.start("hi")
	until(t, "it runs", func() bool { return running.Load() == 1 })
	b.store.Client().Message.UpdateOneID(row.ID).SetOwner(*dead()).SetAttempt(2).ExecX(b.ctx)
	until(t, "it is claimed back", func() bool { return b.row(row.ID).Attempt == 3 })
	until(t, "one run is left", func() bool { return running.Load() == 1 })
	if err := b.engine.RequestStop(b.ctx, b.user, row.ID); err != nil {
		t.Fatal(err)
	}
	b.wants(row.ID, message.StatusSTOPPED, "text", "")
	until(t, "none is left", func() bool { return running.Load() == 0 })
}

// A row that this replica owns and does not run (the answer to its commit was
// lost) is taken up.
func TestStrayRowIsTakenUp(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, say("at last"))
	owner := b.engine.ID()
	row := b.ask("hi", &owner)
	if m := b.wants(row.ID, message.StatusCOMPLETED, "at last", ""); m.Attempt != 2 || m.Crashes != 1 {
		t.Errorf("attempt %d after %d crashes, want 2 and 1, so that this is bounded", m.Attempt, m.Crashes)
	}
}

func TestPrepareAfterStopIsRefused(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, say("x"))
	stopNow(b.engine)
	stopNow(b.engine) // A second call does nothing.
	if _, err := b.engine.Prepare(t.Context(), b.ask("hi", nil)); err == nil {
		t.Error("Prepare succeeds after Stop")
	}
}

func TestStopWaitsForReplies(t *testing.T) {
	t.Parallel()
	ch := make(chan string)
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, pieces(ch))
	row := b.start("hi")
	stopped := make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		b.engine.Stop(ctx)
		close(stopped)
	}()
	ch <- "whole"
	close(ch)
	<-stopped
	if m := b.row(row.ID); m.Status != message.StatusCOMPLETED || m.Content != "whole" {
		t.Errorf("got %s %q, want the reply finished during the shutdown", m.Status, m.Content)
	}
}

// TestStopEndsWaits answers whoever waits for a reply that is given back.
func TestStopEndsWaits(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, hang("so far"))
	row := b.start("hi")
	got := make(chan *ent.Message, 1)
	go func() {
		m, err := b.engine.Wait(b.ctx, b.user, row.ID, time.Hour)
		if err != nil {
			t.Errorf("wait: %v", err)
		}
		got <- m
	}()
	stopNow(b.engine)
	select {
	case m := <-got:
		if m == nil || m.Status != message.StatusSTREAMING {
			t.Errorf("got %v, want the reply as it stands", m)
		}
	case <-time.After(deadline):
		t.Error("the wait goes on without an engine")
	}
}

// Whoever waits gets the text also when it is stored and let go of just after the row was
// read.
func TestStopEndsWaitsWithTheText(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, hang("so far"))
	row := b.start("hi")
	until(t, "the text is there", func() bool {
		now := *row
		b.engine.Overlay(&now)
		return now.Content == "so far"
	})
	stopped := make(chan struct{})
	var armed atomic.Bool
	b.store.Client().Message.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			v, err := next.Query(ctx, q)
			who, _ := viewer.From(ctx)
			if _, isUser := who.User(); isUser && armed.Load() {
				<-stopped // The row is read, and only then stored.
			}
			return v, err
		})
	}))
	armed.Store(true)
	got := make(chan *ent.Message, 1)
	go func() {
		m, err := b.engine.Wait(b.ctx, b.user, row.ID, time.Hour)
		if err != nil {
			t.Errorf("wait: %v", err)
		}
		got <- m
	}()
	stopNow(b.engine)
	armed.Store(false)
	close(stopped)
	if m := <-got; m == nil || m.Content != "so far" {
		t.Errorf("got %v, want the text so far", m)
	}
}

func TestFinishedIsPublishedAfterItIsStored(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, say("x"))
	facts := b.bus.Subscribe(fact.OfConversation(b.conv))
	defer facts.Close()
	row := b.start("hi")
	select {
	case f := <-facts.Facts():
		if f.Kind != fact.ReplyFinished || f.MessageID != row.ID {
			t.Fatalf("got %+v", f)
		}
		if m := b.row(row.ID); m.Status != message.StatusCOMPLETED {
			t.Errorf("the row is %s when the fact is heard", m.Status)
		}
	case <-time.After(deadline):
		t.Fatal("no fact")
	}
}
