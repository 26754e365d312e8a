package reply

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"parley/ent"
)

// places counts the replies that this replica has taken on: those that are written, and
// those whose row is still on its way to the database. How many more it takes is at most what
// its operator says, and less while it is behind with those it has. It is safe for
// concurrent use.
type places struct {
	// behind reports whether what is taken is more than can be fed, as far as has been seen
	// since the last call. It is asked under mu.
	behind func(now time.Time) (behind, seen bool)

	mu sync.Mutex
	// The fields below are guarded by mu.
	taken int
	// share is how much of the most is taken at the moment, 1 when nothing speaks against it.
	share  float64
	looked time.Time
}

func newPlaces(behind func(now time.Time) (behind, seen bool)) *places {
	return &places{behind: behind, share: 1}
}

// How what is taken follows what can be fed. Those that run cannot be given up, so there is
// nothing to be gained by a guess of how many are right: there are too many. A share comes
// back within ten seconds, whether anybody asks meanwhile or not.
const (
	placesEvery  = 100 * time.Millisecond
	placesCut    = 0.9
	placesGrowth = 0.1 // A second.
	// placesLeast is the part of the most that is taken in any case. So few replies are not
	// what keeps a process busy: others on its machine do.
	placesLeast = 1.0 / 16
)

// Place is the room that one reply takes in this process.
type Place struct {
	of   *places
	left atomic.Bool
}

// take makes room for one more reply of a user's send, unless there is none.
func (p *places) take(most int, now time.Time) (*Place, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look(most, now)
	if p.taken >= p.limit(most) {
		return nil, false
	}
	p.taken++
	return &Place{of: p}, true
}

// limit returns how many are taken at the moment, out of the most.
func (p *places) limit(most int) int {
	return max(int(p.share*float64(most)), int(placesLeast*float64(most)), 1)
}

// look changes the share by what has been seen.
func (p *places) look(most int, now time.Time) {
	passed := now.Sub(p.looked)
	if passed < placesEvery {
		return
	}
	behind, seen := p.behind(now)
	if !seen {
		return
	}
	p.looked = now
	if behind {
		p.share = min(p.share, placesCut*float64(p.taken)/float64(most))
		return
	}
	p.share = min(1, p.share+placesGrowth*passed.Seconds())
}

// enter makes room for a reply that has to be written in any case.
func (p *places) enter() *Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken++
	return &Place{of: p}
}

func (p *places) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// Leave gives the place back. After the first time, after Prepare, and for none, it does
// nothing: defer it.
func (p *Place) Leave() {
	if p == nil || p.left.Swap(true) {
		return
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.of.taken--
}

// Admit takes a place for one more reply, before anything is done for it. It returns false
// when this replica has as many as most, or as many as it can feed. The caller leaves the
// place, or hands it to Prepare.
func (e *Engine) Admit(most int) (*Place, bool) { return e.places.take(most, time.Now()) }

// PrepareIn is Prepare for a reply that has its place already, which from then on is the
// attempt's.
func (e *Engine) PrepareIn(ctx context.Context, place *Place, row *ent.Message) (*Attempt, error) {
	if place == nil || place.left.Swap(true) {
		return e.Prepare(ctx, row)
	}
	return e.prepare(ctx, &Place{of: e.places}, row)
}
