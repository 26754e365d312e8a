package attacks_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// What nobody in particular may send, in its dearest forms. They are counted by the time of
// processors that they take: a request of some kilobytes took up to 163 ms.
func TestDearRequests(t *testing.T) {
	t.Parallel()
	const rounds, clients, each = 10, 4, 15 * time.Millisecond
	s := start(t)
	defer s.bystander(t)()
	nobody := s.nobody(t)
	plain := string(body("{ viewer { id } }", nil))
	variables := func(value string) string {
		return `{"query":"{ viewer { id } }","variables":{"a":` + value + `}}`
	}
	attacks := []struct {
		name, accept, body string
		status             int
		code               string
	}{
		{"Accept, unknown", strings.Repeat("a/b,", 15_000), plain, http.StatusNotAcceptable, "BAD_REQUEST"},
		{"Accept, known", strings.Repeat("application/json;q=0.001,", 2_400), plain, http.StatusOK, ""},
		{"Accept, any", strings.Repeat("*/*,", 15_000), plain, http.StatusOK, ""},
		{"one field", "", string(body("{ viewer {"+strings.Repeat(" id", 100)+" } }", nil)), http.StatusOK, ""},
		{"inline fragments", "", string(body("{ viewer { "+strings.Repeat("... { ", 75)+strings.Repeat("id ", 290)+
			strings.Repeat("} ", 75)+"} }", nil)), http.StatusOK, "OPERATION_TOO_COMPLEX"},
		{"fragments", "", string(body(chain(48), nil)), http.StatusOK, "OPERATION_TOO_COMPLEX"},
		{"deep lists", "", variables(strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000)),
			http.StatusBadRequest, "BAD_REQUEST"},
		{"deep objects", "", variables(strings.Repeat(`{"a":`, 9_000) + "1" + strings.Repeat("}", 9_000)),
			http.StatusBadRequest, "BAD_REQUEST"},
	}
	before := s.cpu(t)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range rounds {
				for _, attack := range attacks {
					a, err := nobody.post(t.Context(), []byte(attack.body), attack.accept)
					if err != nil || a.status != attack.status || a.code() != attack.code {
						t.Errorf("%s: got %d %.300v, %v, want %d %s", attack.name, a.status, a.Errors, err,
							attack.status, attack.code)
						return
					}
				}
			}
		})
	}
	all.Wait()
	n := rounds * clients * len(attacks)
	got := s.cpu(t) - before
	t.Logf("%d requests took %v of processors, with the bystander's", n, got)
	if most := time.Duration(n) * each; got > most {
		t.Errorf("that is more than %v", most)
	}
}

// chain is a document with fragments that spread the next two of them.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("{ viewer { ...f0 } }")
	for i := range n {
		fmt.Fprintf(&b, " fragment f%d on User { id ...f%d ...f%d }", i, i+1, i+2)
	}
	fmt.Fprintf(&b, " fragment f%d on User { id } fragment f%d on User { id }", n, n+1)
	return b.String()
}

// Sockets on which nobody signs in take all the places of an address. Whoever has signed in
// does not need one, and before long they are free again.
func TestSocketsOfNobody(t *testing.T) {
	t.Parallel()
	const places = 200
	s := start(t)
	defer s.bystander(t)()
	ada := s.user(t, "ada")
	ada.socket(t)
	var mu sync.Mutex
	var open []*socket
	var all sync.WaitGroup
	for i := range places {
		all.Go(func() {
			c, _, err := s.dial(t)
			if err == nil && i%2 == 1 {
				err = c.write(`{"type":"connection_init"}`) // That it is nobody.
			}
			if err != nil {
				t.Errorf("socket %d beside that of a user: %v", i, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			open = append(open, c)
		})
	}
	all.Wait()
	if _, status, err := s.dial(t); err == nil || status != http.StatusTooManyRequests {
		t.Errorf("one socket more: got %d, %v, want 429", status, err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.addr+"/graphql",
		bytes.NewReader(body("subscription { viewerEvents { __typename } }", nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"},
		"Authorization": {"Bearer " + ada.token}}
	resp, err := ada.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); resp.StatusCode != http.StatusOK || err != nil {
		t.Errorf("a user's stream from there: got %d %q, %v", resp.StatusCode, line, err)
	}
	for _, c := range open {
		for err = error(nil); err == nil; {
			_, err = c.next()
		}
		if c.ctx.Err() != nil {
			t.Fatal("a socket of nobody is not closed")
		}
	}
}

// What stands behind a request whose end is not clear is not taken for a request, and of
// what stands twice in a body nothing is done.
func TestSmuggledRequests(t *testing.T) {
	t.Parallel()
	s := start(t)
	defer s.bystander(t)()
	eve := s.user(t, "eve")
	const create = `mutation { createConversation(input: {name: "smuggled"}) { conversation { id } } }`
	const lengthy = "POST /graphql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n" +
		"Authorization: Bearer %s\r\nContent-Length: %d\r\n"
	first, second := body("{ viewer { id } }", nil), body(create, nil)
	smuggled := fmt.Sprintf(lengthy, s.addr, eve.token, len(second)) + "\r\n" + string(second)
	pieces := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(first), first) + smuggled
	request := fmt.Sprintf(lengthy, s.addr, eve.token, len(pieces)) + "Transfer-Encoding: chunked\r\n\r\n" + pieces
	for range 20 {
		if got := s.raw(t, request); !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Count(got, "HTTP/1.1 ") != 1 {
			t.Errorf("got %.300q, want one refusal", got)
		}
	}
	for _, text := range []string{
		`{"query":"{ viewer { id } }","query":` + quoted(create) + `}`,
		`{"query":` + quoted(create) + `,"QUERY":"{ viewer { id } }"}`,
		`{"query":` + quoted(create) + `,"variables":{"a":1,"a":2}}`,
		`{"query":` + quoted(create) + `,"variables":{"a":[{"\u0062":1,"b":2}]}}`,
	} {
		if a, err := eve.post(t.Context(), []byte(text), ""); err != nil || a.status != http.StatusBadRequest {
			t.Errorf("%s: got %d, %v, want 400", text, a.status, err)
		}
	}
	a := eve.ask(t, `{ conversations(first: 1) { totalCount } }`, nil)
	if got := string(a.Data["conversations"]); got != `{"totalCount":0}` {
		t.Errorf("got %s, want nothing done of all that", got)
	}
}

// raw sends bytes on a connection of their own, and returns all that comes until it is closed.
func (s *server) raw(t *testing.T, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("got %.300q, %v, want the connection closed", got, err)
	}
	return string(got)
}

func quoted(text string) string { return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"` }
