// Package complaint says once in the log that something fails, not each time it is tried
// again, and once that it works again. It owns no decision: whoever tries decides how often.
//
// Two other ways of not repeating oneself are no complaint. The bus and the start of the
// server remember what they said last, because there the reason changes while it fails. The
// store's watch and the model servers' breaker log a change of a state that they hold
// anyway.
//
// What strangers cause, under names that they choose, is said by Names: it has no end. What
// many clients can cause, for reasons of ours, is said by Refrain, with how often it was.
//
// Its one invariant: between two warnings about a thing lies the word that it works again.
package complaint

import (
	"context"
	"log/slog"
)

// Complaint is about one thing that is tried again and again. It is used by one goroutine
// at a time.
type Complaint struct {
	what    string
	failing bool
}

// About returns a complaint about what is tried, as it stands before "fails":
// "renewing the lease".
func About(what string) *Complaint { return &Complaint{what: what} }

// Report notes how a try has ended. It logs a warning when things have begun to fail, and
// an information when they work again; what fails again is for debugging only. After the
// end of ctx it says nothing: whatever failed, failed because of that.
func (c *Complaint) Report(ctx context.Context, log *slog.Logger, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil && !c.failing:
		log.WarnContext(ctx, c.what+" fails, and is tried again", "err", err)
		c.failing = true
	case err != nil:
		log.DebugContext(ctx, c.what+" fails again", "err", err)
	case c.failing:
		log.InfoContext(ctx, c.what+" works again")
		c.failing = false
	}
}
