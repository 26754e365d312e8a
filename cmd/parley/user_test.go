package main

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

const viewerQuery = `{ viewer { email } }`

// revokedLimit is how long a running server may take to notice what a command
// beside it has done: it looks at a session at most every five seconds.
const revokedLimit = 8 * time.Second

// TestUserCommands keeps accounts beside a running server, as an operator does.
func TestUserCommands(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, environ []string) {
		server := startProcess(t, append(environ, "PARLEY_LOG_LEVEL=debug", "PARLEY_SIGNUP=closed")...)
		const email = "ada@example.com"
		newPassword := testPassword + ", a second one"
		var said strings.Builder
		user := func(stdin string, args ...string) result {
			t.Helper()
			got := command(t, environ, stdin, append([]string{"user"}, args...)...)
			said.WriteString(got.stdout + got.stderr)
			return got
		}
		ok := func(got result, want string) {
			t.Helper()
			if got.code != 0 || !strings.Contains(got.stdout, want) {
				t.Fatalf("got %+v, want status 0 and %q", got, want)
			}
		}
		refused := func(got result, want string) {
			t.Helper()
			if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, want) {
				t.Errorf("got %+v, want status 1 and %q", got, want)
			}
		}
		signIn := func(password, wantCode string) tokens {
			t.Helper()
			got, code := server.signIn(t, email, password)
			if code != wantCode {
				t.Fatalf("signing in: got the code %q, want %q", code, wantCode)
			}
			return got
		}
		// dead waits until tokens are worth nothing.
		dead := func(old tokens) {
			t.Helper()
			a := server.ask(t, "", `mutation ($r: String!) { refreshSession(input: {refreshToken: $r}) { accessToken } }`, map[string]any{"r": old.RefreshToken})
			if a.code() != "UNAUTHENTICATED" {
				t.Errorf("refreshing: got the code %q, want UNAUTHENTICATED", a.code())
			}
			eventually(t, revokedLimit, "the access token is refused", func() bool {
				return server.ask(t, old.AccessToken, `{ conversations { totalCount } }`, nil).
					code() == "UNAUTHENTICATED"
			})
		}

		ok(user(testPassword+"\n", "add", "Ada@Example.com", "--name", "Ada", "--password-stdin"),
			email+" can sign in\n")
		first := signIn(testPassword, "")
		if a := server.ask(t, first.AccessToken, viewerQuery,
			nil); string(a.Data) != `{"viewer":{"email":"ada@example.com"}}` {
			t.Errorf("viewer = %s %v", a.Data, a.Errors)
		}
		refused(user(testPassword, "add", email, "--password-stdin"), "has an account already")
		refused(user("short\n", "add", "eve@example.com", "--password-stdin"),
			"Password must have at least 8 characters.")
		refused(user(testPassword, "add", "not an address", "--password-stdin"), "Email is not an e-mail address.")
		list := user("", "list")
		ok(list, "\tada@example.com\tenabled\t\"Ada\"\t")
		if n := strings.Count(list.stdout, "\n"); n != 1 {
			t.Errorf("user list shows %d accounts, want 1:\n%s", n, list.stdout)
		}

		ok(user(newPassword+"\n", "passwd", "--password-stdin", email), "can sign in")
		signIn(testPassword, "UNAUTHENTICATED")
		dead(first)

		second := signIn(newPassword, "")
		ended := follow(t, server, second.AccessToken)
		ok(user("", "disable", email), "ada@example.com is disabled\n")
		signIn(newPassword, "UNAUTHENTICATED")
		dead(second)
		ok(user("", "list"), "\tdisabled\t")
		select {
		case <-ended:
		case <-time.After(startLimit):
			t.Error("a subscription of a disabled user goes on")
		}

		ok(user("", "enable", email), "ada@example.com is enabled\n")
		signIn(newPassword, "")
		dead(second) // What was revoked stays so.

		for _, args := range [][]string{{"disable"}, {"enable"}, {"passwd", "--password-stdin"}} {
			refused(user(testPassword, append(args, "nobody@example.com")...), "There is no such account")
		}

		// Without --password-stdin the password is made up and shown once.
		made := user("", "add", "bob@example.com")
		ok(made, "bob@example.com can sign in with the password ")
		password := strings.TrimSpace(made.stdout[strings.LastIndex(made.stdout, " "):])
		if _, code := server.signIn(t, "bob@example.com", password); code != "" {
			t.Errorf("signing in with the password that was made up: got the code %q", code)
		}

		server.stop(t)
		for where, text := range map[string]string{"log of the server": server.out.String(),
			"output of the commands": said.String()} {
			if strings.Contains(text, testPassword) || strings.Contains(text, first.RefreshToken) ||
				strings.Contains(text, first.AccessToken) {
				t.Errorf("the %s holds a password or a token:\n%s", where, text)
			}
		}
		if strings.Contains(server.out.String(), password) {
			t.Error("the log of the server holds a password that was made up")
		}
	})
}

// follow opens a subscription and returns a channel that is closed when it ends.
func follow(t *testing.T, server *instance, token string) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.url+"/graphql",
		strings.NewReader(`{"query":"subscription { viewerEvents { __typename } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() && !strings.Contains(lines.Text(), "ViewerReady") {
	}
	if lines.Err() != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("viewerEvents: status %d, %v, want ViewerReady", response.StatusCode, lines.Err())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines.Scan() {
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		_ = response.Body.Close() // Only read.
	})
	return ended
}

func TestPasswordIsNoArgument(t *testing.T) {
	t.Parallel()
	environ := sqliteEnviron(t)
	for _, flag := range []string{"--password", "-p", "--name"} {
		if _, err := runInside(t, environ, "user", "add", "ada@example.com", flag); err == nil {
			t.Errorf("parley user add ada@example.com %s is no error", flag)
		}
	}
	if got, err := runInside(t, environ, "user", "list"); err != nil || got != "" {
		t.Errorf("user list = %q, %v, want no account", got, err)
	}
}
