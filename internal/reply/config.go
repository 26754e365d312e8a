package reply

import (
	"errors"
	"fmt"
	"time"

	"parley/internal/trace"
)

// Config holds the engine's limits. Nothing in it has a default here: zero is an error of
// Validate, except for Address, Keys, the switches and what looks on.
type Config struct {
	// Address says where this replica listens, for people who read the table.
	Address string
	// Keys says which keys this replica has, for others to compare: see Engine.Peers.
	Keys string
	// CountedModels are the models that have meters of their own. All others share some.
	CountedModels []string
	// SameModel reports whether two names mean one model. Nil: only when they are the same.
	SameModel func(a, b string) bool
	// Windows says how much each model can read at once. Nil: nobody knows.
	Windows Windows
	// Tracer makes spans of replies. Nil: there are none.
	Tracer *trace.Tracer
	// Now tells the time of the pieces of a reply. Nil: time.Now.
	Now func() time.Time
	// Lease is how long this replica's replies are its own without a renewal.
	Lease time.Duration
	// ReplyLimit is the total time one reply may take, over all attempts.
	ReplyLimit time.Duration
	// MaxReplyBytes bounds all texts of one reply together.
	MaxReplyBytes int
	// MaxPromptBytes bounds the texts that a model is sent for one reply.
	MaxPromptBytes int
	// Checkpoint is how often running text is stored.
	Checkpoint time.Duration
	// MaxLag is how far this process may be behind with its replies before Admit takes fewer.
	MaxLag time.Duration
	// InterruptOnCrash ends replies of a dead replica as INTERRUPTED instead of
	// generating them again.
	InterruptOnCrash bool
	// SoleReplica says that no other process can be using the database, so that every
	// running reply found at start has lost its owner, and none that runs here can be taken
	// away, however late the lease is renewed.
	SoleReplica bool
}

// Validate returns what is wrong, all of it. Call it before New.
func (c Config) Validate() error {
	var errs []error
	positive := func(name string, ok bool, value any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s is %v, and must be more than zero", name, value))
		}
	}
	positive("Lease", c.Lease > 0, c.Lease)
	positive("ReplyLimit", c.ReplyLimit > 0, c.ReplyLimit)
	positive("MaxReplyBytes", c.MaxReplyBytes > 0, c.MaxReplyBytes)
	positive("MaxPromptBytes", c.MaxPromptBytes > 0, c.MaxPromptBytes)
	positive("Checkpoint", c.Checkpoint > 0, c.Checkpoint)
	positive("MaxLag", c.MaxLag > 0, c.MaxLag)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("replies: %w", err)
	}
	return nil
}
