package reply_test

import (
	"context"
	"database/sql/driver"
	"sync/atomic"
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/reply"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// A database that does not answer for a while is no end of a wait, neither at its beginning
// nor when the text that it waited at is lost.
func TestWaitOutlastsTheDatabase(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	var failing, failed atomic.Int32
	s.Client().Message.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			who, _ := viewer.From(ctx)
			if _, isUser := who.User(); isUser && failing.Add(-1) >= 0 {
				failed.Add(1)
				return nil, driver.ErrBadConn
			}
			return next.Query(ctx, q)
		})
	}))
	b := newBundle(t, s, reply.Config{}, silent)
	other := b.alive()
	row := b.ask("hi", &other)
	failing.Store(3)
	got := make(chan *ent.Message, 1)
	go func() {
		m, err := b.engine.Wait(b.ctx, b.user, row.ID, deadline)
		if err != nil {
			t.Errorf("wait: %v", err)
		}
		got <- m
	}()
	until(t, "the database was asked again and again", func() bool { return failed.Load() == 3 })
	b.store.Client().Message.UpdateOneID(row.ID).SetContent("done").SetStatus(message.StatusCOMPLETED).ExecX(b.ctx)
	if m := <-got; m == nil || m.Status != message.StatusCOMPLETED {
		t.Errorf("got %v, want the end", m)
	}
}
