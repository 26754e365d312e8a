// Package replytest holds what tests of several rooms need of package reply.
//
// Its one invariant: a Config it gives is valid.
package replytest

import (
	"cmp"
	"time"

	"parley/internal/reply"
)

// Config fills in what a test does not care about.
func Config(c reply.Config) reply.Config {
	// Longer than a test: it renews in time on any machine, unless the test is about that.
	c.Lease = cmp.Or(c.Lease, time.Hour)
	c.ReplyLimit = cmp.Or(c.ReplyLimit, 10*time.Minute)
	c.MaxReplyBytes = cmp.Or(c.MaxReplyBytes, 1<<20)
	c.MaxPromptBytes = cmp.Or(c.MaxPromptBytes, 1<<30)
	c.Checkpoint = cmp.Or(c.Checkpoint, time.Second)
	c.MaxLag = cmp.Or(c.MaxLag, time.Hour)
	return c
}
