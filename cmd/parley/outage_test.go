package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/waittest"
)

// missingDatabase is the URL of a database that a server does not have.
func missingDatabase(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(storetest.EmptyPostgresConfig(t).DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path += "_missing"
	return u.String()
}

// behindProxy is an installation on Postgres behind a network that can fail.
func behindProxy(t *testing.T) (*storetest.Proxy, []string) {
	t.Helper()
	proxy, cfg := storetest.NewProxy(t, storetest.EmptyPostgresConfig(t))
	return proxy, append(sqliteEnviron(t), "PARLEY_DATABASE_URL="+cfg.DatabaseURL)
}

// networks are the ways in which the network to a database fails.
var networks = map[string]func(*storetest.Proxy){
	"refused": (*storetest.Proxy).Refuse,
	"hanging": (*storetest.Proxy).Hang,
}

// TestStartWithoutDatabase starts before the database does.
func TestStartWithoutDatabase(t *testing.T) {
	t.Parallel()
	for name, fail := range networks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, environ := behindProxy(t)
			fail(proxy)
			i := launch(t, environ...)
			i.waitListening(t)
			if status := i.status(t, "/healthz"); status != http.StatusOK {
				t.Errorf("GET /healthz = %d, want 200", status)
			}
			if status, text := i.get(t, "/readyz"); status != http.StatusServiceUnavailable || text != noDatabase+"\n" {
				t.Errorf("GET /readyz = %d %q, want 503 and the reason", status, text)
			}
			if a := i.ask(t, "", `{ viewer { id } }`, nil); a.code() != "UNAVAILABLE" {
				t.Errorf("GraphQL answers %v, want UNAVAILABLE", a.Errors)
			}
			for _, accept := range []string{"application/graphql-response+json", "text/event-stream"} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+"/graphql",
					strings.NewReader(`{"query":"subscription { viewerEvents { __typename } }"}`))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Accept", accept)
				response, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = response.Body.Close() // Not read.
				if response.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("%s: got the status %d, want 503", accept, response.StatusCode)
				}
			}
			_, response, err := websocket.Dial(t.Context(), i.url+"/graphql",
				&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: client})
			if err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("a socket: %v, %v, want 503", response, err)
			}

			proxy.Pass()
			i.waitReady(t)
			if tokens := i.signUp(t, "ada@example.com"); tokens.AccessToken == "" {
				t.Error("signing up gave no token")
			}
			if n := strings.Count(i.out.String(), "waiting for the database"); n != 1 {
				t.Errorf("it said %d times that it waits, want once:\n%s", n, i.out.String())
			}
			i.stop(t)
		})
	}
}

// TestStopWhileWaiting ends a server that waits, with status 0.
func TestStopWhileWaiting(t *testing.T) {
	t.Parallel()
	for name, fail := range networks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, environ := behindProxy(t)
			fail(proxy)
			i := launch(t, environ...)
			i.waitListening(t)
			i.stop(t)
		})
	}
}

// TestMistakeFoundLater ends a server when the database it has waited for turns out
// to be the wrong one.
func TestMistakeFoundLater(t *testing.T) {
	t.Parallel()
	proxy, cfg := storetest.NewProxy(t, store.Config{DatabaseURL: missingDatabase(t)})
	proxy.Refuse()
	i := launch(t, append(sqliteEnviron(t), "PARLEY_DATABASE_URL="+cfg.DatabaseURL)...)
	i.waitListening(t)
	proxy.Pass()
	select {
	case <-i.ended:
	case <-time.After(startLimit):
		t.Fatal("it goes on")
	}
	if out := i.out.String(); i.err == nil || !strings.Contains(out, "does not exist") ||
		!strings.Contains(out, "PARLEY_DATABASE_URL") {
		t.Errorf("it ended with %v and\n%s\nwant the mistake named", i.err, out)
	}
}

// requestLimit is how long a request may take while the database is away: twice what
// is promised.
const requestLimit = 6 * time.Second

// TestDatabaseAway takes the database away in the middle of a storm of sends and
// while a reply is being written, and gives it back.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	for name, fail := range networks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, environ := behindProxy(t)
			i := startProcess(t, append(environ, "PARLEY_SENDS_PER_MINUTE=0", "PARLEY_MAX_RUNNING=1000")...)
			token := i.signUp(t, "ada@example.com").AccessToken
			running := i.mustSend(t, token, map[string]any{"content": longQuestion})

			const senders = 8
			storms := make([]*storm, senders)
			var all sync.WaitGroup
			var acked, refused atomic.Int64
			quiet, stop := context.WithCancel(t.Context())
			defer stop()
			for n := range storms {
				storms[n] = &storm{name: fmt.Sprintf("%s-%d", name, n), acked: &acked, refused: &refused}
				all.Go(func() { storms[n].run(t, quiet, i, token) })
			}
			eventually(t, startLimit, "sends are answered", func() bool { return acked.Load() > senders })
			fail(proxy)
			eventually(t, requestLimit, "it is not ready", func() bool {
				status, text := i.get(t, "/readyz")
				return status == http.StatusServiceUnavailable && text == noDatabase+"\n"
			})
			before := refused.Load()
			eventually(t, requestLimit, "sends are refused", func() bool { return refused.Load() > before+2*senders })
			if status := i.status(t, "/healthz"); status != http.StatusOK {
				t.Errorf("GET /healthz = %d, want 200", status)
			}
			proxy.Pass()
			eventually(t, 2*requestLimit, "it is ready again",
				func() bool { return i.status(t, "/readyz") == http.StatusOK })
			before = acked.Load()
			eventually(t, 2*requestLimit, "sends are answered again",
				func() bool { return acked.Load() > before+2*senders })
			stop()
			all.Wait()
			for _, s := range storms {
				s.check(t, i, token)
			}
			eventually(t, startLimit, "the reply that was being written is whole", func() bool {
				return i.reply(t, token, running.Reply.ID).Status == "COMPLETED"
			})
			t.Logf("%d sends answered, %d refused", acked.Load(), refused.Load())
			i.stop(t)
		})
	}
}

// storm sends one message after the other, each to a new conversation, and the same
// again until it is answered.
type storm struct {
	name           string
	acked, refused *atomic.Int64

	mu     sync.Mutex // guards the fields below while run runs
	sent   []sent
	inputs []map[string]any
}

// answered is how many of its sends have been answered so far.
func (s *storm) answered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

func (s *storm) run(t *testing.T, until context.Context, i *instance, token string) {
	for n := 0; until.Err() == nil; n++ {
		input := map[string]any{"content": fmt.Sprintf("%s message %d", s.name, n),
			"clientKey": fmt.Sprintf("%s-key-%d", s.name, n)}
		for until.Err() == nil {
			ctx, cancel := waittest.Context(t.Context(), requestLimit)
			got, err := i.send(ctx, token, input)
			cancel()
			switch {
			case err == nil:
				s.acked.Add(1)
				s.mu.Lock()
				s.sent = append(s.sent, got)
				s.inputs = append(s.inputs, input)
				s.mu.Unlock()
			case strings.HasPrefix(err.Error(), "UNAVAILABLE"):
				s.refused.Add(1)
				continue
			default:
				t.Errorf("a send: %v, want an answer or UNAVAILABLE", err)
				return
			}
			break
		}
	}
}

// check repeats every send that was answered: the same pair must be there.
func (s *storm) check(t *testing.T, i *instance, token string) {
	t.Helper()
	for n, input := range s.inputs {
		got := i.mustSend(t, token, input)
		if !got.Deduplicated || got.Reply.ID != s.sent[n].Reply.ID || got.UserMessage.ID != s.sent[n].UserMessage.ID {
			t.Errorf("the repeat of %v gives %+v, want the pair of %+v", input, got, s.sent[n])
		}
	}
}
