package judge

import (
	"cmp"
	"slices"
	"time"

	"parley/test/faults/history"
)

// slack is how far the clocks and the order of what is written down may be apart.
const slack = time.Second

// recently is how long a panic may have happened before its reply is taken up.
const recently = 10 * time.Second

// span is from when until when something lasted.
type span struct{ from, to time.Duration }

// process is a server as the system and the database know it.
type process struct {
	place   string
	id      int
	began   time.Duration
	renewed []time.Duration // By the database's log.
}

// processes finds processes by the id that each has given itself. An address may be given
// to a later process again: its first lease tells which one it was.
func (b *book) processes() map[string]*process {
	byAddress := make(map[string][]*process)
	for _, r := range b.processRecords {
		p := &process{place: r.Replica, id: r.Process, began: r.At}
		byAddress[r.Address] = append(byAddress[r.Address], p)
	}
	found := make(map[string]*process)
	for _, r := range b.leases {
		p := found[r.Lease.Replica]
		for _, q := range byAddress[r.Lease.Address] {
			if found[r.Lease.Replica] == nil && (p == nil || q.began <= r.At+slack) {
				p = q
			}
		}
		if p == nil {
			continue
		}
		found[r.Lease.Replica] = p
		if r.Lease.Kind != "DELETE" {
			p.renewed = append(p.renewed, r.At)
		}
	}
	return found
}

// mishaps returns when something befell a process, in the order of time.
func (b *book) mishaps(p *process, what history.Mishap) []span {
	var list []span
	for _, r := range b.befell {
		mine := r.Process == p.id || r.Process == 0 && r.Replica == p.place
		if mine && r.Mishap == what && r.At >= p.began {
			list = append(list, span{r.From, r.At})
		}
	}
	slices.SortFunc(list, func(a, z span) int { return cmp.Compare(a.from, z.from) })
	return list
}

// noCallWithoutCause is I20: the model is called for a reply once, unless the owner died, was
// asked to end, panicked, or was frozen or cut off from the database, it alone, while its
// lease ran out; or unless the way to the model was disturbed. An outage that hits all
// replicas alike is no cause, and neither is overload.
func noCallWithoutCause(b *book) []string {
	var bad report
	known := b.processes()
	for id, writes := range b.writes {
		for n := 1; n < len(writes); n++ {
			if owner, taken := takenFrom(writes, n); taken && !b.excused(known[owner], writes, n) {
				bad.add("%s: attempt %d of %s was taken by %s at %v, though nothing had befallen its owner", id,
					writes[n-1].Write.Attempt, owner, writes[n].Write.Owner, writes[n].At)
			}
		}
	}
	replies := make(map[string][]string)
	for id, key := range b.keyOf {
		replies[key] = append(replies[key], id)
	}
	for key, calls := range b.calls {
		excused := 0
		for n, c := range calls {
			if n == 0 || len(replies[key]) == 0 {
				continue // Without any, nobody has learnt its reply's id.
			}
			runs, disturbed := 0, false
			for _, id := range replies[key] {
				runs += runsBefore(b.writes[id], c.From+slack)
				disturbed = disturbed || b.wasDisturbed(known, b.writes[id], calls[n-1].From, c.From)
			}
			if disturbed {
				excused++
			}
			if n+1 > runs+excused {
				bad.add("call %d for %s came at %v, after %d attempts and %d disturbances of the way to the model",
					c.Call.Take, key, c.From, runs, excused)
			}
		}
	}
	return bad
}

// takenFrom reports whether a write takes a reply from an owner that has run it, and from
// whom.
func takenFrom(writes []history.Record, n int) (owner string, taken bool) {
	before, now := writes[n-1].Write, writes[n].Write
	if now.Kind == "DELETE" || now.Attempt <= before.Attempt || before.Attempt == 0 {
		return "", false
	}
	for _, w := range slices.Backward(writes[:n]) {
		if w.Write.Attempt == before.Attempt && w.Write.Owner != "" {
			owner = w.Write.Owner
			break
		}
	}
	// An owner may count one up itself, to end a reply with an earlier text.
	return owner, owner != now.Owner || now.Status == "STREAMING"
}

// excused reports whether something had befallen the owner before a write took its reply.
func (b *book) excused(p *process, writes []history.Record, n int) bool {
	if p == nil {
		return false
	}
	at := writes[n].At + slack
	before := func(list []span) bool {
		return slices.ContainsFunc(list, func(s span) bool { return s.from <= at })
	}
	if before(b.mishaps(p, history.Ended)) || before(b.mishaps(p, history.Asked)) {
		return true
	}
	if slices.ContainsFunc(b.mishaps(p, history.Panicked), func(s span) bool {
		return s.from <= at && s.from > at-recently
	}) {
		return true
	}
	if writes[n-1].Write.Owner == "" {
		return false // It gave the reply back, which it does when it is asked to end.
	}
	renewed := p.began
	for _, r := range p.renewed {
		if r < writes[n].At {
			renewed = max(renewed, r)
		}
	}
	var away time.Duration
	for _, what := range []history.Mishap{history.Frozen, history.CutOff} {
		for _, s := range b.mishaps(p, what) {
			away += max(0, min(s.to, at)-max(s.from, renewed-slack))
		}
	}
	return away >= b.run.Lease/4
}

// runsBefore counts how often an attempt began.
func runsBefore(writes []history.Record, at time.Duration) (n int) {
	last := 0
	for _, w := range writes {
		if w.At <= at && w.Write.Status == "STREAMING" && w.Write.Attempt > last {
			n, last = n+1, w.Write.Attempt
		}
	}
	return n
}

// wasDisturbed reports whether the way to the model was disturbed for the owner of a reply
// between two calls.
func (b *book) wasDisturbed(known map[string]*process, writes []history.Record, from, to time.Duration) bool {
	for _, w := range writes {
		p := known[w.Write.Owner]
		if p != nil && w.At <= to+slack && slices.ContainsFunc(b.mishaps(p, history.Upstream), func(s span) bool {
			return s.from <= to && s.to >= from
		}) {
			return true
		}
	}
	return false
}
