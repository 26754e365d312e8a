package reply

import (
	"fmt"
	"testing"
	"time"

	"parley/ent"
	"parley/internal/pid"
)

// What has ended is found for a while, and not more of it than a bound.
func TestAttemptsLinger(t *testing.T) {
	t.Parallel()
	s := newAttempts()
	now := time.Now()
	end := func(n int) *Attempt {
		a := &Attempt{row: &ent.Message{ID: pid.ID(fmt.Sprint(n))}, live: newLive(&ent.Message{}, 1)}
		if err := s.add(a, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		s.ended(a, now)
		return a
	}
	first := end(0)
	now = now.Add(linger)
	if s.expire(now); !s.knows("0") {
		t.Error("it is gone before its time")
	}
	now = now.Add(time.Millisecond)
	if s.expire(now); s.knows("0") {
		t.Error("it stays for ever")
	}
	// One that was begun anew meanwhile is not the one that had ended.
	s.ended(first, now.Add(-2*linger))
	again := &Attempt{row: first.row, live: first.live}
	if err := s.add(again, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if s.expire(now); !s.knows("0") {
		t.Error("the attempt that runs is gone with the one before")
	}
	for n := range 3 * maxLingering {
		end(1 + n)
	}
	if got := len(s.byReply); got != maxLingering+1 || len(s.lingering) != maxLingering {
		t.Errorf("%d are found, want %d that have ended and one that runs", got, maxLingering)
	}
	if s.knows("1") || !s.knows(pid.ID(fmt.Sprint(3*maxLingering))) {
		t.Error("the last to end are to be found, not the first")
	}
}
