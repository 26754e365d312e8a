package chat

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"parley/ent"
	"parley/internal/pid"
)

// Code is the stable code of a refusal. A code never changes its meaning.
type Code string

// The codes of this package; docs/protocol.md lists all.
const (
	NotFound            Code = "NOT_FOUND"
	BadUserInput        Code = "BAD_USER_INPUT"
	IdempotencyConflict Code = "IDEMPOTENCY_CONFLICT"
	StaleHead           Code = "STALE_HEAD"
	ConversationBusy    Code = "CONVERSATION_BUSY"
	QueueFull           Code = "QUEUE_FULL"
	ModelRequired       Code = "MODEL_REQUIRED"
	ModelUnavailable    Code = "MODEL_UNAVAILABLE"
	RateLimited         Code = "RATE_LIMITED"
	Unavailable         Code = "UNAVAILABLE"
)

// Error is a refusal. Message is for the user, Err for the log.
type Error struct {
	Code    Code
	Message string
	// Extras are typed facts for the client, as docs/protocol.md lists them.
	Extras map[string]any
	Err    error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func notFound(what string) *Error {
	return &Error{Code: NotFound, Message: "There is no such " + what + "."}
}

// OrNotFound turns Ent's not-found error into ours and leaves others alone.
func OrNotFound(err error, what string) error {
	if ent.IsNotFound(err) {
		return notFound(what)
	}
	return err
}

func rateLimited(message string, retryAfter time.Duration) *Error {
	seconds := int((retryAfter + time.Second - 1) / time.Second)
	return &Error{Code: RateLimited, Message: message, Extras: map[string]any{"retryAfter": max(seconds, 1)}}
}

func busy(running *ent.Message) *Error {
	extras := map[string]any{"messageId": running.ID}
	if running.StartedAt != nil {
		extras["startedAt"] = running.StartedAt.UTC().Format(time.RFC3339Nano)
	}
	return &Error{Code: ConversationBusy, Message: "A reply is still being written in this conversation.",
		Extras: extras}
}

func queueFull() *Error {
	return &Error{Code: QueueFull, Message: fmt.Sprintf("%d replies wait in this conversation already.", MaxQueued)}
}

func staleHead(head pid.ID) *Error {
	return &Error{
		Code:    StaleHead,
		Message: "The conversation has newer messages than the ones this was written for.",
		Extras:  map[string]any{"headId": head},
	}
}

// problems collects what is wrong with an input, so that all of it can be said at
// once.
type problems map[string]string

func (p problems) add(field, problem string) {
	if _, known := p[field]; !known {
		p[field] = problem
	}
}

// err returns a BAD_USER_INPUT that names every problem, or nil.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	fields := make([]string, 0, len(p))
	for f := range p {
		fields = append(fields, f)
	}
	sort.Strings(fields)
	lines := make([]string, 0, len(p))
	for _, f := range fields {
		lines = append(lines, f+" "+p[f])
	}
	return &Error{
		Code:    BadUserInput,
		Message: "Invalid input: " + strings.Join(lines, "; ") + ".",
		Extras:  map[string]any{"fields": map[string]string(p)},
	}
}

// badInput is a BAD_USER_INPUT about one field.
func badInput(field, problem string) error {
	p := problems{}
	p.add(field, problem)
	return p.err()
}
