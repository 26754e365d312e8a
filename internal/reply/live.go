package reply

import (
	"slices"
	"sync"
	"time"

	"parley/ent"
)

// live is a reply that runs here, or the copy of one that runs elsewhere: one
// append-only text that any number of watchers read at their own pace. A watcher is
// only a position and a wake-up; nothing is queued for it, so that a slow one costs
// nothing and simply gets more at once.
type live struct {
	maxBytes int // Of a reply that runs here.
	now      func() time.Time

	// mu guards everything below. It is held for copies of a few words only.
	mu sync.Mutex
	// row is the reply's row as it was at the start of the attempt. It is replaced by
	// restart, never changed.
	row   *ent.Message
	texts liveTexts
	// pace is when the parts came of a reply that runs here.
	pace pace
	// version counts how often the text turned out to be another one than was shown.
	version int
	// final is the reply's final state, once it has one.
	final *ent.Message
	// lost says that this replica may not write the reply any more: watchers turn to
	// the row.
	lost bool
	// waiting are the listeners. The list is replaced, never changed: every delta goes
	// through it, without the lock.
	waiting []listener
	// ended is closed when final or lost is set.
	ended chan struct{}
	// saved is how much of the texts the last checkpoint held.
	saved int
}

func newLive(row *ent.Message, maxBytes int) *live {
	return &live{
		maxBytes: maxBytes,
		now:      time.Now,
		row:      row,
		ended:    make(chan struct{}),
	}
}

// Append implements Output.
func (l *live) Append(c Channel, piece string) error {
	listeners, err := l.add(c, piece)
	tell(listeners)
	return err
}

// add appends a piece and returns who is to be told.
func (l *live) add(c Channel, piece string) ([]listener, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.texts.size()+len(piece) > l.maxBytes {
		return nil, &Error{Code: CodeLimit}
	}
	l.pace.note(c, piece, l.now)
	if !l.texts[c].append(piece) {
		return nil, nil
	}
	return l.waiting, nil
}

// spokeFirst returns when the first text came, if any has.
func (l *live) spokeFirst() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pace.first
}

// isEmpty reports whether nothing has been written beyond what the reply began with.
func (l *live) isEmpty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.texts.size() == startOf(l.row).size()
}

// restart begins the copy of another attempt, with the text its row holds.
func (l *live) restart(row *ent.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begin(row)
}

// advance begins a later attempt, if the row is of one. What it holds of the same
// attempt stays: it may be ahead of the row.
func (l *live) advance(row *ent.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if row.Attempt > l.row.Attempt {
		l.begin(row)
	}
}

// begin is restart under the lock.
func (l *live) begin(row *ent.Message) {
	l.row = row
	// New buffers: watchers hold parts of the old ones.
	l.texts = liveTexts{}
	l.texts.append(TextsOf(row))
	l.wake()
}

// adopt brings a copy to what its row says and reports whether that is the end. A row
// of the same attempt may be behind the pieces that came, never beside them.
func (l *live) adopt(row *ent.Message) (ended bool) {
	l.correct(row)
	if IsFinal(row.Status) {
		l.finish(row)
		return true
	}
	l.catchUp(row)
	return false
}

// catchUp adds to a copy what a row has beyond it.
func (l *live) catchUp(row *ent.Message) {
	if l.merge(pieceOf(row)) == newer {
		l.advance(row)
	}
}

// correct begins a copy anew that is not what its row says: somebody has sent a piece
// that the owner never wrote. Its watchers start over.
func (l *live) correct(row *ent.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if row.Attempt == l.row.Attempt && !agree(l.texts.all(), TextsOf(row)) {
		l.version++
		l.begin(row)
	}
}

// agree reports whether in each channel one of two texts is the beginning of the other.
func agree(a, b Texts) bool {
	for c := range a {
		n := min(len(a[c]), len(b[c]))
		if a[c][:n] != b[c][:n] {
			return false
		}
	}
	return true
}

// receive adds a piece to a copy, in the goroutine that keeps it.
func (l *live) receive(p Piece) merged {
	m, listeners := l.put(p)
	tell(listeners)
	return m
}

// merge adds what a row has to a copy.
func (l *live) merge(p Piece) merged {
	m, listeners := l.put(p)
	wake(listeners)
	return m
}

// put adds a piece and returns who is to be told.
func (l *live) put(p Piece) (merged, []listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.texts.size()
	m := merge(l.row.Attempt, &l.texts, p)
	if l.texts.size() == before {
		return m, nil
	}
	return m, l.waiting
}

// held says how much there is of which attempt.
func (l *live) held() Question {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Question{MessageID: l.row.ID, Attempt: l.row.Attempt, Held: l.texts.end()}
}

// from returns what lies behind a place, as much as fits into one answer. Of another
// attempt than the one asked about it returns the beginning.
func (l *live) from(q Question) Piece {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.Attempt != l.row.Attempt {
		q.Held = Position{}
	}
	p := Piece{MessageID: l.row.ID, Attempt: l.row.Attempt, End: l.texts.end()}
	p.From, p.Texts = l.texts.part(q.Held, MaxAnswerBytes)
	return p
}

// flush ends the texts and returns them.
func (l *live) flush() Texts {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.texts.flush()
	l.wake()
	return l.texts.all()
}

// finish makes the final state known to all watchers.
func (l *live) finish(final *ent.Message) {
	l.end(func() { l.final = final })
}

// abandon tells all watchers to turn to the row.
func (l *live) abandon() {
	l.end(func() { l.lost = true })
}

func (l *live) end(set func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.final != nil || l.lost {
		return
	}
	set()
	l.wake()
	close(l.ended)
}

// wake is called with mu held.
func (l *live) wake() {
	wake(l.waiting)
}

// join adds a listener and returns the version of the text.
func (l *live) join(w listener) (version int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(slices.Clip(l.waiting), w)
	return l.version
}

func (l *live) leave(w listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.DeleteFunc(slices.Clone(l.waiting), func(other listener) bool { return other == w })
}

// state returns the reply as it is now, or false when this replica has lost it.
func (l *live) state() (*ent.Message, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		return nil, false
	}
	if l.final != nil {
		return l.final, true
	}
	return l.whole(), true
}

// whole returns the reply as it is now. It is called with mu held.
func (l *live) whole() *ent.Message {
	m := *l.row
	l.texts.all().put(&m)
	return &m
}

// unsaved returns a checkpoint when there is text that none holds yet.
func (l *live) unsaved() (Checkpoint, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.texts.size() == l.saved || l.final != nil || l.lost {
		return Checkpoint{}, false
	}
	return Checkpoint{
		MessageID: l.row.ID,
		UserID:    l.row.UserID,
		Attempt:   l.row.Attempt,
		Texts:     l.texts.all(),
	}, true
}

func (l *live) setSaved(c Checkpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saved = max(l.saved, c.Texts.size())
}

func (l *live) hasEnded() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}
