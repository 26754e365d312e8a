package feed

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"parley/internal/fact"
)

// story is a feed without time and goroutines: every step is one of a random sequence,
// so that any order of things can be tried and repeated. It stands for the shell, the
// bus and the network; what the feed is about is told by whoever embeds it.
type story struct {
	*rand.Rand
	clock int64
	log   []string

	state state
	// unread are the events that the client has not taken.
	unread []Event
	// wire are facts under way, inbox those that have arrived. A full inbox loses facts
	// and raises a doubt.
	wire, inbox []sentFact
	missed      bool
	wake        bool
	// hearing is the fact that is being heard; nil: none is.
	hearing *sentFact
	// epoch counts the connections of the client.
	epoch int

	// reads counts what was fulfilled. After the one numbered cutAt the client's connection
	// ends, and the one numbered failAt fails; zero: none does.
	reads, cutAt, failAt int

	// losses, faults and cuts are how many of a hundred facts, reads and answers are lost.
	losses, faults, cuts          int
	openings, overflows, failures int

	// What the embedding world does.
	answer    func(w want) input      // fulfils a want; nil: there is no answer.
	then      func(f fact.Fact) input // the rows that a fact is about, as they are when it is sent
	change    func()                  // something happens
	show      func(e Event)           // to the client
	poll      func() (input, bool)
	reconnect func()
}

// sentFact is a fact, with what a look-up would have found when it was sent. Another feed
// may have made it then, for all who hear the fact.
type sentFact struct {
	fact.Fact
	then input
}

// inboxSize is small, so that it overflows.
const inboxSize = 6

func newStory(seed uint64) story {
	s := story{Rand: rand.New(rand.NewPCG(seed, 29))}
	if s.IntN(4) > 0 { // Else all goes well, apart from the order of things.
		s.losses, s.faults, s.cuts = s.IntN(40), s.IntN(15), s.IntN(5)
	}
	return s
}

func (s *story) note(format string, args ...any) { s.log = append(s.log, fmt.Sprintf(format, args...)) }

func (s *story) chance(percent int) bool { return s.IntN(100) < percent }

// tick returns a later time.
func (s *story) tick() time.Time {
	s.clock++
	return time.UnixMicro(s.clock)
}

// publish puts facts on the wire: with their rows, as this process does, or as hints.
func (s *story) publish(facts ...fact.Fact) {
	hints := s.IntN(3) == 0
	for _, f := range facts {
		if hints {
			f = f.Hint()
		}
		if s.chance(s.losses) {
			s.note("lost: %s", describeFact(f))
			continue
		}
		then := s.then(f)
		s.wire = append(s.wire, sentFact{f, then})
		if s.chance(15) {
			s.wire = append(s.wire, sentFact{f.Hint(), then}) // From another replica, as it were.
		}
		if s.chance(10) {
			s.wire = append(s.wire, sentFact{f, then})
		}
	}
}

func describeFact(f fact.Fact) string {
	return fmt.Sprintf("kind %d of %s %s, rows %t", f.Kind, f.ConversationID, f.MessageID,
		f.Conversation != nil || f.Message != nil)
}

// deliver hands one of the facts under way to the feed's subscription, mostly the first.
func (s *story) deliver() {
	i := 0
	if s.IntN(3) == 0 {
		i = s.IntN(len(s.wire))
	}
	f := s.wire[i]
	s.wire = append(s.wire[:i:i], s.wire[i+1:]...)
	if len(s.inbox) == inboxSize {
		s.missed = true
		s.overflows++
		s.note("overflow: %s", describeFact(f.Fact))
		return
	}
	s.inbox = append(s.inbox, f)
}

// next is one call of the feed's shell. It returns false when there is nothing to do.
func (s *story) next() bool {
	switch {
	case len(s.unread) > 0:
		e := s.unread[0]
		s.unread = s.unread[1:]
		if e.Kind == Opened {
			s.openings++
		}
		s.note("event %d of %s: update %d of %v", e.Kind, e.ConversationID, e.Update.Kind, e.Update.State())
		s.show(e)
		return true
	case s.state.phase() == over:
		return false
	case s.state.phase() == fresh:
		s.inbox = nil
		s.play(begun{})
		return true
	}
	if s.IntN(2) == 0 && s.listen() {
		return true
	}
	if in, ok := s.poll(); ok {
		s.play(in)
		return true
	}
	return s.listen()
}

func (s *story) listen() bool {
	switch {
	case s.missed:
		s.missed = false
		s.note("doubt")
		s.play(doubted{})
	case s.wake && s.settled():
		s.wake = false
		s.note("woken")
		s.play(woken{})
	case len(s.inbox) > 0:
		f := s.inbox[0]
		s.inbox = s.inbox[1:]
		s.note("hears %s", describeFact(f.Fact))
		if f.Conversation == nil && f.Message == nil {
			s.hearing = &f
		}
		s.play(heard{f.Fact})
		s.hearing = nil
	default:
		return false
	}
	return true
}

// settled reports whether facts have had their time to arrive.
func (s *story) settled() bool {
	return s.losses > 0 && s.IntN(4) == 0 || len(s.wire)+len(s.inbox) == 0
}

// play is Feed.play, with everything that may go wrong.
func (s *story) play(in input) (ok bool) {
	epoch := s.epoch
	o := s.state.apply(in)
	s.unread = append(s.unread, o.events...)
	for _, w := range o.wants {
		if w.kind == wantSettle || w.kind == wantRetry {
			s.wake = true
			continue
		}
		for s.IntN(4) == 0 {
			s.change()
		}
		s.reads++
		if w.kind != wantUnwatch && (s.chance(s.faults) || s.reads == s.failAt) {
			s.failures++
			s.note("want %d fails", w.kind)
			s.play(failed{w})
			return false
		}
		answer := s.lookUp(w)
		for s.IntN(4) == 0 {
			s.change()
		}
		if s.chance(s.cuts) || s.reads == s.cutAt {
			s.cut()
		}
		if s.epoch != epoch {
			return false
		}
		if answer != nil && !s.play(answer) {
			return false
		}
	}
	return true
}

// lookUp fulfils a want, or gives what another feed has found for the same fact before.
func (s *story) lookUp(w want) input {
	if s.hearing != nil && s.IntN(2) == 0 {
		switch then := s.hearing.then.(type) {
		case conversationRead:
			if w.kind == wantConversation && !w.anew && w.id == s.hearing.ConversationID {
				return conversationRead{w, then.row, true}
			}
		case messageRead:
			if w.kind == wantMessage && !w.anew && w.id == s.hearing.MessageID {
				return messageRead{w, then.row}
			}
		}
	}
	return s.answer(w)
}

// cut ends the connection of the client, who comes back at once.
func (s *story) cut() {
	s.note("cut")
	s.epoch++
	s.unread, s.inbox, s.missed, s.wake = nil, nil, false, false
	s.reconnect()
}

// step does one thing that may happen next.
func (s *story) step() {
	switch n := s.IntN(12); {
	case n < 3:
		s.change()
	case n < 6 && len(s.wire) > 0:
		s.deliver()
	case n == 6 && s.losses > 0 && s.IntN(4) == 0:
		s.missed = true
	case n == 7 && s.chance(s.cuts):
		s.cut()
	default:
		s.next()
	}
}

// end lets everything arrive, raises one doubt, and lets the feed come to rest.
func (s *story) end() {
	s.faults, s.cuts, s.cutAt, s.failAt = 0, 0, 0, 0
	s.change = func() {}
	rest := func() {
		for range 10_000 {
			if len(s.wire) > 0 && s.IntN(2) == 0 {
				s.deliver()
				continue
			}
			if !s.next() && len(s.wire) == 0 {
				return
			}
		}
		panic("the feed does not come to rest")
	}
	rest()
	s.missed = true
	rest()
}

// atEachRead plays one story again and again: with the client's connection ended after each
// of its reads, and with each of them failing. play says how many reads there were.
func atEachRead(play func(cutAt, failAt int) (reads int)) {
	for at, most := 1, play(0, 0); at <= most; at++ {
		play(at, 0)
		play(0, at)
	}
}

// tell plays stories until one goes wrong, and shows that one.
func tell(t *testing.T, stories uint64, play func(seed uint64, log *[]string)) {
	t.Helper()
	t.Parallel()
	if testing.Short() {
		stories /= 20
	}
	for seed := range stories {
		if !playable(t, seed, play) {
			return
		}
	}
}

func playable(t *testing.T, seed uint64, play func(seed uint64, log *[]string)) (ok bool) {
	t.Helper()
	var log []string
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("seed %d: %v\n%s", seed, p, strings.Join(log, "\n"))
		}
	}()
	play(seed, &log)
	return true
}

func fail(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
