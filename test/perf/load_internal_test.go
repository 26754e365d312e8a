package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// spoiler is a model server whose stream a fault goes through.
func spoiler(t *testing.T, fault func(events []string) []string) *httptest.Server {
	t.Helper()
	m := &scripted{times: make(map[string]int)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		whole := httptest.NewRecorder()
		m.answer(whole, r)
		events := strings.SplitAfter(whole.Body.String(), "\n\n")
		_, _ = w.Write([]byte(strings.Join(fault(events), ""))) // The client sees what is missing.
	}))
	t.Cleanup(server.Close)
	return server
}

// What goes wrong on the way is found by a load, whatever it is.
func TestDriveFindsWrongReplies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		fault       func(events []string) []string
		whole       int
		wrong, code string // Parts of what is reported.
	}{
		{"nothing", func(e []string) []string { return e }, 6, "", ""},
		{"a lost token", func(e []string) []string { return append(e[:2:2], e[3:]...) }, 0, "token 3, want 2", ""},
		{"a doubled token", func(e []string) []string { return append(e[:3:3], e[2:]...) }, 0, "token 2, want 3", ""},
		{"a reordering", func(e []string) []string { e[1], e[2] = e[2], e[1]; return e }, 0, "token 2, want 1", ""},
		{"no reason", func(e []string) []string { return append(e[:5:5], e[6:]...) }, 0, "without a reason", ""},
		{"no mark", func(e []string) []string { return e[:6] }, 0, "", "ended without its mark"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := spoiler(t, tt.fault)
			chats := openStreams(strings.TrimPrefix(server.URL, "http://"), 3)
			defer closeAll(chats)
			o, err := drive(t.Context(), chats, load{tokens: 5, replies: 2})
			if err != nil {
				t.Fatal(err)
			}
			if o.replies != tt.whole {
				t.Errorf("%d replies came whole, want %d", o.replies, tt.whole)
			}
			if got := fmt.Sprint(o.wrong); tt.wrong != "" && !strings.Contains(got, tt.wrong) {
				t.Errorf("wrong: %s, want %q", got, tt.wrong)
			}
			if got := fmt.Sprint(o.codes); tt.code != "" && !strings.Contains(got, tt.code) {
				t.Errorf("codes: %s, want %q", got, tt.code)
			}
		})
	}
}

// The end of the asking is the end of the counting, and replies that run are waited for.
func TestDriveUntilTime(t *testing.T) {
	t.Parallel()
	server := spoiler(t, func(e []string) []string { return e })
	chats := openStreams(strings.TrimPrefix(server.URL, "http://"), 2)
	defer closeAll(chats)
	o, err := drive(t.Context(), chats, load{tokens: 5, lasting: 200 * time.Millisecond, warm: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if o.replies == 0 || o.during.replies > o.replies || len(o.lags) != 5*o.replies {
		t.Errorf("%d replies, %d within the time, %d lags", o.replies, o.during.replies, len(o.lags))
	}
}

func TestRelayCopies(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000) // Longer than its buffer.
	text := "data: a\n\ndata: " + long + "\n\ndata: [DONE]\n\n"
	w := httptest.NewRecorder()
	if err := copyLines(w, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(w.Body.Bytes(), []byte(text)) || !w.Flushed {
		t.Errorf("%d bytes, flushed: %v, want all %d", w.Body.Len(), w.Flushed, len(text))
	}
}

func TestModelCountsCalls(t *testing.T) {
	t.Parallel()
	m := &scripted{times: make(map[string]int)}
	for _, key := range []string{"k-1", "k-2", "k-1"} {
		body := strings.NewReader(script{key: key, tokens: 1}.String())
		m.answer(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v1/chat/completions", body))
	}
	want := calls{Calls: 3, Replies: 2, Repeated: 1, Finished: 3, Largest: len(script{key: "k-1", tokens: 1}.String())}
	if got := m.calls(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestHalving(t *testing.T) {
	t.Parallel()
	for first := range len(ladder) + 1 { // The first step that fails.
		h := &halving{0, len(ladder)}
		tries := 0
		for step, ok := h.next(); ok; step, ok = h.next() {
			h.tell(step, step < first)
			tries++
		}
		if h.low != first || tries > 4 {
			t.Errorf("found %d after %d tries, want %d after at most 4", h.low, tries, first)
		}
	}
}

func TestParseResident(t *testing.T) {
	t.Parallel()
	got, err := parseResident([]byte("Name:\tparley\nVmHWM:\t   99999 kB\nVmRSS:\t   53248 kB\nThreads:\t9\n"))
	if err != nil || got != 52*mebibyte {
		t.Errorf("got %d, %v, want 52 MiB", got, err)
	}
	if _, err := parseResident([]byte("Name:\tparley\n")); err == nil {
		t.Error("no error without VmRSS")
	}
}

func TestCells(t *testing.T) {
	t.Parallel()
	nan := median(nil)
	for _, tt := range []struct {
		value, base float64
		unit, want  string
	}{
		{5.5, 0.39, "ms", "14.1x (5.50 ms)"},
		{300, 1500, "", "0.20x (300)"},
		{3, nan, "ms", "3 ms"},
		{3, -1, "ms", "3 ms"}, // A difference within the noise is no base.
		{31.26, 60, "%", "31.3%"},
		{nan, 1, "ms", "–"},
	} {
		if got := against(tt.value, tt.base, tt.unit); got != tt.want {
			t.Errorf("against(%v, %v, %q) is %q, want %q", tt.value, tt.base, tt.unit, got, tt.want)
		}
	}
}
