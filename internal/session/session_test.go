package session_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"parley/internal/auth"
	"parley/internal/refusal"
	"parley/internal/session"
)

// accounts answer as they are told to.
type accounts struct {
	err   error
	ended []string
}

func (a *accounts) Owns(text string) bool { return strings.HasPrefix(text, "ours") }

func (a *accounts) Resume(_ context.Context, text string) (*auth.Tokens, error) {
	if a.err != nil {
		return nil, a.err
	}
	return &auth.Tokens{
		AccessToken: "access of " + text, RefreshToken: text + "+", ExpiresIn: 90*time.Second + time.Millisecond,
		ExpiresAt: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC),
	}, nil
}

func (a *accounts) Supersede(_ context.Context, held, next string) error {
	if held != "" {
		a.ended = append(a.ended, held+" for "+next)
	}
	return a.err
}

func (a *accounts) SignOutHolder(_ context.Context, text string) error {
	a.ended = append(a.ended, text)
	return a.err
}

const plainName = "parley-k1"

// sent is a request of a page of ours that the tests spoil.
func sent(method, path, body string, header ...string) *http.Request {
	var reader io.Reader = http.NoBody
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, "http://localhost:8080"+path, reader)
	r.Header.Set("Origin", "http://localhost:8080")
	r.Header.Set(session.Mark, "1")
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	return r
}

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	cookie *http.Cookie // nil: none was set.
}

func ask(t *testing.T, h http.Handler, r *http.Request) answer {
	t.Helper()
	a := answer{ResponseRecorder: httptest.NewRecorder()}
	h.ServeHTTP(a, r)
	for _, c := range a.Result().Cookies() {
		a.cookie = c
	}
	if got := a.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control: %q, want no-store", got)
	}
	if got := a.Header().Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("pages of %q may read the answer", got)
	}
	return a
}

// code is that of the refusal, "" when there is none.
func (a answer) code(t *testing.T) string {
	t.Helper()
	var body struct {
		Errors []struct{ Extensions struct{ Code string } }
	}
	if a.Body.Len() == 0 {
		return ""
	}
	if err := json.Unmarshal(a.Body.Bytes(), &body); err != nil {
		t.Fatalf("%q: %v", a.Body, err)
	}
	if len(body.Errors) == 0 {
		return ""
	}
	return body.Errors[0].Extensions.Code
}

func handler(a session.Accounts, plain string, log io.Writer) http.Handler {
	return session.New(session.Config{Accounts: a, PlainName: plain, MaxAge: time.Hour,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
}

// Only pages of this server are answered. What is not theirs does nothing.
func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][]string{
		"another origin":             {"Origin", "http://localhost:3000"},
		"another host":               {"Origin", "http://evil.example"},
		"no origin":                  {"Origin", ""},
		"null":                       {"Origin", "null"},
		"only the host's name":       {"Origin", "localhost:8080"},
		"the browser says same site": {"Sec-Fetch-Site", "same-site"},
		"the browser says elsewhere": {"Sec-Fetch-Site", "cross-site"},
		"typed by a person":          {"Sec-Fetch-Site", "none"},
		"no mark":                    {session.Mark, ""},
	} {
		for _, r := range []*http.Request{
			sent(http.MethodPost, session.Path, `{"refreshToken":"ours"}`, header...),
			sent(http.MethodPost, session.RefreshPath, "", header...),
			sent(http.MethodDelete, session.Path, "", header...),
		} {
			a := &accounts{}
			r.AddCookie(&http.Cookie{Name: plainName, Value: "ours"})
			got := ask(t, handler(a, plainName, io.Discard), r)
			if got.Code != http.StatusForbidden || got.code(t) != "FORBIDDEN" || got.cookie != nil || a.ended != nil {
				t.Errorf("%s: %s %s: got %d %s, cookie %v, ended %v, want 403 FORBIDDEN and nothing done", name,
					r.Method, r.URL.Path, got.Code, got.Body, got.cookie, a.ended)
			}
		}
	}
	// A proxy may have changed the host: the browser knows best.
	r := sent(http.MethodPost, session.RefreshPath, "", "Origin", "http://localhost:5173",
		"Sec-Fetch-Site", "same-origin")
	if got := ask(t, handler(&accounts{}, plainName, io.Discard), r); got.Code != http.StatusNoContent {
		t.Errorf("same origin, by the browser's word: got %d, want 204", got.Code)
	}
}

// The cookie is out of reach of scripts and of other sites, and goes over TLS only where there is TLS.
func TestCookie(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		plain, origin string
		want          string
	}{
		"production": {"", "https://chat.example",
			"__Host-parley=ours; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Strict"},
		"production without TLS that we see": {"", "http://localhost:8080",
			"__Host-parley=ours; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Strict"},
		"development": {plainName, "http://localhost:8080",
			"parley-k1=ours; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict"},
		"development behind TLS": {plainName, "https://chat.test",
			"__Host-parley=ours; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Strict"},
	} {
		h := handler(&accounts{}, test.plain, io.Discard)
		from := []string{"Origin", test.origin, "Sec-Fetch-Site", "same-origin"}
		kept := ask(t, h, sent(http.MethodPost, session.Path, `{"refreshToken":"ours"}`, from...))
		if got := kept.Header().Get("Set-Cookie"); kept.Code != http.StatusNoContent || got != test.want {
			t.Errorf("%s: got %d %q, want %q", name, kept.Code, got, test.want)
			continue
		}
		r := sent(http.MethodPost, session.RefreshPath, "", from...)
		r.AddCookie(kept.cookie)
		got := ask(t, h, r)
		const body = `{"accessToken":"access of ours","expiresAt":"2026-08-01T12:00:00.000Z","expiresIn":90}`
		if got.Code != http.StatusOK || got.Body.String() != body || got.cookie == nil ||
			got.cookie.Value != "ours+" {
			t.Errorf("%s: refresh: got %d %s, cookie %v", name, got.Code, got.Body, got.cookie)
		}
	}
}

// What is kept is a token of ours, in a short body.
func TestKeepRefuses(t *testing.T) {
	t.Parallel()
	h := handler(&accounts{}, plainName, io.Discard)
	for name, test := range map[string]struct {
		body, kind string
		status     int
		code       string
	}{
		"not ours": {`{"refreshToken":"theirs"}`, "application/json", 401, "UNAUTHENTICATED"},
		"none":     {`{}`, "application/json", 400, "BAD_USER_INPUT"},
		"no body":  {"", "application/json", 400, "BAD_USER_INPUT"},
		"no JSON":  {"refreshToken=ours", "application/json", 400, "BAD_USER_INPUT"},
		"a number": {`{"refreshToken":1}`, "application/json", 400, "BAD_USER_INPUT"},
		"a form":   {`{"refreshToken":"ours"}`, "text/plain", 400, "BAD_USER_INPUT"},
		"a long body": {`{"refreshToken":"ours` + strings.Repeat("x", 5<<10) + `"}`,
			"application/json", 400, "BAD_USER_INPUT"},
		"with charset": {`{"refreshToken":"ours"}`, "application/json; charset=utf-8", 204, ""},
	} {
		got := ask(t, h, sent(http.MethodPost, session.Path, test.body, "Content-Type", test.kind))
		if got.Code != test.status || got.code(t) != test.code || (got.cookie != nil) != (test.code == "") {
			t.Errorf("%s: got %d %s, cookie %v, want %d %s", name, got.Code, got.Body, got.cookie, test.status,
				test.code)
		}
	}
}

// What the cookie has held ends, or all stays as it is.
func TestKeepEndsTheFormer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body   string
		err    error
		status int
		ended  string
	}{
		"another session": {`{"refreshToken":"ours2"}`, nil, 204, "ours1 for ours2"},
		"not ours":        {`{"refreshToken":"theirs"}`, nil, 401, ""},
		"away": {`{"refreshToken":"ours2"}`, refusal.Unavailable(errors.New("no database")), 503,
			"ours1 for ours2"},
	} {
		a := &accounts{err: test.err}
		r := sent(http.MethodPost, session.Path, test.body)
		r.AddCookie(&http.Cookie{Name: plainName, Value: "ours1"})
		got := ask(t, handler(a, plainName, io.Discard), r)
		if got.Code != test.status || strings.Join(a.ended, " ") != test.ended ||
			(got.cookie != nil) != (test.status == http.StatusNoContent) {
			t.Errorf("%s: got %d %s, cookie %v, ended %q", name, got.Code, got.Body, got.cookie, a.ended)
		}
	}
}

// A session that is over takes its cookie with it; one that cannot be asked about now does not.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err             error
		status          int
		code, retry     string
		clears, isQuiet bool
	}{
		"over":      {refusal.Unauthenticated("Sign in.", nil), 401, "UNAUTHENTICATED", "", true, true},
		"too often": {refusal.RateLimited("Too many.", 1500*time.Millisecond), 429, "RATE_LIMITED", "2", false, true},
		"away":      {refusal.Unavailable(errors.New("no database")), 503, "UNAVAILABLE", "", false, false},
		"a mistake": {errors.New("ours of the server"), 503, "UNAVAILABLE", "", false, false},
	} {
		for method, path := range map[string]string{
			http.MethodPost: session.RefreshPath, http.MethodDelete: session.Path,
		} {
			var log bytes.Buffer
			r := sent(method, path, "")
			r.AddCookie(&http.Cookie{Name: plainName, Value: "ours-SECRET"})
			got := ask(t, handler(&accounts{err: test.err}, plainName, &log), r)
			cleared := got.cookie != nil && got.cookie.MaxAge < 0 && got.cookie.Value == ""
			if got.Code != test.status || got.code(t) != test.code || got.Header().Get("Retry-After") != test.retry ||
				cleared != test.clears || (got.cookie != nil) != test.clears ||
				got.Header().Get("Clear-Site-Data") != "" {
				t.Errorf("%s: %s: got %d %s, Retry-After %q, cookie %v", name, method, got.Code, got.Body,
					got.Header().Get("Retry-After"), got.cookie)
			}
			if (log.Len() == 0) != test.isQuiet || strings.Contains(log.String(), "SECRET") {
				t.Errorf("%s: %s: the log has %q", name, method, &log)
			}
		}
	}
}

// Signing out is done once, and can be done again.
func TestEnd(t *testing.T) {
	t.Parallel()
	a := &accounts{}
	h := handler(a, plainName, io.Discard)
	for _, held := range []string{"ours", ""} {
		r := sent(http.MethodDelete, session.Path, "")
		if held != "" {
			r.AddCookie(&http.Cookie{Name: plainName, Value: held})
		}
		got := ask(t, h, r)
		if got.Code != http.StatusNoContent || got.cookie == nil || got.cookie.MaxAge >= 0 ||
			got.Header().Get("Clear-Site-Data") != `"storage"` {
			t.Errorf("with %q: got %d, cookie %v", held, got.Code, got.cookie)
		}
	}
	if len(a.ended) != 1 || a.ended[0] != "ours" {
		t.Errorf("ended %q, want the one that was held", a.ended)
	}
}

// Nobody has signed in yet: no refusal that a console shows.
func TestNobody(t *testing.T) {
	t.Parallel()
	got := ask(t, handler(&accounts{err: errors.New("asked")}, plainName, io.Discard), sent(http.MethodPost,
		session.RefreshPath, ""))
	if got.Code != http.StatusNoContent || got.Body.Len() != 0 || got.cookie != nil {
		t.Errorf("got %d %q, cookie %v, want 204 and nothing", got.Code, got.Body, got.cookie)
	}
}

// While the server starts all is unavailable, and other methods are never answered.
func TestStartAndMethods(t *testing.T) {
	t.Parallel()
	starting := session.New(session.Config{Log: slog.New(slog.DiscardHandler)})
	r := sent(http.MethodPost, session.RefreshPath, "")
	r.AddCookie(&http.Cookie{Name: "__Host-parley", Value: "ours"})
	if got := ask(t, starting, r); got.Code != http.StatusServiceUnavailable || got.code(t) != "UNAVAILABLE" ||
		got.cookie != nil {
		t.Errorf("while it starts: got %d %s", got.Code, got.Body)
	}
	h := handler(&accounts{}, plainName, io.Discard)
	for _, test := range []struct{ method, path, allow string }{
		{http.MethodGet, session.Path, "POST, DELETE"}, {http.MethodPut, session.Path, "POST, DELETE"},
		{http.MethodOptions, session.Path, "POST, DELETE"}, {http.MethodGet, session.RefreshPath, "POST"},
		{http.MethodDelete, session.RefreshPath, "POST"},
	} {
		got := ask(t, h, sent(test.method, test.path, ""))
		if got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != test.allow {
			t.Errorf("%s %s: got %d, Allow %q", test.method, test.path, got.Code, got.Header().Get("Allow"))
		}
	}
}
