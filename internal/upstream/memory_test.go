package upstream_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/waittest"
)

// heap is what is in use after a collection. Tests that look at it are not parallel.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A prompt is as long as its conversation. Neither it nor the body made of it is held while
// the reply comes: it cannot be asked for again.
func TestThePromptIsLetGoWithTheFirstText(t *testing.T) {
	c := client(t, once(serve(t, open(good))))
	const size = 16 << 20
	before := heap()
	enough := errors.New("enough")
	out := &output{after: func(string) error {
		ctx := deadline(t)
		for ctx.Err() == nil { // The connection lets go of the body when it likes.
			if heap()-before < size/4 {
				return enough
			}
		}
		return ctx.Err()
	}}
	_, err := c.Generate(t.Context(), request(strings.Repeat("x", size)), out)
	if !errors.Is(err, enough) {
		t.Errorf("got %v, want the prompt to be let go", err)
	}
}

// What a stream holds while a model writes, beside its text. More than half of it are the
// buffers of net/http, on this side and on the server's, which is here too.
func TestAStreamIsSmall(t *testing.T) {
	const streams, most = 100, 40 << 10
	c := client(t, once(serve(t, open(good))))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	start := func(n int) {
		began := make(chan struct{}, n)
		for range n {
			running.Go(func() {
				out := &output{after: func(string) error { began <- struct{}{}; return nil }}
				_, _ = c.Generate(ctx, request("hello"), out) // It is cancelled.
			})
		}
		for range n {
			select {
			case <-began:
			case <-time.After(waittest.Limit):
				t.Fatal("a stream has not begun")
			}
		}
	}
	start(1) // What all share is there.
	before := heap()
	start(streams)
	each := (heap() - before) / streams
	cancel()
	running.Wait()
	t.Logf("%d bytes", each)
	if each > most {
		t.Errorf("a stream holds %d bytes of heap, want at most %d", each, most)
	}
}
