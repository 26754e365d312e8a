package store

import (
	"database/sql"
	"sync"
	"time"
)

// waits says how long connections of a pool are waited for at the moment. It is safe for
// concurrent use.
type waits struct {
	mu sync.Mutex
	// The fields below are guarded by mu.
	at     time.Time
	seen   sql.DBStats
	lately time.Duration
}

// The shortest time over which waits are looked at, and the longest: what was long ago says
// nothing about now.
const (
	waitsOver  = 100 * time.Millisecond
	waitsUntil = time.Second
)

// mean returns how long those waited, on average, who got a connection of late.
func (w *waits) mean(stats sql.DBStats, now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	passed := now.Sub(w.at)
	if passed < waitsOver {
		return w.lately
	}
	n := stats.WaitCount - w.seen.WaitCount
	w.lately = 0
	if n > 0 && passed < waitsUntil {
		w.lately = (stats.WaitDuration - w.seen.WaitDuration) / time.Duration(n)
	}
	w.at, w.seen = now, stats
	return w.lately
}
