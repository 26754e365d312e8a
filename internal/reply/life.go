package reply

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrStarted is returned by Start when the engine has been started or stopped before.
var ErrStarted = errors.New("the engine has been started or stopped before")

// life is how far an engine is between Start and Stop, and counts its goroutines: those of
// replies, which Stop gives time, and its own loops, which end after them.
type life struct {
	*host

	// ctx is the life of all replies, loopCtx that of the loops. Both are set by begin and
	// not changed any more.
	ctx       context.Context
	cancel    context.CancelCauseFunc
	loopCtx   context.Context
	stopLoops context.CancelFunc

	// mu guards the fields below, and that nothing is added to what is waited for.
	mu      sync.Mutex
	begun   bool // There has been a Start that did not fail.
	running bool // Replies are taken.
	closed  bool // Replies are taken no more.
	ended   bool // No more loops are started.
	// starting is closed when the Start under way is over; nil before the first.
	starting chan struct{}

	replies, loops sync.WaitGroup
}

// begin allows one Start. Its caller calls over, and before that run, unless it fails.
func (l *life) begin(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun || l.closed {
		return ErrStarted
	}
	l.begun, l.starting = true, make(chan struct{})
	base := context.WithoutCancel(ctx)
	l.ctx, l.cancel = context.WithCancelCause(base)
	l.loopCtx, l.stopLoops = context.WithCancel(base)
	return nil
}

// run says that replies can be taken.
func (l *life) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = true
}

// over ends a Start. One that has not come to run may be tried again.
func (l *life) over() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running {
		l.begun = false
		l.cancel(errReleased)
		l.stopLoops()
	}
	close(l.starting)
}

// close refuses further replies, waits for a Start that is under way, and reports whether
// there is anything to be stopped.
func (l *life) close() bool {
	l.mu.Lock()
	l.closed = true
	starting := l.starting
	l.mu.Unlock()
	if starting == nil {
		return false
	}
	<-starting
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running
}

// admit counts a reply that is to run, unless none is taken. Its caller calls replies.Done.
func (l *life) admit() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !l.running {
		return ErrStopping
	}
	l.replies.Add(1)
	return nil
}

// await returns when no reply runs any more. Those that still do when ctx ends are
// cancelled.
func (l *life) await(ctx context.Context) {
	finished := make(chan struct{})
	go func() { l.replies.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-ctx.Done():
		l.cancel(errReleased)
		<-finished
	}
}

// goLoop starts a goroutine of the engine's own. It returns false when the engine has
// ended.
func (l *life) goLoop(work func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.loops.Go(func() { l.guard(l.loopCtx, work) })
	return true
}

// keepGoing runs a loop until the engine ends, again after a panic: without its lease and
// its sweeps a replica would be worse than gone.
func (l *life) keepGoing(loop func(ctx context.Context)) {
	for l.loopCtx.Err() == nil {
		l.guard(l.loopCtx, func() { loop(l.loopCtx) })
		select {
		case <-l.loopCtx.Done():
		case <-time.After(pollInterval):
		}
	}
}

// end stops the loops and waits for them.
func (l *life) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.stopLoops()
	l.loops.Wait()
	l.cancel(errReleased)
}
