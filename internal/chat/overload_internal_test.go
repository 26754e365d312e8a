package chat

import (
	"testing"
	"time"
)

// The more are refused for each that is let in, the later they are told to come back, within
// bounds, and only as long as it lasts.
func TestPressure(t *testing.T) {
	t.Parallel()
	var p pressure
	now := time.Now()
	if got := p.refused(now); got != patience {
		t.Errorf("the first one is told %v, want %v", got, patience)
	}
	for range 99 {
		p.admitted(now)
	}
	var last time.Duration
	for range 400 {
		last = p.refused(now)
	}
	if last < 4*patience || last > 5*patience {
		t.Errorf("four are refused for one that is let in: told %v, want about four times %v", last, patience)
	}
	for range 10_000 {
		last = p.refused(now)
	}
	if last != pressureMost*patience {
		t.Errorf("told %v, want at most %v", last, pressureMost*patience)
	}
	if got := p.refused(now.Add(time.Minute)); got > patience+time.Millisecond {
		t.Errorf("a minute later told %v, want %v", got, patience)
	}
}
