package reply

import (
	"sync"
	"time"
)

// interestFor is how long a question keeps the pieces of a reply coming. Replicas
// with watchers ask again long before.
const interestFor = 15 * time.Second

// publisher sends the text of one reply to other replicas for as long as one of
// them is interested. Where nobody is, it does not exist: local watchers never pay for
// the wire.
type publisher struct {
	mu sync.Mutex
	// until is when the interest ends; on says that a goroutine sends. Both are guarded
	// by mu.
	until time.Time
	on    bool
}

// extend notes the interest and reports whether a goroutine has to be started.
func (p *publisher) extend(now time.Time) (start bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = now.Add(interestFor)
	start = !p.on
	p.on = true
	return start
}

// rest returns how long the interest still lasts. At its end it notes that nothing
// is sent any more.
func (p *publisher) rest(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.until.Sub(now)
	if d <= 0 {
		p.on = false
	}
	return d
}

// answer tells another replica what it has not got of a reply that runs here, and
// sends it the pieces that follow. It implements what Wire asks for.
func (e *Engine) answer(q Question) (Piece, error) {
	a := e.attempts.of(q.MessageID)
	if a == nil || a.live.hasEnded() {
		return Piece{}, ErrNotRunning
	}
	if a.publisher.extend(time.Now()) {
		// The pieces begin where the reply ends now, the answer ends behind that.
		at := a.live.held()
		if !e.life.goLoop(func() { a.publish(at) }) {
			return Piece{}, ErrNotRunning
		}
	}
	return a.live.from(q), nil
}

// publish sends what is new in a reply whenever there is something, joined as it
// lies there: a slow wire gets fewer, bigger pieces.
func (a *Attempt) publish(at Question) {
	wake := make(wakeup, 1)
	a.live.join(wake)
	defer a.live.leave(wake)
	interest := time.NewTimer(interestFor)
	defer interest.Stop()
	for !a.live.hasEnded() {
		p := a.live.from(at)
		if p.Texts != (Texts{}) {
			a.engine.wire.Send(p)
			at.Held = p.end()
			continue
		}
		select {
		case <-wake:
		case <-a.live.ended:
		case <-interest.C:
			d := a.publisher.rest(time.Now())
			if d <= 0 {
				return
			}
			interest.Reset(d)
		}
	}
}
