package reply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/event"
	"parley/internal/failpoint"
)

// run carries one attempt from the call of the model to the final row.
func (e *Engine) run(r *Run) {
	deadline := e.cfg.ReplyLimit
	if r.row.StartedAt != nil {
		deadline -= time.Since(*r.row.StartedAt)
	}
	ctx, cancel := context.WithTimeoutCause(r.ctx, deadline, errTimeLimit)
	defer cancel()

	out, err := e.generate(ctx, r)
	if err != nil { // What was completed all the same is written; the fence decides.
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, errFenced):
			e.forget(r)
			r.live.abandon()
			return
		case errors.Is(cause, errReleased):
			e.release(r)
			return
		case errors.Is(cause, errDeleted):
			e.finishInMemory(r)
			return
		}
	}
	e.finish(r, e.outcome(ctx, r, out, err))
}

// generated is what a call of the model came to.
type generated struct {
	Result
	promptBytes int
	promptHash  *string
}

// generate builds the prompt and calls the model. A panic of the model client ends
// this reply, not the process.
func (e *Engine) generate(ctx context.Context, r *Run) (out generated, err error) {
	prompt, err := e.store.Prompt(ctx, r.row.UserID, r.row.ConversationID, r.row.Index)
	if err != nil {
		return out, err
	}
	for _, m := range prompt {
		out.promptBytes += len(m.Content)
	}
	if len(prompt) > 0 && prompt[0].Role == System {
		sum := sha256.Sum256([]byte(prompt[0].Content))
		hash := hex.EncodeToString(sum[:])
		out.promptHash = &hash
	}
	parameters, err := DecodeParameters(r.row.Parameters)
	if err != nil {
		return out, err
	}
	request := Request{Messages: prompt, Parameters: parameters}
	if r.row.Model != nil {
		request.Model = *r.row.Model
	}
	failpoint.Hit("reply.before-upstream")
	if !e.guard(ctx, func() { out.Result, err = e.upstream.Generate(ctx, request, r.live) }) {
		err = &Error{Code: CodeInternal}
	}
	return out, err
}

// outcome decides what the reply ends as.
func (e *Engine) outcome(ctx context.Context, r *Run, out generated, err error) *ent.Message {
	final := *r.row
	final.Content, final.Reasoning = r.live.flush()
	final.SystemPromptHash = out.promptHash
	var failure *Error
	switch cause := context.Cause(ctx); {
	case err == nil:
		final.Status = message.StatusCOMPLETED
		// No reason beside a proven end: the end marker alone. It stopped.
		reason := message.FinishReasonSTOP
		if out.FinishReason != "" {
			reason = message.FinishReason(out.FinishReason)
		}
		final.FinishReason = &reason
	case errors.Is(cause, errStopped):
		final.Status = message.StatusSTOPPED
	case errors.Is(cause, errTimeLimit):
		final.Status = message.StatusFAILED
		failure = &Error{Code: CodeLimit, Err: errTimeLimit}
	default:
		final.Status = message.StatusFAILED
		if !errors.As(err, &failure) {
			failure = &Error{Code: CodeInternal, Err: err}
		}
	}
	if failure != nil {
		code := string(failure.Code)
		final.ErrorCode = &code
		e.log.WarnContext(ctx, "reply failed", "message_id", string(r.row.ID), "attempt", r.row.Attempt, "code", code, "err", failure)
		keepLongest(&final)
	}
	final.Salvage = ""
	setUsage(&final, out)
	return &final
}

// keepLongest puts the longest text of all attempts into a reply that ends
// without a proven one. The attempt goes up with it, so that nobody takes it for
// a continuation of what the last attempt had written.
func keepLongest(m *ent.Message) {
	if len(m.Salvage) > len(m.Content) {
		m.Content, m.Reasoning = m.Salvage, ""
		m.Attempt++
	}
}

// setUsage stores the model server's count of tokens, or an estimate: about four
// bytes of English text make one token.
func setUsage(m *ent.Message, out generated) {
	u := out.Usage
	if u == nil {
		if out.promptBytes == 0 {
			return // The model was never called.
		}
		u = &Usage{
			PromptTokens:     (out.promptBytes + 3) / 4,
			CompletionTokens: (len(m.Content) + len(m.Reasoning) + 3) / 4,
			Estimated:        true,
		}
	}
	m.PromptTokens, m.CompletionTokens = &u.PromptTokens, &u.CompletionTokens
	if !u.Estimated {
		m.CachedTokens, m.ReasoningTokens = &u.CachedTokens, &u.ReasoningTokens
	}
	m.UsageEstimated = u.Estimated
}

// finish writes the final state, again and again while the database does not
// answer, and then tells everyone.
func (e *Engine) finish(r *Run, final *ent.Message) {
	failpoint.Hit("reply.before-final")
	// The reply's own context may have ended; that is what made it final.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), finalWriteLimit)
	defer cancel()
	// A shutdown does not wait that long: the row is taken up at the next start.
	hurry := context.AfterFunc(e.ctx, func() { time.AfterFunc(releaseLimit, cancel) })
	defer hurry()
	wait := 50 * time.Millisecond
	for {
		err := e.writeFinal(ctx, r, final)
		switch {
		case err == nil:
			failpoint.Hit("reply.after-final")
			r.live.finish(final)
			e.bus.Publish(event.Fact{
				Kind: event.ReplyFinished, UserID: final.UserID,
				ConversationID: final.ConversationID, MessageID: final.ID,
			})
			return
		case errors.Is(err, errDeleted):
			e.finishInMemory(r)
			return
		case errors.Is(err, errFenced):
			e.forget(r)
			r.live.abandon()
			return
		}
		e.log.WarnContext(ctx, "final write failed", "message_id", string(final.ID), "err", err)
		select {
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		case <-ctx.Done():
			e.log.ErrorContext(ctx, "reply left to a takeover", "message_id", string(final.ID), "err", err)
			e.forget(r)
			r.live.abandon()
			return
		}
	}
}

// writeFinal stores text, status, finish reason, error and usage in one fenced
// statement. It returns errFenced or errDeleted when the row is no longer ours.
func (e *Engine) writeFinal(ctx context.Context, r *Run, final *ent.Message) error {
	now, err := e.store.Now(ctx)
	if err != nil {
		return err
	}
	final.FinishedAt = &now
	u := e.fenced(r.row).
		SetContent(final.Content).
		SetReasoning(final.Reasoning).
		SetStatus(final.Status).
		SetNillableFinishReason(final.FinishReason).
		SetNillableErrorCode(final.ErrorCode).
		SetNillablePromptTokens(final.PromptTokens).
		SetNillableCompletionTokens(final.CompletionTokens).
		SetNillableCachedTokens(final.CachedTokens).
		SetNillableReasoningTokens(final.ReasoningTokens).
		SetUsageEstimated(final.UsageEstimated).
		SetNillableSystemPromptHash(final.SystemPromptHash).
		SetAttempt(final.Attempt).
		SetSalvage("").
		SetFinishedAt(now)
	n, err := u.Save(ctx)
	if err != nil {
		return fmt.Errorf("write final state: %w", err)
	}
	if n > 0 {
		return nil
	}
	row, err := e.row(ctx, r.row.ID)
	switch {
	case ent.IsNotFound(err):
		return errDeleted
	case err != nil:
		return err
	case row.Status == final.Status && row.Attempt == final.Attempt && row.Content == final.Content:
		// An earlier try was committed though its answer was lost.
		return nil
	}
	return errFenced
}

// fenced starts an update of a running reply that does nothing when the reply is
// not this replica's any more, or another attempt's.
func (e *Engine) fenced(row *ent.Message) *ent.MessageUpdate {
	return e.store.Client().Message.Update().Where(
		message.ID(row.ID),
		message.UserID(row.UserID),
		message.Attempt(row.Attempt),
		message.Owner(e.id),
		Streaming(),
	)
}

// finishInMemory tells viewers that the reply is gone. There is no row to write.
func (e *Engine) finishInMemory(r *Run) {
	last := *r.row
	last.Content, last.Reasoning = r.live.flush()
	r.live.finish(deleted(&last))
}

// deleted is the final state of a reply whose row is gone.
func deleted(last *ent.Message) *ent.Message {
	m := *last
	m.Status = message.StatusSTOPPED
	code := string(CodeDeleted)
	m.ErrorCode = &code
	now := time.Now().UTC().Truncate(time.Microsecond)
	m.FinishedAt = &now
	return &m
}

// release gives a running reply back, with its text, for another process to claim
// at once.
func (e *Engine) release(r *Run) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), releaseLimit)
	defer cancel()
	content, reasoning := r.live.flush()
	if _, err := e.fenced(r.row).SetContent(content).SetReasoning(reasoning).ClearOwner().Save(ctx); err != nil {
		e.log.WarnContext(ctx, "reply not released; its lease has to run out", "message_id", string(r.row.ID), "err", err)
	}
	e.forget(r)
	r.live.abandon()
}

// releaseLimit bounds the last write of a reply during shutdown.
const releaseLimit = 3 * time.Second
