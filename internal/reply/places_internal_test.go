package reply

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// However many ask at once, no more are taken than there are places, and each is given back
// once.
func TestPlaces(t *testing.T) {
	t.Parallel()
	p := newPlaces(func(time.Time) (bool, bool) { return false, true })
	const most, askers = 7, 100
	var got atomic.Int64
	var all sync.WaitGroup
	places := make(chan *Place, askers)
	for range askers {
		all.Go(func() {
			if place, ok := p.take(most, time.Now()); ok {
				got.Add(1)
				places <- place
			}
		})
	}
	all.Wait()
	if got.Load() != most || p.count() != most {
		t.Errorf("%d were taken, and %d are counted, want %d", got.Load(), p.count(), most)
	}
	extra := p.enter() // Of a reply that is taken over.
	if _, ok := p.take(most, time.Now()); ok || p.count() != most+1 {
		t.Errorf("got a place beside %d, want none", p.count())
	}
	close(places)
	for place := range places {
		place.Leave()
		place.Leave()
	}
	extra.Leave()
	(*Place)(nil).Leave()
	if p.count() != 0 {
		t.Errorf("%d places are taken, want none", p.count())
	}
}

// While a process is behind it takes fewer than it has, and afterwards more and more again.
func TestPlacesFollowWhatCanBeFed(t *testing.T) {
	t.Parallel()
	behind, seen := false, true
	p := newPlaces(func(time.Time) (bool, bool) { return behind, seen })
	const most = 1000
	now := time.Now()
	takes := func() (n int) {
		for {
			if _, ok := p.take(most, now); !ok {
				return n
			}
			n++
		}
	}
	give := func(n int) { p.taken -= n }
	if n := takes(); n != most {
		t.Fatalf("%d are taken, want all", n)
	}
	give(400)
	behind, now = true, now.Add(placesEvery)
	if n := takes(); n != 0 {
		t.Errorf("%d more are taken while it is behind with 600, want none", n)
	}
	give(400)
	if n := takes(); n != 340 {
		t.Errorf("%d more are taken at once, want up to 540", n)
	}
	for range 50 { // It has 540, then 486, …: each look says that that is too much.
		now = now.Add(placesEvery)
		give(p.taken / 10)
		takes()
	}
	if p.limit(most) > 80 {
		t.Errorf("%d may be taken after 5 s of being behind, want few", p.limit(most))
	}
	give(p.taken)
	now = now.Add(placesEvery)
	if n := takes(); n != most/16 {
		t.Errorf("%d are taken, want the least, %d", n, most/16)
	}
	before := p.limit(most)
	seen, now = false, now.Add(time.Second)
	if takes(); p.limit(most) != before {
		t.Error("the limit changes while nothing is known")
	}
	behind, seen, now = false, true, now.Add(time.Minute)
	if takes(); p.taken != most {
		t.Errorf("%d are taken a minute later, want all", p.taken)
	}
}

// A checkpoint that takes long says that a process is behind, until it is over.
func TestLagOfCheckpoints(t *testing.T) {
	t.Parallel()
	l, now := newLag(time.Second), time.Now()
	l.begin(now)
	if behind, _ := l.behind(now.Add(time.Second)); behind {
		t.Error("behind after a second, want more")
	}
	if behind, seen := l.behind(now.Add(1001 * time.Millisecond)); !behind || !seen {
		t.Error("not behind after more than a second")
	}
	l.end()
	if behind, _ := l.behind(now.Add(time.Hour)); behind {
		t.Error("behind when it is over")
	}
}

// Goroutines that wait for a processor say so too.
func TestLagOfProcessors(t *testing.T) {
	t.Parallel()
	l := newLag(lagHops * time.Nanosecond) // Each wait is too long.
	now := time.Now()
	l.behind(now)
	if behind, seen := l.behind(now); behind || seen {
		t.Errorf("got %v, %v with nothing seen, want neither", behind, seen)
	}
	for behind := false; !behind; behind, _ = l.behind(now) {
		if t.Context().Err() != nil {
			t.Fatal("never behind")
		}
		ping, pong := make(chan int), make(chan int)
		go func() {
			for n := range ping {
				pong <- n
			}
			close(pong)
		}()
		for n := range 1000 {
			ping <- n
			<-pong
		}
		close(ping)
		<-pong
	}
	if behind, _ := l.behind(now.Add(time.Minute)); behind {
		t.Error("behind for what was long ago")
	}
}
