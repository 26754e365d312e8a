package reply

import (
	"slices"
	"time"

	"parley/ent"
)

// longestMoment bounds how long a released reply waits for a better heir.
const longestMoment = 5 * time.Second

// heirs decides who takes a released reply. Replicas that are restarted one after the other
// would hand a long one through all of them, and each would pay for it anew: so the youngest
// takes it, and at once only when it began after the reply did. Otherwise it leaves the reply
// for a moment to one that is just starting, and the others leave it for a moment to the
// youngest. It is used by one goroutine.
type heirs struct {
	self   *ent.Replica // Nil: this replica has no row.
	moment time.Duration
	// company is when another replica was last in the table.
	company time.Time
	// since is since when released replies have been waiting; zero: none waits.
	since time.Time
	// youngest is the last of the living that began.
	youngest *ent.Replica
}

// look notes who there is, of whom some are alive.
func (h *heirs) look(at time.Time, self *ent.Replica, all, living []*ent.Replica) {
	h.self = self
	if slices.ContainsFunc(all, func(r *ent.Replica) bool { return self == nil || r.ID != self.ID }) {
		h.company = at
	}
	h.youngest = self
	for _, r := range living {
		if h.youngest == nil || began(r, h.youngest) > 0 {
			h.youngest = r
		}
	}
}

// began compares when two replicas began.
func began(a, b *ent.Replica) int {
	if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
		return c
	}
	if a.ID < b.ID {
		return -1
	}
	return 1
}

// wait returns how long a released reply is still left to others; 0: it is to be taken. One
// that never ran has cost nothing yet: whoever sees it first takes it. So does a replica that
// has no company.
func (h *heirs) wait(row *ent.Message, at time.Time) time.Duration {
	if row.Attempt == 0 || h.company.IsZero() || at.Sub(h.company) > 2*h.moment {
		return 0
	}
	if h.since.IsZero() {
		h.since = at
	}
	patience := time.Duration(0)
	if h.youngest == nil || row.StartedAt != nil && !h.youngest.CreatedAt.After(*row.StartedAt) {
		patience += h.moment
	}
	if h.self == nil || h.youngest != h.self {
		patience += h.moment
	}
	return max(0, h.since.Add(patience).Sub(at))
}
