package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// InProcess returns a transport that runs handler in place of a server behind a
// socket. Each request is a goroutine that ends when the handler returns; the
// handler's context ends when the caller gives up the request or closes the
// body, and its writes then fail. Answers are streamed: a write returns when it
// has been read. A handler that panics cuts the answer, as with net/http.
func InProcess(handler http.Handler) http.RoundTripper { return inProcess{handler} }

type inProcess struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { r.CloseWithError(context.Cause(ctx)) })

	in := req.Clone(ctx)
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = "in-process"
	in.Host = in.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	rw := &pipeWriter{header: make(http.Header), body: w, ready: make(chan struct{})}
	go func() {
		defer closeBody(in.Body)
		defer func() {
			if p := recover(); p != nil {
				err := fmt.Errorf("the handler gave up: %v", p)
				w.CloseWithError(err)
				rw.abort(err)
				return
			}
			rw.WriteHeader(http.StatusOK) // No effect if the handler has done so.
			closeBody(w)
		}()
		t.handler.ServeHTTP(rw, in)
	}()

	select {
	case <-ctx.Done():
		cancel()
		return nil, context.Cause(ctx)
	case <-rw.ready:
	}
	if rw.failure != nil {
		cancel()
		return nil, rw.failure
	}
	return &http.Response{
		Status:        http.StatusText(rw.status),
		StatusCode:    rw.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        rw.sent,
		Body:          &pipeBody{PipeReader: r, cancel: cancel},
		ContentLength: -1,
		Request:       req,
	}, nil
}

// pipeBody ends the handler's context when it is closed.
type pipeBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (b *pipeBody) Close() error {
	err := b.PipeReader.Close()
	b.cancel()
	return err
}

// pipeWriter is the http.ResponseWriter of one in-process answer.
type pipeWriter struct {
	header http.Header
	body   *io.PipeWriter
	once   sync.Once
	ready  chan struct{} // closed when the fields below are set
	sent   http.Header
	status int
	// failure is set if the handler gave up before it had sent a header.
	failure error
}

// Header implements http.ResponseWriter.
func (w *pipeWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter; only the first call counts.
func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.ready)
	})
}

func (w *pipeWriter) abort(err error) {
	w.once.Do(func() {
		w.failure = err
		close(w.ready)
	})
}

// Write implements http.ResponseWriter.
func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Flush implements http.Flusher.
func (w *pipeWriter) Flush() { w.WriteHeader(http.StatusOK) }
