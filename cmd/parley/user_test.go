package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/store"
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
			if got.code != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, "Database: ") ||
				!strings.Contains(got.stderr, want) {
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
		ok(user("", "list"), "ada@example.com  enabled ")
		signedIn := listUsers(t, environ)["ada@example.com"]
		if at := signedIn.LastSignInAt; at == nil || time.Since(*at) > time.Hour || signedIn.Name != "Ada" {
			t.Errorf("user list --json = %+v, want Ada, who has just signed in", signedIn)
		}

		ok(user(newPassword+"\n", "passwd", "--password-stdin", email), "can sign in")
		signIn(testPassword, "UNAUTHENTICATED")
		dead(first)

		second := signIn(newPassword, "")
		ended := follow(t, server, second.AccessToken)
		ok(user("", "disable", email), "ada@example.com is disabled\n")
		signIn(newPassword, "UNAUTHENTICATED")
		dead(second)
		ok(user("", "list"), "ada@example.com  disabled ")
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
		if u := listUsers(t, environ)["bob@example.com"]; u.LastSignInAt != nil || u.ID == "" {
			t.Errorf("user list --json = %+v for one who has never signed in", u)
		}
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
}

// listUsers returns what parley user list --json says, by account.
func listUsers(t *testing.T, environ []string, filter ...string) map[string]listedUser {
	t.Helper()
	text, err := runInside(t, environ, append([]string{"user", "list", "--json"}, filter...)...)
	if err != nil {
		t.Fatal(err)
	}
	users := make(map[string]listedUser)
	for line := range strings.Lines(text) {
		var u listedUser
		if err := json.Unmarshal([]byte(line), &u); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		users[u.Account] = u
	}
	return users
}

func TestListUsers(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, environ []string) {
		if _, err := runInside(t, environ, "migrate"); err != nil {
			t.Fatal(err)
		}
		const header = "ID  ACCOUNT  STATE  CREATED  LAST SIGN-IN  NAME\n"
		if got, err := runInside(t, environ, "user", "list"); err != nil || got != header {
			t.Errorf("user list = %q, %v, want the header only", got, err)
		}
		for email, name := range map[string]string{"ada@example.com": "Ada\u202e", "bob@example.org": "Robe\u0301rt"} {
			if _, err := runInside(t, environ, "user", "add", email, "--name", name); err != nil {
				t.Fatal(err)
			}
		}
		for filter, want := range map[string]string{"ADA": "ada@example.com", "ROBÉRT": "bob@example.org",
			"example.": "ada@example.com bob@example.org", "usr_": "ada@example.com bob@example.org", "%": ""} {
			got := slices.Sorted(maps.Keys(listUsers(t, environ, filter)))
			if strings.Join(got, " ") != want {
				t.Errorf("user list %s = %v, want %q", filter, got, want)
			}
			table, err := runInside(t, environ, "user", "list", filter)
			if lines := strings.Count(table, "\n"); err != nil || lines != 1+len(strings.Fields(want)) ||
				strings.Contains(table, "\u202e") {
				t.Errorf("user list %s = %v\n%s, want a header and %q, with quoted names", filter, err, table, want)
			}
		}
	})
}

// TestUserCommandsMakeNothing runs them where there is no database, and where it is that
// of an older version.
func TestUserCommandsMakeNothing(t *testing.T) {
	t.Parallel()
	calls := [][]string{{"add", "ada@example.com"}, {"list"}, {"passwd", "ada@example.com"},
		{"disable", "ada@example.com"}, {"enable", "ada@example.com"}}
	eachDatabase(t, func(t *testing.T, environ []string) {
		dir := strings.TrimPrefix(environ[1], "PARLEY_DATA_DIR=") + "/none"
		environ[1] = "PARLEY_DATA_DIR=" + dir
		for _, call := range calls {
			got := command(t, environ, "", append([]string{"user"}, call...)...)
			if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, "start the server once") ||
				!strings.HasPrefix(got.stderr, "Database: ") {
				t.Errorf("user %v without a database = %+v, want a refusal that says what to do", call, got)
			}
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", dir, err)
		}
		n, err := runInside(t, environ, "migrate")
		if err != nil || strings.HasPrefix(n, "0 ") {
			t.Fatalf("migrate = %q, %v, want that the commands have not migrated", n, err)
		}
		forget(t, environ)
		for _, call := range calls {
			_, err := runInside(t, environ, append([]string{"user"}, call...)...)
			if err == nil || !strings.Contains(err.Error(), "older than this program: start the server") ||
				!strings.Contains(err.Error(), "parley migrate") {
				t.Errorf("user %v on an older database = %v, want a refusal that says what to do", call, err)
			}
		}
		if keys, err := os.Stat(dir + "/" + keysName); err == nil {
			t.Errorf("%s was made by commands that sign nothing", keys.Name())
		}
	})
}

// forget has a database say that it has not had the last migration.
func forget(t *testing.T, environ []string) {
	t.Helper()
	cfg := mustLoad(t, environ...)
	driver, dsn := "sqlite", store.SQLitePath(cfg.DataDir)
	if !cfg.DatabaseURL.IsZero() {
		driver, dsn = "postgres", cfg.DatabaseURL.Reveal()
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `DELETE FROM goose_db_version
		WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}
