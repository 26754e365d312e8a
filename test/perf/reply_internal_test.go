package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// tokensOf are the tokens of a script, each written at the time.
func tokensOf(s script, at time.Time) []string {
	var list []string
	for n := range s.tokens {
		list = append(list, string(appendToken(nil, n, at.UnixMicro(), tagOf(s.key), s.size)))
	}
	return list
}

// receive hands the pieces to a reply as deltas and ends it.
func receive(s script, pieces []string, now time.Time) *reply {
	r := newReply(s)
	r.begun = now
	for _, p := range pieces {
		r.delta(len(r.text), []byte(p), now)
	}
	r.finish(completed, bytes.Clone(r.text), now)
	return r
}

func TestReply(t *testing.T) {
	t.Parallel()
	s := script{key: "k-1", tokens: 4}
	now := time.Now()
	good := tokensOf(s, now)
	foreign := tokensOf(script{key: "k-2", tokens: 4}, now)
	for _, tt := range []struct {
		name   string
		pieces []string
		want   string // A part of what is wrong; empty: nothing.
	}{
		{"whole", good, ""},
		{"in one piece", []string{strings.Join(good, "")}, ""},
		{"cut within tokens", []string{good[0] + good[1][:3], good[1][3:] + good[2][:1], good[2][1:] + good[3]}, ""},
		{"a loss", []string{good[0], good[2], good[3]}, "token 2, want 1"},
		{"a loss at the beginning", good[1:], "token 1, want 0"},
		{"a loss at the end", good[:3], "ended after 3 tokens of 4"},
		{"a token doubled", []string{good[0], good[1], good[1], good[2], good[3]}, "token 1, want 2"},
		{"the last doubled", append(append([]string{}, good...), good[3]), "token 3, want 4"},
		{"a reordering", []string{good[0], good[2], good[1], good[3]}, "token 2, want 1"},
		{"of another reply", []string{good[0], foreign[1], good[2], good[3]}, "another reply"},
		{"cut off", []string{good[0], good[1], good[2], good[3][:4]}, "ended within a token"},
		{"no tokens", []string{"Hello "}, "no token"},
		{"nothing", nil, "ended after 0 tokens"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantWrong(t, receive(s, tt.pieces, now), tt.want)
		})
	}
}

func wantWrong(t *testing.T, r *reply, want string) {
	t.Helper()
	switch {
	case want == "" && r.wrong != nil:
		t.Errorf("a good reply: %v", r.wrong)
	case want != "" && (r.wrong == nil || !strings.Contains(r.wrong.Error(), want)):
		t.Errorf("wrong: %v, want %q", r.wrong, want)
	}
}

// What the server says about where a text belongs must fit what is there already.
func TestReplyOffsets(t *testing.T) {
	t.Parallel()
	s := script{key: "k-1", tokens: 2}
	now := time.Now()
	good := tokensOf(s, now)
	all := []byte(strings.Join(good, ""))
	for _, tt := range []struct {
		name string
		do   func(r *reply)
		want string
	}{
		{"a gap", func(r *reply) { r.delta(1, all, now) }, "something was lost"},
		{"an overlap", func(r *reply) {
			r.delta(0, []byte(good[0]), now)
			r.delta(0, []byte(good[0]), now)
		}, "something came twice"},
		{"after the end", func(r *reply) {
			r.delta(0, all, now)
			r.finish(completed, all, now)
			r.delta(len(all), []byte("x"), now)
		}, "after the end"},
		{"two ends", func(r *reply) {
			r.delta(0, all, now)
			r.finish(completed, all, now)
			r.finish(completed, all, now)
		}, "second end"},
		{"another status", func(r *reply) { r.finish("FAILED", nil, now) }, "ended as FAILED"},
		{"another text at the end", func(r *reply) {
			r.delta(0, all, now)
			r.finish(completed, bytes.ToUpper(all), now)
		}, "is not what arrived"},
		{"the rest at the end", func(r *reply) {
			r.delta(0, []byte(good[0]), now)
			r.finish(completed, all, now)
		}, ""},
		{"a snapshot with less", func(r *reply) {
			r.delta(0, all, now)
			r.snapshot(1, []byte(good[0]), now)
		}, "is not what arrived"},
		{"a second attempt", func(r *reply) {
			r.delta(0, []byte(good[0]), now)
			r.snapshot(2, nil, now)
			r.delta(0, all, now)
			r.finish(completed, all, now)
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newReply(s)
			tt.do(r)
			wantWrong(t, r, tt.want)
		})
	}
}

func TestReplyTimes(t *testing.T) {
	t.Parallel()
	s := script{key: "k-1", tokens: 3}
	begun := time.UnixMicro(1_000_000)
	r := newReply(s)
	r.begun = begun
	for n := range s.tokens {
		written := begun.Add(time.Duration(n) * time.Second)
		token := appendToken(nil, n, written.UnixMicro(), tagOf(s.key), 0)
		r.delta(len(r.text), token, written.Add(time.Duration(n+1)*time.Millisecond))
	}
	if r.first != time.Millisecond {
		t.Errorf("first token after %v, want 1ms", r.first)
	}
	for n, lag := range r.lags {
		if want := time.Duration(n+1) * time.Millisecond; lag != want {
			t.Errorf("lag of token %d is %v, want %v", n, lag, want)
		}
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	earlier := script{key: "k-1", tokens: 1}
	want := script{key: "k-2", tokens: 200, gap: 33 * time.Millisecond, size: 500}
	body := `{"messages":[{"role":"user","content":"` + earlier.String() + `"},` +
		`{"role":"assistant","content":"0.1.abc "},{"role":"user","content":"` + want.String() + ` and so on"}],"stream":true}`
	got, err := parseScript([]byte(body))
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "hello", "perf/k/1/2", "perf/k/one/2/3/"} {
		if s, err := parseScript([]byte(bad)); err == nil {
			t.Errorf("%q gives %+v, want an error", bad, s)
		}
	}
}

func TestTokenSize(t *testing.T) {
	t.Parallel()
	token := appendToken(nil, 35, 1_700_000_000_000_000, "abc", 500)
	if len(token) != 500 {
		t.Errorf("a token of %d bytes, want 500", len(token))
	}
	n, at, tag, err := parseToken(bytes.TrimSuffix(token, []byte(" ")))
	if n != 35 || at != 1_700_000_000_000_000 || tag != "abc" || err != nil {
		t.Errorf("got %d, %d, %q, %v", n, at, tag, err)
	}
}
