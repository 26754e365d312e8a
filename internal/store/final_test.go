package store_test

import (
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/google/go-cmp/cmp"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/usageday"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/usage"
)

// ending is a running reply of somebody, and its end.
type ending struct {
	t   *testing.T
	s   *store.Store
	u   person
	l   *line
	end reply.End
}

func newEnding(t *testing.T, s *store.Store) *ending {
	t.Helper()
	return newEndingOf(t, s, makeUser(t, s, string(pid.New(pid.Send))+"@example.com"))
}

func newEndingOf(t *testing.T, s *store.Store, u person) *ending {
	t.Helper()
	e := &ending{t: t, s: s, u: u}
	e.l = makeLine(t, s, e.u)
	owner := pid.New(pid.Replica)
	row := e.l.builder(answered, "so far").SetStatus(message.StatusSTREAMING).SetOwner(owner).SetAttempt(2).
		SetSalvage("longer once").SetModel("m").SaveX(e.u.ctx)
	final := *row
	reason := message.FinishReasonSTOP
	final.Reasoning, final.Content, final.Salvage = "why ä", "the end 𝄞", ""
	final.Status, final.FinishReason, final.Attempt = message.StatusCOMPLETED, &reason, 3
	final.PromptTokens, final.CompletionTokens, final.CachedTokens = ptr(12), ptr(34), ptr(5)
	final.ReasoningTokens, final.SystemPromptHash = ptr(0), ptr("hash")
	policy, summary := message.ContextPolicySUMMARIZE, pid.New(pid.Summary)
	final.ContextPolicy, final.ContextSummaryID, final.CutByServer = &policy, &summary, true
	final.ContextFromIndex, final.ContextCount, final.ContextDropped = ptr(3), ptr(4), ptr(2)
	final.ContextLimit = ptr(99)
	final.DroppedParameters, final.OmittedOutput, final.Citations = "temperature stop", "IMAGE", `[{"url":"u"}]`
	final.CacheWriteTokens, final.ReasoningMs, final.FirstTokenMs = ptr(6), ptr(7), ptr(8)
	call, _ := usage.OfReply(&final)
	e.end = reply.End{Final: &final, Owner: owner, Attempt: 2, Used: &call}
	return e
}

// run ends the reply in a transaction of its own.
func (e *ending) run(end reply.End) (ended reply.Ended) {
	e.t.Helper()
	err := e.s.InTx(e.u.ctx, func(tx *ent.Tx) (err error) {
		ended, err = e.s.End(e.u.ctx, tx, end)
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return ended
}

func (e *ending) used() []*ent.UsageDay {
	e.t.Helper()
	return e.s.Client().UsageDay.Query().Where(usageday.UserID(e.u.id)).AllX(e.u.ctx)
}

func TestEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		e := newEnding(t, s)
		before := e.s.Client().Message.GetX(e.u.ctx, e.end.Final.ID)
		unchanged := e.s.Client().Conversation.GetX(e.u.ctx, before.ConversationID)
		ended := e.run(e.end)
		becomes := e.s.Client().Conversation.GetX(e.u.ctx, before.ConversationID)
		if ended.Conversation == nil || ended.Conversation.String() != becomes.String() ||
			!ended.Conversation.UpdatedAt.Equal(becomes.UpdatedAt) || !becomes.UpdatedAt.After(unchanged.UpdatedAt) ||
			!ended.Conversation.LastMessageAt.Equal(unchanged.LastMessageAt) {
			t.Errorf("the conversation becomes %v and is returned as %v, want a later version of %v", becomes,
				ended.Conversation, unchanged)
		}
		if age := time.Since(ended.At); age.Abs() > time.Minute || ended.Next != nil {
			t.Fatalf("got %+v, want an end now, and nothing that waits", ended)
		}
		got := e.s.Client().Message.GetX(e.u.ctx, e.end.Final.ID)
		want := *e.end.Final
		want.FinishedAt, want.Owner = &ended.At, before.Owner
		if diff := cmp.Diff(stored(&want), stored(got)); diff != "" {
			t.Errorf("the row (-want +got):\n%s", diff)
		}
		days := e.used()
		if len(days) != 1 || days[0].Calls != 1 || days[0].PromptTokens != 12 || days[0].CompletionTokens != 34 ||
			days[0].CachedTokens != 5 || days[0].Model != "m" || days[0].EstimatedCalls != 0 {
			t.Errorf("got usage %v, want the call once", days)
		}
		// A second time the fence holds it off, and nothing is counted.
		if again := e.run(e.end); !again.At.IsZero() || e.used()[0].Calls != 1 {
			t.Errorf("the second end gives %+v and usage %v, want nothing", again, e.used())
		}
		again := e.s.Client().Conversation.GetX(e.u.ctx, before.ConversationID)
		if !again.UpdatedAt.Equal(becomes.UpdatedAt) {
			t.Errorf("the second end moves the version to %v", again.UpdatedAt)
		}
	})
}

// stored is a row without what belongs to Ent alone.
func stored(m *ent.Message) map[string]any {
	return map[string]any{"id": m.ID, "conversation": m.ConversationID, "user": m.UserID, "parent": m.ParentID,
		"index": m.Index, "active": m.Active, "role": m.Role, "content": m.Content, "reasoning": m.Reasoning,
		"status": m.Status, "finish": m.FinishReason, "error": m.ErrorCode, "model": m.Model,
		"parameters": m.Parameters, "prompt": m.PromptTokens, "completion": m.CompletionTokens,
		"cached": m.CachedTokens, "thought": m.ReasoningTokens, "estimated": m.UsageEstimated,
		"hash": m.SystemPromptHash, "owner": m.Owner, "attempt": m.Attempt, "crashes": m.Crashes,
		"salvage": m.Salvage, "stop": m.StopRequestedAt, "started": m.StartedAt, "finished": m.FinishedAt,
		"created": m.CreatedAt, "policy": m.ContextPolicy, "from": m.ContextFromIndex, "sent": m.ContextCount,
		"left out": m.ContextDropped, "limit": m.ContextLimit, "summary": m.ContextSummaryID, "cut": m.CutByServer,
		"refused": m.DroppedParameters, "omitted": m.OmittedOutput, "citations": m.Citations,
		"written": m.CacheWriteTokens, "thinking": m.ReasoningMs, "first": m.FirstTokenMs}
}

// Whatever of the fence is not right, neither the row nor the usage changes.
func TestEndIsFenced(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		other := makeUser(t, s, "other@example.com")
		for name, change := range map[string]func(e *ending){
			"another owner":   func(e *ending) { e.end.Owner = pid.New(pid.Replica) },
			"another attempt": func(e *ending) { e.end.Attempt = 1 },
			"another user":    func(e *ending) { e.end.Final.UserID = other.id },
			"no such reply":   func(e *ending) { e.end.Final.ID = pid.New(pid.Message) },
			"ended by another": func(e *ending) {
				e.s.Client().Message.UpdateOneID(e.end.Final.ID).SetStatus(message.StatusSTOPPED).ExecX(e.u.ctx)
			},
			"released": func(e *ending) {
				e.s.Client().Message.UpdateOneID(e.end.Final.ID).ClearOwner().ExecX(e.u.ctx)
			},
		} {
			e := newEnding(t, s)
			id := e.end.Final.ID
			waiting := e.l.builder(answered, "").SetStatus(message.StatusQUEUED).SaveX(e.u.ctx)
			change(e)
			before := s.Client().Message.GetX(e.u.ctx, id)
			if ended := e.run(e.end); !ended.At.IsZero() || ended.Next != nil {
				t.Errorf("%s: got %+v, want nothing", name, ended)
			}
			if diff := cmp.Diff(stored(before), stored(s.Client().Message.GetX(e.u.ctx, id))); diff != "" {
				t.Errorf("%s: the row has changed (-want +got):\n%s", name, diff)
			}
			if s.Client().Message.GetX(e.u.ctx, waiting.ID).Status != message.StatusQUEUED {
				t.Errorf("%s: the queue has gone on", name)
			}
			if n := len(e.used()) + s.Client().UsageDay.Query().CountX(other.ctx); n != 0 {
				t.Errorf("%s: %d rows of usage, want none", name, n)
			}
		}
	})
}

// Nothing is counted for a reply whose model was never called; ends of one day add up.
func TestEndCounts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		e := newEnding(t, s)
		end := e.end
		end.Used = nil
		if ended := e.run(end); ended.At.IsZero() || len(e.used()) != 0 {
			t.Errorf("got %+v and usage %v, want an end that counts nothing", ended, e.used())
		}
		for range 2 {
			next := newEndingOf(t, s, e.u)
			next.end.Used.Estimated = true
			next.run(next.end)
		}
		if days := e.used(); len(days) != 1 || days[0].Calls != 2 || days[0].EstimatedCalls != 2 ||
			days[0].PromptTokens != 24 {
			t.Errorf("got usage %v, want two guesses in one row", days)
		}
	})
}

// What waits is found with all that makes it differ from other queued replies: the engine
// makes its row of that.
func TestEndFindsWhatWaits(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		e := newEnding(t, s)
		e.l.add(asked, completed, "two")
		first := e.l.builder(answered, "").SetStatus(message.StatusQUEUED).SetModel(`m"\ä`).
			SetParameters("{\"stop\":[\"\\n\u2028\"]}").SaveX(e.u.ctx)
		e.l.add(asked, completed, "three")
		e.l.builder(answered, "").SetStatus(message.StatusQUEUED).SaveX(e.u.ctx)
		elsewhere := makeLine(t, s, e.u)
		elsewhere.builder(answered, "").SetStatus(message.StatusQUEUED).SaveX(e.u.ctx)
		got := e.run(e.end).Next
		row := s.Client().Message.GetX(e.u.ctx, first.ID)
		want := &reply.Waiting{ID: row.ID, ParentID: row.ParentID, Index: row.Index, Active: row.Active,
			Model: row.Model, Parameters: row.Parameters, CreatedAt: row.CreatedAt}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what waits (-want +got):\n%s", diff)
		}
	})
}

// The end of a reply costs one statement behind the lock on Postgres, and on SQLite, where a
// statement writes one table, one more for the conversation's version and one for the usage.
func TestStatementsOfAnEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, bare *store.Store) {
		e := newEnding(t, bare)
		j := &journal{}
		e.s = bare.Recording(j.record)
		e.run(e.end)
		var got []string
		for _, st := range j.take() {
			words := strings.Fields(st.Query)
			got = append(got, strings.Join(words[:min(2, len(words))], " "))
		}
		want := []string{"UPDATE messages", "UPDATE conversations", "INSERT INTO"}
		if bare.Dialect() == dialect.Postgres {
			want = []string{"SELECT pg_advisory_xact_lock(hashtextextended($1,", "WITH final"}
		}
		want = append(want, store.CommitQuery)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("statements (-want +got):\n%s", diff)
		}
	})
}
