package transport_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"parley/internal/trace"
	"parley/internal/transport"
	"parley/internal/waittest"
)

// told collects what a server tells of its exchanges, with the ids of their traces.
type told struct {
	mu sync.Mutex
	// list is guarded by mu.
	list []toldOne
}

type toldOne struct {
	transport.Exchange
	trace string
}

func (o *told) hear(ctx context.Context, e transport.Exchange) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, toldOne{e, trace.ID(ctx)})
}

// wait returns the first of this kind, when it has come.
func (o *told) wait(t *testing.T, kind string) (one toldOne) {
	t.Helper()
	waittest.Until(t, "an exchange of the kind "+kind, func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, e := range o.list {
			if e.Kind == kind {
				one = e
				return true
			}
		}
		return false
	})
	return one
}

const (
	someTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	someParent = "00-" + someTrace + "-00f067aa0ba902b7-01"
)

func TestExchangeOverHTTP(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, token, body, parent string
		want                      transport.Exchange
	}{
		{"query", goodToken, `{"query":"query Who { who }"}`, someParent,
			transport.Exchange{Kind: "query", Status: 200, Operation: "Who"}},
		{"refused", "", `{"query":"query Who { nothing }"}`, "",
			transport.Exchange{Kind: "", Status: 200, Code: "GRAPHQL_VALIDATION_FAILED"}},
		{"garbage", "", `secret words`, "00-zz", transport.Exchange{Status: 400, Code: "BAD_REQUEST"}},
		{"long name", "", `{"query":"query ` + strings.Repeat("N", 500) + ` { who }"}`, someParent + "0",
			transport.Exchange{Kind: "query", Status: 200, Operation: strings.Repeat("N", 64)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var o told
			b := setup(t, waits{}, func(c *transport.Config) { c.Ended = o.hear })
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			if test.token != "" {
				r.Header.Set("Authorization", "Bearer "+test.token)
			}
			r.Header.Set("traceparent", test.parent)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close() // Not read.
			got := o.wait(t, test.want.Kind)
			if got.Kind != test.want.Kind || got.Status != test.want.Status || got.Code != test.want.Code ||
				got.Operation != test.want.Operation || got.Way != transport.WayHTTP || got.Took <= 0 {
				t.Errorf("told %+v, want %+v", got.Exchange, test.want)
			}
			if (got.User != "") != (test.token != "") {
				t.Errorf("the user is %q with the token %q", got.User, test.token)
			}
			if ours := got.trace != someTrace; len(got.trace) != 32 || ours != (test.parent != someParent) {
				t.Errorf("with the parent %q the trace is %q", test.parent, got.trace)
			}
		})
	}
}

func TestExchangeOnSocket(t *testing.T) {
	t.Parallel()
	const other = "11111111111111111111111111111111"
	var o told
	b := setup(t, waits{}, func(c *transport.Config) { c.Ended = o.hear })
	c := b.connect("traceparent", someParent)
	if got := o.wait(t, "upgrade"); got.Status != 101 || got.trace != someTrace || got.Way != transport.WayWebSocket {
		t.Errorf("the upgrade is told as %+v", got)
	}
	c.init(`{"Authorization":"Bearer ` + goodToken + `"}`)
	c.send(`{"id":"1","type":"subscribe","payload":{"query":"query Who { who }"}}`)
	c.want("next", "1")
	if got := o.wait(t, "query"); got.Operation != "Who" || got.Status != 0 || got.User == "" ||
		got.trace != someTrace {
		t.Errorf("the query is told as %+v, want it to belong to the socket's trace", got)
	}
	c.want("complete", "1")
	c.send(`{"id":"2","type":"subscribe","payload":{"query":"subscription Text { text }",` +
		`"extensions":{"traceparent":"00-` + other + `-00f067aa0ba902b7-00"}}}`)
	b.say("hi")
	c.want("next", "2")
	viewers := b.server.Meters().Viewers.Of(transport.WayWebSocket)
	if n := viewers.Value(); n != 1 {
		t.Errorf("%d viewers, want 1", n)
	}
	c.send(`{"id":"2","type":"complete"}`)
	if got := o.wait(t, "subscription"); got.Operation != "Text" || got.trace != other {
		t.Errorf("the subscription is told as %+v, want a trace of its own", got)
	}
	waittest.Until(t, "nobody views", func() bool { return viewers.Value() == 0 })
	_ = c.conn.CloseNow() // Without a word.
	if got := o.wait(t, "socket"); got.Status != 1006 || got.User == "" {
		t.Errorf("the end is told as %+v", got)
	}
}

func TestExchangeOfStreams(t *testing.T) {
	t.Parallel()
	for accept, way := range map[string]string{
		"text/event-stream":                         transport.WaySSE,
		"multipart/mixed;subscriptionSpec=1.0, */*": transport.WayMultipart,
	} {
		var o told
		b := setup(t, waits{}, func(c *transport.Config) { c.Ended = o.hear })
		b.do(b.request(operation(`subscription Once { count(to: 1) }`), "Accept", accept))
		if got := o.wait(t, "subscription"); got.Way != way || got.Status != 200 || got.Operation != "Once" ||
			got.Code != "" {
			t.Errorf("%s is told as %+v", accept, got)
		}
	}
}

// TestRefusedSocketsAreSaid also that not every one fills the log.
func TestRefusedSocketsAreSaid(t *testing.T) {
	t.Parallel()
	b := start(t)
	for range 3 {
		_, response, err := b.tryConnect("Origin", "https://evil.example")
		if err == nil || response.StatusCode != http.StatusForbidden {
			t.Fatalf("got %v, want the origin refused", err)
		}
	}
	c := b.connect()
	c.send(`{"type":"connection_init","payload":{"token":"` + badToken + `"}}`)
	c.wantClose(4403)
	d := b.connect()
	d.send("garbage")
	d.wantClose(4400)
	// The end of a token is the usual end of a socket.
	e := b.connect().init(`{"token":"` + goodToken + `"}`)
	b.expireTokens()
	e.wantClose(4403)
	waittest.Until(t, "all have gone", func() bool { return b.server.Members() == 0 })
	waittest.Until(t, "three reasons", func() bool { return strings.Count(b.log.String(), "sockets refused") == 3 })
	for why, want := range map[string]uint64{"origin": 3, "token": 1, "protocol": 1, "host": 0} {
		if n := b.server.Meters().Refused.Of(why).Count(); n != want {
			t.Errorf("%d sockets refused for %s, want %d", n, why, want)
		}
		if said := strings.Count(b.log.String(), "reason="+why); (said == 1) != (want > 0) {
			t.Errorf("%s is said %d times:\n%s", why, said, b.log.String())
		}
	}
	// Of the refused origin its name is said, for the operator to allow it.
	if strings.Contains(b.log.String(), badToken) || strings.Contains(b.log.String(), "garbage") {
		t.Errorf("the log has what a client sent:\n%s", b.log.String())
	}
}
