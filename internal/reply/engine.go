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
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
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
	bus      fact.Bus
	wire     Wire // nil: what runs on other replicas is followed in the database
	log      *slog.Logger

	// ctx is the life of all runs; set by Start, ended by Stop. loopCtx is that of the
	// engine's own goroutines.
	ctx     context.Context
	cancel  context.CancelCauseFunc
	loopCtx context.Context
	// loops counts the engine's own goroutines, runs those of replies.
	loops, runs sync.WaitGroup
	stopLoops   context.CancelFunc
	stopServing func() // nil without a wire
	// sweepNow asks for a sweep before its time, watchNow for a look at the replies that
	// run here.
	sweepNow, watchNow chan struct{}
	// inDoubt is set while this replica may have lost its lease.
	inDoubt atomic.Bool
	// peers is how many other replicas had a lease at the last sweep.
	peers atomic.Int64

	// mu guards the fields below. It may be held while a live's lock is taken, never
	// the other way round.
	mu      sync.Mutex
	running map[pid.ID]*Attempt
	mirrors map[pid.ID]*mirror
	// uncertain are replies whose commit failed: they may be there all the same.
	uncertain map[pid.ID]time.Time
	closed    bool // No more replies are taken.
	ended     bool // No more goroutines are started.
}

// New returns an engine with an id of its own. It does nothing before Start. wire is
// nil where there is none: viewers of replies on other replicas then see what those
// have stored, each second.
func New(cfg Config, store Store, upstream Upstream, bus fact.Bus, wire Wire, log *slog.Logger) *Engine {
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
		id:        id,
		cfg:       cfg,
		store:     store,
		upstream:  upstream,
		bus:       bus,
		wire:      wire,
		log:       log.With("replica_id", string(id)),
		sweepNow:  make(chan struct{}, 1),
		watchNow:  make(chan struct{}, 1),
		running:   make(map[pid.ID]*Attempt),
		mirrors:   make(map[pid.ID]*mirror),
		uncertain: make(map[pid.ID]time.Time),
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
	facts := e.bus.Subscribe(fact.Control)
	loopCtx, stop := context.WithCancel(base)
	e.loopCtx, e.stopLoops = loopCtx, stop
	if e.wire != nil {
		e.stopServing = e.wire.Serve(e.id, e.answer)
	}
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
	if e.stopServing != nil {
		e.stopServing()
	}
	e.mu.Lock()
	e.ended = true
	e.mu.Unlock()
	e.stopLoops()
	e.loops.Wait()
	if !again {
		e.returnLease()
	}
	e.cancel(errReleased)
}

// RequestStop asks for a reply of this user to be stopped, from any replica: a
// durable flag, and a signal that makes it quick. It is idempotent. A reply that is
// final, or not this user's, stays as it is.
func (e *Engine) RequestStop(ctx context.Context, userID, id pid.ID) error {
	now, err := e.store.Now(ctx)
	if err != nil {
		return err
	}
	n, err := FlagStop(e.store.Client().Message.Update(), userID, id, now).Save(ctx)
	if err != nil {
		return fmt.Errorf("request stop: %w", err)
	}
	if n > 0 {
		failpoint.Hit("reply.after-stop-flag")
		e.bus.Publish(fact.Fact{Kind: fact.StopRequested, MessageID: id})
	}
	return nil
}

// FlagStop narrows an update to a running reply of a user that nobody has asked to stop
// yet, and sets the flag its owner looks for.
func FlagStop(u *ent.MessageUpdate, userID, id pid.ID, now time.Time) *ent.MessageUpdate {
	return u.Where(message.ID(id), message.UserID(userID), Streaming(), message.StopRequestedAtIsNil()).
		SetStopRequestedAt(now)
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

// Peers returns how many other replicas were alive at the last sweep.
func (e *Engine) Peers() int { return int(e.peers.Load()) }

// knows reports whether a reply runs here, is about to, or has just ended here.
func (e *Engine) knows(id pid.ID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.running[id] != nil
}

// runOf returns the attempt of a reply that is committed and runs here, or has just
// ended here; nil otherwise.
func (e *Engine) runOf(id pid.ID) *Attempt {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.running[id]; r != nil && r.committed.Load() {
		return r
	}
	return nil
}

func (e *Engine) forget(r *Attempt) {
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
	for id, at := range e.uncertain {
		if at.Before(now.Add(-uncertainFor)) {
			delete(e.uncertain, id)
		}
	}
}

// cancelAll cancels all runs.
func (e *Engine) cancelAll(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.running {
		r.cancel(cause)
	}
}

// concerns reports whether a fact is about a reply that runs here.
func (e *Engine) concerns(f fact.Fact) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, r := range e.running {
		if !r.live.hasEnded() &&
			(id == f.MessageID || f.Kind == fact.ConversationDeleted && r.row.ConversationID == f.ConversationID) {
			return true
		}
	}
	return false
}

// signal asks a loop for its next turn at once. It never blocks.
func signal(loop chan struct{}) {
	select {
	case loop <- struct{}{}:
	default: // It is asked already.
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
func (e *Engine) listen(ctx context.Context, facts fact.Subscription) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-facts.Facts():
			switch f.Kind {
			case fact.StopRequested, fact.ConversationDeleted:
				if e.concerns(f) {
					signal(e.watchNow) // The row says whether it is true.
				}
			case fact.ReplyReleased:
				signal(e.sweepNow)
			}
		case <-facts.Missed():
			// watchRows finds what was lost within a second.
		}
	}
}
