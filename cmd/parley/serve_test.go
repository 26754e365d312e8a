package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"parley/internal/store/storetest"
)

// longQuestion has the built-in model speak for about five seconds.
const longQuestion = "If the river had no water and the sea had no salt and nobody had a boat"

func TestModes(t *testing.T) {
	t.Parallel()
	const introspection = `{ __schema { queryType { name } } }`
	const misspelt = `{ vewer { id } }`
	ask := func(t *testing.T, i *instance, query string) answer {
		t.Helper()
		return i.ask(t, "", query, nil)
	}
	t.Run("development", func(t *testing.T) {
		t.Parallel()
		i := startInside(t, sqliteEnviron(t)...)
		for path, want := range map[string]string{
			"/healthz": "ok\n", "/readyz": "ready\n", "/schema.graphql": "sendMessage(", "/graphiql": "<html",
			"/graphiql/": "<html", "/": "<html",
		} {
			if status, body := i.get(t, path); status != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("GET %s = %d %.60q, want 200 and %q", path, status, body, want)
			}
		}
		if status := i.status(t, "/nothing"); status != http.StatusNotFound {
			t.Errorf("GET /nothing = %d, want 404", status)
		}
		if a := ask(t, i, introspection); string(a.Data) != `{"__schema":{"queryType":{"name":"Query"}}}` {
			t.Errorf("introspection = %s %v, want it answered", a.Data, a.Errors)
		}
		if a := ask(t, i, misspelt); len(a.Errors) != 1 || !strings.Contains(a.Errors[0].Message, "Did you mean") {
			t.Errorf("a misspelt field = %v, want a suggestion", a.Errors)
		}
		if tokens := i.signUp(t, "ada@example.com"); tokens.AccessToken == "" {
			t.Error("signing up gave no token")
		}
		if out := i.out.String(); !strings.Contains(out, "Chat       "+i.url+"/\n  GraphiQL   "+i.url+"/graphiql\n") ||
			!strings.Contains(out, "Sign-up    open") {
			t.Errorf("the greeting does not name the page, GraphiQL and sign-up:\n%s", out)
		}
	})
	t.Run("production", func(t *testing.T) {
		t.Parallel()
		i := startInside(t, append(sqliteEnviron(t), "PARLEY_MODE=production")...)
		for path, want := range map[string]int{
			"/healthz": 200, "/readyz": 200, "/schema.graphql": 404, "/graphiql": 404, "/graphiql/": 404, "/": 200,
		} {
			if status := i.status(t, path); status != want {
				t.Errorf("GET %s = %d, want %d", path, status, want)
			}
		}
		if a := ask(t, i, introspection); len(a.Errors) == 0 || strings.Contains(string(a.Data), "Query") {
			t.Errorf("introspection = %s %v, want it refused", a.Data, a.Errors)
		}
		a := ask(t, i, misspelt)
		if len(a.Errors) != 1 || strings.Contains(a.Errors[0].Message, "Did you mean") ||
			strings.Contains(a.Errors[0].Message, "viewer") {
			t.Errorf("a misspelt field = %v, want no suggestion", a.Errors)
		}
		a = i.ask(t, "", `mutation ($p: String!) { signUp(input: {email: "ada@example.com", password: $p}) { accessToken } }`, map[string]any{"p": testPassword})
		if a.code() != "FORBIDDEN" {
			t.Errorf("signing up: got the code %q, want FORBIDDEN", a.code())
		}
		if out := i.out.String(); strings.Contains(out, "/graphiql") || !strings.Contains(out, "parley user add") {
			t.Errorf("the greeting names what is not there, or not how accounts are made:\n%s", out)
		}
	})
}

func TestHostCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode, host string
		want       int
	}{
		{"development", "", 200},
		{"development", "localhost:8080", 200},
		{"development", "[::1]:8080", 200},
		{"development", "chat.localhost", 200},
		{"development", "evil.example", 421},
		{"development", "10.0.2.2:8080", 421}, // What Android's emulator calls its machine.
		{"development", "localhost.evil.example:8080", 421},
		{"development", "192.0.2.1", 421},
		{"production", "chat.example.com", 200},
	} {
		t.Run(test.mode+" "+test.host, func(t *testing.T) {
			t.Parallel()
			i := startInside(t, append(sqliteEnviron(t), "PARLEY_MODE="+test.mode)...)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+"/graphql",
				strings.NewReader(`{"query":"{ viewer { id } }"}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			r.Host = test.host
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close() // Only read.
			if response.StatusCode != test.want {
				t.Errorf("got the status %d, want %d", response.StatusCode, test.want)
			}
			host, _, _ := strings.Cut(test.host, ":")
			if test.want == 421 && !strings.Contains(string(body), "set PARLEY_HOSTS="+host) {
				t.Errorf("got %s, want the setting that opens it", body)
			}
		})
	}
}

// TestServeInside starts and ends a server in this process, for the race detector
// and for goroutines that are left.
func TestServeInside(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, environ []string) {
		for range 2 { // The second time there is a database.
			i := startInside(t, environ...)
			if status := i.status(t, "/healthz"); status != http.StatusOK {
				t.Errorf("GET /healthz = %d, want 200", status)
			}
			i.stop(t)
			if status := i.status(t, "/healthz"); status != 0 {
				t.Errorf("GET /healthz = %d after the end, want no answer", status)
			}
		}
	})
}

// TestTwoReplicas runs two servers on one Postgres without NATS: they meet in
// the database only.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	shared := []string{
		"PARLEY_ADDR=127.0.0.1:0", "PARLEY_AUTH_KEYS=" + testKeys, "PARLEY_LEASE=3s",
		"PARLEY_METRICS_ADDR=127.0.0.1:0",
		"PARLEY_DATABASE_URL=" + storetest.EmptyPostgresConfig(t).DatabaseURL,
	}
	replica := func() *instance {
		return startProcess(t, append([]string{"PARLEY_DATA_DIR=" + t.TempDir()}, shared...)...)
	}
	a, b := replica(), replica()
	token := a.signUp(t, "ada@example.com").AccessToken

	// What one writes the other reads, with the same token.
	first := a.mustSend(t, token, map[string]any{"content": "Hello", "wait": true, "clientKey": "first-key"})
	if got := b.reply(t, token, first.Reply.ID); got != first.Reply {
		t.Errorf("the other replica reads %v, want %v", got, first.Reply)
	}
	if s := b.mustSend(t, token, map[string]any{"content": "Hello", "wait": true,
		"clientKey": "first-key"}); !s.Deduplicated || s.Reply != first.Reply {
		t.Errorf("a repeat at the other replica gives %+v, want the same reply", s)
	}

	// Stopping works from anywhere.
	stopped := a.mustSend(t, token, map[string]any{"content": longQuestion})
	b.ask(t, token, `mutation ($id: ID!) { stopReply(input: {messageId: $id}) { message { id } } }`,
		map[string]any{"id": stopped.Reply.ID})
	eventually(t, startLimit, "the reply is stopped",
		func() bool { return a.reply(t, token, stopped.Reply.ID).Status == "STOPPED" })

	// Replies of a replica that dies are taken over.
	second := a.mustSend(t, token, map[string]any{"content": longQuestion})
	a.kill()
	var got replyState
	eventually(t, startLimit, "the other replica takes over", func() bool {
		got = b.reply(t, token, second.Reply.ID)
		return got.Status == "COMPLETED"
	})
	if got.Attempt != 2 || !strings.HasPrefix(got.Content, "How likely") && len(got.Content) < len(longQuestion) {
		t.Errorf("the reply that was taken over is %v, want a whole second attempt", got)
	}
	families := b.scrape(t)
	if n := value(families, "parley_takeovers_total", "reason", "crashed"); n != 1 {
		t.Errorf("%v takeovers are counted, want 1", n)
	}
	if age := value(families, "parley_lease_age_seconds"); age < 0 || age > 3 {
		t.Errorf("the lease is %v seconds old, want less than it is long", age)
	}
}

// TestWaitLimit answers with the pair as it stands.
func TestWaitLimit(t *testing.T) {
	t.Parallel()
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_WAIT_LIMIT=1s")...)
	token := i.signUp(t, "ada@example.com").AccessToken
	s := i.mustSend(t, token, map[string]any{"content": longQuestion, "wait": true})
	if s.Reply.Status != "STREAMING" || s.Reply.Content == "" {
		t.Errorf("after the limit the reply is %v, want it as it stands", s.Reply)
	}
}

// TestCallerLeaves proves that a disconnect is no stop.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	i := startInside(t, sqliteEnviron(t)...)
	token := i.signUp(t, "ada@example.com").AccessToken
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	input := map[string]any{"content": longQuestion, "wait": true, "clientKey": "the-only-key"}
	answered := make(chan error, 1)
	go func() {
		_, err := i.send(ctx, token, input)
		answered <- err
	}()
	eventually(t, startLimit, "the reply is begun", func() bool {
		var data struct {
			Viewer struct {
				Conversations struct{ Nodes []struct{ ID string } }
			}
		}
		i.into(t, token, `{ viewer { conversations(first: 1) { nodes { id } } } }`, nil, &data)
		return len(data.Viewer.Conversations.Nodes) == 1
	})
	cancel()
	if err := <-answered; err == nil {
		t.Fatal("the send was answered, want the caller to leave before")
	}
	s := i.mustSend(t, token, input)
	if !s.Deduplicated || s.Reply.Status != "COMPLETED" || s.Reply.Attempt != 1 {
		t.Errorf("the repeat gives %+v, want the first reply, whole", s)
	}
}
