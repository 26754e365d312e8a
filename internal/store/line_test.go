package store_test

import (
	"fmt"
	"testing"

	"parley/ent/message"
	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// A window is read backwards, in as many rows as it needs and a few, and holds what the whole
// line says, settings and message 0 included.
func TestReadLine(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u, other := makeUser(t, s, "a@example.com"), makeUser(t, s, "b@example.com")
		l := makeLine(t, s, u)
		settings := prompt.Settings{Policy: prompt.LastN, Turns: 5}.Encode()
		s.Client().Conversation.UpdateOneID(l.id).SetContextSettings(settings).ExecX(u.ctx)
		l.fill(297)
		l.add(asked, completed, "of yore")
		l.builder(answered, "x").SetContextFromIndex(101).SetContextCount(9).SetPromptBytes(3000).SetPromptTokens(800).
			SaveX(u.ctx)
		l.add(asked, completed, "a/question, with, commas/")
		last := l.builder(answered, "x").SetModel("some/model").SetContextFromIndex(201).SetContextCount(7).
			SetContextDropped(200).SetContextPolicy(message.ContextPolicyFULL).SetPromptBytes(4000).
			SetPromptTokens(900).SaveX(u.ctx)
		l.add(asked, completed, "newest")
		failed := l.builder(answered, "half").SetStatus(message.StatusFAILED).
			SetErrorCode(string(reply.CodeRejected)).SaveX(u.ctx)
		alone := l.builder(answered, "").SetContextFromIndex(302).SetContextDropped(301).SetPromptBytes(9).
			SetPromptTokens(5).SetUsageEstimated(true).SetContextCount(1).SaveX(u.ctx)
		q := reply.LineQuery{UserID: u.id, ConversationID: l.id, Before: alone.Index + 1, Newest: reply.LineBatch,
			MaxBytes: 1 << 20}
		whole := q
		whole.Newest = reply.WholeLine
		var all, part prompt.Line
		for _, read := range []struct {
			q    reply.LineQuery
			line *prompt.Line
		}{{whole, &all}, {q, &part}} {
			if err := s.ReadLine(u.ctx, read.q, read.line); err != nil {
				t.Fatal(err)
			}
			want := prompt.Last{From: 302, Bytes: 4000, Count: 7, Tokens: 900}
			if read.line.Last != want || read.line.Settings != settings {
				t.Errorf("got %+v, %q, want %+v, %q", read.line.Last, read.line.Settings, want, settings)
			}
			n := len(read.line.Rows)
			if r := read.line.Rows; r[0].Index != 0 || r[n-1].Index != alone.Index || !r[n-1].Alone || r[n-2].Alone ||
				!r[n-2].Refused || r[n-2].Content != "" || r[n-2].Index != failed.Index || r[n-3].Content != "newest" ||
				r[n-4].Index != last.Index || r[n-5].Content != "a/question, with, commas/" {
				t.Errorf("got the rows %+v", r[n-5:])
			}
		}
		if len(part.Rows) != reply.LineBatch+1 || part.Whole || !all.Whole {
			t.Errorf("read %d rows, whole: %t", len(part.Rows), part.Whole)
		}
		for reads := 1; !part.Whole; reads++ {
			if err := s.ReadLine(u.ctx, q, &part); err != nil || reads > 5 {
				t.Fatalf("read %d: %v", reads, err)
			}
		}
		if got, want := fmt.Sprint(part.Rows), fmt.Sprint(all.Rows); got != want {
			t.Errorf("in parts:\n%s\nat once:\n%s", got, want)
		}
		// It stops at a bound of bytes, and goes on to the whole from what it has.
		q.MaxBytes = 30
		var few prompt.Line
		if err := s.ReadLine(u.ctx, q, &few); err != nil || len(few.Rows) > 20 || few.Whole {
			t.Errorf("got %d rows, %v, want about 30 bytes", len(few.Rows), err)
		}
		if err := s.ReadLine(u.ctx, whole, &few); err != nil || fmt.Sprint(few.Rows) != fmt.Sprint(all.Rows) {
			t.Errorf("got %d rows, %v, want all %d", len(few.Rows), err, len(all.Rows))
		}
		if few.Last != all.Last {
			t.Errorf("in two parts the last reply says %+v, at once %+v", few.Last, all.Last)
		}
		var theirs prompt.Line
		q.UserID = other.id
		if err := s.ReadLine(other.ctx, q, &theirs); err != nil || len(theirs.Rows) != 0 {
			t.Errorf("another user reads %d rows, %v", len(theirs.Rows), err)
		}
	})
}

// A question that was refused even without what is before it is sent no more, so no window
// begins there: it is where it was before.
func TestLineAfterARefusal(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		l := makeLine(t, s, u)
		l.fill(9)
		l.builder(answered, "x").SetModel("m").SetContextFromIndex(5).SetContextDropped(4).
			SetContextPolicy(message.ContextPolicyFULL).SaveX(u.ctx)
		l.add(asked, completed, "refused")
		at := l.next
		last := l.builder(answered, "").SetStatus(message.StatusFAILED).SetErrorCode(string(reply.CodeContentFilter)).
			SetModel("m").SetContextFromIndex(at - 1).SetContextDropped(at - 2).
			SetContextPolicy(message.ContextPolicyFULL).SaveX(u.ctx)
		for _, newest := range []int{reply.WholeLine, reply.LineBatch} {
			var line prompt.Line
			err := s.ReadLine(u.ctx, reply.LineQuery{UserID: u.id, ConversationID: l.id, Before: last.Index + 1,
				Newest: newest, MaxBytes: 1 << 20}, &line)
			if want := (prompt.Last{From: 5, Cut: "m"}); err != nil || line.Last != want {
				t.Errorf("got %+v, %v, want %+v", line.Last, err, want)
			}
		}
	})
}

// A window in a line of 5,000 takes as many reads as it is long, not as the line is.
func TestWindowReadsLittle(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		plan := prompt.Settings{}.Plan(1000, 0)
		for _, length := range []int{66, 5000} {
			l := makeLine(t, s, u)
			l.fill(length)
			l.add(asked, completed, "newest")
			q := reply.LineQuery{UserID: u.id, ConversationID: l.id, Before: l.next, Newest: reply.LineBatch,
				MaxBytes: 1 << 20}
			var line prompt.Line
			reads := 0
			for !plan.Enough(line) {
				if err := s.ReadLine(u.ctx, q, &line); err != nil {
					t.Fatal(err)
				}
				q.Newest, reads = plan.Next(line), reads+1
			}
			w := plan.Choose(line)
			// Before the first cut a whole budget has to be looked at, of which 60 % are used.
			if reads > 3 || len(line.Rows) > w.Count*10/6+reply.LineBatch+2 {
				t.Errorf("%d messages: %d rows in %d reads for a window of %d", length, len(line.Rows), reads, w.Count)
			}
		}
	})
}
