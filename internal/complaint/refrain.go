package complaint

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Refrain says that something goes on, at most once in a while for each reason, and how
// often it did meanwhile: what many clients can cause must not fill the log. It is safe for
// concurrent use.
type Refrain struct {
	every time.Duration

	mu sync.Mutex // guards the field below
	// said is what was said by reason.
	said map[string]refrain
}

// refrain is when something was said, and how often it was kept back since.
type refrain struct {
	at     time.Time
	silent int
}

// maxReasons bounds what is remembered. Beyond it all is forgotten, which costs a line for
// each.
const maxReasons = 1000

// NewRefrain returns one that speaks so often for each reason.
func NewRefrain(every time.Duration) *Refrain {
	return &Refrain{every: every, said: make(map[string]refrain)}
}

// Say logs a warning with its reason and the number of those that were kept back since the
// last one, unless that was a moment ago.
func (r *Refrain) Say(ctx context.Context, log *slog.Logger, reason, message string, attrs ...any) {
	if silent, now := r.turn(reason, time.Now()); now {
		attrs = append([]any{"reason", reason, "not_said_before", silent}, attrs...)
		log.WarnContext(ctx, message, attrs...)
	}
}

func (r *Refrain) turn(reason string, now time.Time) (silent int, say bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.said[reason]
	if known && now.Sub(last.at) < r.every {
		last.silent++
		r.said[reason] = last
		return 0, false
	}
	if !known && len(r.said) >= maxReasons {
		clear(r.said)
	}
	r.said[reason] = refrain{at: now}
	return last.silent, true
}
