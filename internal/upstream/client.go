package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"parley/internal/complaint"
	"parley/internal/reply"
)

// Client calls one model server. It implements reply.Upstream, is safe for
// concurrent use, and starts no goroutine of its own except to fetch the list of
// models. The retry budget and the circuit breaker belong to the Client, so a
// process should have one per server. Close it when it is no longer used.
type Client struct {
	cfg    Config
	logger *slog.Logger
	doer   *doer
	api    *openai.Client

	meters  *Meters
	breaker breaker
	budget  budget
	models  models

	mu sync.Mutex // guards the fields below
	// noStreamOptions and completionTokens are the dialect as learnt from refusals.
	noStreamOptions  bool
	completionTokens map[string]bool // by model
}

var _ reply.Upstream = (*Client)(nil)

// New returns a client for the model server that cfg describes. It connects to
// nothing. It fails only if cfg is not valid.
func New(cfg Config, logger *slog.Logger) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("upstream configuration: %w", err)
	}
	cfg = cfg.withDefaults()
	if cfg.Transport == nil {
		cfg.Transport = newTransport(cfg)
	}
	d := &doer{transport: cfg.Transport, cfg: cfg, logger: logger, errors: classifier{key: cfg.APIKey}}
	api := openai.DefaultConfig(cfg.APIKey.Reveal())
	api.BaseURL = cfg.BaseURL
	api.HTTPClient = d
	return &Client{
		cfg:              cfg,
		logger:           logger,
		meters:           newMeters(),
		doer:             d,
		api:              openai.NewClientWithConfig(api),
		completionTokens: make(map[string]bool),
		models:           models{complaint: complaint.About("fetching the list of models")},
	}, nil
}

// NewInProcess returns a client for a model server that runs in this process,
// such as the one of package eliza. No socket is involved, but everything else is
// as with New.
func NewInProcess(handler http.Handler, logger *slog.Logger) (*Client, error) {
	return New(Config{BaseURL: "http://in-process/v1", Transport: InProcess(handler)}, logger)
}

// Close ends fetches of the list of models, waits for them and closes idle
// connections. Calls of Generate that still run are not ended: end their contexts
// first. It may be called twice.
func (c *Client) Close() {
	c.models.close()
	if t, ok := c.cfg.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

var (
	errBreakerOpen = errors.New("the model server failed too often and is given a pause")
	errMaxDuration = errors.New("the reply took longer than allowed")
)

// Generate implements reply.Upstream. It repeats a failed call at most MaxRetries
// times, and only if nothing has been written to out, the failure may pass, the
// server does not ask for more than 30 s of patience and the retry budget of the
// process allows it. While the circuit breaker is open it fails at once with
// reply.CodeUnavailable.
func (c *Client) Generate(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
	outer := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.MaxDuration,
		&reply.Error{Code: reply.CodeLimit, Err: errMaxDuration})
	defer cancel()
	if ctx.Err() != nil {
		return reply.Result{}, stopped(outer, ctx)
	}
	// A long prompt is held for as long as it may be sent again, not until the reply ends.
	s := &sink{out: out, limit: c.cfg.MaxReplyBytes, begun: func() { req.Messages = nil }}
	if req.Aside {
		return c.aside(outer, ctx, &req, s)
	}
	c.budget.request(time.Now())
	var result reply.Result
	var err error
	for retries := 0; ; retries++ {
		probe, ok := c.breaker.allow(time.Now())
		if !ok {
			if err == nil {
				err = &reply.Error{Code: reply.CodeUnavailable, Err: errBreakerOpen}
			}
			return result, err
		}
		result, err = c.try(ctx, &req, s, probe)
		if err != nil && ctx.Err() != nil {
			return result, stopped(outer, ctx)
		}
		var failure *reply.Error
		if err == nil || s.wrote || !errors.As(err, &failure) || !retryable(failure) || retries >= c.cfg.MaxRetries {
			return result, err
		}
		delay, ok := backoff(retries, failure)
		if !ok || !c.budget.retry(time.Now()) {
			return result, err
		}
		c.logger.WarnContext(ctx, "model server failed, trying again", "err", err, "delay", delay, "retry", retries+1)
		c.meters.Retries.Inc()
		s.reset()
		if wait(ctx, delay) != nil {
			return result, stopped(outer, ctx)
		}
	}
}

// aside makes one attempt for no reply, which the breaker and the retry budget do not hear of.
func (c *Client) aside(outer, ctx context.Context, req *reply.Request, s *sink) (result reply.Result, err error) {
	ctx, done := c.meters.call(ctx, req.Model)
	defer func() { done(err) }()
	result, err = c.adapt(ctx, req, s)
	if err != nil && ctx.Err() != nil {
		err = stopped(outer, ctx)
	}
	return result, err
}

// try makes one attempt and tells the breaker what came of it, also when out panics.
func (c *Client) try(ctx context.Context, req *reply.Request, s *sink, probe bool) (result reply.Result, err error) {
	o := neutral
	defer func() { c.record(ctx, probe, o) }()
	ctx, done := c.meters.call(ctx, req.Model)
	defer func() { done(err) }()
	result, err = c.adapt(ctx, req, s)
	if err == nil || ctx.Err() == nil {
		o = health(err, s.wrote)
	}
	return result, err
}

// stopped returns the error of a Generate whose context has ended: the caller's
// cause if it was the caller's, else our own limit.
func stopped(outer, ctx context.Context) error {
	if outer.Err() != nil {
		return fmt.Errorf("generate: %w", context.Cause(outer))
	}
	return context.Cause(ctx)
}

// health is what an attempt says about the server. One that wrote text says that
// the server is alive, and so does a refusal.
func health(err error, wrote bool) outcome {
	if err == nil || wrote {
		return healthy
	}
	var failure *reply.Error
	if !errors.As(err, &failure) {
		return neutral
	}
	switch failure.Code {
	case reply.CodeUnavailable, reply.CodeTimeout, reply.CodeTruncated, reply.CodeProtocol:
		if failure.Status >= 400 && failure.Status < 500 {
			return healthy
		}
		return failing
	default:
		return healthy
	}
}

func (c *Client) record(ctx context.Context, probe bool, o outcome) {
	if c.breaker.record(time.Now(), probe, o) {
		if o == failing {
			c.logger.ErrorContext(ctx, "model server keeps failing, calls are paused", "pause", breakerPause)
		} else {
			c.logger.InfoContext(ctx, "model server is back")
		}
	}
}

// adapt makes one attempt, and another one for each parameter that the server
// refuses to know although the protocol has it.
func (c *Client) adapt(ctx context.Context, req *reply.Request, s *sink) (reply.Result, error) {
	d := c.dialect(req.Model)
	options, tokens := false, false
	for {
		body, err := requestBody(*req, d)
		if err != nil {
			return reply.Result{}, &reply.Error{Code: reply.CodeRejected, Err: err}
		}
		result, refusal, err := c.attempt(ctx, body, s)
		switch {
		case len(refusal) == 0 || ctx.Err() != nil:
			return result, err
		case !options && !d.noStreamOptions && mentions(refusal, "stream_options"):
			options, d.noStreamOptions = true, true
		case !tokens && req.Parameters.MaxTokens != nil && mentions(refusal, "max_completion_tokens"):
			tokens, d.completionTokens = true, !d.completionTokens
		default:
			return result, err
		}
		c.learn(req.Model, d)
	}
}

func mentions(refusal []byte, parameter string) bool {
	return strings.Contains(string(refusal), parameter)
}

func (c *Client) dialect(model string) dialect {
	c.mu.Lock()
	defer c.mu.Unlock()
	return dialect{noStreamOptions: c.noStreamOptions, completionTokens: c.completionTokens[model]}
}

// maxLearntModels bounds the memory for models; beyond it the oldest knowledge is
// given up at once, which costs a refused request each.
const maxLearntModels = 1000

func (c *Client) learn(model string, d dialect) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noStreamOptions = d.noStreamOptions
	if len(c.completionTokens) >= maxLearntModels {
		clear(c.completionTokens)
	}
	if d.completionTokens {
		c.completionTokens[strings.Clone(model)] = true
	} else {
		delete(c.completionTokens, model)
	}
}

// finishWait bounds how long an attempt waits for usage and end marker once the
// reply is known to be complete.
const finishWait = 5 * time.Second

// attempt makes one request and passes the text on. refusal is the body of a 400
// or 422.
func (c *Client) attempt(ctx context.Context, body *body, s *sink) (result reply.Result, refusal []byte, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := c.cfg.DialTimeout + c.cfg.TLSTimeout + c.cfg.ResponseHeaderTimeout
	call := &call{body: body, watch: newWatchdog(cancel, patience)}
	defer call.watch.stop()

	// The request is a stand-in: the doer sends call.body. So go-openai's checks
	// by the names of models, which know only OpenAI's own, have nothing to check.
	stream, err := c.api.CreateChatCompletionStream(withCall(ctx, call), openai.ChatCompletionRequest{})
	if err != nil {
		return result, call.refusal, attemptError(ctx, err)
	}
	defer closeBody(stream)
	result, err = c.receive(ctx, stream, call, s)
	return result, nil, err
}

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
			call.contentAt = time.Now()
			if err := s.pass(); err != nil {
				return result, err
			}
		}
		if failure != nil {
			return result, failure
		}
		if result.FinishReason != "" {
			call.watch.touch(min(finishWait, c.cfg.IdleTimeout))
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
