package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"parley/internal/auth"
)

// gateRequest is a request to a development server at the host.
func gateRequest(host, path string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = host
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestGate(t *testing.T) {
	t.Parallel()
	const local, network, named = "PARLEY_ADDR=127.0.0.1:8080", "PARLEY_ADDR=:8080 PARLEY_MODE=development",
		"PARLEY_ADDR=127.0.0.1:8080 PARLEY_HOSTS=*.test,192.168.1.20"
	const closed = "PARLEY_ADDR=:8080"
	for name, c := range map[string]struct {
		environ string
		r       *http.Request
		status  int      // 200: let in.
		says    []string // In the answer and in the log.
	}{
		"local":      {local, gateRequest("localhost:8080", "/graphql"), 200, nil},
		"an address": {local, gateRequest("127.0.0.1:8080", "/graphql"), 200, nil},
		"IPv6":       {local, gateRequest("[::1]:8080", "/graphql"), 200, nil},
		"below":      {local, gateRequest("chat.localhost:8080", "/graphql"), 200, nil},
		"rebound": {local, gateRequest("evil.example:80", "/graphql"), 421, []string{`"evil.example:80"`,
			"PARLEY_HOSTS=evil.example"}},
		"suffix": {local, gateRequest("127.0.0.1.evil.example", "/graphql"), 421, []string{"PARLEY_HOSTS"}},
		"the LAN": {local, gateRequest("192.168.1.20:8080", "/graphql"), 421,
			[]string{"PARLEY_HOSTS=192.168.1.20"}},
		"no host":     {local, gateRequest("", "/graphql"), 421, []string{"names no host"}},
		"nonsense":    {local, gateRequest("a\"<script>\r\n", "/graphql"), 421, []string{`PARLEY_HOSTS=chat.local`}},
		"GraphiQL":    {local, gateRequest("evil.example", "/graphiql"), 421, []string{"PARLEY_HOSTS=evil.example"}},
		"health":      {local, gateRequest("", "/healthz"), 200, nil},
		"readiness":   {local, gateRequest("10.0.0.1", "/readyz"), 200, nil},
		"named":       {named, gateRequest("chat.test:8080", "/graphql"), 200, nil},
		"named LAN":   {named, gateRequest("192.168.1.20:8080", "/graphql"), 200, nil},
		"not named":   {named, gateRequest("chat.local", "/graphql"), 421, []string{"add chat.local to PARLEY_HOSTS"}},
		"network":     {network, gateRequest("192.168.1.20:8080", "/graphql"), 200, nil},
		"a container": {network, gateRequest("parley:8080", "/graphql"), 200, nil},
		"network, rebound": {network, gateRequest("evil.example", "/graphql"), 421,
			[]string{"PARLEY_HOSTS=evil.example"}},
		"production": {closed, gateRequest("chat.example.com", "/graphql", "X-Forwarded-For", "203.0.113.9"), 200, nil},

		"proxied": {local, gateRequest("localhost", "/graphql", "X-Forwarded-For", "203.0.113.9"), 403,
			[]string{"PARLEY_MODE=production", "X-Forwarded-For", `"203.0.113.9"`}},
		"proxied, another name": {local, gateRequest("chat.example.com", "/graphql", "X-Forwarded-For", "203.0.113.9"),
			403,
			[]string{"PARLEY_MODE=production"}},
		"proxied, named": {named, gateRequest("chat.test", "/graphql", "X-Forwarded-For", "203.0.113.9"), 403,
			[]string{"PARLEY_MODE=production"}},
		"proxied in the network": {network, gateRequest("10.0.0.1", "/graphql", "X-Real-IP", "203.0.113.9"), 403,
			[]string{"PARLEY_MODE=production", "X-Real-Ip"}},
		"Forwarded": {local, gateRequest("localhost", "/graphql", "Forwarded", "for=203.0.113.9"), 403,
			[]string{"PARLEY_MODE=production", "Forwarded"}},
		"only a scheme": {local, gateRequest("localhost", "/graphql", "X-Forwarded-Proto", "https"), 403,
			[]string{"PARLEY_MODE=production", `"https"`, "send X-Forwarded-For"}},
		"proxied GraphiQL": {local, gateRequest("localhost", "/graphiql", "X-Forwarded-For", "203.0.113.9"), 403,
			[]string{"PARLEY_MODE=production"}},
		"proxied schema": {local, gateRequest("localhost", "/schema.graphql", "X-Forwarded-For", "203.0.113.9"), 403,
			[]string{"PARLEY_MODE=production"}},
		"proxied health": {local, gateRequest("localhost", "/healthz", "X-Forwarded-For", "203.0.113.9"), 403,
			[]string{"PARLEY_MODE=production"}},
		"proxied socket": {local, gateRequest("localhost", "/graphql", "X-Forwarded-For", "203.0.113.9", "Upgrade",
			"websocket",
			"Connection", "Upgrade"), 403, []string{"PARLEY_MODE=production"}},

		"Next.js": {local, gateRequest("localhost:8080", "/graphql", "X-Forwarded-For", "::1", "X-Forwarded-Host",
			"localhost:3000", "X-Forwarded-Port", "3000", "X-Forwarded-Proto", "http"), 200, nil},
		"Next.js for a telephone": {named, gateRequest("localhost:8080", "/graphql", "X-Forwarded-For",
			"::ffff:192.168.1.33",
			"X-Forwarded-Host", "192.168.1.20:3000"), 200, nil},
		"Next.js for a telephone, not named": {local, gateRequest("localhost:8080", "/graphql", "X-Forwarded-For",
			"192.168.1.33", "X-Forwarded-Host", "192.168.1.20:3000"), 403, []string{"PARLEY_HOSTS",
			"PARLEY_MODE=production"}},
		"Caddy, a name": {local, gateRequest("localhost:8080", "/graphql", "X-Forwarded-For", "127.0.0.1",
			"X-Forwarded-Host",
			"chat.test"), 403, []string{"PARLEY_HOSTS=chat.test", "PARLEY_MODE=production"}},
		"Caddy, named": {named, gateRequest("chat.test", "/graphql", "X-Forwarded-For", "127.0.0.1", "X-Forwarded-Host",
			"chat.test", "X-Forwarded-Proto", "https"), 200, nil},
	} {
		var log bytes.Buffer
		in := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { plainText(w, http.StatusOK, "in\n") })
		handler := keepGate(mustLoad(t, strings.Fields(c.environ)...), slog.New(slog.NewJSONHandler(&log, nil)), in)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, c.r)
		if w.Code != c.status {
			t.Errorf("%s: got %d %s, want %d", name, w.Code, w.Body, c.status)
			continue
		}
		if c.status == http.StatusOK {
			if log.Len() > 0 {
				t.Errorf("%s: logged %s", name, log.String())
			}
			continue
		}
		message := strings.TrimSpace(w.Body.String())
		if c.r.URL.Path == graphqlPath {
			message = refusalIn(t, w.Body.Bytes())
		}
		var logged struct{ Level, Why string }
		if err := json.Unmarshal(log.Bytes(), &logged); err != nil || logged.Level != "WARN" || logged.Why != message {
			t.Errorf("%s: logged %s, want a warning with the answer, %q", name, log.String(), message)
		}
		for _, want := range c.says {
			if !strings.Contains(message, want) {
				t.Errorf("%s: got %q, want %q in it", name, message, want)
			}
		}
		if len(message) > 600 {
			t.Errorf("%s: the answer has %d bytes", name, len(message))
		}
		log.Reset()
		handler.ServeHTTP(httptest.NewRecorder(), c.r)
		if log.Len() > 0 {
			t.Errorf("%s: the second refusal is said too: %s", name, log.String())
		}
	}
}

// refusalIn returns the message of an answer of GraphQL that is FORBIDDEN.
func refusalIn(t *testing.T, body []byte) string {
	t.Helper()
	var answer struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Errors) != 1 ||
		answer.Errors[0].Extensions.Code != "FORBIDDEN" {
		t.Fatalf("got %s, %v; want one error that is FORBIDDEN", body, err)
	}
	return answer.Errors[0].Message
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	const local, named, listed = "PARLEY_ADDR=127.0.0.1:8080", "PARLEY_HOSTS=*.test,192.168.1.20",
		"PARLEY_ALLOWED_ORIGINS=https://app.example.com"
	const closed = "PARLEY_ADDR=:8080 " + listed
	for _, c := range []struct{ environ, origin, says string }{
		{local, "http://localhost:5173", ""},
		{local, "HTTP://LOCALHOST:5173", ""},
		{local, "https://app.localhost", ""},
		{local, "http://[::1]:1", ""},
		{local, "http://192.168.1.20:5173", "set PARLEY_HOSTS=192.168.1.20"},
		{local, "https://evil.example", "set PARLEY_HOSTS=evil.example"},
		{local, "http://localhost.evil.example", "PARLEY_HOSTS"},
		{local, "null", "serve the page by a web server"},
		{local, "file://", "PARLEY_ALLOWED_ORIGINS"},
		{local, "capacitor://localhost", "PARLEY_ALLOWED_ORIGINS"},
		{local, "http://localhost/", "PARLEY_ALLOWED_ORIGINS"},
		{named, "http://192.168.1.20:5173", ""},
		{named, "https://a.b.test", ""},
		{named, "http://localhost:1", ""},
		{named, "https://a.test.evil.example", "PARLEY_HOSTS"},
		{named, "ftp://a.test", "PARLEY_ALLOWED_ORIGINS"},
		{listed, "https://app.example.com", ""},
		{listed, "http://localhost:5173", "PARLEY_HOSTS"},
		{listed + " " + named, "http://a.test", ""},
		{closed, "https://app.example.com", ""},
		{closed, "http://localhost:5173", `"http://localhost:5173"`},
		{closed, "https://evil.example", "PARLEY_ALLOWED_ORIGINS"},
		{closed, "https://" + strings.Repeat("a", 5000), "PARLEY_ALLOWED_ORIGINS"},
	} {
		why := mustLoad(t, strings.Fields(c.environ)...).refusesOrigin(c.origin)
		switch {
		case (why == nil) != (c.says == ""):
			t.Errorf("%s with %s: got %v, want %q", c.origin, c.environ, why, c.says)
		case why != nil && (!strings.Contains(why.Message, c.says) || why.Code != "FORBIDDEN" ||
			len(why.Message) > 400):
			t.Errorf("%s with %s: got %s %q, want FORBIDDEN with %q", c.origin, c.environ, why.Code, why.Message,
				c.says)
		}
	}
}

// Only the machine of a development server is not limited, and no proxy counts as it.
func TestWhoIsNotLimited(t *testing.T) {
	t.Parallel()
	const local = "PARLEY_ADDR=127.0.0.1:8080"
	const proxied = local + " PARLEY_TRUSTED_PROXIES=127.0.0.0/8"
	for name, c := range map[string]struct {
		environ, remote string
		headers         []string
		want            bool
	}{
		"the developer":     {local, "127.0.0.1:1", nil, true},
		"IPv6":              {local, "[::1]:1", nil, true},
		"a proxy for it":    {local, "127.0.0.1:1", []string{"X-Forwarded-For", "::1"}, true},
		"the LAN":           {local, "192.168.1.33:1", nil, false},
		"the LAN, proxied":  {local, "127.0.0.1:1", []string{"X-Forwarded-For", "192.168.1.33"}, false},
		"proxied otherwise": {local, "127.0.0.1:1", []string{"X-Real-IP", "192.168.1.33"}, false},
		"a silent proxy":    {local, "127.0.0.1:1", []string{"X-Forwarded-Proto", "http"}, false},
		"a liar":            {local, "192.168.1.33:1", []string{"X-Forwarded-For", "127.0.0.1"}, false},
		"a known proxy":     {proxied, "127.0.0.1:1", nil, false},
		"through it":        {proxied, "127.0.0.1:1", []string{"X-Forwarded-For", "192.168.1.33"}, false},
		"a socket":          {local, "@", nil, false},
		"production":        {local + " PARLEY_MODE=production", "127.0.0.1:1", nil, false},
	} {
		s := &server{cfg: mustLoad(t, strings.Fields(c.environ)...)}
		r := gateRequest("localhost", "/graphql", c.headers...)
		r.RemoteAddr = c.remote
		called := false
		s.withClientAddr(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			called = true
			addr := auth.ClientAddr(r.Context())
			socket := auth.IsUnlimited(socketContext(r))
			if got := auth.IsUnlimited(r.Context()); got != c.want || socket != c.want ||
				(countedAddr(r) == "") != (c.want || addr == netip.Addr{}) {
				t.Errorf("%s: unlimited: %t, as a socket: %t, counted as %q; want %t", name, got, socket,
					countedAddr(r), c.want)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		if !called {
			t.Fatal("nobody was asked")
		}
	}
}

// The running server refuses on all routes, and says so in its log.
func TestGateOfRunningServer(t *testing.T) {
	t.Parallel()
	i := startInside(t, sqliteEnviron(t)...)
	for _, path := range []string{"/graphql", "/graphiql", "/graphiql/", "/schema.graphql", "/", "/healthz", "/readyz",
		"/none"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-For", "203.0.113.9")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close() // Read to its end.
		if err != nil || resp.StatusCode != http.StatusForbidden || !strings.Contains(string(body),
			"PARLEY_MODE=production") {
			t.Errorf("%s: got %d %s, %v; want 403 with the way out", path, resp.StatusCode, body, err)
		}
	}
	if got := strings.Count(i.out.String(), "request refused"); got != 1 {
		t.Errorf("the log says it %d times, want once:\n%s", got, i.out.String())
	}
}

// TestAccessLogOfTheGate has a line for a request that is refused before it reaches anything,
// of the same trace as the warning.
func TestAccessLogOfTheGate(t *testing.T) {
	t.Parallel()
	for _, path := range []string{graphqlPath, "/schema.graphql"} {
		for _, access := range []toggle{on, off} {
			var log bytes.Buffer
			cfg := mustLoad(t, "PARLEY_LOG=json", "PARLEY_ACCESS_LOG="+string(access))
			served := routes(cfg, newLogger(cfg, &log), nil, http.NotFoundHandler(), http.NotFoundHandler())
			served.ServeHTTP(httptest.NewRecorder(), gateRequest("stranger.example", path))
			var lines []map[string]any
			for line := range strings.Lines(log.String()) {
				var got map[string]any
				if err := json.Unmarshal([]byte(line), &got); err != nil {
					t.Fatal(err)
				}
				lines = append(lines, got)
			}
			want := 1
			if access == on {
				want = 2
			}
			if len(lines) != want || lines[0]["msg"] != "request refused" || lines[0]["trace_id"] == nil {
				t.Errorf("%s, access log %s: got %v, want %d lines, a warning with its trace first", path, access, lines, want)
				continue
			}
			if last := lines[want-1]; access == on && (last["msg"] != "request" || last["status"] != 421.0 ||
				last["trace_id"] != lines[0]["trace_id"]) {
				t.Errorf("%s: got %v after %v, want its status, in one trace", path, last, lines[0])
			}
		}
	}
}
