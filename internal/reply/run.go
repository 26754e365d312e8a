package reply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/failpoint"
	"parley/internal/prompt"
	"parley/internal/stack"
	"parley/internal/trace"
)

// run carries the attempt from the call of the model to the final row.
func (a *Attempt) run() {
	traced, span := a.engine.cfg.Tracer.Part(a.ctx, "reply", trace.Text("parley.message_id", string(a.row.ID)),
		trace.Number("parley.attempt", a.row.Attempt))
	defer span.End()
	ctx, cancel := context.WithTimeoutCause(traced, a.limit, errTimeLimit)
	defer cancel()

	out, err := a.generate(ctx)
	if err != nil { // What was completed all the same is written; the fence decides.
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, errFenced):
			a.abandon()
			return
		case errors.Is(cause, errReleased):
			a.release()
			return
		case errors.Is(cause, errDeleted):
			a.finishInMemory()
			return
		}
	}
	final := a.outcome(ctx, out, err)
	a.describe(span, final)
	a.engine.meters.spoke(a, final, time.Now())
	stack.Grow() // Nothing waits on it any more.
	a.finish(final)
	if made := out.made; made != nil && made.asksForSummary(final) {
		a.engine.summarizeAfter(final, made.plan.Budget)
	}
}

// describe says in numbers and words of ours what the reply came to.
func (a *Attempt) describe(span trace.Span, final *ent.Message) {
	span.Set(trace.Text("parley.status", string(final.Status)))
	if final.PromptTokens != nil && final.CompletionTokens != nil {
		span.Set(trace.Number("gen_ai.usage.input_tokens", *final.PromptTokens),
			trace.Number("gen_ai.usage.output_tokens", *final.CompletionTokens))
	}
	if final.ErrorCode != nil {
		span.Fail(*final.ErrorCode)
	}
}

// generated is what a call of the model came to.
type generated struct {
	Result
	promptTokens int // estimated; 0 when no model was reached
	promptHash   *string
	made         *chosen // What it was made from; nil when the model was not called.
}

// generate builds the prompt and calls the model, and once more with less of the conversation
// when the model server will have it so.
func (a *Attempt) generate(ctx context.Context) (out generated, err error) {
	parameters, err := DecodeParameters(a.row.Parameters)
	if err != nil {
		return out, err
	}
	var c chosen
	var messages []prompt.Message
	apart(func() { c, messages, err = a.choose(ctx, parameters, nil) })
	if err != nil {
		return out, err
	}
	out, err = a.call(ctx, c, messages, parameters)
	if a.live.isEmpty() && ctx.Err() == nil {
		if less := c.less(out.Result, err, parameters); less != nil {
			if other, again, failed := a.askAgain(ctx, c, less, parameters); again {
				out, err = other, failed
			}
		}
	}
	if err == nil {
		a.counted(ctx, out.made, out.Usage)
	}
	return out, err
}

// call calls the model once. A panic of the model client ends this reply, not the process.
func (a *Attempt) call(
	ctx context.Context, c chosen, messages []prompt.Message, parameters Parameters,
) (out generated, err error) {
	messages = continuing(messages, a.row)
	out.made, out.promptTokens = &c, prompt.Tokens(c.window.Bytes+len(startOf(a.row)[Content]))
	if len(messages) > 0 && messages[0].Role == prompt.System {
		sum := sha256.Sum256([]byte(messages[0].Text()))
		hash := hex.EncodeToString(sum[:])
		out.promptHash = &hash
	}
	request := Request{Model: a.model(), Messages: messages, Parameters: parameters}
	failpoint.Hit("reply.before-upstream")
	if !a.engine.guard(ctx, func() { out.Result, err = a.ask(ctx, request) }) {
		err = &Error{Code: CodeInternal}
	}
	return out, err
}

// outcome decides what the reply ends as.
func (a *Attempt) outcome(ctx context.Context, out generated, err error) *ent.Message {
	final := *a.row
	a.live.flush().put(&final)
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
	case errors.Is(cause, errStopped), errors.Is(err, errNoLine):
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
		a.engine.log.WarnContext(ctx, "reply failed", "message_id", string(a.row.ID), "attempt", a.row.Attempt,
			"code", code, "err", failure)
		keepLongest(&final)
		if failure.reachedNoModel() && TextsOf(&final) == startOf(a.row) {
			out.promptTokens = 0
		}
	}
	final.Salvage, final.PromptBytes = "", nil
	final.Citations = EncodeCitations(out.Citations)
	final.DroppedParameters, final.OmittedOutput = words(out.Dropped), words(out.Omitted)
	a.measure(&final)
	setUsage(&final, out)
	if out.made != nil {
		out.made.put(&final, out.Usage)
	}
	return &final
}

// words puts spaces between words, for storage.
func words[T ~string](list []T) string {
	var b strings.Builder
	for i, w := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// keepLongest puts the longest text of all attempts into a reply that ends
// without a proven one. The attempt goes up with it, so that nobody takes it for
// a continuation of what the last attempt had written.
func keepLongest(m *ent.Message) {
	if len(m.Salvage) > len(m.Content) {
		Texts{Content: m.Salvage}.put(m)
		m.Attempt++
	}
}

// setUsage stores the model server's count of tokens, or an estimate.
func setUsage(m *ent.Message, out generated) {
	u := out.Usage
	if u == nil {
		if out.promptTokens == 0 {
			return // The model was never called.
		}
		u = &Usage{
			PromptTokens:     out.promptTokens,
			CompletionTokens: prompt.Tokens(TextsOf(m).size() - len(startOf(m)[Content])),
			Estimated:        true,
		}
	}
	m.PromptTokens, m.CompletionTokens = &u.PromptTokens, &u.CompletionTokens
	if !u.Estimated {
		m.CachedTokens, m.CacheWriteTokens, m.ReasoningTokens = u.CachedTokens, u.CacheWriteTokens, u.ReasoningTokens
	}
	m.UsageEstimated = u.Estimated
}
