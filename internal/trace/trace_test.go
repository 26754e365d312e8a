package trace_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"parley/internal/trace"
)

const (
	id     = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent = "00-" + id + "-00f067aa0ba902b7-01"
)

func TestBegin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		parents   []string
		states    []string
		ours      bool // A trace of our own begins.
		wantState string
	}{
		{"none", nil, nil, true, ""},
		{"good", []string{parent}, nil, false, ""},
		{"not sampled", []string{strings.TrimSuffix(parent, "01") + "00"}, nil, false, ""},
		{"with state", []string{parent}, []string{"a=1", "b=2"}, false, "a=1,b=2"},
		{"with a bad state", []string{parent}, []string{"a=1\x01"}, false, ""},
		{"with a long state", []string{parent}, []string{"a=" + strings.Repeat("x", 600)}, false, ""},
		{"with too many states", []string{parent}, []string{strings.Repeat("a=1,", 40) + "b=2"}, false, ""},
		{"twice", []string{parent, parent}, nil, true, ""},
		{"zero", []string{"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01"}, nil, true, ""},
		{"zero span", []string{"00-" + id + "-0000000000000000-01"}, nil, true, ""},
		{"capitals", []string{strings.ToUpper(parent)}, nil, true, ""},
		{"short", []string{parent[:50]}, nil, true, ""},
		{"long", []string{parent + strings.Repeat("a", 5000)}, nil, true, ""},
		{"more in version 00", []string{parent + "-1"}, nil, true, ""},
		{"garbage", []string{"\x00\"'; DROP TABLE"}, nil, true, ""},
		{"state alone", nil, []string{"a=1"}, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx := trace.Begin(t.Context(), http.Header{"Traceparent": test.parents, "Tracestate": test.states})
			got := trace.ID(ctx)
			if len(got) != len(id) || (got != id) != test.ours {
				t.Errorf("the trace is %q, want one of our own: %v", got, test.ours)
			}
			sent := make(http.Header)
			trace.Send(ctx, sent)
			if !strings.Contains(sent.Get("traceparent"), got) || sent.Get("tracestate") != test.wantState {
				t.Errorf("sent on are %v, want the state %q", sent, test.wantState)
			}
		})
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	asked, cancel := context.WithCancel(trace.Begin(t.Context(), http.Header{"Traceparent": {parent}}))
	cancel()
	ctx := trace.Follow(t.Context(), asked)
	if trace.ID(ctx) != id || ctx.Err() != nil {
		t.Errorf("got the trace %q and %v, want %s and work that goes on", trace.ID(ctx), ctx.Err(), id)
	}
	if alone := trace.ID(trace.Follow(t.Context(), t.Context())); alone == "" || alone == id {
		t.Errorf("without a trace the work belongs to %q, want one of its own", alone)
	}
}

func TestLogged(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	log := slog.New(trace.Logged(slog.NewTextHandler(&text, nil))).With("a", 1)
	log.InfoContext(t.Context(), "without")
	log.InfoContext(trace.Make(t.Context()), "with")
	lines := strings.Split(text.String(), "\n")
	if strings.Contains(lines[0], "trace_id") || !strings.Contains(lines[1], "a=1 trace_id=") {
		t.Errorf("unexpected log:\n%s", text.String())
	}
}

// TestWithoutTracer costs a look, and makes nothing.
func TestWithoutTracer(t *testing.T) {
	ctx := trace.Make(t.Context())
	var none *trace.Tracer
	if n := testing.AllocsPerRun(100, func() {
		c, span := none.Serve(ctx, "x")
		_, part := trace.Call(c, "y")
		span.Name("z")
		span.Fail("CODE")
		part.End()
		span.End()
	}); n != 0 {
		t.Errorf("spans that nobody wants allocate %v times, want never", n)
	}
}
