package chat

import (
	"slices"
	"sync"
	"time"

	"parley/internal/pid"
)

// pace remembers what users have had made within a minute. It is safe for concurrent use.
type pace struct {
	mu sync.Mutex // guards the field below
	// taken has the times of each user's, the oldest first; nobody is in it for nothing.
	taken map[pid.ID][]time.Time
}

// maxPaced is from how many users on those are looked for who wait no more.
const maxPaced = 1000

// take counts one more, or returns how long the user has to wait for it.
func (p *pace) take(userID pid.ID, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken == nil {
		p.taken = make(map[pid.ID][]time.Time)
	}
	since := now.Add(-time.Minute)
	if len(p.taken) >= maxPaced {
		for id, times := range p.taken {
			if !times[len(times)-1].After(since) {
				delete(p.taken, id)
			}
		}
	}
	times := slices.DeleteFunc(p.taken[userID], func(t time.Time) bool { return !t.After(since) })
	if len(times) >= asidesPerMinute {
		p.taken[userID] = times
		return times[0].Add(time.Minute).Sub(now)
	}
	p.taken[userID] = append(times, now)
	return 0
}
