package reply_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

func TestViewersSeeTheSame(t *testing.T) {
	t.Parallel()
	ch := make(chan string)
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, pieces(ch))
	row := b.start("hi")
	want := ""
	var all []*watch
	for i := range 40 {
		if i%4 == 0 {
			all = append(all, b.watch(row.ID, nil))
		}
		p := strings.Repeat("é😀", i%5) + "x"
		ch <- p
		want += p
	}
	close(ch)
	b.wants(row.ID, message.StatusCOMPLETED, want, "")
	all = append(all, b.watch(row.ID, nil)) // After the end.
	for i, w := range all {
		updates := w.wait(t)
		if updates[0].Kind != reply.Snapshot {
			t.Errorf("viewer %d: first comes %v, want a snapshot", i, updates[0].Kind)
		}
		if got := rebuild(t, "", updates); got != want {
			t.Errorf("viewer %d ends with %q, want %q", i, got, want)
		}
		if last := updates[len(updates)-1]; last.Kind != reply.Finished ||
			last.State().Status != message.StatusCOMPLETED {
			t.Errorf("viewer %d: last comes %+v", i, last)
		}
		for _, u := range updates[:len(updates)-1] {
			if u.Kind == reply.Finished {
				t.Errorf("viewer %d: Finished is not the last update", i)
			}
		}
		if !errors.Is(w.err, io.EOF) {
			t.Errorf("viewer %d: ended by %v, want io.EOF", i, w.err)
		}
	}
}

// Reconnecting at any moment with any cursor gives neither gap nor repeat: the
// pieces, the viewers' steps and their reconnects are shuffled at random.
func TestResumeAtEveryMoment(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for seed := range uint64(6) {
			r := rand.New(rand.NewPCG(seed, 7))
			ch := make(chan string)
			b := newBundle(t, s, reply.Config{Checkpoint: 5 * time.Millisecond}, pieces(ch))
			row := b.start("hi")
			var written strings.Builder
			var viewers sync.WaitGroup
			for range 4 {
				moves := rand.New(rand.NewPCG(r.Uint64(), 1))
				viewers.Go(func() {
					held, done := "", false
					var cursor *reply.Cursor
					for !done {
						held, cursor, done = reconnect(t, b, row.ID, moves, held, cursor)
					}
					if m := b.row(row.ID); m.Content != held {
						t.Errorf("seed %d: a viewer ends with %q, stored is %q", seed, held, m.Content)
					}
				})
			}
			for range 60 {
				p := []string{"a", "é", "日本", "😀", "word ", "\n"}[r.IntN(6)]
				ch <- p
				written.WriteString(p)
			}
			close(ch)
			b.wants(row.ID, message.StatusCOMPLETED, written.String(), "")
			viewers.Wait()
		}
	})
}

// reconnect attaches once, takes a few updates and leaves.
func reconnect(
	t *testing.T, b *bundle, id pid.ID, moves *rand.Rand, held string, cursor *reply.Cursor,
) (string, *reply.Cursor, bool) {
	if moves.IntN(3) == 0 {
		cursor, held = nil, ""
	}
	v, err := b.engine.Attach(b.ctx, b.user, id, cursor)
	if err != nil {
		t.Errorf("attach with %v: %v", cursor, err)
		return held, nil, true
	}
	defer v.Close()
	ctx, cancel := context.WithTimeout(b.ctx, deadline)
	defer cancel()
	for range 1 + moves.IntN(6) {
		u, err := v.Next(ctx)
		if err != nil {
			t.Errorf("next: %v", err)
			return held, nil, true
		}
		if u.Kind == reply.Snapshot {
			held = ""
			if cursor != nil {
				t.Error("a snapshot though the cursor was good")
			}
		}
		held = rebuild(t, held, []reply.Update{u})
		c := u.Cursor
		cursor = &c
		if again, err := reply.ParseCursor(c.String()); err != nil || again != c {
			t.Errorf("cursor %+v reads back as %+v, %v", c, again, err)
		}
		if u.Kind == reply.Finished {
			return held, cursor, true
		}
	}
	return held, cursor, false
}

func TestCursorsThatWereNeverGivenOut(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, say("é😀"))
	row := b.start("hi")
	b.wants(row.ID, message.StatusCOMPLETED, "é😀", "")
	good := reply.Cursor{MessageID: row.ID, Attempt: 1, At: reply.Position{reply.Content: 2}}
	for name, edit := range map[string]func(*reply.Cursor){
		"another message":    func(c *reply.Cursor) { c.MessageID = pid.New(pid.Message) },
		"beyond the text":    func(c *reply.Cursor) { c.At[reply.Content] = 7 },
		"inside a rune":      func(c *reply.Cursor) { c.At[reply.Content] = 1 },
		"beyond the thought": func(c *reply.Cursor) { c.At[reply.Reasoning] = 1 },
		"a later attempt":    func(c *reply.Cursor) { c.Attempt = 2 },
	} {
		c := good
		edit(&c)
		if _, err := b.engine.Attach(b.ctx, b.user, row.ID, &c); !errors.Is(err, reply.ErrBadCursor) {
			t.Errorf("%s: %v, want ErrBadCursor", name, err)
		}
	}
	updates := b.watch(row.ID, &good).wait(t)
	if len(updates) != 2 || updates[0].Text != "😀" || updates[0].Units != 1 || updates[1].Kind != reply.Finished {
		t.Errorf("resuming gives %+v, want the rest and the end", updates)
	}
	earlier := good
	earlier.Attempt = 0
	if updates := b.watch(row.ID, &earlier).wait(t); updates[0].Kind != reply.Snapshot {
		t.Errorf("a cursor of an earlier attempt gives %v first, want a snapshot", updates[0].Kind)
	}
}

func TestSlowViewerGetsBiggerDeltas(t *testing.T) {
	t.Parallel()
	ch := make(chan string)
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, pieces(ch))
	row := b.start("hi")
	v, err := b.engine.Attach(b.ctx, b.user, row.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	first, err := v.Next(b.ctx)
	if err != nil || first.Kind != reply.Snapshot {
		t.Fatalf("got %+v, %v", first, err)
	}
	// The model is never held up by a viewer that does not read.
	for range 1000 {
		ch <- "0123456789"
	}
	u, err := v.Next(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if u.Kind != reply.Delta || len(u.Text) < 9990 {
		t.Errorf("got %d bytes, want all that had come in one delta", len(u.Text))
	}
	close(ch)
	b.final(row.ID)
}

func TestAttachAuthorises(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, hang("secret"))
	row := b.start("hi")
	other := pid.New(pid.User)
	stranger := viewer.AsUser(t.Context(), other)
	// Both locks close: the owner that the query names, and the policy behind it.
	for name, as := range map[string]struct {
		ctx  context.Context
		user pid.ID
	}{
		"a stranger":               {stranger, other},
		"a stranger, by the query": {b.ctx, other},
		"a stranger, by policy":    {stranger, b.user},
	} {
		if _, err := b.engine.Attach(as.ctx, as.user, row.ID, nil); !ent.IsNotFound(err) {
			t.Errorf("%s gets %v, want not found, though the text is live here", name, err)
		}
		if _, err := b.engine.Wait(as.ctx, as.user, row.ID, time.Millisecond); !ent.IsNotFound(err) {
			t.Errorf("waiting as %s: %v, want not found", name, err)
		}
		if err := b.engine.RequestStop(as.ctx, as.user, row.ID); err != nil {
			t.Errorf("stopping as %s: %v, want nothing to happen", name, err)
		}
		if b.row(row.ID).StopRequestedAt != nil {
			t.Errorf("%s stopped it", name)
		}
	}
	if _, err := b.engine.Attach(t.Context(), b.user, row.ID, nil); err == nil {
		t.Error("nobody at all may attach")
	}
}

// A viewer of a reply that runs elsewhere follows the row.
func TestViewerFollowsTheRow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, say("unused"))
		other := dead()
		s.Client().Replica.Create().SetID(*other).SetLeaseExpiresAt(time.Now().Add(time.Hour)).
			ExecX(viewer.AsSweep(t.Context()))
		row := b.ask("hi", other)
		w := b.watch(row.ID, nil)
		want := ""
		for _, p := range []string{"one ", "two"} {
			want += p
			s.Client().Message.UpdateOneID(row.ID).SetContent(want).ExecX(b.ctx)
			until(t, "the viewer has "+want, func() bool { return rebuild(t, "", w.seen()) == want })
		}
		s.Client().Message.UpdateOneID(row.ID).SetContent(want + "!").SetStatus(message.StatusCOMPLETED).ExecX(b.ctx)
		updates := w.wait(t)
		if got := rebuild(t, "", updates); got != want+"!" {
			t.Errorf("ends with %q", got)
		}
		for _, u := range updates[:len(updates)-1] {
			if reply.IsFinal(u.State().Status) {
				t.Errorf("an update before the last says %s", u.State().Status)
			}
		}
	})
}

// A query that read the row just before its end still shows the end.
func TestOverlayShowsTheEnd(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, say("whole"))
	row := b.start("hi")
	stale := copyOf(row)
	b.wants(row.ID, message.StatusCOMPLETED, "whole", "")
	b.engine.Overlay(stale)
	if stale.Status != message.StatusCOMPLETED || stale.Content != "whole" {
		t.Errorf("got %s %q, want the final state", stale.Status, stale.Content)
	}
}

// copyOf is the row as a slow query read it.
func copyOf(row *ent.Message) *ent.Message {
	m := *row
	return &m
}
