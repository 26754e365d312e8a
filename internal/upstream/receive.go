package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"parley/internal/reply"
)

// finishWait bounds how long an attempt waits for usage and end marker once the
// reply is known to be complete.
const finishWait = 5 * time.Second

// proof is what a server has said of the end of its reply. Text that comes behind it takes it
// back.
type proof uint8

const (
	// noProof: nothing.
	noProof proof = iota
	// finishedBesideText: a finish reason in a frame with text. Some servers put one into every
	// frame, with pauses between them.
	finishedBesideText
	// finished: a finish reason in a frame of its own.
	finished
)

// reading is one answer of a model server as it is read. It is used by one goroutine.
type reading struct {
	client   *Client
	call     *call
	sink     *sink
	header   http.Header
	frame    frame
	thoughts *thoughts
	result   reply.Result
	counts   counts
	cited    citations
	omitted  omitted

	proof     proof
	reason    reply.FinishReason // the last one
	unknown   bool               // a finish reason that is not known was the last one
	takenBack bool               // text came behind a finish reason
	ending    bool               // only usage and end marker are waited for, and not for long
	counted   bool               // the last frame counted, and had no choice
	tools     bool
	carried   bool // text or reasoning has come that has not been passed on
}

var (
	errUnasked = errors.New("the model called a tool, and none was offered")
	errBlank   = errors.New("the reply is empty, and nothing says why")
	errUnknown = errors.New("the stream ended after a finish reason that is not known, without its end marker")
)

// receive reads the frames of an answer until the end marker or the end of the stream.
func (c *Client) receive(ctx context.Context, call *call, s *sink) (reply.Result, error) {
	a := newReading(c, call, s)
	err := a.read(ctx)
	a.result.Usage = a.counts.usage()
	a.result.Omitted = a.omitted.kinds()
	skipped := 0
	if a.thoughts != nil {
		skipped = a.thoughts.skipped
	}
	a.result.Citations = a.cited.list(&s.ruler, skipped)
	return a.result, err
}

// newReading is not inlined, so that a reading is on the heap: on the stack of a goroutine that
// waits for a model it would be one of the things that double it.
//
//go:noinline
func newReading(c *Client, call *call, s *sink) *reading {
	return &reading{client: c, call: call, sink: s, header: call.answer.header, thoughts: newThoughts(c.cfg.ThinkTags)}
}

func (a *reading) read(ctx context.Context) error {
	for {
		err := a.together(ctx)
		if a.carried {
			a.carried = false
			a.call.watch.touch(a.client.cfg.Silence)
			if err := a.sink.pass(); err != nil {
				return err
			}
		}
		if err != nil {
			return a.end(ctx, err)
		}
		if a.proof == finished && !a.ending {
			a.ending = true
			a.call.watch.touch(min(finishWait, a.client.cfg.Silence))
		}
	}
}

// togetherBytes is about how much is passed on in one piece at most.
const togetherBytes = 16 << 10

// together waits for a frame and reads those that have come with it.
func (a *reading) together(ctx context.Context) error {
	bytes := 0
	data, err := a.call.answer.next()
	for ; err == nil; data, err = a.call.answer.more() {
		if err := a.take(ctx, data); err != nil {
			return err
		}
		if bytes += len(data); bytes >= togetherBytes {
			return nil
		}
	}
	if errors.Is(err, errNotYet) {
		return nil
	}
	return err
}

// take reads a frame. An error is why the reply fails, unless it is complete; the text of the
// frame counts all the same.
func (a *reading) take(ctx context.Context, data []byte) error {
	f := &a.frame
	if err := f.parse(data); err != nil {
		a.client.doer.errors.log(ctx, a.client.logger, http.StatusOK, data)
		return a.client.doer.errors.noJSON(data, a.header, err)
	}
	reasoning, text := a.thoughts.split(f.text)
	a.sink.gather(f.reasoning, nil)
	a.sink.gather(reasoning, text)
	if len(f.text)+len(f.reasoning) > 0 {
		a.carried = true // Even if all of it is held back: the server has said something.
		if a.proof != noProof {
			a.proof, a.takenBack, a.ending = noProof, true, false
		}
	}
	if len(f.model) > 0 && a.result.Model == "" {
		a.result.Model = cleanName(f.model)
	}
	a.counts.take(f.usage)
	a.counted = f.usage.any() && !f.choices
	a.omitted |= f.omitted
	a.tools = a.tools || f.tools
	for _, s := range f.sources {
		a.cited.add(s)
	}
	if f.failed {
		a.client.doer.errors.log(ctx, a.client.logger, http.StatusOK, data)
		return a.client.doer.errors.frame(data, a.header)
	}
	return a.finish()
}

// finish takes the finish reason of a frame.
func (a *reading) finish() error {
	if a.frame.finish == "" {
		return nil
	}
	reason, known := finishReason(a.frame.finish)
	if reason == failedReason {
		return &reply.Error{Code: reply.CodeUpstream, Status: http.StatusOK, Err: errReported}
	}
	if a.unknown = !known; !known {
		return nil
	}
	a.reason = reason
	if a.proof = finished; len(a.frame.text)+len(a.frame.reasoning) > 0 && !a.frame.whole {
		a.proof = finishedBesideText
	}
	return nil
}

// end decides what the end of an answer means: err is io.EOF for the end marker, that of a body
// which ended well, or trouble of whatever kind.
func (a *reading) end(ctx context.Context, err error) error {
	var complete bool
	switch {
	case errors.Is(err, io.EOF): // Only the end marker; a stream that just ends is another error.
		complete = true
	case errors.Is(err, errReported):
		complete = a.proof == finished
	case errors.Is(err, errCut) && ctx.Err() == nil: // Else it was cut here.
		complete = a.proof != noProof || a.counted
	case errors.Is(err, errDocument) && ctx.Err() == nil:
		complete = a.proof != noProof || a.frame.whole // It was read to its end, as JSON.
	default:
		// A server that puts a reason into every frame has not proven anything by it, and who
		// gives a reply up does not know whether it is such a one.
		complete = a.proof == finished || a.proof == finishedBesideText && !a.takenBack && !givenUp(ctx)
	}
	if !complete && a.unknown && errors.Is(err, errCut) {
		err = &reply.Error{Code: reply.CodeTruncated, Status: http.StatusOK, Err: errUnknown}
	}
	a.sink.gather(a.thoughts.flush(complete))
	if passed := a.sink.pass(); passed != nil {
		return passed
	}
	if !complete {
		return attemptError(ctx, err)
	}
	return a.complete(ctx)
}

// givenUp reports whether an attempt was ended by anything but the silence of its server.
func givenUp(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), errIdle)
}

// complete ends a reply that is whole. One that calls a tool, or is empty without a reason, is
// none.
func (a *reading) complete(ctx context.Context) error {
	if err := a.sink.flush(); err != nil {
		return err
	}
	if a.tools || a.reason == reply.FinishToolCalls && !a.sink.said {
		a.client.logger.WarnContext(ctx, "the model called a tool although none was offered; the reply has failed",
			"model", a.result.Model)
		return &reply.Error{Code: reply.CodeProtocol, Status: http.StatusOK, Err: errUnasked}
	}
	if !a.sink.said && a.reason == "" && a.omitted == 0 {
		err := errBlank
		if !a.sink.wrote {
			err = errEmpty
		}
		return &reply.Error{Code: reply.CodeProtocol, Status: http.StatusOK, Err: err}
	}
	a.result.FinishReason = a.reason
	return nil
}

// attemptError returns err as a *reply.Error, or our own reason if it is why the
// attempt ended.
func attemptError(ctx context.Context, err error) error {
	var failure *reply.Error
	if ctx.Err() != nil {
		if errors.As(context.Cause(ctx), &failure) {
			return failure
		}
		return context.Cause(ctx)
	}
	if errors.As(err, &failure) {
		return failure
	}
	return &reply.Error{Code: reply.CodeInternal, Err: hidden{"the request could not be made", err}}
}

// failedReason is a finish reason that says that the reply failed.
const failedReason reply.FinishReason = "FAILED"

// finishReasons are the words that servers have for the end of a reply, in lower case: those of
// OpenAI, and those of Anthropic, Gemini, Bedrock, Cohere, Mistral, DeepSeek, Zhipu, Baidu,
// watsonx, Hugging Face's TGI, llama.cpp, LM Studio, Ollama, vLLM, SGLang, Together and Reka.
// What is not here ends nothing.
var finishReasons = map[string]reply.FinishReason{
	"stop": reply.FinishStop, "end_turn": reply.FinishStop, "stop_sequence": reply.FinishStop,
	"eos": reply.FinishStop, "eos_token": reply.FinishStop, "eosfound": reply.FinishStop,
	"stop_token": reply.FinishStop, "stop_string": reply.FinishStop, "stopstringfound": reply.FinishStop,
	"matched_stop": reply.FinishStop, "word": reply.FinishStop, "end": reply.FinishStop,
	"complete": reply.FinishStop, "completed": reply.FinishStop, "normal": reply.FinishStop,
	"finish": reply.FinishStop, "finished": reply.FinishStop, "done": reply.FinishStop,
	"pause_turn": reply.FinishStop, "load": reply.FinishStop,

	"length": reply.FinishLength, "max_tokens": reply.FinishLength, "max_output_tokens": reply.FinishLength,
	"model_length": reply.FinishLength, "token_limit": reply.FinishLength, "time_limit": reply.FinishLength,
	"limit": reply.FinishLength, "context": reply.FinishLength, "context_length": reply.FinishLength,
	"model_context_window_exceeded": reply.FinishLength, "contextlengthreached": reply.FinishLength,
	"maxpredictedtokensreached": reply.FinishLength, "max_length": reply.FinishLength,

	"content_filter": reply.FinishContentFilter, "content_filtered": reply.FinishContentFilter,
	"safety": reply.FinishContentFilter, "refusal": reply.FinishContentFilter,
	"recitation": reply.FinishContentFilter, "blocklist": reply.FinishContentFilter,
	"prohibited_content": reply.FinishContentFilter, "spii": reply.FinishContentFilter,
	"image_safety": reply.FinishContentFilter, "language": reply.FinishContentFilter,
	"sensitive": reply.FinishContentFilter, "guardrail_intervened": reply.FinishContentFilter,
	"error_toxic": reply.FinishContentFilter,

	"tool_calls": reply.FinishToolCalls, "tool_call": reply.FinishToolCalls, "tool_use": reply.FinishToolCalls,
	"function_call": reply.FinishToolCalls, "toolcalls": reply.FinishToolCalls,
	"malformed_function_call": reply.FinishToolCalls, "unexpected_tool_call": reply.FinishToolCalls,

	"error": failedReason, "abort": failedReason, "aborted": failedReason, "cancelled": failedReason,
	"canceled": failedReason, "user_cancel": failedReason, "error_limit": failedReason, "failed": failedReason,
	"modelunloaded": failedReason, "userstopped": failedReason, "network_error": failedReason,
	"insufficient_system_resource": failedReason,
}

// finishReason translates a server's reason. It is false for one that is not known, as an
// empty one and the word null are.
func finishReason(s string) (reply.FinishReason, bool) {
	s, _, _ = strings.Cut(s, ": ") // Gemini has "content_filter: RECITATION".
	s = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), "-", "_")
	reason, known := finishReasons[strings.TrimPrefix(s, "finish_reason_")]
	return reason, known
}
