package reply

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
)

// listenedWire notes what is sent.
type listenedWire struct{ sent []Piece }

func (w *listenedWire) Send(p Piece) { w.sent = append(w.sent, p) }

func (w *listenedWire) Serve(pid.ID, func(Question) (Piece, error)) (stop func()) {
	return func() {}
}

func (w *listenedWire) Ask(context.Context, pid.ID, Question) (Piece, error) {
	return Piece{}, ErrNoAnswer
}

func (w *listenedWire) Follow(pid.ID) Pieces { return nil }

// Pieces are sent for as long as somebody has asked lately, joined as they lie there,
// and not a moment longer.
func TestInterest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &listenedWire{}
		e := &Engine{wire: w}
		row := &ent.Message{ID: pid.New(pid.Message), Attempt: 2, Status: message.StatusSTREAMING}
		a := &Attempt{engine: e, row: row, live: newLive(row, maxTestBytes)}
		say := func(text string) {
			if err := a.live.Append(Content, text); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		var ended atomic.Int32
		ask := func() {
			if a.publisher.extend(time.Now()) {
				at := a.live.held()
				go func() { a.publish(at); ended.Add(1) }()
				synctest.Wait()
			}
		}
		say("before ")
		ask()
		say("one ")
		time.Sleep(interestFor - time.Second)
		say("two ")
		ask() // Renewed: no second goroutine.
		time.Sleep(interestFor - time.Second)
		say("three ")
		if ended.Load() != 0 {
			t.Error("it has ended while somebody asks")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if ended.Load() != 1 {
			t.Fatal("it goes on though nobody asks any more")
		}
		say("unheard ")
		ask()
		say("heard")
		a.live.finish(row)
		synctest.Wait()
		if ended.Load() != 2 {
			t.Error("it outlives the reply")
		}
		var got strings.Builder
		for _, p := range w.sent {
			got.WriteString(p.Texts[Content])
			if p.Attempt != 2 || p.MessageID != row.ID || p.End[Content] != p.From[Content]+len(p.Texts[Content]) {
				t.Errorf("sent %+v", p)
			}
		}
		if got.String() != "one two three heard" {
			t.Errorf("sent %q", got.String())
		}
	})
}

// An answer holds as much as fits into a message of the bus, cut between two runes,
// and the next one goes on behind it.
func TestAnswersOfALongReply(t *testing.T) {
	t.Parallel()
	row := &ent.Message{ID: pid.New(pid.Message), Attempt: 1, Status: message.StatusSTREAMING}
	owner, held := newLive(row, maxTestBytes), newLive(row, 0)
	held.restart(row)
	for range 100_000 {
		if err := owner.Append(Content, "日é "); err != nil {
			t.Fatal(err)
		}
	}
	if err := owner.Append(Reasoning, strings.Repeat("😀", 50_000)); err != nil {
		t.Fatal(err)
	}
	answers := 0
	for outcome := gap; outcome == gap; answers++ {
		p := owner.from(held.held())
		if len(p.Texts[Content])+len(p.Texts[Reasoning]) > MaxAnswerBytes {
			t.Fatalf("an answer of %d bytes", len(p.Texts[Content])+len(p.Texts[Reasoning]))
		}
		outcome = held.merge(p)
	}
	if held.texts.all() != owner.texts.all() {
		t.Error("the copy is another text")
	}
	if want := (600_000+200_000)/MaxAnswerBytes + 1; answers < want || answers > want+2 {
		t.Errorf("it took %d answers, want about %d", answers, want)
	}
}
