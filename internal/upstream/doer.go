package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"parley/internal/reply"
	"parley/internal/trace"
)

// doer is go-openai's HTTPClient. It sends the body that the call carries in its
// context and turns every answer that is not a good one into a *reply.Error, so
// that go-openai never interprets an error itself. It is safe for concurrent use.
type doer struct {
	transport http.RoundTripper
	cfg       Config
	logger    *slog.Logger
	errors    classifier
}

// call is one request for a completion: what the Client hands through go-openai
// to the doer, and what the doer finds out beside the text.
type call struct {
	body *body // nil once it has been answered
	// answer is what a good answer says. go-openai is given none of it: it would keep a buffer of
	// 4 KB for as long as the reply comes, and run three regular expressions over each frame.
	answer *frameReader
	// watch ends the call when its time limit passes without a touch: by a piece of text or
	// reasoning, not by a header or a comment, which a server that hangs sends, too.
	watch *watchdog
	// refusal holds the body of a 400 or 422, cut to the limit for error bodies,
	// in which the Client looks for parameters that the server does not know.
	refusal []byte
}

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// Do implements openai.HTTPDoer.
func (d *doer) Do(req *http.Request) (*http.Response, error) {
	// A compressed answer could be a bomb, and buys nothing for a stream. See inflate.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "parley")
	trace.Send(req.Context(), req.Header)
	c := callFrom(req.Context())
	if c != nil {
		req.Body, req.ContentLength = c.body.open(), c.body.length
		req.GetBody = func() (io.ReadCloser, error) { return c.body.open(), nil }
	}
	// Not an http.Client: that one follows redirects, with the key.
	resp, err := d.transport.RoundTrip(req)
	if c != nil {
		c.body = nil // GetBody is not called any more.
	}
	if err != nil {
		d.logger.DebugContext(req.Context(), "request failed", "err", d.errors.redact([]byte(err.Error())))
		return nil, transportError(err)
	}
	if err := inflate(resp); err != nil {
		closeBody(resp.Body)
		if resp.StatusCode == http.StatusOK {
			return nil, err
		}
		resp.Body = http.NoBody // The status says what it is; nobody can read the words.
	}
	if resp.StatusCode != http.StatusOK {
		return nil, d.refused(resp, c)
	}
	if c == nil {
		return d.document(resp)
	}
	c.answer = &frameReader{doer: d, ctx: req.Context(), call: c, body: resp.Body, header: resp.Header}
	c.answer.events = newEventReader((*rawBody)(c.answer), d.cfg.MaxLineBytes)
	resp.Body = http.NoBody // Who called reads the answer itself: see call.answer.
	return resp, nil
}

// refused reads the start of an error's body and returns the error it means.
func (d *doer) refused(resp *http.Response, c *call) error {
	// What was read is all there is to know.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, int64(d.cfg.MaxErrorBytes)))
	closeBody(resp.Body)
	if c != nil && adaptable(resp.StatusCode) {
		c.refusal = body
	}
	return d.errors.status(resp.StatusCode, resp.Header, body)
}

// maxDocumentBytes bounds an answer that is not a stream, such as the list of
// models, which is under 1 MB at the servers with the longest lists.
const maxDocumentBytes = 8 << 20

// document bounds the body of an answer that is not a stream.
func (d *doer) document(resp *http.Response) (*http.Response, error) {
	defer closeBody(resp.Body)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocumentBytes+1))
	if err != nil {
		return nil, transportError(err)
	}
	if len(body) > maxDocumentBytes {
		return nil, &reply.Error{Code: reply.CodeLimit, Status: resp.StatusCode,
			Err: errors.New("the answer is too long")}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// streamFactor bounds the bytes of a stream by those of its reply: a server may
// wrap one letter in about so many bytes, but not send empty frames for ever.
const streamFactor = 512

// drainTime and drainBytes bound what is read after the end of a stream, so that
// the connection can serve another call.
const (
	drainTime  = 25 * time.Millisecond
	drainBytes = 4 << 10
)

// frameReader gives the frames of an answer, one after another, and an error that says how they end.
// What a frame means is not looked at, except for the event field. Used by one goroutine.
type frameReader struct {
	doer   *doer
	ctx    context.Context
	call   *call
	body   io.ReadCloser
	header http.Header
	events *eventReader
	read   int64 // bytes of body
	done   bool  // the end marker was returned
}

// rawBody reads the original bytes, and bounds them.
type rawBody frameReader

// Read implements io.Reader.
func (b *rawBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if n > 0 {
		b.read += int64(n)
		if b.read > streamFactor*int64(b.doer.cfg.MaxReplyBytes)+int64(b.doer.cfg.MaxLineBytes) {
			return 0, &reply.Error{Code: reply.CodeLimit, Status: http.StatusOK,
				Err: errors.New("the stream is too long")}
		}
	}
	return n, err
}

var errIdle = errors.New("no text within the time limit")

// next waits for a frame, and returns its payload, which is valid until the next call. The end
// marker is io.EOF; a stream that just ends is another error.
func (b *frameReader) next() ([]byte, error) { return b.take(b.events.next()) }

// more returns a frame that has come with the last one, and errNotYet when there is none. It does
// not wait.
func (b *frameReader) more() ([]byte, error) { return b.take(b.events.more()) }

func (b *frameReader) take(frame event, err error) ([]byte, error) {
	switch {
	case errors.Is(err, errNotYet):
		return nil, err
	case err != nil:
		return nil, b.ending(err)
	case frame.failed:
		b.doer.errors.log(b.ctx, b.doer.logger, http.StatusOK, frame.data)
		return nil, b.doer.errors.frame(frame.data, b.header)
	case bytes.Equal(frame.data, endMarker):
		b.done = true
		return nil, io.EOF
	}
	return frame.data, nil
}

// Close implements io.Closer. After the end marker it first reads what little
// is left, for a moment, so that the connection can be used again.
func (b *frameReader) Close() error {
	if b.done {
		b.call.watch.touch(drainTime)
		_, _ = io.CopyN(io.Discard, b.body, drainBytes) // Only the attempt counts.
	}
	closeBody(b.body)
	return nil
}

// ending gives the end of a stream its code.
func (b *frameReader) ending(err error) error {
	var known *reply.Error
	if errors.As(err, &known) {
		return known
	}
	code := reply.CodeTruncated
	switch {
	case errors.Is(err, errEmpty) && len(b.events.noise) > 0:
		b.doer.errors.log(b.ctx, b.doer.logger, http.StatusOK, b.events.noise)
		return b.doer.errors.noJSON(b.events.noise, b.header, err)
	case errors.Is(err, errEmpty), errors.Is(err, errHTML), errors.Is(err, errDocument):
		code = reply.CodeProtocol
	case errors.Is(err, errTooLong):
		code = reply.CodeLimit
	case !errors.Is(err, errCut):
		err = transportCause(err)
	}
	return &reply.Error{Code: code, Status: http.StatusOK, Err: err}
}

// closeBody closes a body whose bytes no longer matter, and so its error neither.
func closeBody(body io.Closer) { _ = body.Close() }

// newTransport returns the transport for cfg, which has its defaults.
func newTransport(cfg Config) *http.Transport {
	return &http.Transport{
		Proxy:                  cfg.Proxy,
		DialContext:            (&net.Dialer{Timeout: cfg.DialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:    cfg.TLSTimeout,
		DisableCompression:     true,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    256, // The default of 2 opens a connection for nearly every reply.
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		// A connection has it for as long as a reply takes, and a long prompt passes it by.
		WriteBufferSize: 2 << 10,
		// So it has this one: a frame of a token is a quarter of a kilobyte. What an eventReader with
		// more room than that reads passes it by, too.
		ReadBufferSize:    2 << 10,
		ForceAttemptHTTP2: true,
		HTTP2: &http.HTTP2Config{
			// A dead connection would otherwise take all its streams with it, each
			// after its own idle limit.
			SendPingTimeout: 15 * time.Second,
			PingTimeout:     15 * time.Second,
		},
	}
}

// watchdog cancels a call that makes no progress. It holds no goroutine.
type watchdog struct{ timer *time.Timer }

func newWatchdog(cancel context.CancelCauseFunc, d time.Duration) *watchdog {
	return &watchdog{timer: time.AfterFunc(d, func() {
		cancel(&reply.Error{Code: reply.CodeTimeout, Err: errIdle})
	})}
}

// touch grants the call another d.
func (w *watchdog) touch(d time.Duration) { w.timer.Reset(d) }

func (w *watchdog) stop() { w.timer.Stop() }

// transportError gives a failed round trip its code.
func transportError(err error) *reply.Error {
	var known *reply.Error
	if errors.As(err, &known) {
		return known
	}
	var timeout net.Error
	var dial *net.OpError
	code := reply.CodeUnavailable
	switch {
	case errors.As(err, &dial) && dial.Op == "dial":
		// Not reached in time is not reached.
	case strings.Contains(err.Error(), "TLS handshake timeout"):
		// Nor is one with which no connection could be made.
	case errors.As(err, &timeout) && timeout.Timeout():
		code = reply.CodeTimeout
	case strings.Contains(err.Error(), "malformed HTTP"):
		code = reply.CodeProtocol
	}
	return &reply.Error{Code: code, Err: transportCause(err)}
}

// transportCause hides the text of err, in which net/http quotes the server,
// unless it is about dialling. errors.Is and errors.As still see all of it.
func transportCause(err error) error {
	var dial *net.OpError
	if errors.As(err, &dial) {
		if dial.Op == "dial" {
			return dial
		}
		return hidden{"the connection broke (" + dial.Op + ")", err}
	}
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return hidden{errIdle.Error(), err}
	case strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "x509: "):
		return hidden{"TLS failed or the certificate is not trusted", err}
	case strings.Contains(err.Error(), "malformed HTTP"):
		return hidden{"the answer is not HTTP", err}
	default:
		return hidden{"the connection broke", err}
	}
}

// hidden is an error whose own text is not shown.
type hidden struct {
	text string
	err  error
}

func (h hidden) Error() string { return h.text }
func (h hidden) Unwrap() error { return h.err }
