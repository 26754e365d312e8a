package reply

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"parley/ent"
	"parley/internal/prompt"
	"parley/internal/trace"
	"parley/internal/viewer"
)

// Attempt is one run of the model for a reply.
type Attempt struct {
	engine *Engine
	row    *ent.Message
	live   *live
	place  *Place // Left when the reply has ended.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// limit is how long this attempt may take: what earlier ones have left of the
	// reply's time.
	limit time.Duration
	// committed is set when the row exists, so that nobody takes the reply for
	// deleted before, and watchers do not see what may never come true.
	committed atomic.Bool
	// decided is set by whichever of Go and Discard comes first.
	decided atomic.Bool
	// policy is that by which the prompt will probably be chosen, "" when nobody has said.
	policy prompt.Policy
	// made is when it was prepared, and began when it was started.
	made  time.Time
	began time.Time
	// publisher sends the text to other replicas while one of them asks for it.
	publisher publisher
}

// The reasons for which an attempt ends.
var (
	errStopped   = errors.New("stop requested")
	errDeleted   = errors.New("conversation deleted")
	errFenced    = errors.New("the reply is no longer this replica's")
	errReleased  = errors.New("this replica is shutting down")
	errNoLine    = errors.New("the user is disabled, or the conversation is gone")
	errTimeLimit = errors.New("the reply took too long")
)

// The reasons for which Prepare takes no reply: the engine is being stopped, or it
// may have lost its lease, so that a reply could be claimed away at once.
var (
	ErrStopping = errors.New("the server is shutting down")
	ErrNoLease  = errors.New("this replica cannot renew its lease")
)

// Prepare makes a reply known to the engine before its row is committed, so that it
// is neither taken for a stray nor for another replica's. The row is STREAMING and
// owned by this replica. Call Go after the commit, and defer Discard. Errors: ErrStopping,
// also before Start, and ErrNoLease.
//
// The attempt belongs to the trace of ctx, and takes nothing else of it. A reply that waited,
// or is taken over, begins a trace of its own: its row does not have that of its send.
func (e *Engine) Prepare(ctx context.Context, row *ent.Message) (*Attempt, error) {
	return e.prepare(ctx, e.places.enter(), row)
}

func (e *Engine) prepare(ctx context.Context, place *Place, row *ent.Message) (*Attempt, error) {
	if err := e.life.admit(); err != nil {
		place.Leave()
		return nil, err
	}
	a := &Attempt{engine: e, place: place, row: row, live: newLive(row, e.cfg.MaxReplyBytes), limit: e.cfg.ReplyLimit,
		made: time.Now()}
	if e.cfg.Now != nil {
		a.live.now = e.cfg.Now
	}
	a.live.texts.append(startOf(row))
	a.ctx, a.cancel = context.WithCancelCause(trace.Follow(viewer.AsUser(e.life.ctx, row.UserID), ctx))
	if err := e.attempts.add(a, e.lease.check); err != nil {
		a.cancel(err)
		place.Leave()
		e.life.replies.Done()
		return nil, err
	}
	return a, nil
}

// prepareNext is Prepare for a reply that nobody waits for at this replica: one that is
// queued or abandoned.
func (e *Engine) prepareNext(row *ent.Message) (*Attempt, error) {
	if e.sweeper.draining.Load() && e.Peers() > 0 {
		return nil, ErrStopping
	}
	return e.Prepare(e.life.ctx, row)
}

// Discard forgets a prepared reply whose row was not committed. When that is not
// certain, because the answer to the commit was lost, the row is found within
// seconds and the reply starts then. After Go, and of no reply, it does nothing: defer
// it, so that a panic leaves nothing prepared for ever.
func (a *Attempt) Discard() {
	if a == nil || a.decided.Swap(true) {
		return
	}
	a.engine.attempts.discard(a, time.Now())
	a.live.abandon()
	a.cancel(context.Canceled)
	a.place.Leave()
	a.engine.life.replies.Done()
}

// Committed notes that the row exists: from now on whoever follows the reply finds it here,
// without a look at the row. Go does so, too; it is for callers that tell others of the reply
// before it begins.
func (a *Attempt) Committed() {
	if !a.committed.Swap(true) {
		a.engine.mirrors.drop(a.row.ID) // Its watchers turn to the text here.
	}
}

// Go starts the reply in a goroutine of the engine.
func (a *Attempt) Go() {
	a.decided.Store(true)
	a.began = time.Now()
	a.Committed()
	go func() {
		defer a.engine.life.replies.Done()
		defer a.place.Leave()
		defer a.cancel(context.Canceled)
		if !a.engine.guard(a.ctx, a.run) {
			a.abandon() // The row is a stray now, which is taken up.
		}
	}()
	// The reply goes first: another processor would come for it late.
	runtime.Gosched()
}

// abandon gives up an attempt whose row is not its own any more, or cannot be written. Its
// watchers turn to the row.
func (a *Attempt) abandon() {
	a.engine.attempts.remove(a)
	a.live.abandon()
}
