package reply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/event"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// Config holds the engine's limits. Zero fields take the default.
type Config struct {
	// Address says where this replica listens, for people who read the table.
	Address string
	// Lease is how long this replica's replies are its own without a renewal.
	Lease time.Duration
	// ReplyLimit is the total time one reply may take, over all attempts.
	ReplyLimit time.Duration
	// MaxReplyBytes bounds text and reasoning of one reply together.
	MaxReplyBytes int
	// Checkpoint is how often running text is stored.
	Checkpoint time.Duration
	// InterruptOnCrash ends replies of a dead replica as INTERRUPTED instead of
	// generating them again.
	InterruptOnCrash bool
	// SoleReplica says that no other process can be using the database, so that
	// every running reply found at start has lost its owner.
	SoleReplica bool
}

// The defaults of Config, from the design.
const (
	DefaultLease         = 15 * time.Second
	DefaultReplyLimit    = 10 * time.Minute
	DefaultMaxReplyBytes = 1 << 20
	DefaultCheckpoint    = time.Second
)

// linger is how long a final reply stays readable from memory, so that a query
// that read the row just before its last write still shows the end.
const linger = 5 * time.Second

// finalWriteLimit is how long the last write of a reply is tried again while the
// database does not answer. Afterwards the row is left to a takeover.
const finalWriteLimit = 30 * time.Second

// The reasons a run is cancelled for.
var (
	errStopped   = errors.New("stop requested")
	errDeleted   = errors.New("conversation deleted")
	errFenced    = errors.New("the reply is no longer this replica's")
	errReleased  = errors.New("this replica is shutting down")
	errTimeLimit = errors.New("the reply took too long")
)

// Engine runs replies. It is safe for concurrent use. It must be started before
// the first reply and stopped after the last request.
type Engine struct {
	id       pid.ID
	cfg      Config
	store    Store
	upstream Upstream
	bus      event.Bus
	log      *slog.Logger

	// ctx is the life of all runs; set by Start, ended by Stop.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// loops counts the engine's own goroutines, runs those of replies.
	loops, runs sync.WaitGroup
	stopLoops   context.CancelFunc

	// mu guards the fields below.
	mu      sync.Mutex
	running map[pid.ID]*Run
	closed  bool
}

// New returns an engine with an id of its own. It does nothing before Start.
func New(cfg Config, store Store, upstream Upstream, bus event.Bus, log *slog.Logger) *Engine {
	if cfg.Lease == 0 {
		cfg.Lease = DefaultLease
	}
	if cfg.ReplyLimit == 0 {
		cfg.ReplyLimit = DefaultReplyLimit
	}
	if cfg.MaxReplyBytes == 0 {
		cfg.MaxReplyBytes = DefaultMaxReplyBytes
	}
	if cfg.Checkpoint == 0 {
		cfg.Checkpoint = DefaultCheckpoint
	}
	id := pid.New(pid.Replica)
	return &Engine{
		id:       id,
		cfg:      cfg,
		store:    store,
		upstream: upstream,
		bus:      bus,
		log:      log.With("replica_id", string(id)),
		running:  make(map[pid.ID]*Run),
	}
}

// ID is the id of this replica, the owner of the replies it runs.
func (e *Engine) ID() pid.ID { return e.id }

// Start takes the replica's lease, looks for abandoned replies and starts the
// loops that keep both going. Replies run until Stop, not until ctx ends: ctx
// gives its values only.
func (e *Engine) Start(ctx context.Context) error {
	base := context.WithoutCancel(ctx)
	e.ctx, e.cancel = context.WithCancelCause(base)
	if err := e.takeLease(ctx); err != nil {
		e.cancel(err)
		return fmt.Errorf("start replies: %w", err)
	}
	facts := e.bus.Subscribe(event.Control)
	loopCtx, stop := context.WithCancel(base)
	e.stopLoops = stop
	for _, loop := range []func(context.Context){e.keepLease, e.sweepLoop, e.checkpointLoop, e.watchRows} {
		e.loops.Go(func() { e.keepGoing(loopCtx, loop) })
	}
	e.loops.Go(func() {
		defer facts.Close()
		e.keepGoing(loopCtx, func(ctx context.Context) { e.listen(ctx, facts) })
	})
	return nil
}

// Stop ends the engine. Running replies get until ctx ends to finish; the others
// are released, text included, for the next process to take up at once. It
// returns when nothing runs any more, and may be called more than once.
func (e *Engine) Stop(ctx context.Context) {
	e.mu.Lock()
	again := e.closed
	e.closed = true
	e.mu.Unlock()
	if e.cancel == nil {
		return // Never started.
	}
	finished := make(chan struct{})
	go func() { e.runs.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-ctx.Done():
		e.cancel(errReleased)
		<-finished
	}
	e.stopLoops()
	e.loops.Wait()
	if !again {
		e.returnLease()
	}
	e.cancel(errReleased)
}

// Run is one attempt of one reply.
type Run struct {
	engine *Engine
	row    *ent.Message
	live   *live
	ctx    context.Context
	cancel context.CancelCauseFunc
	// committed is set when the row exists, so that nobody takes the reply for
	// deleted before.
	committed atomic.Bool
}

// ErrStopping is returned by Prepare when the engine takes no more replies.
var ErrStopping = errors.New("the server is shutting down")

// Prepare makes a reply's live buffer known before its row is committed, so that
// nobody who sees the row can miss it. The row is STREAMING and owned by this
// replica. Call exactly one of Go, after the commit, and Discard.
func (e *Engine) Prepare(row *ent.Message) (*Run, error) {
	r := &Run{engine: e, row: row, live: newLive(row, e.cfg.MaxReplyBytes)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.ctx == nil {
		return nil, ErrStopping
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

// Discard forgets a prepared reply whose row was not committed.
func (r *Run) Discard() {
	r.engine.forget(r)
	r.live.abandon()
	r.cancel(context.Canceled)
	r.engine.runs.Done()
}

// Go starts the reply in a goroutine of the engine.
func (r *Run) Go() {
	r.committed.Store(true)
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

// Wait blocks until the reply is final, ctx ends or limit has passed, and returns
// it as it then is, as the viewer in ctx.
func (e *Engine) Wait(ctx context.Context, id pid.ID, limit time.Duration) (*ent.Message, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		l := e.find(id)
		if l == nil {
			m, err := e.row(ctx, id)
			if err != nil || IsFinal(m.Status) {
				return m, err
			}
		}
		var ended <-chan struct{}
		var again <-chan time.Time
		if l != nil {
			ended = l.ended
		} else {
			again = time.After(pollInterval)
		}
		select {
		case <-ended:
			if m, ok := l.state(); ok {
				return m, nil
			}
		case <-again:
		case <-timer.C:
			m, err := e.row(ctx, id)
			if err == nil {
				e.Overlay(m)
			}
			return m, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// RequestStop asks for a reply of the viewer in ctx to be stopped, from any
// replica: a durable flag, and a signal that makes it quick. It is idempotent. A
// reply that is final stays as it is.
func (e *Engine) RequestStop(ctx context.Context, id pid.ID) error {
	now, err := e.store.Now(ctx)
	if err != nil {
		return err
	}
	n, err := e.store.Client().Message.Update().
		Where(message.ID(id), Streaming(), message.StopRequestedAtIsNil()).
		SetStopRequestedAt(now).
		Save(ctx)
	if err != nil {
		return fmt.Errorf("request stop: %w", err)
	}
	if n > 0 {
		e.bus.Publish(event.Fact{Kind: event.StopRequested, MessageID: id})
	}
	return nil
}

// Running returns how many replies run here.
func (e *Engine) Running() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, r := range e.running {
		if !r.live.hasEnded() {
			n++
		}
	}
	return n
}

// find returns the live buffer of a reply that runs here or has just ended here.
func (e *Engine) find(id pid.ID) *live {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.running[id]; r != nil {
		return r.live
	}
	return nil
}

func (e *Engine) forget(r *Run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running[r.row.ID] == r {
		delete(e.running, r.row.ID)
	}
}

// forgetEnded drops what has been final for a while.
func (e *Engine) forgetEnded(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, r := range e.running {
		if r.live.endedBefore(now.Add(-linger)) {
			delete(e.running, id)
		}
	}
}

// cancelWhere cancels the runs that match.
func (e *Engine) cancelWhere(match func(*ent.Message) bool, cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.running {
		if match(r.row) {
			r.cancel(cause)
		}
	}
}

// keepGoing runs a loop until ctx ends, again after a panic: without its lease and
// its sweeps a replica would be worse than gone.
func (e *Engine) keepGoing(ctx context.Context, loop func(context.Context)) {
	for ctx.Err() == nil {
		e.guard(ctx, func() { loop(ctx) })
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}

// guard keeps a panic from ending the process and reports whether there was none.
func (e *Engine) guard(ctx context.Context, work func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			e.log.ErrorContext(ctx, "panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	work()
	return true
}

// listen acts on what other rooms and replicas say.
func (e *Engine) listen(ctx context.Context, facts event.Subscription) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-facts.Facts():
			switch f.Kind {
			case event.StopRequested:
				e.cancelWhere(func(m *ent.Message) bool { return m.ID == f.MessageID }, errStopped)
			case event.ConversationDeleted:
				e.cancelWhere(func(m *ent.Message) bool { return m.ConversationID == f.ConversationID }, errDeleted)
			}
		case <-facts.Missed():
			// watchRows finds what was lost within a second.
		}
	}
}
