package reply

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"parley/ent"
	"parley/internal/viewer"
)

// Attempt is one run of the model for a reply.
type Attempt struct {
	engine *Engine
	row    *ent.Message
	live   *live
	ctx    context.Context
	cancel context.CancelCauseFunc
	// limit is how long this attempt may take: what earlier ones have left of the
	// reply's time.
	limit time.Duration
	// committed is set when the row exists, so that nobody takes the reply for
	// deleted before, and viewers do not see what may never come true.
	committed atomic.Bool
	// settled is set by whichever of Go and Discard comes first.
	settled atomic.Bool
	// publisher sends the text to other replicas while one of them asks for it.
	publisher publisher
}

// The reasons for which Prepare takes no reply: the engine is being stopped, or it
// may have lost its lease, so that a reply could be claimed away at once.
var (
	ErrStopping = errors.New("the server is shutting down")
	ErrNoLease  = errors.New("this replica cannot renew its lease")
)

// Prepare makes a reply known to the engine before its row is committed, so that it
// is neither taken for a stray nor for another replica's. The row is STREAMING and
// owned by this replica. Call Go after the commit, and defer Discard. Errors: ErrStopping, ErrNoLease.
func (e *Engine) Prepare(row *ent.Message) (*Attempt, error) {
	r := &Attempt{engine: e, row: row, live: newLive(row, e.cfg.MaxReplyBytes), limit: e.cfg.ReplyLimit}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed || e.ctx == nil:
		return nil, ErrStopping
	case e.inDoubt.Load():
		return nil, ErrNoLease
	}
	r.ctx, r.cancel = context.WithCancelCause(viewer.AsUser(e.ctx, row.UserID))
	if earlier := e.running[row.ID]; earlier != nil {
		// This replica lost the reply and has claimed it again before it noticed.
		earlier.cancel(errFenced)
	}
	e.running[row.ID] = r
	e.runs.Add(1)
	return r, nil
}

// uncertainFor is how long a discarded reply is remembered.
const uncertainFor = time.Minute

// Discard forgets a prepared reply whose row was not committed. When that is not
// certain, because the answer to the commit was lost, the row is found within
// seconds and the reply starts then. After Go, and of no reply, it does nothing: defer
// it, so that a panic leaves nothing prepared for ever.
func (r *Attempt) Discard() {
	if r == nil || r.settled.Swap(true) {
		return
	}
	r.engine.mu.Lock()
	r.engine.uncertain[r.row.ID] = time.Now()
	r.engine.mu.Unlock()
	r.engine.forget(r)
	r.live.abandon()
	r.cancel(context.Canceled)
	r.engine.runs.Done()
}

// Go starts the reply in a goroutine of the engine.
func (r *Attempt) Go() {
	r.settled.Store(true)
	r.committed.Store(true)
	r.engine.dropMirror(r.row.ID) // Its viewers turn to the text here.
	go func() {
		defer r.engine.runs.Done()
		defer r.cancel(context.Canceled)
		if !r.engine.guard(r.ctx, func() { r.engine.run(r) }) {
			// The row is a stray now, which watchRows takes up.
			r.engine.forget(r)
			r.live.abandon()
		}
	}()
}
