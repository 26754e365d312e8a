package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"parley/internal/store/storetest"
	"parley/internal/waittest"
	"parley/test/built"
)

func TestMain(m *testing.M) { os.Exit(built.Main(m)) }

// screen is what the person sees. It is safe for concurrent use.
type screen struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *screen) await(t *testing.T, text string) {
	t.Helper()
	waittest.Within(t, waittest.Limit, "the screen says "+text, func() bool {
		return strings.Contains(s.String(), text)
	})
}

// freeAddr is an address that nobody has at this moment.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // It took nothing.
	return l.Addr().String()
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// ask sends an operation, and reports whether it was answered with data.
func ask(ctx context.Context, addr, token, query string, variables map[string]any, data any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // Only read.
	var got struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		return err
	}
	if len(got.Errors) > 0 {
		return fmt.Errorf("%s", got.Errors[0].Message)
	}
	return json.Unmarshal(got.Data, data)
}

// A reply that is under way when its replica is killed ends on the other one; that comes back, and at the end nothing
// is left.
func TestKilledInTheMiddle(t *testing.T) {
	path, err := built.Server() // Before the temporary folder is another one.
	if err != nil {
		t.Fatal(err)
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	s := settings{front: freeAddr(t), replicas: [2]string{freeAddr(t), freeAddr(t)}, binary: path,
		database: storetest.EmptyPostgresConfig(t).DatabaseURL}
	keys, pressed := io.Pipe()
	press := func(line string) {
		t.Helper()
		if _, err := io.WriteString(pressed, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	var shown screen
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { ended <- s.show(ctx, keys, &shown) }()
	shown.await(t, "press Enter here")

	var up struct{ SignUp struct{ AccessToken string } }
	if err := ask(ctx, s.front, "", `mutation { signUp(input: {email: "ada@example.com", password: "a canary in a mine"}) {
		accessToken } }`, nil, &up); err != nil {
		t.Fatal(err)
	}
	token := up.SignUp.AccessToken
	var sent struct {
		SendMessage struct{ Reply struct{ ID string } }
	}
	if err := ask(ctx, s.front, token, `mutation ($c: String!) { sendMessage(input: {content: $c, model: "script"}) {
		reply { id } } }`, map[string]any{"c": "/tokens 60 /slow 40"}, &sent); err != nil {
		t.Fatal(err)
	}
	type reply struct {
		Status, Content string
		Attempt         int
	}
	read := func(addr string) (got reply, err error) {
		var data struct{ Node reply }
		err = ask(ctx, addr, token, `query ($id: ID!) { node(id: $id) { ... on Message { status content attempt } } }`,
			map[string]any{"id": sent.SendMessage.Reply.ID}, &data)
		return data.Node, err
	}
	waittest.Within(t, waittest.Limit, "the reply grows", func() bool {
		got, err := read(s.replicas[1])
		return err == nil && got.Status == "STREAMING" && got.Content != ""
	})
	press("")
	shown.await(t, "Replica 1 is dead")
	waittest.Within(t, waittest.Limit, "the reply ends on the other replica", func() bool {
		got, err := read(s.front) // It leads to whoever lives.
		return err == nil && got.Status == "COMPLETED" && got.Attempt > 1 &&
			strings.HasPrefix(got.Content, "The harbour") &&
			len(strings.Fields(got.Content)) > 30
	})
	if _, err := read(s.replicas[0]); err == nil {
		t.Error("the killed replica answers")
	}
	press("")
	shown.await(t, "Replica 1 is back")
	if got, err := read(s.replicas[0]); err != nil || got.Status != "COMPLETED" {
		t.Errorf("on the replica that came back the reply is %+v, %v", got, err)
	}

	press("q")
	if err := <-ended; err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	for _, addr := range append(s.replicas[:], s.front) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close() // It should not be there.
			t.Errorf("somebody still listens on %s", addr)
		}
	}
	if left, err := filepath.Glob(filepath.Join(temporary, "parley-demo-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	_ = pressed.Close() // Who waits for keys ends with it.
}

// Without Postgres it says what is missing.
func TestNoPostgres(t *testing.T) {
	t.Setenv(storetest.URLVariable, "")
	err := run(t.Context(), nil, strings.NewReader(""), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "postgresql") {
		t.Errorf("got %v, want to hear what to install", err)
	}
}

// A replica that does not start is shown with its own words, and nothing is left.
func TestReplicaDoesNotStart(t *testing.T) {
	path, err := built.Server()
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }() // It took nothing.
	s := settings{front: freeAddr(t), replicas: [2]string{taken.Addr().String(), freeAddr(t)}, binary: path,
		database: storetest.EmptyPostgresConfig(t).DatabaseURL}
	err = s.show(t.Context(), strings.NewReader(""), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "another program listens on") {
		t.Errorf("got %v, want the replica's own words", err)
	}
}
