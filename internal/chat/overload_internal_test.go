package chat

import (
	"testing"
	"time"
)

// The more are refused for each that is let in, the later they are told to come back, within
// bounds, and only as long as it lasts.
func TestCrowd(t *testing.T) {
	t.Parallel()
	var c crowd
	now := time.Now()
	if got := c.refused(now); got != patience {
		t.Errorf("the first one is told %v, want %v", got, patience)
	}
	for range 99 {
		c.admitted(now)
	}
	var last time.Duration
	for range 400 {
		last = c.refused(now)
	}
	if last < 4*patience || last > 5*patience {
		t.Errorf("four are refused for one that is let in: told %v, want about four times %v", last, patience)
	}
	for range 10_000 {
		last = c.refused(now)
	}
	if last != crowdMost*patience {
		t.Errorf("told %v, want at most %v", last, crowdMost*patience)
	}
	if got := c.refused(now.Add(time.Minute)); got > patience+time.Millisecond {
		t.Errorf("a minute later told %v, want %v", got, patience)
	}
}
