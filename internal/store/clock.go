package store

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// How far the clock of this machine may be from the database's.
const (
	// SkewNoted is from where on the log says so.
	SkewNoted = 5 * time.Second
	// SkewAllowed is what this process may be expected to work with.
	SkewAllowed = 2 * time.Minute
)

// clock is the database's clock, as this process knows it without asking: what the last
// answer said, and what has passed since by the clock of this process that nobody can set.
// So all replicas agree about the time, however wrong the clocks of their machines are.
// On SQLite nothing is observed: the database's clock is that of this process.
type clock struct {
	// own is the clock of this process: its readings can be set, their differences not.
	own func() time.Time

	mu sync.Mutex
	// at and database, guarded by mu, are one moment on both clocks. Zero: none is known.
	at, database time.Time
	// said, guarded by mu, is how bad the log says that it is.
	said skewLevel
}

type skewLevel int

const (
	skewNone skewLevel = iota
	skewNoted
	skewTooFar
)

// now is the database's clock.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.databaseAt(c.own()).UTC().Truncate(time.Microsecond)
}

// databaseAt is what the database's clock says at a moment of this process. c.mu is held.
func (c *clock) databaseAt(moment time.Time) time.Time {
	if c.at.IsZero() {
		return moment
	}
	return c.database.Add(moment.Sub(c.at))
}

// observe takes in what the database's clock said between two moments of this process. An
// answer that took long says little: it changes nothing that it does not contradict.
func (c *clock) observe(asked, answered, database time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	half := answered.Sub(asked) / 2
	middle := asked.Add(half)
	if !c.at.IsZero() && c.databaseAt(middle).Sub(database).Abs() <= half {
		return
	}
	c.at, c.database = middle, database
}

// skew is how far the clock of this machine is ahead of the database's; less than zero: it
// is behind.
func (c *clock) skew() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	skew, _, _ := c.compare()
	return skew
}

// compare reads both clocks. c.mu is held.
func (c *clock) compare() (skew time.Duration, here, database time.Time) {
	moment := c.own()
	here = moment.Round(0) // As it is set, which is what the difference is about.
	database = c.databaseAt(moment).Round(0)
	return here.Sub(database), here, database
}

// report says in the log when the clocks begin to differ, when it gets worse or better, and
// when they agree again.
func (c *clock) report(ctx context.Context, log *slog.Logger) {
	c.mu.Lock()
	skew, here, database := c.compare()
	level := skewNone
	switch {
	case skew.Abs() > SkewAllowed:
		level = skewTooFar
	case skew.Abs() >= SkewNoted:
		level = skewNoted
	}
	before := c.said
	c.said = level
	c.mu.Unlock()
	if level == before {
		return
	}
	attrs := []any{
		slog.Time("here", here), slog.Time("database", database), slog.Duration("ahead", skew.Round(time.Millisecond)),
	}
	if level == skewNone {
		log.InfoContext(ctx, "the clock of this machine agrees with the database's again", attrs...)
		return
	}
	log.WarnContext(ctx, "the clock of this machine is not the database's, which decides: set it right", attrs...)
}

// Clock returns what Now would, as well as this process knows it without asking. It never
// waits. On Postgres the database is compared with twice a second.
func (s *Store) Clock() time.Time { return s.clock.now() }

// Skew returns how far the clock of this machine is ahead of the database's; less than
// zero: it is behind. On SQLite they are the same.
func (s *Store) Skew() time.Duration { return s.clock.skew() }
