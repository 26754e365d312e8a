package graph_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"parley/internal/store/storetest"
)

// strange is what somebody who has not signed in may send, in the form that costs most. It is
// n times something; at most is what the server accepts, with room.
type strange struct {
	name   string
	most   int
	header string // repeats unit
	unit   string
	url    func(n int) string
	body   func(n int) string
}

// documents are the dearest of their kinds.
var documents = map[string]func(n int) string{
	"one leaf":   func(n int) string { return "{ viewer { " + strings.Repeat("id ", n) + "} }" },
	"many names": func(n int) string { return "{ viewer { " + numbered(n, "a%d: id ") + "} }" },
	"branches":   func(n int) string { return "{ conversations { " + strings.Repeat("nodes { id } ", n) + "} }" },
	"inline": func(n int) string {
		return "{ viewer { " + strings.Repeat("... { ", n/8) + strings.Repeat("id ", n/2) +
			strings.Repeat("} ", n/8) + "} }"
	},
	"inline branches": func(n int) string {
		return "{ conversations { nodes { " + strings.Repeat("... { ", n/8) +
			strings.Repeat("messages { nodes { id } } ", n/16) + strings.Repeat("} ", n/8) + "} } }"
	},
	"introspection": func(n int) string {
		return "{ __schema { types { " + strings.Repeat("name ", n) + "} } }"
	},
	"nothing known": func(n int) string { return "{ viewer { " + numbered(n, "x%d ") + "} }" },
	"arguments":     func(n int) string { return "{ node(" + numbered(n/2, "a%d: 1 ") + ") { id } }" },
	"one argument":  func(n int) string { return "{ node(" + strings.Repeat("id: 1 ", n/2) + ") { id } }" },
	"an object": func(n int) string {
		return "mutation { signIn(input: {" + numbered(n/2, "a%d: 1 ") + "}) { accessToken } }"
	},
	"a list": func(n int) string { return "{ nodes(ids: [" + strings.Repeat(`"x" `, n) + "]) { id } }" },
	"lists": func(n int) string {
		return "{ nodes(ids: " + strings.Repeat("[", n/2) + strings.Repeat("]", n/2) + ") { id } }"
	},
	"variables": func(n int) string {
		return "query(" + numbered(n/8, "$a%d: ID ") + ") { nodes(ids: [" + numbered(n/8, "$a%d ") + "]) { id } }"
	},
	"directives": func(n int) string { return "{ viewer { id " + strings.Repeat("@skip(if: true) ", n/8) + "} }" },
	"operations": func(n int) string { return numbered(n/6, "query q%d { viewer { id } } ") },
	"fragments": func(n int) string {
		return "{ viewer { " + numbered(n/16, "...f%d ") + "} } " + numbered(n/16, "fragment f%d on User { id email } ")
	},
	"a chain": func(n int) string {
		var b strings.Builder
		b.WriteString("{ viewer { ...f0 } } ")
		for i := range n / 16 {
			fmt.Fprintf(&b, "fragment f%d on User { id ...f%d ...f%d } ", i, i+1, i+2)
		}
		return b.String()
	},
	"a circle": func(n int) string {
		return "{ conversations { ...f } } fragment f on ConversationConnection { nodes { messages { nodes { " +
			"conversation { id } } } } " + strings.Repeat("...f ", n/8) + "}"
	},
	"blanks":  func(n int) string { return "{ viewer { id } " + strings.Repeat(" ", 16*n) + "}" },
	"a text":  func(n int) string { return `{ node(id: "` + strings.Repeat(`\u0041`, n) + `") { id } }` },
	"a block": func(n int) string { return `{ node(id: """` + strings.Repeat("\n a", 4*n) + `""") { id } }` },
	"remarks": func(n int) string { return "{ viewer { id } } " + strings.Repeat("#\n", 8*n) },
}

func numbered(n int, form string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, form, i)
	}
	return b.String()
}

func strangers() []strange {
	variables := func(members string) string {
		return `{"query":"{ viewer { id } }","variables":{` + strings.TrimSuffix(members, ",") + `}}`
	}
	list := []strange{
		{name: "Accept, unknown", most: 16000, header: "Accept", unit: "a/b,"},
		{name: "Accept, known", most: 2000, header: "Accept", unit: "application/json;q=0.001,"},
		{name: "Accept, rising", most: 16000, header: "Accept", unit: "*/*,"},
		{name: "Accept, parameters", most: 8000, header: "Accept", unit: "a/b;a=b;"},
		{name: "Accept, quotes", most: 32000, header: "Accept", unit: `",`},
		{name: "Content-Type", most: 8000, header: "Content-Type", unit: "application/json;a*0=b;"},
		{name: "Authorization", most: 64000, header: "Authorization", unit: "Bearer ."},
		{name: "Cookie", most: 16000, header: "Cookie", unit: "a=b;"},
		{name: "Origin", most: 64000, header: "Origin", unit: "http://x"},
		{name: "protocols", most: 16000, header: "Sec-WebSocket-Protocol", unit: "a,"},
		{name: "extensions", most: 16000, header: "Sec-WebSocket-Extensions", unit: "a;b,"},
		{name: "Connection", most: 16000, header: "Connection", unit: "a,"},
		{name: "parameters", most: 16000, url: func(n int) string { return numbered(n, "a%d=1&") }},
		{name: "one parameter", most: 16000, url: func(n int) string { return strings.Repeat("query=1&", n) }},
		{name: "a long parameter", most: 16000, url: func(n int) string { return "query=" + strings.Repeat("%7B", n) }},
		{name: "no JSON", most: 64000, body: func(n int) string { return strings.Repeat("[", n) }},
		{name: "wide", most: 6000, body: func(n int) string { return variables(numbered(n, `"a%d":1,`)) }},
		{name: "one name", most: 6000, body: func(n int) string { return variables(strings.Repeat(`"a":1,`, n)) }},
		{name: "escaped names", most: 4000, body: func(n int) string {
			return variables(numbered(n, `"\u0041%d":1,`))
		}},
		{name: "top names", most: 4000, body: func(n int) string {
			return `{"query":"{ viewer { id } }",` + strings.TrimSuffix(numbered(n, `"a%d":1,`), ",") + `}`
		}},
		{name: "lists", most: 30000, body: func(n int) string {
			return variables(`"a":` + strings.Repeat("[", n/4) + strings.Repeat("]", n/4))
		}},
		{name: "objects", most: 8000, body: func(n int) string {
			return variables(strings.Repeat(`"a":{`, n/4) + strings.Repeat("}", n/4))
		}},
	}
	for name, document := range documents {
		list = append(list, strange{name: "document, " + name, most: 900, body: func(n int) string {
			return `{"query":` + quoted(document(n)) + `}`
		}})
	}
	return list
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func (s strange) request(n int) *http.Request {
	method, target, body := http.MethodPost, "/graphql", `{"query":"{ viewer { id } }"}`
	switch {
	case s.url != nil:
		method, target, body = http.MethodGet, "/graphql?"+s.url(n), ""
	case s.body != nil:
		body = s.body(n)
	}
	r := httptest.NewRequest(method, "http://x/", strings.NewReader(body))
	r.URL, _ = url.Parse("http://x" + target)
	r.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(s.header, "Sec-") || s.header == "Connection" {
		r.Method = http.MethodGet
		r.Header.Set("Upgrade", "websocket")
	}
	if s.header != "" {
		r.Header.Set(s.header, strings.Repeat(s.unit, n))
	}
	return r
}

// bytesFor is what the server allocates for a request.
func (s strange) bytesFor(web http.Handler, n int) uint64 {
	r := s.request(n)
	w := httptest.NewRecorder()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	web.ServeHTTP(w, r)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// What strangers send costs what it is long, and not the square of that, and never much. What
// does cost more is refused before. Bytes stand for steps here: nothing that is read or
// compared again and again does without any.
func TestStrangersCostLittle(t *testing.T) {
	b := setup(t, storetest.SQLite(t), options{production: true})
	const slack, most = 64 << 10, 3 << 20
	for _, s := range strangers() {
		s.bytesFor(b.graphql, 1) // What is made once is made.
		half, whole := s.bytesFor(b.graphql, s.most/2), s.bytesFor(b.graphql, s.most)
		if whole > 5*half/2+slack {
			t.Errorf("%s: %d bytes for twice what costs %d, want twice as many", s.name, whole, half)
		}
		for n := s.most; n > 0; n /= 2 {
			if got := s.bytesFor(b.graphql, n); got > most {
				t.Errorf("%s: %d bytes for %d, want at most %d", s.name, got, n, most)
			}
		}
	}
}

// BenchmarkStrangers shows what each of them costs, for that of several lengths which costs
// most: the longest that is accepted lies between two of them.
func BenchmarkStrangers(b *testing.B) {
	web := setup(b, storetest.SQLite(b), options{production: true}).graphql
	for _, s := range strangers() {
		for n := s.most; n > s.most/64; n /= 2 {
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					web.ServeHTTP(httptest.NewRecorder(), s.request(n))
				}
			})
		}
	}
}
