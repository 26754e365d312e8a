package reply

import (
	"strings"
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
)

// parked is a watcher that waits, and what it was told meanwhile.
type parked struct {
	*Watcher
	told    strings.Builder
	refuses bool
}

func park(l *live) *parked {
	p := &parked{Watcher: &Watcher{id: l.row.ID, wake: make(wakeup, 1), live: l}}
	l.join(p.Watcher)
	p.fromLive(l) // The snapshot.
	p.Direct(func(u Update) bool {
		if p.refuses || u.Kind != Delta {
			return false
		}
		p.told.WriteString(u.Channel.Column() + " " + u.Text + ";")
		return true
	})
	p.Park()
	return p
}

// woken reports whether the watcher has been woken since the last call.
func (p *parked) woken() bool {
	select {
	case <-p.Ready():
		return true
	default:
		return false
	}
}

func runningLive() *live {
	return newLive(&ent.Message{ID: pid.New(pid.Message), Attempt: 1, Status: message.StatusSTREAMING}, maxTestBytes)
}

func appended(t *testing.T, l *live, c Channel, text string) {
	t.Helper()
	if err := l.Append(c, text); err != nil {
		t.Fatal(err)
	}
}

// TestDeltasAreToldWhereTheyArise, and to nobody who does not wait.
func TestDeltasAreToldWhereTheyArise(t *testing.T) {
	t.Parallel()
	l := runningLive()
	p := park(l)
	appended(t, l, Content, "one")
	if got := p.told.String(); got != "content one;" || p.woken() {
		t.Errorf("was told %q, want the delta and no wake-up", got)
	}
	p.Unpark()
	appended(t, l, Reasoning, "two")
	if !p.woken() || p.told.String() != "content one;" {
		t.Error("a watcher that is busy was not woken, or told a delta")
	}
	p.Park() // Without a look: both channels have something.
	appended(t, l, Content, "three")
	if got := p.told.String(); !strings.Contains(got, "reasoning two;") || !strings.Contains(got, "content three;") {
		t.Errorf("was told %q, want both channels", got)
	}
	if p.woken() {
		t.Error("was woken though all was told")
	}
}

// TestDeltasOfACopyAreToldToo: of what another replica writes.
func TestDeltasOfACopyAreToldToo(t *testing.T) {
	t.Parallel()
	l := runningLive()
	p := park(l)
	piece := Piece{MessageID: l.row.ID, Attempt: 1, Texts: Texts{Content: "one"}, End: Position{Content: 3}}
	if m := l.receive(piece); m == gap || p.told.String() != "content one;" || p.woken() {
		t.Errorf("was told %q, want the delta and no wake-up", p.told.String())
	}
	if l.receive(piece); p.told.String() != "content one;" || p.woken() {
		t.Errorf("a repeated piece: was told %q, want nothing new", p.told.String())
	}
}

// TestWhatIsRefusedIsPolled: nothing of it is lost, and nothing comes twice.
func TestWhatIsRefusedIsPolled(t *testing.T) {
	t.Parallel()
	l := runningLive()
	p := park(l)
	p.refuses = true
	appended(t, l, Content, "one")
	if !p.woken() {
		t.Fatal("was not woken")
	}
	p.Unpark()
	u, ok, err := p.Poll(t.Context())
	if !ok || err != nil || u.Text != "one" || u.Units != 0 {
		t.Errorf("polled %+v, %v, %v, want the delta", u, ok, err)
	}
	p.refuses = false
	p.Park()
	appended(t, l, Content, "two")
	if got := p.told.String(); got != "content two;" {
		t.Errorf("was told %q, want the second delta alone", got)
	}
}

// TestOnlyDeltasAreToldDirectly: all else may have to read, or ends the watching.
func TestOnlyDeltasAreToldDirectly(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(l *live){
		"another attempt": func(l *live) {
			again := *l.row
			again.Attempt++
			l.restart(&again)
			_ = l.Append(Content, "anew")
		},
		"another text": func(l *live) {
			other := *l.row
			other.Content = "other"
			_ = l.Append(Content, "") // Nothing new: nobody is told.
			l.correct(&other)
		},
		"the end":      func(l *live) { l.finish(l.row) },
		"lost":         func(l *live) { l.abandon() },
		"a late piece": func(l *live) { l.finish(l.row); _ = l.Append(Content, "late") },
	} {
		l := runningLive()
		appended(t, l, Content, "so far")
		p := park(l)
		do(l)
		if p.told.Len() > 0 || !p.woken() {
			t.Errorf("%s: was told %q, want a wake-up alone", name, p.told.String())
		}
	}
}

// TestManyWatchersDoNotHoldUpTheReply: most are woken.
func TestManyWatchersDoNotHoldUpTheReply(t *testing.T) {
	t.Parallel()
	l := runningLive()
	told, woken := 0, 0
	var all []*parked
	for range 3 * maxDirect {
		all = append(all, park(l))
	}
	appended(t, l, Content, "x")
	for _, p := range all {
		if p.told.Len() > 0 {
			told++
		}
		if p.woken() {
			woken++
		}
	}
	if told != maxDirect || woken != 2*maxDirect {
		t.Errorf("%d were told and %d woken, want %d and %d", told, woken, maxDirect, 2*maxDirect)
	}
}

// TestToldDeltasAllocateNothing either.
func TestToldDeltasAllocateNothing(t *testing.T) {
	l := newLive(&ent.Message{ID: "msg_1", Attempt: 1, Status: message.StatusSTREAMING}, 1<<30)
	w := &Watcher{id: "msg_1", wake: make(wakeup, 1), live: l}
	l.join(w)
	w.fromLive(l)
	told := 0
	w.Direct(func(Update) bool { told++; return true })
	w.Park()
	if n := testing.AllocsPerRun(10_000, func() {
		if l.Append(Content, "word ") != nil {
			t.Error("not appended")
		}
	}); n != 0 || told < 10_000 {
		t.Errorf("a delta allocates %v times, and %d were told, want never, and all", n, told)
	}
}
