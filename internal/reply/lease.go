package reply

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/complaint"
)

// lease is this replica's right to its replies. It is renewed every third of its length.
// After two thirds without a renewal it is in doubt: this replica takes no new replies. Those
// that run go on, since in most cases the database is away from everybody, and nobody can
// take them. Whether somebody has, their fences say when it is back. Where this replica is
// the only one that can exist, a late renewal is a warning, and nothing else.
type lease struct {
	replicaRow
	length time.Duration
	log    *slog.Logger
	// renew is that of the row, by itself so that time can be tried out without one.
	renew func(ctx context.Context) error
	// running says how many replies run here.
	running func() int
	// back is called when the lease was in doubt and is not any more.
	back  func()
	doubt atomic.Bool

	mu sync.Mutex // guards sure, and that it and doubt change together
	// sure is until when the last renewal leaves no doubt.
	sure time.Time
}

func newLease(h *host, cfg Config) *lease {
	l := &lease{replicaRow: replicaRow{host: h, cfg: cfg}, length: cfg.Lease, log: h.log}
	l.renew = l.replicaRow.renew
	return l
}

// check returns ErrNoLease while the lease is in doubt.
func (l *lease) check() error {
	if l.doubt.Load() {
		return ErrNoLease
	}
	return nil
}

// keep renews the lease until ctx ends, and tries again soon when that fails.
func (l *lease) keep(ctx context.Context) {
	pause := l.length / 3
	alarm := time.AfterFunc(l.length*2/3, func() { l.doubted(ctx) })
	defer alarm.Stop()
	trouble := complaint.About("renewing the lease")
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		began := time.Now()
		err := l.renewInTime(ctx)
		trouble.Report(ctx, l.log, err)
		if err != nil {
			pause = l.length / 15
			continue
		}
		pause = l.length / 3
		if l.renewed(began) {
			l.back()
		}
		alarm.Reset(l.length*2/3 - time.Since(began))
	}
}

// renewed notes a renewal and reports whether the lease was in doubt before.
func (l *lease) renewed(began time.Time) (doubted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sure = began.Add(l.length * 2 / 3)
	return l.doubt.Swap(false)
}

// renewInTime leaves room for another try.
func (l *lease) renewInTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.length/6)
	defer cancel()
	return l.renew(ctx)
}

// doubted notes that others may claim the replies of this replica soon. A renewal may have
// come in the moment in which the alarm went off.
func (l *lease) doubted(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.sure) {
		return
	}
	if l.cfg.SoleReplica {
		l.log.WarnContext(ctx, "the lease is renewed late: the database is slow; replies go on, as nobody else can "+
			"take them")
		return
	}
	if !l.doubt.Swap(true) {
		l.log.WarnContext(ctx, "lease in doubt: replies that run here go on, new ones are not taken",
			"running_replies", l.running())
	}
}
