package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/upstream/upstreamtest"
)

// flood sends many messages at once, each as a new conversation with a key of its own.
type flood struct {
	i     *instance
	users []tokens

	mu sync.Mutex // guards the fields below
	// taken are the replies by the number of their message.
	taken   map[int]sent
	refused int
	wrong   []string
}

// send sends message n, once. It returns true when that was taken.
func (f *flood) send(ctx context.Context, n int) bool {
	input := map[string]any{"content": f.content(n), "clientKey": fmt.Sprintf("flood-key-%d", n)}
	a, err := f.i.post(ctx, f.users[n%len(f.users)].AccessToken, sendDocument, map[string]any{"input": input})
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.wrong = append(f.wrong, err.Error())
		return true
	}
	switch a.code() {
	case "":
		var data struct{ SendMessage sent }
		if err := json.Unmarshal(a.Data, &data); err != nil {
			f.wrong = append(f.wrong, err.Error())
		}
		f.taken[n] = data.SendMessage
		return true
	case "OVERLOADED":
		f.refused++
		if after, _ := a.Errors[0].Extensions["retryAfter"].(float64); after < 1 {
			f.wrong = append(f.wrong, fmt.Sprintf("OVERLOADED with %v, want retryAfter", a.Errors[0].Extensions))
		}
		return false
	}
	f.wrong = append(f.wrong, a.code()+": "+a.Errors[0].Message)
	return true
}

func (f *flood) content(n int) string { return fmt.Sprintf("flood message %d.", n) }

// all sends those from 0 to n that are not taken yet, side by side.
func (f *flood) all(t *testing.T, n int, send func(n int)) {
	t.Helper()
	var running sync.WaitGroup
	for n := range n {
		f.mu.Lock()
		_, taken := f.taken[n]
		f.mu.Unlock()
		if !taken {
			running.Go(func() { send(n) })
		}
	}
	running.Wait()
	for _, wrong := range f.wrong {
		t.Error(wrong)
	}
}

// stored counts the conversations of all users.
func (f *flood) stored(t *testing.T) (n int) {
	t.Helper()
	for _, u := range f.users {
		var data struct {
			Viewer struct{ Conversations struct{ TotalCount int } }
		}
		f.i.into(t, u.AccessToken, `{ viewer { conversations(first: 1) { totalCount } } }`, nil, &data)
		n += data.Viewer.Conversations.TotalCount
	}
	return n
}

// A server that is asked for more than it may run refuses the rest, writes nothing of it,
// calls itself ready, and calls the model once for each reply. What it refused it takes when
// it can.
func TestOverload(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, environ []string) {
		const most, burst = 10, 150
		model, baseURL := upstreamtest.Start(t)
		var open atomic.Bool
		gate := make(chan struct{})
		answer := upstreamtest.Say(func(r upstreamtest.Request) string { return "Of " + r.LastUser() })
		model.Always(func(c *upstreamtest.Call) {
			if !open.Load() {
				<-gate
			}
			answer(c)
		})
		i := startProcess(t, append(environ, "OPENAI_BASE_URL="+baseURL, fmt.Sprint("PARLEY_MAX_REPLIES=", most),
			// As long as nothing has to be quick, as on this machine, the numbers are exact.
			"PARLEY_QUEUE_AGE=1m", "PARLEY_SENDS_PER_MINUTE=0", "PARLEY_MAX_RUNNING=1000")...)
		f := &flood{i: i, taken: make(map[int]sent)}
		for _, name := range []string{"ada", "bea", "cleo"} {
			f.users = append(f.users, i.signUp(t, name+"@example.com"))
		}

		f.all(t, burst, func(n int) { f.send(t.Context(), n) })
		if len(f.taken) != most || f.refused != burst-most {
			t.Errorf("%d were taken and %d refused, want %d of %d taken", len(f.taken), f.refused, most, burst)
		}
		if n := f.stored(t); n != most {
			t.Errorf("%d conversations are stored, want %d", n, most)
		}
		if status := i.status(t, "/readyz"); status != http.StatusOK {
			t.Errorf("/readyz answers %d while it is overloaded, want 200", status)
		}
		open.Store(true)
		close(gate)

		f.all(t, burst, func(n int) {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for !f.send(t.Context(), n) {
				select {
				case <-tick.C:
				case <-t.Context().Done():
					return
				}
			}
		})
		if n := f.stored(t); len(f.taken) != burst || n != burst {
			t.Errorf("%d are taken and %d conversations stored in the end, want %d", len(f.taken), n, burst)
		}
		f.ended(t, model)
		i.mustSend(t, f.users[0].AccessToken, map[string]any{"content": "Afterwards.", "wait": true})
		if strings.Contains(i.out.String(), "level=ERROR") {
			t.Errorf("the log has errors:\n%s", i.out.String())
		}
	})
}

// ended waits for the ends of all replies, and checks each and the calls of the model.
func (f *flood) ended(t *testing.T, model *upstreamtest.Server) {
	t.Helper()
	for n, s := range f.taken {
		var r replyState
		eventually(t, time.Minute, "the end of a reply", func() bool {
			r = f.i.reply(t, f.users[n%len(f.users)].AccessToken, s.Reply.ID)
			return r.Status != "STREAMING"
		})
		if r.Status != "COMPLETED" || r.Attempt != 1 || r.Content != "Of "+f.content(n) {
			t.Errorf("message %d: got %+v, want the first attempt to be complete", n, r)
		}
	}
	calls := make(map[string]int)
	for _, r := range model.Requests() {
		calls[r.LastUser()]++
	}
	for n := range f.taken {
		if got := calls[f.content(n)]; got != 1 {
			t.Errorf("the model was called %d times for message %d, want once", got, n)
		}
	}
}

// A server that cannot keep up refuses by its own measure, keeps what it has taken to its end,
// and gives the memory of it back.
func TestOverloadByLag(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, environ []string) {
		const burst = 400
		model, baseURL := upstreamtest.Start(t)
		model.Always(upstreamtest.Say(func(r upstreamtest.Request) string { return "Of " + r.LastUser() }))
		i := startProcess(t, append(environ, "OPENAI_BASE_URL="+baseURL, "PARLEY_QUEUE_AGE=50ms",
			"PARLEY_SENDS_PER_MINUTE=0", "PARLEY_MAX_RUNNING=1000")...)
		f := &flood{i: i, taken: make(map[int]sent)}
		// So many that none is refused for what it does alone.
		for _, name := range []string{"ada", "bea", "cleo", "dan", "eve", "fay", "gil", "hal"} {
			f.users = append(f.users, i.signUp(t, name+"@example.com"))
		}
		f.all(t, burst, func(n int) { f.send(t.Context(), n) })
		if n := f.stored(t); n != len(f.taken) || len(f.taken)+f.refused != burst || len(f.taken) == 0 {
			t.Errorf("%d conversations are stored, %d were taken and %d refused", n, len(f.taken), f.refused)
		}
		f.ended(t, model)
		if n := len(model.Requests()); n != len(f.taken) {
			t.Errorf("the model was called %d times for %d replies", n, len(f.taken))
		}
		var last sent
		eventually(t, time.Minute, "a send that is taken again", func() bool {
			var err error
			last, err = i.send(t.Context(), f.users[0].AccessToken, map[string]any{"content": "After.", "wait": true})
			return err == nil
		})
		if last.Reply.Status != "COMPLETED" {
			t.Errorf("got %+v, want a complete reply", last.Reply)
		}
		if status := i.status(t, "/readyz"); status != http.StatusOK {
			t.Errorf("/readyz answers %d, want 200", status)
		}
	})
}
