package chat

import (
	"fmt"

	"parley/ent"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/refusal"
)

// orNotFound turns Ent's not-found error into ours and leaves others alone.
func orNotFound(err error, what string) error {
	if ent.IsNotFound(err) {
		return refusal.NotFound(what)
	}
	return err
}

func busy(running *ent.Message) *refusal.Error {
	extras := map[string]any{"messageId": running.ID}
	if running.StartedAt != nil {
		extras["startedAt"] = refusal.Instant(*running.StartedAt)
	}
	return &refusal.Error{
		Code:    refusal.CodeConversationBusy,
		Message: "A reply is still being written in this conversation.",
		Extras:  extras,
	}
}

func queueFull() *refusal.Error {
	return &refusal.Error{
		Code:    refusal.CodeQueueFull,
		Message: fmt.Sprintf("The queue of this conversation is full: %d replies wait in it.", MaxQueued),
	}
}

func staleHead(head pid.ID) *refusal.Error {
	return &refusal.Error{
		Code:    refusal.CodeStaleHead,
		Message: "The conversation has newer messages than the ones this was written for.",
		Extras:  map[string]any{"headId": head},
	}
}

// contextTooLong says how long a prompt may be, and how long this one would be. Tokens are
// estimates; bytes are what this server counts.
func contextTooLong(limitBytes, neededBytes int) *refusal.Error {
	return &refusal.Error{
		Code: refusal.CodeContextTooLong,
		Message: "The conversation has become too long for another message. Start a new one, " +
			"or have only its newest part sent.",
		Extras: map[string]any{
			"limitTokens": prompt.Tokens(limitBytes), "neededTokens": prompt.Tokens(neededBytes),
			"limitBytes": limitBytes, "neededBytes": neededBytes,
		},
	}
}

// questionTooLong says how many tokens a prompt and its reply may have, and how many it would
// take for the system prompt and the question alone.
func questionTooLong(limitTokens, neededTokens int) *refusal.Error {
	return &refusal.Error{
		Code:    refusal.CodeContextTooLong,
		Message: "This message is too long for the model. Make it shorter, or choose another model.",
		Extras:  map[string]any{"limitTokens": limitTokens, "neededTokens": neededTokens},
	}
}

func keyConflict() *refusal.Error {
	return &refusal.Error{
		Code:    refusal.CodeIdempotencyConflict,
		Message: "This clientKey has been used for another message.",
	}
}

func modelRequired(names []string) *refusal.Error {
	return &refusal.Error{
		Code:    refusal.CodeModelRequired,
		Message: "Name a model: this server has no default.",
		Extras:  map[string]any{"models": names},
	}
}

func modelUnavailable(cause error) *refusal.Error {
	return &refusal.Error{
		Code:    refusal.CodeModelUnavailable,
		Message: "The model server does not answer. Try again.",
		Err:     cause,
	}
}

// noSummaries says that the model which answers is not asked for summaries.
func noSummaries() *refusal.Error {
	return &refusal.Error{
		Code:    refusal.CodeModelUnavailable,
		Message: "The model that wrote the last reply makes no summaries. Let another one answer first.",
	}
}

// modelGone names the model that a conversation remembers, and that may not be used any more.
func modelGone(name string) *refusal.Error {
	return &refusal.Error{
		Code: refusal.CodeModelUnavailable,
		Message: fmt.Sprintf("The model %q of this conversation is not offered any more. Name another one, "+
			"or change the conversation's.", name),
		Extras: map[string]any{"model": name},
	}
}
