package main

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"time"
)

// reply is one reply as its client receives it. It is checked while it arrives, and
// touched by one goroutine at a time.
type reply struct {
	script script
	tag    string
	begun  time.Time // When it was asked for.
	first  time.Duration
	// admitted is how long the server took to accept or refuse the question.
	admitted time.Duration
	lags     []time.Duration // Of each token.
	pieces   int             // How many it came in.
	attempt  int
	restarts int // Attempts that began anew.
	done     bool
	wrong    error         // The first thing that was not as it should be.
	progress *atomic.Int64 // Counts the tokens of many replies; may be nil.

	id   string // As the server names it; empty before it is known.
	text []byte
	read int // How much of text has been read as tokens.
	next int // The number of the next token.
}

func newReply(s script) *reply {
	return &reply{script: s, tag: tagOf(s.key), attempt: 1, lags: make([]time.Duration, 0, s.tokens)}
}

func (r *reply) fail(format string, args ...any) {
	if r.wrong == nil {
		r.wrong = fmt.Errorf("reply %s: %s", r.script.key, fmt.Sprintf(format, args...))
	}
}

// delta takes text that belongs at offset. Tokens are ASCII: bytes and UTF-16 code units
// are the same.
func (r *reply) delta(offset int, text []byte, now time.Time) {
	switch {
	case r.done:
		r.fail("text after the end")
	case offset > len(r.text):
		r.fail("text for %d after %d bytes: something was lost", offset, len(r.text))
	case offset < len(r.text):
		r.fail("text for %d after %d bytes: something came twice", offset, len(r.text))
	}
	r.grow(text, now)
}

// snapshot takes the whole text so far, which a higher attempt may begin anew.
func (r *reply) snapshot(attempt int, text []byte, now time.Time) {
	if attempt > r.attempt && len(r.text) > 0 {
		r.restarts++
		r.text, r.read, r.next, r.lags = r.text[:0], 0, 0, r.lags[:0]
	}
	r.attempt = max(r.attempt, attempt)
	rest, ok := bytes.CutPrefix(text, r.text)
	if !ok {
		r.fail("a snapshot of %d bytes is not what arrived in %d", len(text), len(r.text))
		return
	}
	r.grow(rest, now)
}

// grow appends text and reads the tokens that are whole.
func (r *reply) grow(text []byte, now time.Time) {
	if len(text) == 0 {
		return
	}
	if r.first == 0 {
		r.first = now.Sub(r.begun)
	}
	r.pieces++
	r.text = append(r.text, text...)
	for {
		end := bytes.IndexByte(r.text[r.read:], ' ')
		if end < 0 {
			return
		}
		n, at, tag, err := parseToken(r.text[r.read : r.read+end])
		r.read += end + 1
		switch {
		case err != nil:
			r.fail("%v", err)
		case tag != r.tag:
			r.fail("a token of another reply: tag %s, want %s", tag, r.tag)
		case n != r.next:
			r.fail("token %d, want %d", n, r.next)
		}
		r.next++
		if r.progress != nil {
			r.progress.Add(1)
		}
		// The clock of the machine is one, but it may be set meanwhile.
		r.lags = append(r.lags, max(0, time.Duration(now.UnixMicro()-at)*time.Microsecond))
	}
}

// finish takes the end. whole is the final text where the server says it.
func (r *reply) finish(status string, whole []byte, now time.Time) {
	if r.done {
		r.fail("a second end")
		return
	}
	r.done = true
	if status != completed {
		r.fail("ended as %s", status)
		return
	}
	if whole != nil {
		r.snapshot(r.attempt, whole, now)
	}
	switch {
	case r.read != len(r.text):
		r.fail("ended within a token")
	case r.next != r.script.tokens:
		r.fail("ended after %d tokens of %d", r.next, r.script.tokens)
	}
}

// completed is the status of a reply that is all there.
const completed = "COMPLETED"
