package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"parley/internal/session"
)

// browser is a page of the server with its cookies, as far as /session goes.
type browser struct {
	server *instance
	mu     sync.Mutex // guards cookies
	// cookies are what the server has set, by name.
	cookies map[string]*http.Cookie
}

// send sends one request to /session, with the cookies of that moment.
func (b *browser) send(t *testing.T, method, path, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.server.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", b.server.url)
	r.Header.Set(session.Mark, "1")
	r.Header.Set("Content-Type", "application/json")
	b.mu.Lock()
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	b.mu.Unlock()
	response, err := client.Do(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer func() { _ = response.Body.Close() }() // Only read.
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range response.Cookies() {
		b.cookies[c.Name] = c
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return response.StatusCode, string(read)
}

// refresh returns an access token, "" when nobody is signed in.
func (b *browser) refresh(t *testing.T) string {
	t.Helper()
	status, text := b.send(t, http.MethodPost, session.RefreshPath, "")
	var got struct{ AccessToken string }
	if status == http.StatusOK {
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	return got.AccessToken
}

// viewer says who an access token speaks for, "" for nobody.
func (b *browser) viewer(t *testing.T, token string) string {
	t.Helper()
	a := b.server.ask(t, token, "{ viewer { email } }", nil)
	var data struct{ Viewer *struct{ Email string } }
	if a.code() != "" || json.Unmarshal(a.Data, &data) != nil || data.Viewer == nil {
		return ""
	}
	return data.Viewer.Email
}

// A page stays signed in by a cookie that only /session reads, in as many tabs as there are, until it signs out.
func TestSession(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, environ []string) {
		s := startInside(t, append(environ, "PARLEY_LOG_LEVEL=debug", "PARLEY_ACCESS_LOG=on")...)
		b := &browser{server: s, cookies: make(map[string]*http.Cookie)}
		if status, _ := b.send(t, http.MethodPost, session.RefreshPath, ""); status != http.StatusNoContent {
			t.Errorf("before anybody has signed in: %d, want 204", status)
		}
		first := s.signUp(t, "ada@example.com")
		status, text := b.send(t, http.MethodPost, session.Path, `{"refreshToken": "`+first.RefreshToken+`"}`)
		if status != http.StatusNoContent || len(b.cookies) != 1 {
			t.Fatalf("keep: %d %s, cookies %v", status, text, b.cookies)
		}

		// Five tabs wake up at once, three times.
		for range 3 {
			var tabs sync.WaitGroup
			for range 5 {
				tabs.Go(func() {
					if got := b.viewer(t, b.refresh(t)); got != "ada@example.com" {
						t.Errorf("a tab is %q", got)
					}
				})
			}
			tabs.Wait()
		}
		access := b.refresh(t)

		// The cookie alone is nobody, by whichever way it comes.
		for _, c := range b.cookies {
			for _, name := range []string{c.Name, "__Host-parley", "Authorization"} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/graphql",
					strings.NewReader(`{"query":"{ viewer { email } }"}`))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				r.AddCookie(&http.Cookie{Name: name, Value: c.Value})
				r.AddCookie(&http.Cookie{Name: name + "-access", Value: access})
				response, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				_ = response.Body.Close() // Read.
				if err != nil || string(body) != `{"data":{"viewer":null}}` || response.Header.Get("Set-Cookie") != "" {
					t.Errorf("/graphql with the cookie: %s, %v; want nobody", body, err)
				}
			}
		}

		held := maps.Clone(b.cookies)
		if status, text := b.send(t, http.MethodDelete, session.Path, ""); status != http.StatusNoContent {
			t.Errorf("sign out: %d %s", status, text)
		}
		if len(b.cookies) != 0 || b.viewer(t, access) != "" {
			t.Errorf("after signing out: cookies %v, and the access token is %q", b.cookies, b.viewer(t, access))
		}
		other := &browser{server: s, cookies: held} // A copy of the profile.
		if status, text := other.send(t, http.MethodPost, session.RefreshPath, ""); status != http.StatusUnauthorized ||
			!strings.Contains(text, `"code":"UNAUTHENTICATED"`) || len(other.cookies) != 0 {
			t.Errorf("a copy after signing out: %d %s, cookies %v", status, text, other.cookies)
		}
		log := s.out.String()
		for _, secret := range []string{first.RefreshToken, strings.Split(first.RefreshToken, ".")[3], access} {
			if strings.Contains(log, secret) {
				t.Error("the log holds a token")
			}
		}
		if !strings.Contains(log, "route=/session/refresh status=200") {
			t.Errorf("the access log has no line for a refresh:\n%s", log)
		}
	})
}

// Who signs in where somebody still was leaves no session behind that nobody holds; the tabs that were open are the new
// user's from then on.
func TestSessionOfTheNext(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, environ []string) {
		s := startInside(t, environ...)
		b := &browser{server: s, cookies: make(map[string]*http.Cookie)}
		keep := func(token string) {
			t.Helper()
			if status, text := b.send(t, http.MethodPost, session.Path,
				`{"refreshToken": "`+token+`"}`); status != http.StatusNoContent {
				t.Fatalf("keep: %d %s", status, text)
			}
		}
		ada, bob := s.signUp(t, "ada@example.com"), s.signUp(t, "bob@example.com")
		keep(ada.RefreshToken)
		keep(ada.RefreshToken) // The answer was lost.
		former := b.refresh(t)
		if got := b.viewer(t, former); got != "ada@example.com" {
			t.Errorf("the first user is %q", got)
		}
		held := maps.Clone(b.cookies)
		keep(bob.RefreshToken)
		if got := b.viewer(t, former); got != "" {
			t.Errorf("after the next has signed in the former session is still %q", got)
		}
		copied := &browser{server: s, cookies: held}
		if status, _ := copied.send(t, http.MethodPost, session.RefreshPath, ""); status != http.StatusUnauthorized {
			t.Errorf("the former cookie: %d, want 401", status)
		}
		if got := b.viewer(t, b.refresh(t)); got != "bob@example.com" {
			t.Errorf("the next user is %q", got)
		}
	})
}

// The same cookie is good on every replica, and a server of other keys does not touch it.
func TestSessionOfReplicas(t *testing.T) {
	t.Parallel()
	environ := append(sqliteEnviron(t), "PARLEY_AUTH_KEYS="+testKeys)
	one := startInside(t, environ...)
	b := &browser{server: one, cookies: make(map[string]*http.Cookie)}
	b.send(t, http.MethodPost, session.Path, `{"refreshToken": "`+one.signUp(t, "ada@example.com").RefreshToken+`"}`)
	one.stop(t)

	stranger := startInside(t, sqliteEnviron(t)...)
	b.server = stranger
	if status, text := b.send(t, http.MethodPost, session.RefreshPath, ""); status != http.StatusNoContent {
		t.Errorf("a server of other keys on another port: %d %s, want 204", status, text)
	}
	b.server = startInside(t, environ...)
	if got := b.viewer(t, b.refresh(t)); got != "ada@example.com" {
		t.Errorf("after a restart the page is %q", got)
	}
}
