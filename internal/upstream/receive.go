package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"parley/internal/reply"
)

// finishWait bounds how long an attempt waits for usage and end marker once the
// reply is known to be complete.
const finishWait = 5 * time.Second

// receive reads frames until the end marker or the end of the stream.
func (c *Client) receive(
	ctx context.Context, stream *openai.ChatCompletionStream, call *call, s *sink,
) (reply.Result, error) {
	var result reply.Result
	var f frame
	for {
		// RecvRaw, because Recv decodes with reflection and loses characters that
		// are split over two frames.
		line, err := stream.RecvRaw()
		if err != nil {
			done := errors.Is(err, io.EOF) // Only the end marker; cleanBody never ends in io.EOF.
			if result.FinishReason == "" && !done {
				return result, attemptError(ctx, err)
			}
			if result.FinishReason == "" && !s.wrote && !s.holds() {
				return result, &reply.Error{Code: reply.CodeProtocol, Status: http.StatusOK, Err: errEmpty}
			}
			if ended := reported(err); ended != nil {
				return result, ended
			}
			return result, s.flush()
		}
		var failure error
		for more := true; more && failure == nil; {
			var data []byte
			data, line, more = bytes.Cut(line, []byte{frameSeparator})
			failure = c.take(ctx, &f, data, stream.Header(), &result)
			s.gather(f.reasoning, f.text)
		}
		if s.gathered() {
			call.watch.touch(c.cfg.Silence)
			if err := s.pass(); err != nil {
				return result, err
			}
		}
		if failure != nil {
			return result, failure
		}
		if result.FinishReason != "" {
			call.watch.touch(min(finishWait, c.cfg.Silence))
		}
	}
}

// take reads a frame into f, and what it says beside text into result. An error is why the
// reply fails; the text of the frame counts all the same.
func (c *Client) take(ctx context.Context, f *frame, data []byte, header http.Header, result *reply.Result) error {
	if err := f.parse(data); err != nil {
		f.text, f.reasoning = nil, nil
		c.doer.errors.log(ctx, c.logger, http.StatusOK, data)
		return &reply.Error{Code: reply.CodeProtocol, Status: http.StatusOK, Err: err}
	}
	if f.failed {
		f.text, f.reasoning = nil, nil
		c.doer.errors.log(ctx, c.logger, http.StatusOK, data)
		return c.doer.errors.frame(data, header)
	}
	if len(f.model) > 0 && result.Model == "" {
		result.Model = cleanName(f.model)
	}
	if f.usage.PromptTokens+f.usage.CompletionTokens > 0 {
		usage := f.usage
		result.Usage = &usage
	}
	if f.finish != "" {
		reason, ok := finishReason(f.finish)
		if !ok {
			return &reply.Error{Code: reply.CodeUpstream, Status: http.StatusOK, Err: errReported}
		}
		result.FinishReason = reason
	}
	return nil
}

// reported returns the error that the server itself reported after it had said
// that the reply is complete. A mere cut at that point is none, and nor is a limit
// on what follows the reply.
func reported(err error) error {
	var failure *reply.Error
	if errors.As(err, &failure) && errors.Is(failure.Err, errReported) {
		return failure
	}
	return nil
}

// finishReason translates a server's reason. It is false for a reason that says
// that the reply failed.
func finishReason(s string) (reply.FinishReason, bool) {
	switch s = strings.ToLower(s); {
	case s == "error" || s == "abort" || s == "cancelled":
		return "", false
	case slices.Contains([]string{"length", "max_tokens", "model_length"}, s):
		return reply.FinishLength, true
	case slices.Contains([]string{"content_filter", "safety", "refusal"}, s):
		return reply.FinishContentFilter, true
	case slices.Contains([]string{"tool_calls", "function_call", "tool_use"}, s):
		return reply.FinishToolCalls, true
	default:
		return reply.FinishStop, true
	}
}
