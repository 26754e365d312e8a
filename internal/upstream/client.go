package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
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
	// learnt is what the server refuses to know, and saying what it said about that.
	learnt learnt
	saying *complaint.Refrain
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
		cfg:    cfg,
		logger: logger,
		meters: newMeters(),
		doer:   d,
		api:    openai.NewClientWithConfig(api),
		saying: newSaying(),
		models: models{complaint: complaint.About("fetching the list of models")},
	}, nil
}

// NewInProcess returns a client for a model server that runs in this process,
// such as the one of package eliza. No socket is involved, but everything else is
// as with New.
func NewInProcess(handler http.Handler, logger *slog.Logger) (*Client, error) {
	return New(Config{BaseURL: inProcessURL, Transport: InProcess(handler)}, logger)
}

// NewScripted is NewInProcess for a server that fails because it was told to, such as the one
// of package script: a call is made once, and no failure is held against the next one. limits says
// how patient the client is, as with a server behind a socket.
func NewScripted(handler http.Handler, limits Config, logger *slog.Logger) (*Client, error) {
	limits.BaseURL, limits.Transport, limits.MaxRetries = inProcessURL, InProcess(handler), -1
	c, err := New(limits, logger)
	if err != nil {
		return nil, err
	}
	c.breaker.off = true
	return c, nil
}

// inProcessURL is never looked up.
const inProcessURL = "http://in-process/v1"

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

// Generate implements reply.Upstream. It repeats a call whose connection failed, or that the
// server has not taken (429, 503), at most MaxRetries times and for 30 s, if nothing has been
// written to out and the retry budget of the process allows it. A server that is silent is
// not asked again. While the circuit breaker is open it fails at once with
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
	began := time.Now()
	c.budget.request(began)
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
		delay, ok := backoff(retries, failure, time.Since(began))
		if !ok || !tellsWhen(failure) && !c.budget.retry(time.Now()) {
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
	c.heed(ctx, req, err)
	if err != nil && ctx.Err() != nil {
		err = stopped(outer, ctx)
	}
	return result, err
}

// try makes one attempt and tells the breaker what came of it, also when out panics.
func (c *Client) try(ctx context.Context, req *reply.Request, s *sink, probe bool) (result reply.Result, err error) {
	o := neutral
	defer func() { c.record(ctx, probe, o) }()
	if begun := s.begun; probe {
		defer func() { s.begun = begun }()
		s.begun = func() { // The server is back at the first word, not at the last one.
			begun()
			c.record(ctx, true, healthy)
			probe = false
		}
	}
	ctx, done := c.meters.call(ctx, req.Model)
	defer func() { done(err) }()
	result, err = c.adapt(ctx, req, s)
	c.heed(ctx, req, err)
	if err == nil || ctx.Err() == nil {
		o = health(err, s.wrote)
	}
	return result, err
}

// heed takes what a failure says beside its code: to the operator, and about the model.
func (c *Client) heed(ctx context.Context, req *reply.Request, err error) {
	var failure *reply.Error
	if err == nil || ctx.Err() != nil || !errors.As(err, &failure) {
		return
	}
	var words *said
	if errors.As(failure.Err, &words) {
		c.complain(ctx, req, failure, words)
	}
	switch failure.Code {
	case reply.CodeContextTooLong:
		if words != nil {
			r := refusal{words: words.words, window: words.window}.unquoted(req)
			c.models.limit(req.Model, r.limit())
		}
	case reply.CodeModelUnavailable:
		c.models.expire()
	}
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
// the server is alive, and so does a refusal. One that is to be made later says nothing.
func health(err error, wrote bool) outcome {
	if err == nil || wrote {
		return healthy
	}
	var failure *reply.Error
	if !errors.As(err, &failure) {
		return neutral
	}
	if tellsWhen(failure) {
		return neutral
	}
	if errors.Is(failure, errUnasked) || errors.Is(failure, errBlank) {
		return healthy // It has answered, if not with a reply.
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

// attempt makes one request and passes the text on. refusal is the body of a 400
// or 422.
func (c *Client) attempt(ctx context.Context, body *body, s *sink) (result reply.Result, refusal []byte, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	call := &call{body: body, watch: newWatchdog(cancel, c.cfg.Silence)}
	defer call.watch.stop()

	// The request is a stand-in: the doer sends call.body. So go-openai's checks
	// by the names of models, which know only OpenAI's own, have nothing to check.
	_, err = c.api.CreateChatCompletionStream(withCall(ctx, call), openai.ChatCompletionRequest{})
	if err != nil {
		return result, call.refusal, attemptError(ctx, err)
	}
	defer closeBody(call.answer)
	result, err = c.receive(ctx, call, s)
	return result, nil, err
}
