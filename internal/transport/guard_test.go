package transport_test

import (
	"bytes"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"parley/internal/refusal"
	"parley/internal/transport"
)

func TestPost(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, c := range []struct{ body, want string }{
		{operation(`{ who }`), `{"data":{"who":null}}`},
		{`{"query":"query($t: String!) { echo(text: $t) }","variables":{"t":"漢😀\u2028"}}`,
			"{\"data\":{\"echo\":\"漢😀\\u2028\"}}"},
		{`{"query":"query A { who } query B { echo(text: \"b\") }","operationName":"B"}`, `{"data":{"echo":"b"}}`},
		{`{"query":"{ who }","variables":null,"operationName":null,"extensions":null}`, `{"data":{"who":null}}`},
		{`{"query":"{ who }","extensions":{"a":1},"unknown":[1]}` + "\n \t", `{"data":{"who":null}}`},
	} {
		got := b.do(b.request(c.body))
		if got.StatusCode != http.StatusOK || got.text != c.want ||
			!strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: got %d %s %s, want %s", c.body, got.StatusCode, got.Header.Get("Content-Type"), got.text,
				c.want)
		}
	}
	for _, kind := range []string{"application/json; charset=utf-8", "Application/JSON",
		`application/json;charset="utf-8"`} {
		if got := b.do(b.request(operation(`{ who }`), "Content-Type", kind)); got.StatusCode != http.StatusOK {
			t.Errorf("%s: got %d, want 200", kind, got.StatusCode)
		}
	}
}

// What is no JSON object with an operation runs nothing, and is neither echoed nor
// logged.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	b := start(t)
	const secret = "hunter2-secret"
	write := operation(`mutation { write }`)
	for name, c := range map[string]struct {
		body   string
		kind   string // "-": none
		status int
	}{
		"no type":            {write, "-", 415},
		"text":               {write, "text/plain", 415},
		"form":               {"query=mutation{write}", "application/x-www-form-urlencoded", 415},
		"multipart":          {write, "multipart/form-data; boundary=x", 415},
		"graphql":            {"mutation { write }", "application/graphql", 415},
		"broken type":        {write, "application/json;;;", 415},
		"two types":          {write, "application/json, text/plain", 415},
		"like json":          {write, "application/jsonp", 415},
		"empty":              {"", "", 400},
		"array":              {"[" + write + "]", "", 400},
		"trailing":           {write + write, "", 400},
		"trailing letter":    {write + "x", "", 400},
		"text body":          {`"mutation { write }"`, "", 400},
		"number":             {"1", "", 400},
		"null":               {"null", "", 400},
		"no query":           {`{"variables":{}}`, "", 400},
		"query null":         {`{"query":null}`, "", 400},
		"query number":       {`{"query":1}`, "", 400},
		"query array":        {`{"query":["mutation { write }"]}`, "", 400},
		"broken":             {`{"query":"mutation { write }","password":"` + secret + `"`, "", 400},
		"broken inside":      {`{"password":"` + secret + `","query":"mutation { write }" oops}`, "", 400},
		"variables array":    {`{"query":"mutation { write }","variables":["` + secret + `"]}`, "", 400},
		"variables text":     {`{"query":"mutation { write }","variables":"` + secret + `"}`, "", 400},
		"variables number":   {`{"query":"mutation { write }","variables":1}`, "", 400},
		"variables false":    {`{"query":"mutation { write }","variables":false}`, "", 400},
		"extensions array":   {`{"query":"mutation { write }","extensions":[]}`, "", 400},
		"operationName list": {`{"query":"mutation { write }","operationName":["a"]}`, "", 400},
		"query twice":        {`{"query":"{ who }","query":"mutation { write }"}`, "", 400},
		"query in two cases": {`{"query":"{ who }","Query":"mutation { write }"}`, "", 400},
		"query in disguise":  {`{"query":"mutation { write }","extension\u017f":{},"extensions":{}}`, "", 400},
		"query escaped":      {`{"query":"{ who }","qu\u0065ry":"mutation { write }"}`, "", 400},
		"variable twice":     {`{"query":"mutation { write }","variables":{"a":1,"a":2}}`, "", 400},
		"deep twice":         {`{"query":"mutation { write }","variables":{"a":[{"b":{"c":1,"c":2}}]}}`, "", 400},
		"deep":               {`{"query":"mutation { write }","variables":` + strings.Repeat("[", 20000), "", 400},
		"byte order mark":    {"\ufeff" + write, "", 400},
		"UTF-16":             {"{\x00\"\x00", "", 400},
		"single quotes":      {`{'query': '` + secret + `'}`, "", 400},
	} {
		r := b.request(c.body)
		switch c.kind {
		case "":
		case "-":
			r.Header["Content-Type"] = nil
		default:
			r.Header.Set("Content-Type", c.kind)
		}
		got := b.do(r)
		if got.StatusCode != c.status || got.code() != "BAD_REQUEST" || strings.Contains(got.text, secret) {
			t.Errorf("%s: got %d %s, want %d and BAD_REQUEST", name, got.StatusCode, got.text, c.status)
		}
	}
	if n := b.writes.Load(); n != 0 {
		t.Errorf("%d mutations ran", n)
	}
	if strings.Contains(b.log.String(), secret) || strings.Contains(standardLog.String(), secret) {
		t.Error("the secret is in the log")
	}
}

// standardLog is where the log package writes in these tests: gqlgen uses it.
var standardLog = sync.OnceValue(func() *logBuffer {
	b := &logBuffer{}
	log.SetOutput(b)
	return b
})()

// Invalid UTF-8 is no reason to fail inside: it becomes U+FFFD, or is refused.
func TestInvalidUTF8(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, text := range []string{"\xff", "\xf0\x9f", "\xc0\x80", "\xed\xa0\x80"} {
		got := b.do(b.request(`{"query":"query($t: String!) { echo(text: $t) }","variables":{"t":"` + text + `"}}`))
		if !strings.Contains(got.text, "\ufffd") && got.code() != "BAD_REQUEST" {
			t.Errorf("%q: got %d %s", text, got.StatusCode, got.text)
		}
	}
	got := b.do(b.request(`{"query":"query($t: String!) { echo(text: $t) }","variables":{"t":"\ud83d \ude00"}}`))
	if got.text != "{\"data\":{\"echo\":\"\ufffd \ufffd\"}}" {
		t.Errorf("lone surrogates: got %s", got.text)
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	b := start(t)
	const limit = 1 << 20
	body := func(n int) string {
		text := operation(`mutation { write }`)
		return text + strings.Repeat(" ", n-len(text))
	}
	for name, c := range map[string]struct {
		size    int
		unknown bool // No Content-Length.
		token   string
		status  int
	}{
		"at the limit":          {limit, false, goodToken, 200},
		"at the limit, unknown": {limit, true, goodToken, 200},
		"over":                  {limit + 1, false, goodToken, 413},
		"over, unknown":         {limit + 1, true, goodToken, 413},
		"far over, unknown":     {4 * limit, true, goodToken, 413},
		"a stranger's":          {64 << 10, false, "", 200},
		"a stranger's, over":    {64<<10 + 1, true, "", 413},
		"a bad token's, over":   {64<<10 + 1, true, "bad", 413},
	} {
		before := b.writes.Load()
		r := b.request(body(c.size))
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		if c.unknown {
			r.Body = io.NopCloser(bytes.NewReader([]byte(body(c.size))))
			r.ContentLength = -1
		}
		got := b.do(r)
		ran := b.writes.Load() - before
		if got.StatusCode != c.status || c.status == 413 && (got.code() != "BAD_REQUEST" || ran != 0) {
			t.Errorf("%s: got %d %s and %d writes, want %d", name, got.StatusCode, got.text, ran, c.status)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	b := start(t)
	for method, allow := range map[string]string{
		"GET": "POST", "HEAD": "POST", // Queries only.
		"PUT": "GET, POST, OPTIONS", "PATCH": "GET, POST, OPTIONS", "DELETE": "GET, POST, OPTIONS",
		"TRACE": "GET, POST, OPTIONS", "QUERY": "GET, POST, OPTIONS", "PROPFIND": "GET, POST, OPTIONS",
	} {
		r := b.request(operation(`mutation { write }`))
		r.Method = method
		r.URL.RawQuery = "query=mutation{write}"
		got := b.do(r)
		if got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != allow {
			t.Errorf("%s: got %d, Allow %q, want 405 and %s", method, got.StatusCode, got.Header.Get("Allow"), allow)
		}
		if method != "HEAD" && got.code() != "BAD_REQUEST" {
			t.Errorf("%s: got %s, want BAD_REQUEST", method, got.text)
		}
	}
	r := b.request(operation(`mutation { write }`))
	r.Method = "OPTIONS"
	if got := b.do(r); got.StatusCode != http.StatusNoContent || got.Header.Get("Allow") != "GET, POST, OPTIONS" {
		t.Errorf("OPTIONS: got %d, Allow %q, want 204 and what there is", got.StatusCode, got.Header.Get("Allow"))
	}
	if n := b.writes.Load(); n != 0 {
		t.Errorf("%d mutations ran", n)
	}
	// curl --http2 offers an upgrade on a plain POST.
	got := b.do(b.request(operation(`{ who }`), "Upgrade", "h2c", "Connection", "Upgrade, HTTP2-Settings",
		"HTTP2-Settings", "AAMAAABkAAQAAP__"))
	if got.text != `{"data":{"who":null}}` {
		t.Errorf("a POST that offers HTTP/2: got %d %s", got.StatusCode, got.text)
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	b := start(t)
	self := b.url
	for _, c := range []struct {
		origin       string
		allowed      bool
		allowsOrigin string
	}{
		{self, true, ""},
		{strings.ToUpper(self), true, ""},
		{"https://app.example", true, "https://app.example"},
		{"https://app.example.evil", false, ""},
		{"https://evil.example", false, ""},
		{"https://evil-app.example", false, ""},
		{"http://app.example", false, ""},
		{"https://app.example:444", false, ""},
		{"https://app.example/", false, ""},
		{"null", false, ""},
		{"*", false, ""},
		{"file://", false, ""},
		{"https://app.example, https://evil.example", false, ""},
		{self + ".evil.example", false, ""},
		{strings.Replace(self, "http://", "http://evil@", 1), false, ""},
	} {
		// A page's own, and those of Sentry, OpenTelemetry and the like.
		const asked = "authorization, x-of-the-page, sentry-trace, baggage, traceparent, x-request-id"
		for _, method := range []string{"POST", "OPTIONS"} {
			before := b.writes.Load()
			r := b.request(operation(`mutation { write }`), "Origin", c.origin)
			r.Method = method
			if method == "OPTIONS" {
				r.Header.Set("Access-Control-Request-Method", "POST")
				r.Header.Set("Access-Control-Request-Headers", strings.ReplaceAll(asked, " ", ""))
			}
			got := b.do(r)
			if h := got.Header.Get("Access-Control-Allow-Origin"); h != c.allowsOrigin {
				t.Errorf("%s %s: Access-Control-Allow-Origin is %q, want %q", method, c.origin, h, c.allowsOrigin)
			}
			if got.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %s: credentials are allowed", method, c.origin)
			}
			if !strings.Contains(strings.Join(got.Header.Values("Vary"), ","), "Origin") {
				t.Errorf("%s %s: no Vary: Origin", method, c.origin)
			}
			ran := b.writes.Load() - before
			switch {
			case !c.allowed:
				if got.StatusCode != http.StatusForbidden || got.code() != "FORBIDDEN" || ran != 0 ||
					!strings.Contains(got.text, c.origin) || !strings.Contains(b.log.String(), c.origin) {
					t.Errorf("%s %s: got %d %s and %d writes, want FORBIDDEN that names it here and in the log", method,
						c.origin, got.StatusCode,
						got.text, ran)
				}
			case method == "OPTIONS":
				headers := got.Header.Get("Access-Control-Allow-Headers")
				if got.StatusCode != http.StatusNoContent || ran != 0 || headers != asked ||
					got.Header.Get("Access-Control-Max-Age") != "600" ||
					got.Header.Get("Access-Control-Allow-Methods") != "GET, POST, OPTIONS" {
					t.Errorf("OPTIONS %s: got %d %v and %d writes", c.origin, got.StatusCode, got.Header, ran)
				}
			case got.StatusCode != http.StatusOK || ran != 1:
				t.Errorf("POST %s: got %d %s and %d writes, want 200 and one", c.origin, got.StatusCode, got.text, ran)
			}
		}
	}
}

// A preflight allows what is asked for, and what is no list of names is not repeated.
func TestAskedHeaders(t *testing.T) {
	t.Parallel()
	b := start(t)
	for asked, want := range map[string]string{
		"":                                     "Authorization",
		"traceparent":                          "traceparent",
		"x-a , baggage":                        "x-a, baggage",
		"x-a, <b>":                             "Authorization",
		"x-a,,x-b":                             "Authorization",
		"x a":                                  "Authorization",
		"x-\u00e4":                             "Authorization",
		strings.Repeat("x", 1025):              "Authorization",
		strings.Repeat("x-abcdef,", 113) + "y": "x-abcdef",
	} {
		r := b.request("", "Origin", "https://app.example", "Access-Control-Request-Method", "POST")
		r.Method = http.MethodOptions
		if asked != "" {
			r.Header.Set("Access-Control-Request-Headers", asked)
		}
		got := b.do(r)
		headers := got.Header.Get("Access-Control-Allow-Headers")
		if got.StatusCode != http.StatusNoContent || !strings.Contains(headers, want) ||
			want == "Authorization" && strings.ContainsAny(headers, "<äx ") && !strings.Contains(headers, "X-Apollo") {
			t.Errorf("asked for %.40q: got %d %q, want %s", asked, got.StatusCode, headers, want)
		}
		if got.Header.Get("Access-Control-Allow-Credentials") != "" ||
			!strings.Contains(strings.Join(got.Header.Values("Vary"), ","), "Access-Control-Request-Headers") {
			t.Errorf("asked for %.40q: got %v", asked, got.Header)
		}
	}
}

// A server refuses for whoever stands before it as it does by itself.
func TestRefuse(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		transport.Refuse(w, r, slog.New(slog.DiscardHandler), http.StatusMisdirectedRequest,
			refusal.Forbidden("Not here."))
	}))
	defer web.Close()
	b := &bundle{t: t, url: web.URL}
	for accept, want := range map[string]string{
		"application/json":                  "application/json",
		"application/graphql-response+json": "application/graphql-response+json",
		"text/event-stream":                 "application/json",
	} {
		got := b.do(b.request(operation(`{ who }`), "Accept", accept))
		if got.StatusCode != http.StatusMisdirectedRequest || got.code() != "FORBIDDEN" ||
			!strings.Contains(got.text, "Not here.") || !strings.HasPrefix(got.Header.Get("Content-Type"), want) ||
			got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %d %v %s, want 421 FORBIDDEN as %s", accept, got.StatusCode, got.Header, got.text, want)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	b := start(t)
	get := b.request("")
	get.Method = "GET"
	for name, r := range map[string]*http.Request{
		"good":    b.request(operation(`{ who }`)),
		"error":   b.request(operation(`{ boom }`)),
		"broken":  b.request("{"),
		"method":  get,
		"origin":  b.request("", "Origin", "null"),
		"options": b.request("", "Origin", b.url),
		"down":    b.request(operation(`{ who }`), "Authorization", "Bearer "+downToken),
		"stream":  b.request(operation(`subscription { count(to: 1) }`), "Accept", "text/event-stream"),
	} {
		got := b.do(r)
		if got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: no nosniff", name)
		}
		if got.Header.Get("Referrer-Policy") != "no-referrer" ||
			!strings.Contains(got.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: the headers are %v", name, got.Header)
		}
		if cache := got.Header.Get("Cache-Control"); !strings.Contains(cache, "no-store") &&
			(name != "stream" || cache != "no-cache, no-transform") {
			t.Errorf("%s: Cache-Control is %q", name, cache)
		}
	}
}

func TestTokensOnPost(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, c := range []struct {
		header string
		status int
		want   string // The body, or the code of an error.
	}{
		{"", 200, `{"data":{"who":null}}`},
		{"Bearer " + goodToken, 200, `{"data":{"who":"ada"}}`},
		{"bearer  " + goodToken + " ", 200, `{"data":{"who":"ada"}}`},
		{"Bearer " + badToken, 200, `{"data":{"who":null}}`},
		{"Bearer", 200, `{"data":{"who":null}}`},
		{"Basic " + goodToken, 200, `{"data":{"who":null}}`},
		{goodToken, 200, `{"data":{"who":null}}`},
		{"Bearer " + downToken, 503, "UNAVAILABLE"},
	} {
		r := b.request(operation(`{ who }`))
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		got := b.do(r)
		if got.StatusCode != c.status || got.text != c.want && got.code() != c.want {
			t.Errorf("%q: got %d %s, want %d %s", c.header, got.StatusCode, got.text, c.status, c.want)
		}
		if strings.Contains(got.text, "pq:") {
			t.Errorf("%q: the answer tells too much: %s", c.header, got.text)
		}
	}
}

// A GET that any page could cause executes nothing.
func TestGet(t *testing.T) {
	t.Parallel()
	b := start(t)
	get := func(query string, header ...string) reply {
		r := b.request("", header...)
		r.Method, r.Body, r.ContentLength = "GET", nil, 0
		r.Header.Del("Content-Type")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		r.URL.RawQuery = query
		return b.do(r)
	}
	const who = "query=%7Bwho%7D"
	if got := get(who); got.StatusCode != http.StatusBadRequest || got.code() != "BAD_REQUEST" {
		t.Errorf("a plain GET: got %d %s, want it refused", got.StatusCode, got.text)
	}
	for _, header := range [][]string{
		{"GraphQL-Require-Preflight", "1"}, {"Apollo-Require-Preflight", "true"}, {"X-Apollo-Operation-Name", "A"},
		{"X-Requested-With", "x"}, {"Content-Type", "application/json"},
	} {
		if got := get(who, header...); got.text != `{"data":{"who":null}}` {
			t.Errorf("%v: got %d %s, want it to run", header, got.StatusCode, got.text)
		}
	}
	if got := get(who, "Authorization", "Bearer "+goodToken); got.text != `{"data":{"who":"ada"}}` {
		t.Errorf("with a token: got %d %s", got.StatusCode, got.text)
	}
	if got := get("query=query($t:String!){echo(text:$t)}&variables=%7B%22t%22%3A%22a%22%7D", "X-Requested-With",
		"x"); got.text != `{"data":{"echo":"a"}}` {
		t.Errorf("with variables: got %d %s", got.StatusCode, got.text)
	}
	for _, bad := range []string{"", "query", "query=%7Bwho%7D&variables=%5B1%5D", "query=%7Bwho%7D&variables=%7B",
		"query=%zz", "variables=%7B%7D"} {
		if got := get(bad, "X-Requested-With", "x"); bad != "query" && got.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: got %d %s, want 400", bad, got.StatusCode, got.text)
		}
	}
	// EventSource sends no headers of ours; its token is in the URL, there only.
	got := get("query=subscription%7Bcount(to:2)%7D&access_token="+goodToken, "Accept", "text/event-stream")
	if got.StatusCode != 200 || !strings.HasSuffix(got.text, "event: complete\ndata:\n\n") {
		t.Errorf("a subscription: got %d %q", got.StatusCode, got.text)
	}
	r := b.request(operation(`{ who }`))
	r.URL.RawQuery = "access_token=" + goodToken
	if got := b.do(r); got.text != `{"data":{"who":null}}` {
		t.Errorf("a POST with a token in the URL: got %s, want nobody", got.text)
	}
	if b.writes.Load() != 0 {
		t.Error("something was written")
	}
}

func TestDocumentsThatDoNotFit(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, query := range []string{
		"", "{", "{ whoo }", "mutation { wrote }", "{ who(first: 1) }", `{ echo(txt: "a") }`,
		"query($e: Strin) { who }",
		"{ " + strings.Repeat("a: who ", 600) + "}", "query A { who } query B { who }",
	} {
		got := b.do(b.request(operation(query)))
		if code := got.code(); code != "GRAPHQL_PARSE_FAILED" && code != "GRAPHQL_VALIDATION_FAILED" &&
			!strings.HasPrefix(code, "several") {
			t.Errorf("%.40s: got %d %.200s", query, got.StatusCode, got.text)
		}
		if strings.Contains(got.text, "Did you mean") {
			t.Errorf("%.40s: the schema is told: %s", query, got.text)
		}
	}
	// A subscription needs a transport that can carry it.
	got := b.do(b.request(operation(`subscription { text }`)))
	if code := got.code(); code != "BAD_REQUEST" || !strings.Contains(got.text, "text/event-stream") ||
		!strings.Contains(got.text, "graphql-transport-ws") {
		t.Errorf("a subscription by POST: got %d %s, want BAD_REQUEST that names the ways", got.StatusCode, got.text)
	}
	if b.running.Load() != 0 {
		t.Error("the subscription runs")
	}
}
