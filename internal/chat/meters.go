package chat

import (
	"strings"

	"parley/internal/refusal"
	"parley/internal/tally"
)

// Meters count what a Service does. They are safe for concurrent use.
type Meters struct {
	// Sends are those of messages, by what came of them: "accepted", "repeated", or the code
	// of the refusal in small letters.
	Sends *tally.Counters
	// Queued are those whose reply had to wait for another one.
	Queued tally.Counter
	// Limits and Quotas count what was refused because somebody wants too much, by what.
	Limits, Quotas *tally.Counters
	// Overload counts what was refused because this process has too much to do, by why.
	Overload *tally.Counters
}

// What came of a send, beside refusals.
const (
	sendAccepted = "accepted"
	sendRepeated = "repeated"
)

// What there may be too much of.
const (
	limitSends   = "sends"
	limitRunning = "running_replies"
	limitCrowd   = "writes_at_once"
	limitAsides  = "names_and_summaries"
)

// Why a process takes no more.
const (
	overloadBacklog = "backlog"
	overloadReplies = "replies"
	overloadLate    = "late"
	overloadCrowd   = "user_backlog"
	overloadReads   = "reads"
)

func newMeters() *Meters {
	results := []string{sendAccepted, sendRepeated}
	for _, code := range refusal.Codes() {
		results = append(results, strings.ToLower(string(code)))
	}
	return &Meters{
		Sends:  tally.NewCounters(results...),
		Limits: tally.NewCounters(limitSends, limitRunning, limitCrowd, limitAsides),
		Quotas: tally.NewCounters(tokensPerDay, conversationsPerDay, bytesPerUser),
		Overload: tally.NewCounters(overloadBacklog, overloadReplies, overloadLate, overloadCrowd,
			overloadReads),
	}
}

// Meters returns what the service counts.
func (s *Service) Meters() *Meters { return s.meters }

// sent counts a send.
func (m *Meters) sent(result SendResult, err error) {
	switch refused, ok := refusal.As(err); {
	case ok:
		m.Sends.Of(strings.ToLower(string(refused.Code))).Inc()
	case err != nil:
		m.Sends.Of(tally.Other).Inc()
	case result.Deduplicated:
		m.Sends.Of(sendRepeated).Inc()
	default:
		m.Sends.Of(sendAccepted).Inc()
	}
}
