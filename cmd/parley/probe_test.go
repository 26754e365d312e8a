package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthAddr(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"":                       "127.0.0.1:8080",
		"PARLEY_ADDR=":           "127.0.0.1:8080",
		"PARLEY_ADDR=:81":        "127.0.0.1:81",
		"PARLEY_ADDR=0.0.0.0:81": "127.0.0.1:81",
		"PARLEY_ADDR=[::]:81":    "[::1]:81",
		"PARLEY_ADDR=[::1]:81":   "[::1]:81",
		"PARLEY_ADDR= h:81 ":     "h:81",
		"PARLEY_ADDR=0.0.0.0":    "has no port",
		"PARLEY_ADDR=:0":         "name a port",
	} {
		got, err := healthAddr([]string{"PARLEY_TYPO=1", addr})
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%q: got %q, want %q", addr, got, want)
		}
	}
}

// The probe of an image: what it prints, and how it ends.
func TestHealthCommand(t *testing.T) {
	t.Parallel()
	i := startProcess(t, sqliteEnviron(t)...)
	at := "PARLEY_ADDR=" + strings.TrimPrefix(i.url, "http://")
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			http.Redirect(w, r, i.url+"/healthz", http.StatusFound)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "the database does not answer\nwarning: x\n")
	}))
	t.Cleanup(sick.Close)
	sickAt := "PARLEY_ADDR=" + sick.Listener.Addr().String()
	for _, tt := range []struct {
		addr           string
		args           string
		code           int
		stdout, stderr string
	}{
		{at, "health", 0, "ready\n", ""},
		{at, "health --live", 0, "ok\nversion: v7.8.9\n", ""},
		{sickAt, "health", 1, "", "parley: health: /readyz: 503 the database does not answer\n"},
		{sickAt, "health --live", 1, "", "parley: health: /healthz: 302"},
		{"PARLEY_ADDR=" + freeAddr(t), "health", 1, "", "connection refused"},
		{"PARLEY_ADDR=nonsense", "health", 1, "", "PARLEY_ADDR: "},
		{"PARLEY_ADDR=nonsense", "health --help", 0, "Usage: parley health", ""},
		{at, "health now", 2, "", "takes no arguments"},
		{at, "health --wrong", 2, "", "-wrong"},
	} {
		// A proxy of the environment, and a variable that is no one's, are not its business.
		got := command(t, []string{tt.addr, "http_proxy=http://192.0.2.1:9", "PARLEY_TYPO=1"}, "",
			strings.Fields(tt.args)...)
		if got.code != tt.code || !strings.Contains(got.stdout, tt.stdout) ||
			!strings.Contains(got.stderr, tt.stderr) || tt.stderr == "" && got.stderr != "" {
			t.Errorf("%s parley %s = %+v, want %d, %q, %q", tt.addr, tt.args, got, tt.code, tt.stdout, tt.stderr)
		}
	}
}

// freeAddr is an address on which nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
