package transport

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/budget"
	"parley/internal/refusal"
)

// ledger knows how many bytes of large answers are held: those that are being made, and
// those that wait to be read by their clients. It bounds them for a connection, a user and
// the process. Small answers, see budget.Free, are not in it. It is safe for concurrent
// use.
//
// While an answer is being made it takes the room of the longest one there may be, with the
// rows it is made of; then what it has, until it is written. A connection makes one at a
// time: a socket whose client does not read holds one answer, not one for each operation.
type ledger struct {
	room           int64 // of one that is being made
	perUser, total int64
	// patience is how long a query waits for room.
	patience time.Duration
	// meters count who finds none. Nil: nobody counts.
	meters *Meters
	// full is when somebody found no room in the process, in nanoseconds.
	full atomic.Int64

	// mu guards the fields below, and what the accounts hold.
	mu     sync.Mutex
	held   int64
	byUser map[string]int64
	// freed is closed when something is given back. Nil: nobody waits.
	freed chan struct{}
}

func newLedger(l Limits, patience time.Duration) *ledger {
	room := 2 * int64(l.AnswerBytes)
	perUser := max(room, int64(l.AnswersPerUser))
	return &ledger{
		room: room, perUser: perUser, total: max(perUser, int64(l.Answers)), patience: patience,
		byUser: make(map[string]int64),
	}
}

// account is what one operation holds. Its answers come one after the other.
type account struct {
	ledger *ledger
	user   string
	// conn is what the connection holds.
	conn *int64
	// patient waits for room as long as it takes: what has been done must be told, and an
	// event must not be left out.
	patient bool
	held    int64
}

// take implements budget.Room.
func (a *account) take(ctx context.Context, wait bool) error {
	var late <-chan time.Time
	for {
		freed, full := a.tryTake()
		switch {
		case full == nil:
			return nil
		case !wait:
			return budget.ErrNoRoom
		case late == nil && !a.patient:
			timer := time.NewTimer(a.ledger.patience)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-freed:
		case <-late:
			a.ledger.meters.noRoom(full)
			return full
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// tryTake takes room, or says why there is none and when to try again.
func (a *account) tryTake() (freed <-chan struct{}, full error) {
	l := a.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case *a.conn > 0, l.byUser[a.user]+l.room > l.perUser:
		full = refusal.RateLimited("Too many large answers of yours wait to be read.", time.Second)
	case l.held+l.room > l.total:
		l.full.Store(time.Now().UnixNano())
		full = refusal.Overloaded(time.Second)
	default:
		l.change(a, l.room)
		return nil, nil
	}
	if l.freed == nil {
		l.freed = make(chan struct{})
	}
	return l.freed, full
}

// crowdedFor is how long the process counts as crowded after somebody has found no room.
const crowdedFor = 10 * time.Second

// crowded reports whether somebody finds no room in the process.
func (l *ledger) crowded(now time.Time) bool {
	return now.Sub(time.Unix(0, l.full.Load())) < crowdedFor
}

// keep says how long the answer is that was made. One without room of its own is small.
func (a *account) keep(n int) {
	if a.held == 0 {
		return // Most answers, and each token: nobody takes room any more for one that was made.
	}
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	a.ledger.change(a, min(int64(n), a.held)-a.held)
}

// giveBack ends what the account holds. It may be called more than once.
func (a *account) giveBack() {
	if a.held == 0 {
		return
	}
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	a.ledger.change(a, -a.held)
}

// change is called with mu held.
func (l *ledger) change(a *account, by int64) {
	a.held += by
	*a.conn += by
	l.held += by
	if l.byUser[a.user] += by; l.byUser[a.user] == 0 {
		delete(l.byUser, a.user)
	}
	if by < 0 && l.freed != nil {
		close(l.freed)
		l.freed = nil
	}
}
