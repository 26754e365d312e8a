package complaint

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// How often is said what strangers cause: once a name in a while, and no more names than
// this.
const (
	namesFor  = 10 * time.Minute
	namesMost = 20
)

// Names says in the log what is wrong with names that strangers choose, such as those of
// hosts: a name once in ten minutes, and twenty names in that time. It is safe for concurrent
// use. The zero value has said nothing yet.
type Names struct {
	mu    sync.Mutex // guards the fields below
	since time.Time
	said  map[string]bool
}

// Report logs a warning about a name, with message and attrs, unless that has been said. What
// is not warned of is for debugging only.
func (n *Names) Report(ctx context.Context, log *slog.Logger, name, message string, attrs ...slog.Attr) {
	level := slog.LevelDebug
	if n.take(name, time.Now()) {
		level = slog.LevelWarn
	}
	log.LogAttrs(ctx, level, message, attrs...)
}

// take reports whether a name is one to be warned of now, and notes it.
func (n *Names) take(name string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.said == nil || now.Sub(n.since) >= namesFor {
		n.since, n.said = now, make(map[string]bool)
	}
	if n.said[name] || len(n.said) >= namesMost {
		return false
	}
	n.said[name] = true
	return true
}
