package reply_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// clock is a time that passes when a test says so.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(1_800_000_000, c.passed.Load()) }

func (c *clock) pass(d time.Duration) { c.passed.Add(int64(d)) }

// wantPace fails for other times than these; -1 is none.
func wantPace(t *testing.T, m *ent.Message, first, thinking int) {
	t.Helper()
	told := func(ms *int) int {
		if ms == nil {
			return -1
		}
		return *ms
	}
	if told(m.FirstTokenMs) != first || told(m.ReasoningMs) != thinking {
		t.Errorf("got %d ms to the first piece and %d ms of thinking, want %d and %d (-1: none)", told(m.FirstTokenMs),
			told(m.ReasoningMs), first, thinking)
	}
}

// A reply says how long its first piece took and how long the model thought, however it ends.
func TestPaceOfAReply(t *testing.T) {
	t.Parallel()
	const think, answer = reply.Reasoning, reply.Content
	type step struct {
		after time.Duration
		to    reply.Channel
		piece string
	}
	failed := &reply.Error{Code: reply.CodeTruncated}
	for name, test := range map[string]struct {
		steps    []step
		fails    error
		status   message.Status
		first    int
		thinking int
	}{
		"answers": {[]step{{700 * time.Millisecond, answer, "a"}, {time.Second, answer, "b"}}, nil,
			message.StatusCOMPLETED, 700, -1},
		"thinks": {[]step{{500 * time.Millisecond, think, "hm"}, {2 * time.Second, think, "hm"},
			{time.Second, answer, "\n\n"}, {time.Second, answer, "a"}, {time.Second, answer, "b"}}, nil,
			message.StatusCOMPLETED, 500, 4000},
		"thinks at once": {[]step{{0, think, "hm"}, {0, answer, "a"}}, nil, message.StatusCOMPLETED, 0, 0},
		"thinks afterwards": {[]step{{time.Second, answer, "a"}, {time.Second, think, "hm"}}, nil,
			message.StatusCOMPLETED, 1000, -1},
		"never answers": {[]step{{time.Second, think, "hm"}, {3 * time.Second, think, "hm"}}, failed,
			message.StatusFAILED, 1000, 3000},
		"fails":        {[]step{{time.Second, answer, "a"}}, failed, message.StatusFAILED, 1000, -1},
		"says nothing": {nil, failed, message.StatusFAILED, -1, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				var c clock
				up := script(func(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
					for _, step := range test.steps {
						c.pass(step.after)
						if err := out.Append(step.to, step.piece); err != nil {
							return reply.Result{}, err
						}
					}
					return reply.Result{}, test.fails
				})
				b := newBundle(t, s, reply.Config{Now: c.now}, up)
				m := b.final(b.start("hi").ID)
				if m.Status != test.status {
					t.Errorf("got %s, want %s", m.Status, test.status)
				}
				wantPace(t, m, test.first, test.thinking)
			})
		})
	}
}

// A stopped reply has its times, too.
func TestPaceOfAStoppedReply(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var c clock
		up := script(func(ctx context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
			c.pass(time.Second)
			if err := out.Append(reply.Reasoning, "hm"); err != nil {
				return reply.Result{}, err
			}
			c.pass(2 * time.Second)
			return hang("a")(ctx, reply.Request{}, out)
		})
		b := newBundle(t, s, reply.Config{Now: c.now}, up)
		row := b.start("hi")
		until(t, "the text arrives", func() bool { return b.first(row.ID, nil).State().Content != "" })
		if err := b.engine.RequestStop(b.ctx, b.user, row.ID); err != nil {
			t.Fatal(err)
		}
		wantPace(t, b.wants(row.ID, message.StatusSTOPPED, "a", ""), 1000, 2000)
	})
}

// A takeover counts for itself. Where the text of an earlier attempt is kept, nothing is known
// of it: neither its times nor its sources are those of the last one.
func TestPaceOfATakeover(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, content string
		err             error
		first           int
		citations       bool
	}{
		"anew": {"old text", "new", nil, 1000, true},
		"the old text": {"the old text was longer", "the old text was longer",
			&reply.Error{Code: reply.CodeTruncated}, -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				var c clock
				b := newBundle(t, s, reply.Config{}, say("unused"))
				stopNow(b.engine)
				row := b.ask("hi", dead(), func(m *ent.MessageCreate) { m.SetContent(test.before) })
				b.use(reply.Config{Now: c.now}, script(func(_ context.Context, _ reply.Request,
					out reply.Output) (reply.Result, error) {
					c.pass(time.Second)
					_ = out.Append(reply.Content, "new") // It has room.
					return reply.Result{Citations: []reply.Citation{{URL: "https://example.com"}}}, test.err
				}))
				m := b.final(row.ID)
				if m.Content != test.content || (m.Citations != "") != test.citations {
					t.Errorf("got %q with sources %q, want %q, with sources: %v", m.Content, m.Citations, test.content,
						test.citations)
				}
				wantPace(t, m, test.first, -1)
			})
		})
	}
}
