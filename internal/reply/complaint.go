package reply

import (
	"context"
	"log/slog"
)

// complaint says once that something fails, not each time it is tried again, and
// once that it works again. It is used by one goroutine.
type complaint struct {
	what    string
	failing bool
}

// report notes how a try has ended.
func (c *complaint) report(ctx context.Context, log *slog.Logger, err error) {
	switch {
	case ctx.Err() != nil: // Whatever failed, failed because of that.
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
