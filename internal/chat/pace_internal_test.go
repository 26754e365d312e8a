package chat

import (
	"testing"
	"time"

	"parley/internal/pid"
)

func TestPace(t *testing.T) {
	t.Parallel()
	p, u := &pace{}, pid.New(pid.User)
	now := time.Now()
	for i := range asidesPerMinute {
		if wait := p.take(u, now.Add(time.Duration(i)*time.Second)); wait != 0 {
			t.Fatalf("the %dth has to wait %v", i+1, wait)
		}
	}
	at := now.Add(10 * time.Second)
	if wait := p.take(u, at); wait != 50*time.Second {
		t.Errorf("one more has to wait %v, want until the first is a minute ago", wait)
	}
	if wait := p.take(u, now.Add(time.Minute)); wait != 0 {
		t.Errorf("who has waited as long as was said has to wait %v more", wait)
	}
	for range 3 * maxPaced {
		p.take(pid.New(pid.User), now)
	}
	p.take(u, now.Add(2*time.Hour))
	if n := len(p.taken); n != 1 {
		t.Errorf("%d users are remembered, want the one of this minute", n)
	}
}
