package transport_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"parley/internal/transport"
)

// TestCloseKeepsMutations closes a socket after the mutations that run on it, which
// is when their answers have gone out; one without goes at once.
func TestCloseKeepsMutations(t *testing.T) {
	t.Parallel()
	b := start(t)
	held, idle := b.connect().init(""), b.connect().init("")
	held.subscribe("follow", `subscription { never }`)
	held.subscribe("send", `mutation { hold }`)
	idle.subscribe("follow", `subscription { never }`)
	eventually(t, "both follow", func() bool { return b.running.Load() == 2 })
	held.subscribe("quick", `{ echo(text: "x") }`) // By now the send runs too.
	held.want("next", "quick")
	held.want("complete", "quick")

	closed := make(chan struct{})
	go func() { b.server.Close(t.Context()); close(closed) }()
	idle.wantNoCompleteThenClose(1012)
	// It still serves, but is not kept open for what came later.
	held.subscribe("late", `{ echo(text: "y") }`)
	held.want("next", "late")
	held.want("complete", "late")
	select {
	case <-closed:
		t.Error("Close has returned while a mutation runs on a socket")
	default:
	}
	b.say("done")
	if m := held.want("next", "send"); !strings.Contains(string(m.Payload), `"hold":"done"`) {
		t.Errorf("got %s, want the mutation's result", m.Payload)
	}
	held.want("complete", "send")
	held.wantClose(1012)
	<-closed
}

// TestCloseWaitsNotForEver closes what still runs when its context ends.
func TestCloseWaitsNotForEver(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := b.connect().init("")
	c.subscribe("send", `mutation { hold }`)
	c.subscribe("quick", `{ echo(text: "x") }`)
	c.want("next", "quick")
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan struct{})
	go func() { b.server.Close(ctx); close(closed) }()
	eventually(t, "nothing new is let in", func() bool {
		_, resp, err := b.tryConnect()
		return err != nil && resp != nil && resp.StatusCode == http.StatusServiceUnavailable
	})
	cancel()
	c.wantClose(1012)
	<-closed
}

// TestCloseMany closes more sockets and streams than go at once.
func TestCloseMany(t *testing.T) {
	t.Parallel()
	b := start(t)
	clients := make([]*client, 50)
	for n := range clients {
		clients[n] = b.connect().init("")
	}
	streams := make([]*events, 20)
	for n := range streams {
		streams[n] = b.stream(`subscription { never }`)
	}
	eventually(t, "all are open", func() bool { return b.server.Open() == len(clients)+len(streams) })
	var all sync.WaitGroup
	all.Go(func() { b.server.Close(t.Context()) })
	for _, c := range clients {
		all.Go(func() { c.wantClose(1012) })
	}
	for _, e := range streams {
		all.Go(e.wantAbort)
	}
	all.Wait()
}

// TestUnavailable stands in for a server that cannot be made yet.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(transport.Unavailable(transport.Config{
		RefuseOrigin: refuseOrigin,
		Log:          slog.New(slog.DiscardHandler),
	}, "Not yet."))
	defer web.Close()
	b := &bundle{t: t, url: web.URL}
	body := operation(`{ who }`)
	for name, r := range map[string]*http.Request{
		"json":     b.request(body),
		"response": b.request(body, "Accept", "application/graphql-response+json"),
		"events":   b.request(body, "Accept", "text/event-stream"),
		"page":     b.request(body, "Origin", "https://app.example"),
		"nonsense": b.request("nonsense"),
	} {
		got := b.do(r)
		if got.StatusCode != http.StatusServiceUnavailable || got.code() != "UNAVAILABLE" ||
			got.Header.Get("Retry-After") == "" || !strings.Contains(got.text, "Not yet.") {
			t.Errorf("%s: got %d %s, want 503 UNAVAILABLE", name, got.StatusCode, got.text)
		}
		if name == "response" &&
			!strings.HasPrefix(got.Header.Get("Content-Type"), "application/graphql-response+json") {
			t.Errorf("got %s, want the type that was asked for", got.Header.Get("Content-Type"))
		}
		if name == "page" && got.Header.Get("Access-Control-Allow-Origin") != "https://app.example" {
			t.Error("an allowed page cannot read the answer")
		}
	}
	if got := b.do(b.request(body, "Origin", "https://evil.example")); got.StatusCode != http.StatusForbidden {
		t.Errorf("another page: got %d, want 403", got.StatusCode)
	}
	r := b.request("", "Origin", "https://app.example")
	r.Method = http.MethodOptions
	if got := b.do(r); got.StatusCode != http.StatusNoContent {
		t.Errorf("a preflight: got %d, want 204", got.StatusCode)
	}
	if _, resp, err := b.tryConnect(); err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a socket: got %v, %v; want 503", resp, err)
	}
}
