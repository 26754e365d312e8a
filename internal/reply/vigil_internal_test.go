package reply

import (
	"testing"
	"time"

	"parley/ent"
	"parley/internal/pid"
)

// looks tries a vigil out without a database: every step passes some time, moves the
// database's clock as well, and says who is dead then.
type looks struct {
	vigil
	here, there time.Time
}

func newLooks(length time.Duration) *looks {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &looks{vigil: vigil{length: length}, here: at, there: at.Add(time.Hour)}
}

func (l *looks) pass(d time.Duration) {
	l.here, l.there = l.here.Add(d), l.there.Add(d)
}

// see looks at the only lease there is, and reports whether its owner is dead.
func (l *looks) see(expires time.Time) bool {
	const id = pid.ID("rep_other")
	l.look(l.here, l.here, l.there, []*ent.Replica{{ID: id, LeaseExpiresAt: expires}})
	return l.seen[id].dead
}

// until looks each second until the owner is dead, and returns how long that took.
func (l *looks) until(t *testing.T, expires time.Time) time.Duration {
	t.Helper()
	for began := l.here; l.here.Sub(began) < time.Hour; l.pass(time.Second) {
		if l.see(expires) {
			return l.here.Sub(began)
		}
	}
	t.Fatal("the owner is never dead")
	return 0
}

func TestVigil(t *testing.T) {
	t.Parallel()
	const length = 12 * time.Second
	t.Run("a lease that runs out while it is watched", func(t *testing.T) {
		t.Parallel()
		l := newLooks(length)
		if took := l.until(t, l.there.Add(length)); took != length {
			t.Errorf("dead after %v, want the lease's length and not more", took)
		}
	})
	t.Run("one that was over before", func(t *testing.T) {
		t.Parallel()
		l := newLooks(length)
		if took := l.until(t, l.there.Add(-time.Hour)); took != length/2 {
			t.Errorf("dead after %v, want half a length", took)
		}
	})
	t.Run("a clock that jumps", func(t *testing.T) {
		t.Parallel()
		l := newLooks(length)
		expires := l.there.Add(length)
		for n := range 30 {
			if n%4 == 0 { // Every third of the length it is renewed.
				expires = l.there.Add(length)
			}
			if n == 10 || n == 18 {
				l.there = l.there.Add(20 * time.Second)
			}
			if l.see(expires) {
				t.Fatalf("dead after %d s, though it renews its lease", n)
			}
			l.pass(time.Second)
		}
	})
	t.Run("an outage", func(t *testing.T) {
		t.Parallel()
		l := newLooks(length)
		expires := l.there.Add(length)
		for range 4 {
			l.see(expires)
			l.pass(time.Second)
		}
		l.interrupt()
		l.pass(time.Second)
		l.there = expires.Add(time.Hour)
		if took := l.until(t, expires); took != length/2 {
			t.Errorf("dead %v after the database is back, want half a length", took)
		}
	})
	t.Run("a watcher that stood still", func(t *testing.T) {
		t.Parallel()
		l := newLooks(length)
		expires := l.there.Add(length)
		for range 4 {
			l.see(expires)
			l.pass(time.Second)
		}
		l.pass(time.Hour)
		if took := l.until(t, expires); took != length/2 {
			t.Errorf("dead %v after it woke, want half a length", took)
		}
	})
	t.Run("a watcher that was at work", func(t *testing.T) {
		t.Parallel()
		l := newLooks(length)
		expires := l.there.Add(length)
		l.see(expires)
		l.pass(time.Hour)
		l.goOn(l.here)
		if !l.see(expires) {
			t.Error("what it did meanwhile makes it begin anew")
		}
	})
}
