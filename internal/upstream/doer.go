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
	body := &cleanBody{doer: d, call: c, req: req, body: resp.Body, header: resp.Header}
	body.events = newEventReader((*rawBody)(body), d.cfg.MaxLineBytes)
	resp.Body = body
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

// cleanBody is the body of a stream as go-openai can read it: lines of frames and nothing
// else, the end marker on a line of its own, and an error that is never io.EOF at the end.
// Frames that have arrived together stand on one line, with frameSeparator between them:
// go-openai runs three regular expressions over each line. What a frame means is not looked
// at, except for the event field, which go-openai would lose.
type cleanBody struct {
	doer   *doer
	call   *call
	req    *http.Request
	body   io.ReadCloser
	header http.Header
	events *eventReader
	read   int64  // bytes of body
	out    []byte // clean bytes not yet returned: out[pos:]
	pos    int
	done   bool  // the end marker was returned
	failed error // what comes behind out
}

// frameSeparator is no part of JSON.
const frameSeparator = '\x1e'

// lineBytes is about how long a line of several frames may become.
const lineBytes = 16 << 10

// rawBody reads the original bytes, and bounds them.
type rawBody cleanBody

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

// Read implements io.Reader.
func (b *cleanBody) Read(p []byte) (int, error) {
	if b.pos == len(b.out) {
		if b.fill(); len(b.out) == 0 {
			return 0, b.failed
		}
	}
	n := copy(p, b.out[b.pos:])
	b.pos += n
	return n, nil
}

// fill waits for a frame and takes along what has come with it.
func (b *cleanBody) fill() {
	b.out, b.pos = b.out[:0], 0
	if b.failed != nil {
		return
	}
	frame, err := b.events.next()
	for err == nil && b.take(frame) {
		frame, err = b.events.more()
	}
	if err != nil && !errors.Is(err, errNotYet) {
		b.failed = b.ending(err)
	}
	if len(b.out) > 0 && b.out[len(b.out)-1] != '\n' {
		b.out = append(b.out, '\n')
	}
}

// take adds a frame to out, and returns whether another one may be added.
func (b *cleanBody) take(frame event) bool {
	if frame.failed {
		b.doer.errors.log(b.req.Context(), b.doer.logger, http.StatusOK, frame.data)
		b.failed = b.doer.errors.frame(frame.data, b.header)
		return false
	}
	if bytes.Equal(frame.data, endMarker) {
		b.done = true
		if len(b.out) > 0 {
			b.out = append(b.out, '\n')
		}
		b.out = append(append(append(b.out, "data: "...), endMarker...), '\n')
		return false
	}
	if len(b.out) > 0 {
		b.out = append(b.out, frameSeparator)
	} else {
		b.out = append(b.out, "data: "...)
		if bytes.HasPrefix(frame.data, []byte(`{"error":`)) {
			// go-openai swallows lines that begin so, even for an error of null.
			// A space hides it.
			b.out = append(b.out, "{ "...)
			frame.data = frame.data[1:]
		}
	}
	b.out = append(b.out, frame.data...)
	return len(b.out) < lineBytes
}

// Close implements io.Closer. After the end marker it first reads what little
// is left, for a moment, so that the connection can be used again.
func (b *cleanBody) Close() error {
	if b.done {
		b.call.watch.touch(drainTime)
		_, _ = io.CopyN(io.Discard, b.body, drainBytes) // Only the attempt counts.
	}
	closeBody(b.body)
	return nil
}

// ending gives the end of a stream its code.
func (b *cleanBody) ending(err error) error {
	var known *reply.Error
	if errors.As(err, &known) {
		return known
	}
	code := reply.CodeTruncated
	switch {
	case errors.Is(err, errEmpty) && len(b.events.noise) > 0:
		b.doer.errors.log(b.req.Context(), b.doer.logger, http.StatusOK, b.events.noise)
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
		WriteBufferSize:   2 << 10,
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
