package main

import (
	"time"

	"parley/internal/auth"
)

// What has no variable: values that are right for every installation, or that nobody
// should have to weigh. docs/protocol.md promises them to clients.
const (
	// refreshIdle ends an AuthSession that nobody uses, refreshAbsolute every one.
	refreshIdle     = 7 * 24 * time.Hour
	refreshAbsolute = 30 * 24 * time.Hour
	// refreshGrace is how long the direct predecessor of a refresh token is answered
	// with the same successor: two tabs, or a lost response.
	refreshGrace = 10 * time.Second
	// maxReplyBytes bounds all texts of a reply together.
	maxReplyBytes = 1 << 20
	// repliesPerCore is what one processor core can feed with room to spare: 1,000 streams
	// at 30 tokens a second keep it two thirds busy on a machine of 2024.
	repliesPerCore = 1000
	// checkpointEvery is how often running text is stored: how much of it a crash costs.
	checkpointEvery = time.Second
)

// attemptLimits bounds guessing. An account is never locked for good.
var attemptLimits = auth.Limits{
	SignInBurst:      30,
	SignInEvery:      3 * time.Second,
	SignUpsPerHour:   10,
	RefreshesPerHour: 360, // A page that is reloaded each ten seconds.
	FreeFailures:     5,
	FirstDelay:       time.Second,
	MaxDelay:         15 * time.Minute,
	FailuresPerHour:  100,
}

// passwordHash is the minimum that OWASP recommends for argon2id.
var passwordHash = auth.HashCost{MemoryKiB: 19456, Passes: 2, Lanes: 1}
