package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load is what the chats of a turn do, all side by side.
type load struct {
	tokens int
	gap    time.Duration
	size   int
	// spread is the time within which the chats begin, one after another.
	spread time.Duration
	// replies is how many each chat asks for; 0: until the time is over.
	replies int
	// lasting ends the asking; what runs then is waited for.
	lasting time.Duration
	// warm is how long the beginning is left out of what is counted by time.
	warm time.Duration
	// pause stands between the end of a reply and the next question.
	pause time.Duration
	// every is how long each chat takes for a question with its reply, if it can; 0: no longer
	// than that takes.
	every time.Duration
	// perConversation is how many questions go into one conversation.
	perConversation int
	// insist repeats a question that was refused, with its key, when the server says so.
	insist bool
	// pid is the process whose processor time is counted; 0: none.
	pid int
}

// outcome is what came of a load.
type outcome struct {
	first    []time.Duration // To the first token, of each reply.
	lags     []time.Duration // Of each token.
	admitted []time.Duration // To the answer of each send that was taken.
	refused  []time.Duration // To the answer of each that was not.
	codes    map[string]int  // Of those that were not, and of what went wrong.
	replies  int             // That arrived whole.
	pieces   int
	restarts int
	wrong    []error
	open     []*openReply // Taken, and without an end when they were given up.
	during   span         // Between the end of the warming and the end of the time.
}

// counts lists the codes, each behind the separator.
func (o *outcome) counts(separator string) string {
	var text strings.Builder
	for _, code := range slices.Sorted(maps.Keys(o.codes)) {
		fmt.Fprintf(&text, "%s%d × %s", separator, o.codes[code], code)
	}
	return text.String()
}

// span is what happened within a time.
type span struct {
	time    time.Duration
	replies int // That ended.
	tokens  int // That arrived.
	cpu     time.Duration
	client  time.Duration // Processor time of this process.
}

// turn is a load that runs.
type turn struct {
	load    load
	end     time.Time    // Of the asking.
	replies atomic.Int64 // That arrived whole so far.
	tokens  atomic.Int64 // That arrived so far.

	mu  sync.Mutex // guards out
	out outcome
}

// keys numbers the replies of this process, which startKey names.
var (
	keys     atomic.Int64
	startKey = strconv.FormatInt(time.Now().UnixNano(), 36)
)

// nextKey returns a key that no other reply has.
func nextKey() string { return fmt.Sprintf("k-%s-%d", startKey, keys.Add(1)) }

// drive runs a load on chats and returns when all replies have ended. An error means
// that nothing can be said; what went wrong with replies is in the outcome.
func drive(ctx context.Context, chats []chat, l load) (*outcome, error) {
	begin := time.Now()
	t := &turn{load: l, end: begin.Add(l.lasting)}
	t.out.codes = make(map[string]int)
	var running sync.WaitGroup
	for i, c := range chats {
		at := begin.Add(l.spread * time.Duration(i) / time.Duration(len(chats)))
		running.Go(func() {
			if until(ctx, at) == nil {
				t.talk(ctx, c)
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	err := t.count(ctx, begin, ended)
	<-ended
	return &t.out, errors.Join(err, context.Cause(ctx))
}

// count looks at the processes at the end of the warming and at the end of the time, or
// of the last reply where there is none.
func (t *turn) count(ctx context.Context, begin time.Time, ended <-chan struct{}) error {
	if err := until(ctx, begin.Add(t.load.warm)); err != nil {
		return err
	}
	from, err := t.now()
	if err != nil {
		return err
	}
	if t.load.lasting == 0 {
		<-ended
	} else if err := until(ctx, t.end); err != nil {
		return err
	}
	to, err := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out.during = span{
		time: to.at.Sub(from.at), replies: int(to.replies - from.replies), tokens: int(to.tokens - from.tokens),
		cpu: to.cpu - from.cpu, client: to.client - from.client,
	}
	return err
}

// state is how far a turn is.
type state struct {
	at              time.Time
	replies, tokens int64
	cpu, client     time.Duration
}

func (t *turn) now() (state, error) {
	s := state{at: time.Now(), replies: t.replies.Load(), tokens: t.tokens.Load()}
	var err error
	if s.client, err = cpuOf(os.Getpid()); err != nil || t.load.pid == 0 {
		return s, err
	}
	s.cpu, err = cpuOf(t.load.pid)
	return s, err
}

// talk is one chat from its first question to its last reply.
func (t *turn) talk(ctx context.Context, c chat) {
	begin := time.Now()
	for asked := 0; t.goesOn(asked) && ctx.Err() == nil; asked++ {
		if n := t.load.perConversation; n > 0 && asked > 0 && asked%n == 0 {
			if err := c.renew(ctx); err != nil {
				t.note(err)
				return
			}
		}
		r := newReply(script{key: nextKey(), tokens: t.load.tokens, gap: t.load.gap, size: t.load.size})
		r.progress = &t.tokens
		if !t.exchange(ctx, c, r) {
			return
		}
		if t.load.pause > 0 && until(ctx, time.Now().Add(t.load.pause)) != nil {
			return
		}
		if next := begin.Add(time.Duration(asked+1) * t.load.every); time.Until(next) > 0 && until(ctx, next) != nil {
			return
		}
	}
}

func (t *turn) goesOn(asked int) bool {
	if t.load.replies > 0 {
		return asked < t.load.replies
	}
	return time.Now().Before(t.end)
}

// patience is how long a client waits that is told to come back, and not when.
const patience = time.Second

// exchange asks for one reply, until it has it when the load insists. It returns false when
// the chat is over: it is told to come back after the end of the time.
func (t *turn) exchange(ctx context.Context, c chat, r *reply) bool {
	for {
		err := c.ask(ctx, r)
		if err == nil {
			t.take(r)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		wait := patience
		refused, ok := errors.AsType[*refusal](err)
		if ok && refused.after > 0 {
			wait = refused.after
		}
		if ok && slices.Contains(refusing, refused.code) {
			t.mu.Lock()
			t.out.refused = append(t.out.refused, r.admitted)
			t.mu.Unlock()
		}
		t.note(err)
		if !t.load.insist {
			// A client that asked again at once would only be refused again.
			return t.load.lasting == 0 || !ok || until(ctx, time.Now().Add(refused.after)) == nil
		}
		if time.Now().Add(wait).After(t.end) || until(ctx, time.Now().Add(wait)) != nil {
			return false
		}
	}
}

// note counts what went wrong under its code.
func (t *turn) note(err error) {
	code := codeOf(err)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out.codes[code]++
	if refused, ok := errors.AsType[*refusal](err); ok && refused.open != nil {
		t.out.open = append(t.out.open, refused.open)
	}
}

// codeOf names an error in a word or two, without addresses and numbers.
func codeOf(err error) string {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.code
	}
	if errors.Is(err, errTooLong) || errors.Is(err, context.DeadlineExceeded) {
		return errTooLong.Error()
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// take counts a reply that has ended.
func (t *turn) take(r *reply) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out.restarts += r.restarts
	if r.wrong != nil {
		t.out.wrong = append(t.out.wrong, r.wrong)
		return
	}
	t.replies.Add(1)
	t.out.replies++
	t.out.pieces += r.pieces
	t.out.first = append(t.out.first, r.first)
	t.out.lags = append(t.out.lags, r.lags...)
	t.out.admitted = append(t.out.admitted, r.admitted)
}
