package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// memoryStreams are the numbers of streams at which memory is measured.
var memoryStreams = []struct {
	streams int
	row     string
}{{500, rowMemory500}, {2000, rowMemory2000}}

// measureMemory measures the memory of fresh processes: idle, and while they stream.
func measureMemory(ctx context.Context, b *bench) error {
	relay, err := b.newRelay()
	if err != nil {
		return err
	}
	if err := b.measureMemoryOf(ctx, relay); err != nil {
		return err
	}
	return b.eachFresh(ctx, func(t *target) error { return b.measureMemoryOf(ctx, t) })
}

// eachFresh starts one server after another, for one measurement each.
func (b *bench) eachFresh(ctx context.Context, one func(t *target) error) error {
	for _, database := range b.options.databases {
		for _, v := range b.versions {
			t, err := b.start(ctx, database, v)
			if err != nil {
				return err
			}
			err = one(t)
			if err := errors.Join(err, b.stop(ctx, t)); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	return nil
}

const mebibyte = 1 << 20

// measureMemoryOf takes the highest figure of each phase.
func (b *bench) measureMemoryOf(ctx context.Context, t *target) error {
	if err := until(ctx, time.Now().Add(3*time.Second)); err != nil {
		return err
	}
	idle, err := residentOf(t.process.pid())
	if err != nil {
		return err
	}
	b.put(rowMemory, t, float64(idle)/mebibyte)
	for _, m := range memoryStreams {
		if m.streams > b.options.streams {
			continue
		}
		seen := watch(ctx, t.process.pid())
		o, err := b.drive(ctx, fmt.Sprintf("memory, %d streams", m.streams), t, m.streams, load{
			tokens: 180, gap: pace, replies: 1, spread: 2 * time.Second,
		})
		peak, _, watchErr := seen.stop()
		if err := errors.Join(err, watchErr); err != nil {
			return err
		}
		if o.replies < m.streams {
			b.note("memory, %s: only %d of %d streams came through.", t.name, o.replies, m.streams)
		}
		b.put(m.row, t, float64(peak)/mebibyte)
	}
	return nil
}

// turnsOfHistory is how many questions a long conversation has.
const turnsOfHistory = 2500

// filler makes a question as long as one of a person.
var filler = strings.Repeat("and so on ", 7)

// measureHistory measures a send into a long conversation, all of which is sent.
func measureHistory(ctx context.Context, b *bench) error {
	history := historyOf(turnsOfHistory)
	l := load{tokens: 10, replies: 20, pause: 20 * time.Millisecond}
	for range b.options.rounds {
		chats := openStreams(b.relay.addr, 1)
		chats[0].(*streamChat).history = history
		o, err := drive(ctx, chats, l)
		closeAll(chats)
		if err != nil {
			return err
		}
		b.judge("history", b.relay, o)
		b.put(rowHistory, b.relay, millis(o.first, 0.5))
	}
	return b.eachFresh(ctx, func(t *target) error {
		token, err := b.issuer.token("historian")
		if err != nil {
			return err
		}
		began := time.Now()
		id, err := fill(ctx, t.addr, token, turnsOfHistory)
		if err != nil {
			return err
		}
		b.put(rowFill, t, turnsOfHistory/time.Since(began).Seconds())
		c := &socketChat{addr: t.addr, token: token, user: "10.255.0.1", conversation: id}
		if err := c.dial(ctx); err != nil {
			return err
		}
		defer c.close()
		if _, err := b.callsOf(ctx, true); err != nil {
			return err
		}
		l.pid = t.process.pid()
		for range b.options.rounds {
			o, err := drive(ctx, []chat{c}, l)
			if err != nil {
				return err
			}
			b.judge("history", t, o)
			b.put(rowHistory, t, millis(o.first, 0.5))
			b.put(rowHistoryCPU, t, o.during.cpu.Seconds()*1000/float64(o.during.replies))
		}
		asked, err := b.callsOf(ctx, false)
		if asked.Largest < len(history)*9/10 {
			b.note("history, %s: only %d bytes were sent to the model, of %d.", t.name, asked.Largest, len(history))
		}
		return err
	})
}

// historyOf is what stands before a question in a conversation of n turns.
func historyOf(n int) string {
	var text strings.Builder
	for range n {
		question := script{key: nextKey(), tokens: 1}
		answer := appendToken(nil, 0, time.Now().UnixMicro(), tagOf(question.key), 0)
		fmt.Fprintf(&text, `{"role":"user","content":"%s %s"},{"role":"assistant","content":"%s"},`,
			question, filler, answer)
	}
	return text.String()
}

// fill makes a conversation of n turns by sending each and waiting for its reply.
func fill(ctx context.Context, addr, token string, n int) (id string, err error) {
	r, err := post(ctx, addr, token, createDocument, map[string]any{"input": map[string]any{"name": "perf"}})
	if err != nil {
		return "", err
	}
	id = r.Data.CreateConversation.Conversation.ID
	for range n {
		s := script{key: nextKey(), tokens: 1}
		r, err := post(ctx, addr, token, sendDocument, map[string]any{"input": map[string]any{
			"conversationId": id, "content": s.String() + " " + filler, "clientKey": s.key, "wait": true,
		}})
		if err != nil {
			return "", err
		}
		if status := r.Data.SendMessage.Reply.Status; status != completed {
			return "", fmt.Errorf("a reply ended as %s", status)
		}
	}
	return id, nil
}

// post sends an operation over HTTP.
func post(ctx context.Context, addr, token, document string, variables map[string]any) (result, error) {
	var r result
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return r, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/graphql", bytes.NewReader(body))
	if err != nil {
		return r, err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return r, err
	}
	defer func() { _ = response.Body.Close() }() // Only read.
	if err := json.NewDecoder(response.Body).Decode(&r); err != nil {
		return r, fmt.Errorf("%s: %w", response.Status, err)
	}
	return r, refusalOf(r.Errors)
}

// signUpDocument makes an account with a password, as a person does.
const signUpDocument = `mutation ($input: SignUpInput!) { signUp(input: $input) { accessToken } }`

// measureStart measures the time from the start of a process on an empty database to the
// first reply of a new account.
func measureStart(ctx context.Context, b *bench) error {
	for range max(3, b.options.rounds) {
		began := time.Now()
		relay, err := b.newRelay()
		if err != nil {
			return err
		}
		if err := b.firstReply(ctx, relay, openStreams(relay.addr, 1)[0], began); err != nil {
			return err
		}
		for _, database := range b.options.databases {
			for _, v := range b.versions {
				if err := b.startOnce(ctx, database, v); err != nil {
					return fmt.Errorf("%s: %w", b.columnOf(database, v), err)
				}
			}
		}
	}
	return nil
}

func (b *bench) startOnce(ctx context.Context, database string, v *version) (err error) {
	s, err := newStorage(ctx, database, b.admin)
	if err != nil {
		return err
	}
	began := time.Now()
	r, err := b.launch(v, s)
	if err != nil {
		return errors.Join(err, s.remove(ctx))
	}
	defer func() { err = errors.Join(err, r.stop(ctx)) }()
	if err := r.listening(ctx); err != nil {
		return err
	}
	account, err := signUp(ctx, r.addr)
	if err != nil {
		return fmt.Errorf("signUp: %w", err)
	}
	c, err := openSocket(ctx, r.addr, 1, account.Data.SignUp.AccessToken)
	if err != nil {
		return err
	}
	return b.firstReply(ctx, &target{name: b.columnOf(database, v)}, c, began)
}

// signUp makes an account with a password, as soon as a server that listens already is
// ready for it.
func signUp(ctx context.Context, addr string) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		r, err := post(ctx, addr, "", signUpDocument, map[string]any{"input": map[string]any{
			"email": "ada@example.com", "password": "a canary in a coal mine",
		}})
		if err == nil || codeOf(err) != "UNAVAILABLE" {
			return r, err
		}
		if err := until(ctx, time.Now().Add(time.Millisecond)); err != nil {
			return r, err
		}
	}
}

// firstReply asks once, closes the chat and puts down the time since the start.
func (b *bench) firstReply(ctx context.Context, t *target, c chat, began time.Time) error {
	defer c.close()
	o, err := drive(ctx, []chat{c}, load{tokens: 10, replies: 1})
	if err != nil {
		return err
	}
	b.judge("start", t, o)
	if o.replies == 1 {
		b.put(rowStart, t, float64(time.Since(began))/float64(time.Millisecond))
	}
	return nil
}

// idleFeeds is how many subscriptions the mode idle opens. Each takes a descriptor here
// and one in the server.
const (
	idleFeeds        = 10_000
	spareDescriptors = 1000
)

// measureIdle measures what feeds cost in which nothing happens.
func measureIdle(ctx context.Context, b *bench) error {
	n := idleFeeds
	limit, err := maxDescriptors()
	if err != nil {
		return err
	}
	if most := int(min(limit, 1<<20)) - spareDescriptors; most < n {
		n = most
		b.note("idle: %d feeds only, since a process may have %d descriptors (ulimit -n).", n, limit)
	}
	return b.eachFresh(ctx, func(t *target) error {
		chats, err := b.open(ctx, t, n)
		if err != nil {
			return err
		}
		defer closeAll(chats)
		if err := until(ctx, time.Now().Add(10*time.Second)); err != nil {
			return err
		}
		from, err := cpuOf(t.process.pid())
		if err != nil {
			return err
		}
		const lasting = 10 * time.Second
		seen := watch(ctx, t.process.pid())
		err = until(ctx, time.Now().Add(lasting))
		peak, _, watchErr := seen.stop()
		to, cpuErr := cpuOf(t.process.pid())
		if err := errors.Join(err, watchErr, cpuErr); err != nil {
			return err
		}
		b.put(rowIdle, t, float64(peak)/mebibyte*idleFeeds/float64(n))
		b.put(rowIdleCPU, t, 100*(to-from).Seconds()/lasting.Seconds())
		if cut := countCut(chats); cut > 0 {
			b.note("idle, %s: %d of %d sockets were cut.", t.name, cut, n)
		}
		return nil
	})
}

func countCut(chats []chat) int {
	n := 0
	var mu sync.Mutex // guards n
	for _, c := range chats {
		c := c.(*socketChat)
		c.mu.Lock()
		if c.cut != nil {
			mu.Lock()
			n++
			mu.Unlock()
		}
		c.mu.Unlock()
	}
	return n
}
