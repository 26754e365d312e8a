package upstream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"parley/internal/secret"
	"parley/internal/upstream"
)

// scripted is a model server that answers by path and remembers who asked for what.
type scripted struct {
	mu    sync.Mutex // guards asked
	asked []string   // Method, path and key.
	paths map[string]http.HandlerFunc
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
	s.mu.Unlock()
	if answer := s.paths[r.URL.Path]; answer != nil {
		answer(w, r)
		return
	}
	http.NotFound(w, r)
}

func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func jsonBody(status int, body string) http.HandlerFunc {
	return says(status, "application/json", body)
}

func redirects(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusMovedPermanently) }
}

const (
	testKey  = "sk-secret-0123456789"
	someList = `{"object":"list","data":[{"id":"b"},{"id":"a"}]}`
	page     = "<!doctype html><title>Sign in sk-secret</title>"
)

// What a wrong address, a wrong key or a wrong server looks like, and what an operator is
// told. HOST is the server's, and others of the table are asked on the way.
func TestCheck(t *testing.T) {
	t.Parallel()
	list, web, missing := jsonBody(200, someList), says(200, "text/html", page), jsonBody(404, `{"detail":"Not Found"}`)
	badRequest := jsonBody(400, `{"error":{"message":"you must provide a model parameter"}}`)
	type paths = map[string]http.HandlerFunc
	for name, c := range map[string]struct {
		base  string
		paths paths
		key   string
		want  []string // Of the error; none is fine.
		// unlisted is whether the server is fine and has no list; most how often it may be asked.
		unlisted bool
		most     int
	}{
		"fine":        {"/v1", paths{"/v1/models": list}, testKey, nil, false, 1},
		"a bare list": {"/v1", paths{"/v1/models": jsonBody(200, `[{"id":"b"},{"id":"a"}]`)}, "", nil, false, 1},
		"Ollama's names": {"/v1", paths{"/v1/models": jsonBody(200, `{"models":[{"name":"b"},{"name":"a"}]}`)}, "",
			nil, false, 1},
		"no /v1": {"", paths{"/v1/models": list}, "", []string{"/models is answered with 404",
			"OPENAI_BASE_URL is probably http://HOST/v1"}, false, 2},
		"no /v1, a page": {"", paths{"/models": web, "/v1/models": list}, "", []string{"is a web page",
			"probably http://HOST/v1"}, false, 2},
		"LM Studio": {"", paths{"/models": jsonBody(200,
			`{"error":"Unexpected endpoint or method. (GET /models)"}`), "/v1/models": list}, "",
			[]string{"is no list of models", "probably http://HOST/v1"}, false, 2},
		"no /v1, a key": {"", paths{"/v1/models": jsonBody(401, `{"error":"no"}`)}, "",
			[]string{"probably http://HOST/v1"}, false, 2},
		"twice /v1": {"/v1/v1", paths{"/v1/models": list}, "", []string{"/v1/v1/models is answered with 404",
			"probably http://HOST/v1"}, false, 2},
		"an endpoint": {"/v1/chat/completions", paths{"/v1/models": list}, "", []string{"probably http://HOST/v1"},
			false, 2},
		"Ollama's own": {"/api/chat", paths{"/v1/models": list}, "", []string{"probably http://HOST/v1"}, false, 5},
		"OpenRouter": {"/v1", paths{"/v1/models": web, "/api/v1/models": list}, "",
			[]string{"probably http://HOST/api/v1"}, false, 3},
		"an own prefix": {"/llm", paths{"/llm/v1/models": list}, "", []string{"probably http://HOST/llm/v1"}, false,
			2},
		"nothing at all": {"/v1", paths{}, testKey, []string{"/v1/models is answered with 404 Not Found",
			"nor is there /chat/completions"}, false, 6},
		"nothing, and no /v1": {"", paths{}, "", []string{"/models is answered with 404",
			"/v1 is probably missing at its end"}, false, 6},
		"only pages": {"/v1", paths{"/v1/models": web, "/v1/chat/completions": web}, "",
			[]string{"/v1/models is a web page", "nor is there /chat/completions"}, false, 6},
		"no list": {"/v1", paths{"/v1/models": missing, "/v1/chat/completions": badRequest}, "", nil, true, 6},
		"no list, vLLM": {"/v1", paths{"/v1/chat/completions": jsonBody(422,
			`{"detail":[{"loc":["body","model"]}]}`)}, "", nil, true, 6},
		"no list, a name": {"/v1", paths{"/v1/chat/completions": jsonBody(404,
			`{"error":{"message":"model '' not found"}}`)}, "", nil, true, 6},
		"no list, a key": {"/v1", paths{"/v1/chat/completions": jsonBody(401, `{}`)}, "",
			[]string{"/v1/chat/completions is answered with 401", "set OPENAI_API_KEY"}, false, 6},
		"a wrong key": {"/v1", paths{"/v1/models": jsonBody(401,
			`{"error":{"message":"Incorrect API key provided: `+testKey+`"}}`)}, testKey, []string{"401 Unauthorized",
			"OPENAI_API_KEY is wrong"}, false, 1},
		"no key": {"/v1", paths{"/v1/models": jsonBody(403, `{}`)}, "", []string{"403 Forbidden",
			"set OPENAI_API_KEY"}, false, 1},
		"busy": {"/v1", paths{"/v1/models": jsonBody(429, `{}`)}, testKey, []string{"429", "no quota left"},
			false, 1},
		"failing": {"/v1", paths{"/v1/models": jsonBody(503, `{}`)}, "", []string{"503", "is starting"}, false,
			1},
		"a proxy's page": {"/v1", paths{"/v1/models": says(502, "text/html", page)}, "", []string{"502 Bad Gateway",
			"a proxy answers"}, false, 1},
		"TLS wanted, Go": {"/v1", paths{"/v1/models": says(400, "text/plain",
			"Client sent an HTTP request to an HTTPS server.\n")}, "", []string{"write https://"}, false, 1},
		"TLS wanted": {"/v1", paths{"/v1/models": says(400, "text/html",
			"<h1>The plain HTTP request was sent to HTTPS port</h1>")}, "", []string{"write https://"}, false, 1},
		"to https": {"/v1", paths{"/v1/models": redirects("https://HOST/v1/models")}, testKey, []string{"301",
			`a redirect to "https://HOST/v1/models", which is not followed`, `probably "https://HOST/v1"`}, false, 1},
		"elsewhere": {"/v1", paths{"/v1/models": redirects("https://evil.example/x?" + testKey)}, testKey,
			[]string{`a redirect to "https://evil.example/x", which is not followed`}, false, 1},
		"nowhere": {"/v1", paths{"/v1/models": redirects("http://[::1")}, testKey,
			[]string{"a redirect, which is not followed"}, false, 1},
		"broken": {"/v1", paths{"/v1/models": func(http.ResponseWriter,
			*http.Request) {
			panic(http.ErrAbortHandler)
		}}, "", []string{"closes the connection", "https://"}, false,
			1},
		"endless": {"/v1", paths{"/v1/models": jsonBody(200, `{"data":[`+strings.Repeat(" ", 9<<20))}, "",
			[]string{"could not be read"}, false, 1},
		"odd": {"/v1", paths{"/v1/models": jsonBody(418, `{}`)}, "", []string{"418",
			"probably not that of a model server"}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &scripted{}
			web := httptest.NewUnstartedServer(s)
			web.Config.ErrorLog = log.New(io.Discard, "", 0)
			host := web.Listener.Addr().String()
			s.paths = make(paths)
			for path, answer := range c.paths {
				s.paths[path] = func(w http.ResponseWriter, r *http.Request) {
					recorded := httptest.NewRecorder()
					answer(recorded, r)
					if to := recorded.Header().Get("Location"); to != "" {
						recorded.Header().Set("Location", strings.ReplaceAll(to, "HOST", host))
					}
					for name, values := range recorded.Header() {
						w.Header()[name] = values
					}
					w.WriteHeader(recorded.Code)
					_, _ = w.Write(recorded.Body.Bytes())
				}
			}
			web.Start()
			t.Cleanup(web.Close)
			client := client(t, upstream.Config{BaseURL: web.URL + c.base, APIKey: secret.New(c.key)})
			found, err := client.Check(t.Context())
			s.mu.Lock()
			asked := slices.Clone(s.asked)
			s.mu.Unlock()
			if len(asked) > c.most {
				t.Errorf("asked %d times, want at most %d: %q", len(asked), c.most, asked)
			}
			if c.want == nil {
				names, fresh := client.Remembered()
				if err != nil || found.Listed == c.unlisted || !c.unlisted && (!slices.Equal(found.Models, []string{"b",
					"a"}) ||
					!fresh || !slices.Equal(names, found.Models)) {
					t.Errorf("got %+v, %v, and remembers %v; want a list: %t", found, err, names, !c.unlisted)
				}
				return
			}
			wantSetup(t, err, host, c.want...)
		})
	}
}

// wantSetup checks what an operator is told.
func wantSetup(t *testing.T, err error, host string, want ...string) {
	t.Helper()
	var setup *upstream.SetupError
	if !errors.As(err, &setup) {
		t.Fatalf("got %v, want a SetupError", err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), strings.ReplaceAll(w, "HOST", host)) {
			t.Errorf("got %q, want %q in it", err, strings.ReplaceAll(w, "HOST", host))
		}
	}
	if strings.Contains(err.Error(), "secret") || len(err.Error()) > 600 {
		t.Errorf("too much is said: %q", err)
	}
}

// The key goes to the configured host and to no other, whatever that says.
func TestCheckKeepsTheKey(t *testing.T) {
	t.Parallel()
	var thief scripted
	elsewhere := httptest.NewServer(&thief)
	t.Cleanup(elsewhere.Close)
	for _, from := range []string{"/v1/models", "/v1/chat/completions", "/api/v1/models"} {
		s := &scripted{paths: map[string]http.HandlerFunc{from: redirects(elsewhere.URL + from)}}
		web := httptest.NewServer(s)
		t.Cleanup(web.Close)
		c := client(t, upstream.Config{BaseURL: web.URL + "/v1", APIKey: secret.New(testKey)})
		_, err := c.Check(t.Context())
		var setup *upstream.SetupError
		if !errors.As(err, &setup) {
			t.Errorf("a redirect of %s: got %v", from, err)
		}
		if want := "GET /v1/models Bearer " + testKey; len(s.asked) == 0 || s.asked[0] != want {
			t.Errorf("asked %q, want %q first", s.asked, want)
		}
	}
	if len(thief.asked) > 0 {
		t.Errorf("another host got %q", thief.asked)
	}
}

// Servers that cannot be talked to at all.
func TestCheckConnections(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(&scripted{})
	t.Cleanup(plain.Close)
	signed := httptest.NewUnstartedServer(&scripted{})
	signed.Config.ErrorLog = log.New(io.Discard, "", 0)
	signed.StartTLS()
	t.Cleanup(signed.Close)
	plainHost, signedHost := plain.Listener.Addr().String(), signed.Listener.Addr().String()
	for base, want := range map[string][]string{
		"http://" + nobody + "/v1": {"nothing listens on " + nobody, "is not running",
			"in a container 127.0.0.1 is the container itself"},
		"https://" + plainHost + "/v1":  {plainHost + " does not speak https", "write http://"},
		"http://" + signedHost + "/v1":  {"400", "write https://"},
		"https://" + signedHost + "/v1": {"TLS with " + signedHost + " fails", "SSL_CERT_FILE"},
	} {
		_, err := client(t, upstream.Config{BaseURL: base}).Check(t.Context())
		wantSetup(t, err, "", want...)
	}
	for _, c := range map[string]struct {
		err  error
		want []string
	}{
		"no such name": {&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true},
			[]string{"the name host.docker.internal is not known", "--add-host"}},
		"no way": {&net.OpError{Op: "dial", Err: errors.New("network is unreachable")},
			[]string{"host.docker.internal:1 cannot be reached", "network is unreachable"}},
		"not HTTP": {errors.New(`net/http: malformed HTTP response "\x15\x03\x01"`), []string{"write https://"}},
		"no TLS":   {io.EOF, []string{"closes the connection without an answer", "wants https://"}},
		"too slow": {context.DeadlineExceeded, []string{"does not answer within 5s"}},
	} {
		c2 := client(t, upstream.Config{BaseURL: "http://host.docker.internal:1/v1", Transport: fails{c.err}})
		_, err := c2.Check(t.Context())
		wantSetup(t, err, "", c.want...)
	}
	_, err = client(t, upstream.Config{BaseURL: "https://server.test", Transport: fails{io.EOF}}).Check(t.Context())
	wantSetup(t, err, "", "closes the connection without an answer", "speaks http:// only")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStopped)
	if _, err := client(t, upstream.Config{BaseURL: plain.URL}).Check(ctx); !errors.Is(err, errStopped) {
		t.Errorf("after its end: got %v, want the cause", err)
	}
}

// fails is a transport that only fails.
type fails struct{ err error }

func (f fails) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// FuzzCheck: whatever a server answers, an operator is told something short that holds
// nothing of the body and nothing of the key.
func FuzzCheck(f *testing.F) {
	for _, seed := range []struct {
		status               int
		kind, location, body string
	}{
		{200, "application/json", "", someList}, {200, "text/html", "", page}, {302, "", "https://x/y?k=" + testKey,
			""},
		{401, "application/json", "", `{"error":"` + testKey + `"}`}, {404, "", "", "404 page not found"},
		{200, "application/json", "", `{"data":null}`}, {200, "", "", `[1]`}, {307, "", "//" + testKey + "/models", ""},
	} {
		f.Add(seed.status, seed.kind, seed.location, seed.body)
	}
	f.Fuzz(func(t *testing.T, status int, kind, location, body string) {
		if status < 200 || status > 599 {
			t.Skip("no status of an answer")
		}
		answer := func() *http.Response {
			return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind},
				"Location": {location}},
				Body: io.NopCloser(bytes.NewReader([]byte(body)))}
		}
		c := client(t, upstream.Config{BaseURL: "http://server.test/v1", APIKey: secret.New(testKey),
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.URL.Host != "server.test" {
					return nil, fmt.Errorf("%s is asked", r.URL.Host)
				}
				return answer(), nil
			})})
		_, err := c.Check(t.Context())
		var setup *upstream.SetupError
		if err != nil && !errors.As(err, &setup) {
			t.Fatalf("got %v", err)
		}
		if err != nil && (strings.Contains(err.Error(), testKey) || len(err.Error()) > 900 ||
			strings.ContainsAny(err.Error(), "\r\n\x00")) {
			t.Errorf("an operator is told %q", err)
		}
		if u, parsed := url.Parse(location); err != nil && parsed == nil && len(u.RawQuery) > 8 &&
			strings.Contains(err.Error(), u.RawQuery) && !strings.Contains(u.Path+u.Host, u.RawQuery) {
			t.Errorf("an operator is told the query: %q", err)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
