package transport

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// stream writes results over HTTP as they come. Writes have a deadline, so that a
// client that does not read is let go. It is safe for concurrent use.
type stream struct {
	server  *Server
	form    framing
	w       http.ResponseWriter
	control *http.ResponseController
	// ctx ends with the request, the token, the server, or a failed write.
	ctx    context.Context
	cancel context.CancelCauseFunc
	beat   *time.Timer

	// mu orders the writes and guards the fields below.
	mu    sync.Mutex
	frame []byte // reused for each result
	ended bool
}

// framing is how results are told apart in a stream.
type framing interface {
	// open comes once, before everything else.
	open(out []byte) []byte
	// head and tail stand around one result.
	head(out []byte) []byte
	tail(out []byte) []byte
	// heartbeat is seen by nobody but proxies and sockets.
	heartbeat(out []byte) []byte
	// complete is the clean end.
	complete(out []byte) []byte
}

// openStream answers with the header of a stream, which starts a timer for
// heartbeats. The caller calls leave.
func (s *Server) openStream(ctx context.Context, w http.ResponseWriter, f format) *stream {
	st := &stream{server: s, w: w, control: http.NewResponseController(w), form: eventStream{}}
	if f == formatMultipart {
		st.form = multipartStream{}
	}
	st.ctx, st.cancel = context.WithCancelCause(ctx)
	h := w.Header()
	h.Set("Content-Type", f.contentType())
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx would keep the events back.
	exchangeOf(ctx).Status = http.StatusOK
	st.mu.Lock()
	st.beat = time.AfterFunc(s.timing.beat, st.sendBeat)
	st.write(st.form.open(nil))
	st.mu.Unlock()
	return st
}

// enter lets Close end the stream. A stream of one result does without: that was
// executed, and is told.
func (st *stream) enter() {
	if why := st.server.admission.enter(st); why != nil {
		st.retire() // Close has not seen this one.
	}
}

// retire ends the stream and tells the client to come back.
func (st *stream) retire() { st.cancel(errRestart) }

// leave ends the stream's timer and forgets it.
func (st *stream) leave() {
	st.mu.Lock()
	st.ended = true
	st.beat.Stop()
	// The connection may serve more. If it is broken, that shows by itself.
	_ = st.control.SetWriteDeadline(time.Time{})
	st.mu.Unlock()
	st.server.admission.exit(st)
	st.cancel(context.Canceled)
}

// send writes one result and flushes it.
func (st *stream) send(r *graphql.Response, executed bool) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(r.Errors) > 0 {
		exchangeOf(st.ctx).fails(r.Errors)
	}
	head, data, tail, err := split(st.form.head(st.frame[:0]), r, executed)
	if err != nil {
		st.server.cfg.Log.ErrorContext(st.ctx, "event not encoded", "err", err)
		st.cancel(err)
		return err
	}
	if data == nil {
		head = st.form.tail(head)
	} else {
		tail = st.form.tail(tail)
	}
	st.frame = head
	return st.write(head, data, tail)
}

// complete ends the stream cleanly.
func (st *stream) complete() {
	st.mu.Lock()
	defer st.mu.Unlock()
	// When it cannot be written the client has gone.
	_ = st.write(st.form.complete(st.frame[:0]))
}

func (st *stream) sendBeat() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return
	}
	_ = st.write(st.form.heartbeat(nil)) // A failure has ended ctx.
}

// write is called with mu held.
func (st *stream) write(parts ...[]byte) error {
	if err := context.Cause(st.ctx); err != nil {
		return err
	}
	if err := st.server.writePaced(st.w, st.control, parts...); err != nil {
		st.cancel(err)
		return err
	}
	st.beat.Reset(st.server.timing.beat)
	return nil
}

// eventStream is graphql-sse's "distinct connections mode": events next and
// complete, each with one line of data. A data line stands in complete too, as a
// browser's EventSource does not hear an event without one.
type eventStream struct{}

func (eventStream) open(out []byte) []byte      { return append(out, ":\n\n"...) }
func (eventStream) head(out []byte) []byte      { return append(out, "event: next\ndata: "...) }
func (eventStream) tail(out []byte) []byte      { return append(out, "\n\n"...) }
func (eventStream) heartbeat(out []byte) []byte { return append(out, ":\n\n"...) }
func (eventStream) complete(out []byte) []byte  { return append(out, "event: complete\ndata:\n\n"...) }

// multipartStream is multipart/mixed;subscriptionSpec=1.0. Each part is flushed
// with the delimiter behind it: Apollo Client shows a part when it sees that.
type multipartStream struct{}

const (
	partHead = "\r\nContent-Type: application/json\r\n\r\n"
	partTail = "\r\n--graphql"
)

func (multipartStream) open(out []byte) []byte { return append(out, partTail...) }
func (multipartStream) head(out []byte) []byte { return append(out, partHead+`{"payload":`...) }
func (multipartStream) tail(out []byte) []byte { return append(out, "}"+partTail...) }
func (multipartStream) heartbeat(out []byte) []byte {
	return append(out, partHead+"{}"+partTail...)
}
func (multipartStream) complete(out []byte) []byte { return append(out, "--\r\n"...) }
