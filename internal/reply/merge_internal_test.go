package reply

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
)

// maxTestBytes is more than these tests write.
const maxTestBytes = 1 << 20

// world is a reply, the replica that writes it, the wire, and a replica with viewers,
// without time and goroutines: every step is one of a random sequence, so that any
// order of things can be tried and repeated.
type world struct {
	*rand.Rand
	row   *ent.Message // in the database
	owner *live
	sent  Question // what the owner has sent so far
	wire  []Piece  // under way
	copy  *live
	// owners are those of all attempts, for what each has written.
	owners map[int]*live
	// viewers watch the copy, or the owner's text.
	viewers []*screen
	log     []string
}

// screen is what one client holds. It checks the rules of the protocol as it goes.
type screen struct {
	v        *Watcher
	held     Texts
	attempt  int
	started  bool
	finished bool
	cursor   *Cursor
}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 17)), owners: make(map[int]*live)}
	w.row = &ent.Message{ID: pid.New(pid.Message), UserID: pid.New(pid.User), Attempt: 1,
		Status: message.StatusSTREAMING}
	if w.IntN(3) == 0 {
		w.row.Attempt, w.row.Status = 0, message.StatusQUEUED
	} else {
		w.own()
	}
	w.copy = newLive(w.row, 0)
	w.copy.restart(w.row)
	return w
}

// own gives the current attempt an owner.
func (w *world) own() {
	w.owner = newLive(w.row, maxTestBytes)
	w.owners[w.row.Attempt] = w.owner
	w.sent = Question{MessageID: w.row.ID, Attempt: w.row.Attempt}
}

func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

// write changes the row as a statement does: a new value.
func (w *world) write(change func(m *ent.Message)) {
	next := *w.row
	change(&next)
	w.row = &next
}

// step does one thing that may happen next.
func (w *world) step() {
	switch n := w.IntN(20); {
	case n < 5 && w.owner != nil:
		piece := []string{"a", "é", "日本", "😀 ", "words ", strings.Repeat("long ", 9)}[w.IntN(6)]
		if w.IntN(4) == 0 {
			_ = w.owner.Append(Reasoning, piece) // Far below the limit.
		} else {
			_ = w.owner.Append(Content, piece)
		}
	case n < 9 && w.owner != nil:
		w.publish()
	case n < 13 && len(w.wire) > 0:
		w.deliver()
	case n == 13 && w.owner != nil:
		p := w.owner.from(Question{Attempt: w.row.Attempt})
		w.write(func(m *ent.Message) { m.Content, m.Reasoning = p.Texts[Content], p.Texts[Reasoning] })
		w.note("checkpoint of %d", len(p.Texts[Content]))
	case n == 14:
		w.note("look")
		w.copy.adopt(w.row)
	case n == 15 && w.IntN(3) == 0:
		w.takeover()
	case n == 16 && len(w.viewers) < 5:
		w.viewers = append(w.viewers, &screen{})
		w.attach(w.viewers[len(w.viewers)-1])
	case n >= 17 && len(w.viewers) > 0:
		w.read(w.viewers[w.IntN(len(w.viewers))])
	}
}

// publish sends what is new over a wire that loses, repeats and reorders.
func (w *world) publish() {
	p := w.owner.from(w.sent)
	if p.Texts[Content] == "" && p.Texts[Reasoning] == "" {
		return
	}
	w.sent.Held = p.end()
	for range w.IntN(3) {
		w.wire = append(w.wire, p)
	}
	w.note("piece of %d at %d", len(p.Texts[Content]), p.From[Content])
}

// deliver hands any of the pieces under way to the copy, and what follows from it.
func (w *world) deliver() {
	i := w.IntN(len(w.wire))
	p := w.wire[i]
	w.wire = append(w.wire[:i:i], w.wire[i+1:]...)
	outcome := w.copy.merge(p)
	w.note("delivered %d of attempt %d: %d", p.From[Content], p.Attempt, outcome)
	switch outcome {
	case newer:
		w.copy.adopt(w.row)
	case gap:
		if w.owner != nil && w.IntN(3) > 0 { // Else nobody answers.
			w.copy.merge(w.owner.from(w.copy.held()))
		}
	}
}

// takeover begins the next attempt; the pieces of the last one are still under way.
func (w *world) takeover() {
	if w.owner != nil {
		w.owner.abandon()
	}
	w.write(func(m *ent.Message) {
		if len(m.Content) > len(m.Salvage) {
			m.Salvage = m.Content
		}
		m.Attempt++
		m.Status, m.Content, m.Reasoning = message.StatusSTREAMING, "", ""
	})
	w.own()
	w.note("attempt %d", w.row.Attempt)
}

// end makes the reply final in one of the ways there are.
func (w *world) end() {
	final := *w.row
	if w.owner != nil {
		w.owner.flush().put(&final)
	}
	switch w.IntN(3) {
	case 0:
		final.Status = message.StatusFAILED
		keepLongest(&final)
	case 1:
		final.Status = message.StatusSTOPPED
	default:
		final.Status = message.StatusCOMPLETED
	}
	w.row = &final
	if w.owner != nil {
		w.owner.finish(&final)
	}
	w.note("%s of attempt %d with %d", final.Status, final.Attempt, len(final.Content))
}

// attach watches from anew or from the cursor held, on the copy or at the owner.
func (w *world) attach(s *screen) {
	after := s.cursor
	if w.IntN(3) == 0 {
		after = nil
	}
	e := &Engine{attempts: newAttempts()}
	v := &Watcher{engine: e, id: w.row.ID, wake: make(chan struct{}, 1), seen: SnapshotOf(w.row),
		cursor: Cursor{MessageID: w.row.ID}}
	w.copy.catchUp(w.row) // As join does.
	v.live, v.leave = w.copy, func() {}
	if w.owner != nil && w.IntN(2) == 0 {
		v.live = w.owner
	}
	if after != nil {
		if err := v.resume(w.row, *after); err != nil {
			panic(fmt.Sprintf("resume %+v of a row with attempt %d and %d: %v", *after, w.row.Attempt,
				len(w.row.Content), err))
		}
	} else {
		*s = screen{}
	}
	s.v = v
	w.note("attach with %v", after)
}

// read takes one update, and now and then comes back.
func (w *world) read(s *screen) {
	if s.finished {
		return
	}
	if w.IntN(6) == 0 {
		w.attach(s)
		return
	}
	u, ok, lost := s.v.fromLive(s.v.live)
	if lost {
		w.copy.catchUp(w.row)
		s.v.live = w.copy
		return
	}
	if !ok {
		return
	}
	s.apply(u)
	if l := w.owners[s.attempt]; l != nil &&
		(l.texts.all().at(s.held.end()) != s.held || !l.texts.reaches(s.held.end())) {
		panic(fmt.Sprintf("attempt %d shows %q, but wrote %q", s.attempt, s.held, l.texts.all()))
	}
}

// apply is the client's rule, with everything that may not be.
func (s *screen) apply(u Update) {
	fail := func(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
	if s.started && u.State().Attempt < s.attempt {
		fail("attempt %d after %d", u.State().Attempt, s.attempt)
	}
	if s.started && u.State().Attempt > s.attempt && u.Kind != Snapshot {
		fail("attempt %d is not announced", u.State().Attempt)
	}
	if !s.started && u.Kind != Snapshot {
		fail("first comes kind %d", u.Kind)
	}
	if !utf8.ValidString(u.Text) {
		fail("delta %q is cut in a rune", u.Text)
	}
	switch u.Kind {
	case Snapshot:
		s.held = TextsOf(u.State())
	case Delta:
		held := s.held[u.Channel]
		if at := u.Cursor.At[u.Channel] - len(u.Text); at != len(held) || u.Units != utf16Len(held) {
			fail("delta of channel %d at %d units %d, held are %d bytes", u.Channel, at, u.Units, len(held))
		}
		s.held[u.Channel] += u.Text
	case Finished:
		s.finished = true
	}
	if TextsOf(u.State()) != s.held {
		fail("kind %d says %q, held is %q", u.Kind, TextsOf(u.State()), s.held)
	}
	if IsFinal(u.State().Status) != (u.Kind == Finished) && u.Kind != Snapshot {
		fail("kind %d with status %s", u.Kind, u.State().Status)
	}
	s.started, s.attempt = true, u.State().Attempt
	c := u.Cursor
	s.cursor = &c
}

// run plays a whole story. Whatever happened on the way, all end with the row.
func (w *world) run(steps int) {
	for range steps {
		w.step()
	}
	for range 2 {
		w.viewers = append(w.viewers, &screen{})
		w.attach(w.viewers[len(w.viewers)-1])
	}
	w.end()
	for len(w.wire) > 0 { // Late pieces do no harm.
		w.deliver()
	}
	w.copy.adopt(w.row)
	for i, s := range w.viewers {
		for range 10_000 {
			if s.finished {
				break
			}
			w.read(s)
		}
		if !s.finished || s.held != TextsOf(w.row) || s.attempt != w.row.Attempt {
			panic(fmt.Sprintf("viewer %d ends with %q of attempt %d, stored is %q of %d", i, s.held, s.attempt,
				TextsOf(w.row), w.row.Attempt))
		}
	}
}

// Any interleaving of deltas, checkpoints, losses, repeats, late pieces, takeovers,
// new viewers and resumed ones keeps the promises of the protocol.
func TestEveryInterleaving(t *testing.T) {
	t.Parallel()
	stories := uint64(20_000)
	if testing.Short() {
		stories = 1000
	}
	for seed := range stories {
		if !playable(t, seed) {
			return
		}
	}
}

func playable(t *testing.T, seed uint64) (ok bool) {
	t.Helper()
	w := newWorld(seed)
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("seed %d: %v\n%s", seed, p, strings.Join(w.log, "\n"))
		}
	}()
	w.run(20 + w.IntN(120))
	return true
}

// A cursor that was never given out, but lies ahead of a copy that is behind, gives a
// snapshot rather than half a character.
func TestCursorAheadOfTheCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(1)
	w.row = &ent.Message{ID: w.row.ID, UserID: w.row.UserID, Attempt: 1, Status: message.StatusSTREAMING}
	w.copy = newLive(w.row, 0)
	s := &screen{cursor: &Cursor{MessageID: w.row.ID, Attempt: 1, At: Position{Content: 2}}}
	for s.v == nil || !s.v.started {
		w.attach(s)
	}
	if u, ok, _ := s.v.fromLive(w.copy); ok {
		t.Fatalf("got %+v before the text is there", u)
	}
	w.copy.merge(Piece{Attempt: 1, Texts: Texts{Content: "é日"}, End: Position{Content: 5}})
	if u, ok, _ := s.v.fromLive(w.copy); !ok || u.Kind != Delta || u.Channel != Content || u.Text != "日" {
		t.Errorf("got %+v, want what lies behind the cursor", u)
	}
	s.v.cursor.At[Content] = 3
	if u, ok, _ := s.v.fromLive(w.copy); !ok || u.Kind != Snapshot || u.State().Content != "é日" {
		t.Errorf("got %+v, want a snapshot", u)
	}
}

// Pieces that are no part of the text do no harm.
func TestMergeOfNonsense(t *testing.T) {
	t.Parallel()
	for _, p := range []Piece{
		{Attempt: 1, From: Position{Content: -5}, Texts: Texts{Content: "abc"}},
		{Attempt: 1, From: Position{Content: 1}, Texts: Texts{Content: "bc日"}}, // Cut in the middle of the held rune.
		{Attempt: 1, End: Position{Content: -1}},
		{Attempt: -1, Texts: Texts{Content: "zz"}},
		{Attempt: 0, Texts: Texts{Content: "longer than what is held"}},
	} {
		var held liveTexts
		held[Content].append("aé")
		merge(1, &held, p)
		if got := held.all()[Content]; !utf8.ValidString(got) || !strings.HasPrefix(got, "aé") {
			t.Errorf("%+v made %q", p, got)
		}
	}
}

// A copy whose reasoning runs ahead of its text gives a viewer who holds more text
// nothing until the text is there, and then all of both.
func TestViewerAheadOfTheCopy(t *testing.T) {
	t.Parallel()
	row := &ent.Message{ID: pid.New(pid.Message), Status: message.StatusSTREAMING, Attempt: 1,
		Reasoning: strings.Repeat("r", 500)}
	l := newLive(row, 0)
	l.restart(row)
	v := &Watcher{id: row.ID, started: true,
		cursor: Cursor{MessageID: row.ID, Attempt: 1, At: Position{Content: 200, Reasoning: 500}}}
	l.merge(Piece{Attempt: 1, From: Position{Content: 200, Reasoning: 500}, Texts: Texts{Reasoning: " more"},
		End: Position{Content: 200, Reasoning: 505}})
	if u, ok, _ := v.fromLive(l); ok {
		t.Fatalf("got %+v before the text is there", u)
	}
	l.merge(Piece{Attempt: 1, From: Position{Reasoning: 505},
		Texts: Texts{Content: strings.Repeat("t", 200), Reasoning: " still"},
		End:   Position{Content: 200, Reasoning: 511}})
	u, ok, _ := v.fromLive(l)
	if !ok || u.Kind != Delta || u.Channel != Reasoning || u.Text != " more still" || u.Units != 500 {
		t.Errorf("got %+v, want all that lies behind the cursor", u)
	}
}

// A piece that the owner never wrote is gone from the screens when the row says so.
func TestFalsePiece(t *testing.T) {
	t.Parallel()
	for _, final := range []bool{true, false} {
		row := &ent.Message{ID: pid.New(pid.Message), Status: message.StatusSTREAMING, Attempt: 1}
		l := newLive(row, 0)
		l.restart(row)
		s := &screen{v: &Watcher{id: row.ID, engine: &Engine{}, live: l, leave: func() {}, wake: make(chan struct{}, 1),
			seen: SnapshotOf(row), cursor: Cursor{MessageID: row.ID}}}
		read := func() {
			for {
				u, ok, err := s.v.Poll(t.Context())
				if err != nil || !ok {
					return
				}
				s.apply(u)
			}
		}
		read()
		l.merge(Piece{Attempt: 1, Texts: Texts{Content: "evil"}, End: Position{Content: 4}})
		read()
		if s.held[Content] != "evil" {
			t.Fatalf("shown is %q", s.held)
		}
		next := *row
		next.Content = "good text"
		if final {
			next.Status = message.StatusCOMPLETED
		}
		l.adopt(&next)
		read()
		if s.held[Content] != "good text" || s.finished != final {
			t.Errorf("the viewer ends with %q, finished: %t", s.held, s.finished)
		}
	}
}
