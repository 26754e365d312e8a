package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestProfilesAreServedApart(t *testing.T) {
	t.Parallel()
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_DEBUG_ADDR=127.0.0.1:0")...)
	m := regexp.MustCompile(`url=(http://\S+)`).FindStringSubmatch(i.out.String())
	if m == nil {
		t.Fatalf("the log does not say where the profiles are:\n%s", i.out.String())
	}
	for path, want := range map[string]string{
		"": "goroutine", "goroutine?debug=1": "goroutine profile: total", "cmdline": "",
	} {
		resp, err := http.Get(m[1] + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close() // All of it has been read.
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("GET %s = %d %.60q, %v; want 200 and %q", path, resp.StatusCode, body, err, want)
		}
	}
	if status := i.status(t, pprofPath); status != http.StatusNotFound {
		t.Errorf("the public listener answers %s with %d, want 404", pprofPath, status)
	}
}

func TestProfilesAreForThisMachine(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]int{
		"localhost:6060": 200, "127.0.0.1:6060": 200, "[::1]:6060": 200, "rebound.example:6060": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, pprofPath, nil)
		r.Host = host
		w := httptest.NewRecorder()
		debugRoutes(slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: got %d, want %d", host, w.Code, want)
		}
	}
}

func TestProfilesAreOffUnlessAskedFor(t *testing.T) {
	t.Parallel()
	closeDebug, err := serveDebug(t.Context(), config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	closeDebug()
}

func TestDebugAddressIsChecked(t *testing.T) {
	t.Parallel()
	for _, environ := range [][]string{
		{"PARLEY_DEBUG_ADDR=:6060"}, {"PARLEY_DEBUG_ADDR=0.0.0.0:6060"}, {"PARLEY_DEBUG_ADDR=192.0.2.1:6060"},
		{"PARLEY_DEBUG_ADDR=127.0.0.1"}, {"PARLEY_DEBUG_ADDR=127.0.0.1:6060", "PARLEY_MODE=production"},
	} {
		if got := loadErrors(t, environ...)["PARLEY_DEBUG_ADDR"]; got == "" {
			t.Errorf("%q is accepted", environ)
		}
	}
	if got := mustLoad(t, "PARLEY_DEBUG_ADDR=[::1]:6060").DebugAddr; got != "[::1]:6060" {
		t.Errorf("got %q, want it accepted", got)
	}
}
