package reply

import (
	"time"

	"parley/ent"
	"parley/internal/pid"
)

// vigil is what this replica has seen of the leases of others, by its own clock. A lease
// that is over by the database's clock proves nothing by itself: that clock may have jumped,
// and while the database is away from everybody no lease is renewed. So a replica is dead
// when its lease is over and, beyond that, has been seen unchanged for half its length, by
// somebody who had the database before its eyes all the time. A living one renews after a
// third, and after an outage before that half has passed.
//
// It is used by one goroutine.
type vigil struct {
	length time.Duration
	// last is when it last had the database before its eyes.
	last time.Time
	seen map[pid.ID]sighting
}

// sighting is a lease as it was found.
type sighting struct {
	expires time.Time // By the database's clock.
	since   time.Time // When it was found so for the first time.
	dead    bool
}

// look notes leases that were read between two times of this clock, at a time of the
// database's. The first look after a gap begins anew.
func (v *vigil) look(began, ended, now time.Time, leases []*ent.Replica) {
	if ended.Sub(v.last) > v.length/4 {
		v.seen = nil
	}
	seen := make(map[pid.ID]sighting, len(leases))
	for _, row := range leases {
		s := sighting{expires: row.LeaseExpiresAt, since: ended}
		if before, known := v.seen[row.ID]; known && before.expires.Equal(s.expires) {
			s.since = before.since
		}
		s.dead = !s.expires.After(now) && began.Sub(s.since) >= v.length/2
		seen[row.ID] = s
	}
	v.seen, v.last = seen, ended
}

// goOn says that the database is still before its eyes, though it looked at other things.
func (v *vigil) goOn(now time.Time) { v.last = now }

// interrupt says that the database was away: what was seen before counts no more.
func (v *vigil) interrupt() { v.last = time.Time{} }

// living returns those that are not dead. Whoever is dead may be alive again: a claim looks
// once more, at the row.
func (v *vigil) living() []pid.ID {
	ids := make([]pid.ID, 0, len(v.seen))
	for id, s := range v.seen {
		if !s.dead {
			ids = append(ids, id)
		}
	}
	return ids
}

// dead returns the others.
func (v *vigil) dead() []pid.ID {
	var ids []pid.ID
	for id, s := range v.seen {
		if s.dead {
			ids = append(ids, id)
		}
	}
	return ids
}
