package reply_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"parley/ent/message"
	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// away is a database that does not tell lines.
type away struct {
	*store.Store
	err    error
	asked  chan struct{} // gets one for each try that fails
	failed atomic.Int64
}

func newAway(s *store.Store, err error, tries int64) *away {
	a := &away{Store: s, err: err, asked: make(chan struct{}, 100)}
	a.failed.Store(tries)
	return a
}

// ReadLine implements reply.Store.
func (a *away) ReadLine(ctx context.Context, q reply.LineQuery, line *prompt.Line) error {
	if a.failed.Add(-1) >= 0 {
		a.asked <- struct{}{}
		return a.err
	}
	return a.Store.ReadLine(ctx, q, line)
}

const forever = 1 << 40

// A reply whose prompt cannot be read waits for the database, and nothing of that shows.
func TestPromptWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, say("unused"))
		for _, err := range []error{io.EOF, &store.OutageError{Err: io.ErrUnexpectedEOF}, context.DeadlineExceeded} {
			b.useStore(newAway(s, err, 3), reply.Config{}, say("well"))
			m := b.wants(b.start("hi").ID, message.StatusCOMPLETED, "well", "")
			if m.Attempt != 1 || m.Crashes != 0 {
				t.Errorf("%v: attempt %d, %d crashes, want the first attempt", err, m.Attempt, m.Crashes)
			}
		}
	})
}

// A fault is none: it would stay.
func TestPromptCannotBeRead(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, say("unused"))
	b.useStore(newAway(b.store, errors.New("no such column"), 1), reply.Config{}, say("well"))
	b.wants(b.start("hi").ID, message.StatusFAILED, "", reply.CodeInternal)
}

// What ends a reply ends its waiting for the database.
func TestWaitingForAPromptEnds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, say("unused"))
		a := newAway(s, io.EOF, forever)
		b.useStore(a, reply.Config{}, say("unused"))
		row := b.start("hi")
		<-a.asked
		if err := b.engine.RequestStop(b.ctx, b.user, row.ID); err != nil {
			t.Fatal(err)
		}
		b.wants(row.ID, message.StatusSTOPPED, "", "")

		a = newAway(s, io.EOF, forever)
		b.useStore(a, reply.Config{ReplyLimit: 1}, say("unused"))
		b.wants(b.start("hi").ID, message.StatusFAILED, "", reply.CodeLimit)
	})
}
