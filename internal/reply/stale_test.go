package reply_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// first returns the first update of a new viewer.
func (b *bundle) first(id pid.ID, after *reply.Cursor) reply.Update {
	b.t.Helper()
	v, err := b.engine.Attach(b.ctx, b.user, id, after)
	if err != nil {
		b.t.Fatal(err)
	}
	defer v.Close()
	u, err := v.Next(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// takeOver makes a reply another replica's, with a later attempt.
func (b *bundle) takeOver(id, owner pid.ID, attempt int, content string) {
	b.t.Helper()
	b.store.Client().Message.UpdateOneID(id).
		SetOwner(owner).SetAttempt(attempt).SetStatus(message.StatusSTREAMING).SetContent(content).ExecX(b.ctx)
}

// alive enters a replica that is not this process.
func (b *bundle) alive() pid.ID {
	id := pid.New(pid.Replica)
	b.store.Client().Replica.Create().SetID(id).SetLeaseExpiresAt(time.Now().Add(time.Hour)).
		ExecX(viewer.AsSweep(b.t.Context()))
	return id
}

// A replica that has stood still does not know yet that its reply was taken over;
// the row that it reads for every new viewer does.
func TestNewViewerOfALostReply(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, hang("the first attempt, which is longer"))
	row := b.start("hi")
	until(t, "the first attempt speaks", func() bool { return b.first(row.ID, nil).State().Content != "" })
	b.takeOver(row.ID, b.alive(), 2, "the second")
	if u := b.first(row.ID, nil); u.State().Attempt != 2 || u.State().Content != "the second" {
		t.Errorf("a new viewer gets attempt %d with %q, want what the row says of attempt 2", u.State().Attempt,
			u.State().Content)
	}
}

// A cursor of the later attempt may lie ahead of its row. The lost attempt proves
// nothing against it.
func TestCursorOfALostReply(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, hang("the first attempt"))
	row := b.start("hi")
	b.takeOver(row.ID, b.alive(), 2, "")
	after := reply.Cursor{MessageID: row.ID, Attempt: 2, At: reply.Position{reply.Content: 10}}
	v, err := b.engine.Attach(b.ctx, b.user, row.ID, &after)
	if err != nil {
		t.Fatalf("a cursor that the new owner gave is refused: %v", err)
	}
	v.Close()
}

// The copy that others watch here is up to a second old; a new viewer may have
// seen more elsewhere.
func TestNewViewerOfAnOldCopy(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, say("unused"))
	other := b.alive()
	row := b.ask("hi", &other)
	b.watch(row.ID, nil)
	until(t, "the copy is made", func() bool { return b.first(row.ID, nil).State().Attempt == 1 })
	for attempt := 2; attempt < 5; attempt++ {
		b.takeOver(row.ID, other, attempt, "")
		if u := b.first(row.ID, nil); u.State().Attempt != attempt {
			t.Errorf("a new viewer gets attempt %d, want %d, which its row says", u.State().Attempt, attempt)
		}
	}
}

// A cursor that says more text than there is, of a reply that runs elsewhere, harms
// nobody.
func TestForgedCursorElsewhere(t *testing.T) {
	t.Parallel()
	b, row, _ := ownedElsewhere(t)
	after := reply.Cursor{MessageID: row.ID, Attempt: 1, At: reply.Position{reply.Content: 1000}}
	v, err := b.engine.Attach(b.ctx, b.user, row.ID, &after)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	b.store.Client().Message.UpdateOneID(row.ID).SetReasoning("thinking").SetContent("done").
		SetStatus(message.StatusCOMPLETED).ExecX(b.ctx)
	u, err := v.Next(b.ctx)
	if err != nil || u.Kind != reply.Snapshot || u.State().Content != "done" {
		t.Errorf("got %+v, %v, want a snapshot", u, err)
	}
}

// ownedElsewhere is an engine, and a reply of a living replica that is not there.
func ownedElsewhere(t *testing.T) (b *bundle, row *ent.Message, owner pid.ID) {
	t.Helper()
	s := storetest.SQLite(t)
	b = newBundle(t, s, reply.Config{}, silent)
	owner = *dead()
	s.Client().Replica.Create().SetID(owner).SetLeaseExpiresAt(time.Now().Add(time.Hour)).
		ExecX(viewer.AsSweep(t.Context()))
	return b, b.ask("hi", &owner), owner
}

// A replica that starts between the two reads of a sweep, or comes back then, is not
// taken for dead.
func TestSweepSeesNewcomers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, silent)
		stopNow(b.engine)
		newcomer := dead()
		var row *ent.Message
		var sweeps atomic.Int32
		s.Client().Replica.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
			return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
				v, err := next.Query(ctx, q)
				if sweeps.Add(1) == 1 {
					s.Client().Replica.Create().SetID(*newcomer).SetLeaseExpiresAt(time.Now().Add(time.Hour)).
						ExecX(viewer.AsSweep(t.Context()))
					row = b.ask("hi", newcomer)
				}
				return v, err
			})
		}))
		b.use(reply.Config{}, hang("x"))
		until(t, "it has swept again", func() bool { return sweeps.Load() > 2 })
		if m := b.row(row.ID); *m.Owner != *newcomer || m.Attempt != 1 || m.Crashes != 0 {
			t.Errorf("got %v, want it left to its owner", m)
		}
	})
}

// What the bus says is looked up, never believed.
func TestFactsAreHints(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ch := make(chan string)
		b := newBundle(t, s, reply.Config{}, pieces(ch))
		row := b.start("hi")
		w := b.watch(row.ID, nil)
		ch <- "half "
		until(t, "text arrives", func() bool { return rebuild(t, "", w.seen()) == "half " })
		for range 20 {
			b.bus.Publish(fact.Fact{Kind: fact.ConversationDeleted, UserID: b.user, ConversationID: b.conv})
			b.bus.Publish(fact.Fact{Kind: fact.StopRequested, MessageID: row.ID})
		}
		ch <- "and half"
		close(ch)
		if m := b.wants(row.ID, message.StatusCOMPLETED, "half and half", ""); m.Attempt != 1 || m.Crashes != 0 {
			t.Errorf("got attempt %d after %d crashes", m.Attempt, m.Crashes)
		}
		w.wait(t)
	})
}
