package storetest

import (
	"sync"

	"parley/internal/store"
	"parley/internal/viewer"
)

// Counter counts the statements and commits that are made on behalf of users: those of the
// server's own loops are left out. It is safe for concurrent use.
type Counter struct {
	mu sync.Mutex
	// The fields below are guarded by mu.
	statements, commits int
}

// Count returns the same store and what counts its statements.
func Count(s *store.Store) (*store.Store, *Counter) {
	c := &Counter{}
	return s.Recording(c.add), c
}

func (c *Counter) add(s store.Statement) {
	v, ok := viewer.From(s.Context)
	if !ok {
		return
	}
	if _, ok := v.User(); !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Query == store.CommitQuery {
		c.commits++
	} else {
		c.statements++
	}
}

// Cost returns how many statements and commits something takes.
func (c *Counter) Cost(do func()) (statements, commits int) {
	statements, commits = c.read()
	do()
	s, n := c.read()
	return s - statements, n - commits
}

func (c *Counter) read() (statements, commits int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.statements, c.commits
}
