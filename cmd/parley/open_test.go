package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const signUpDocument = `mutation ($e: String!, $p: String!) { signUp(input: {email: $e, password: $p}) { accessToken } }`

// signUps signs up so many users at once and counts the codes of the answers.
func (i *instance) signUps(t *testing.T, n int) map[string]int {
	t.Helper()
	var mu sync.Mutex
	codes := make(map[string]int)
	var all sync.WaitGroup
	for k := range n {
		all.Go(func() {
			a, err := i.post(t.Context(), "", signUpDocument,
				map[string]any{"e": fmt.Sprintf("user%d@example.org", k), "p": testPassword})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			codes[a.code()]++
		})
	}
	all.Wait()
	return codes
}

// upgrade opens a socket on which nobody says who they are, and returns the status.
func (i *instance) upgrade(t *testing.T) int {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(i.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // The server may have been faster.
	if err := conn.SetDeadline(time.Now().Add(startLimit)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // Only the status counts.
	return resp.StatusCode
}

// A suite with a user for each test meets no limit on the developer's machine: neither by
// address, nor by account, nor in the queue of those who hash a password.
func TestDevelopmentIsOpen(t *testing.T) {
	t.Parallel()
	const users = 300
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_SOCKETS_PER_ADDRESS=1")...)
	if codes := i.signUps(t, users); codes[""] != users {
		t.Errorf("%d users sign up at once: got %v, want all of them in", users, codes)
	}
	for range 8 {
		if _, code := i.signIn(t, "user0@example.org", "not the password"); code != "UNAUTHENTICATED" {
			t.Errorf("a wrong password: got %s, want UNAUTHENTICATED however often", code)
		}
	}
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if _, code := i.signIn(t, "user0@example.org", testPassword); code != "" {
				t.Errorf("one user from many tests at once: got %s", code)
			}
		})
	}
	all.Wait()
	for range 3 {
		if status := i.upgrade(t); status != http.StatusSwitchingProtocols {
			t.Errorf("a socket: got %d, want 101", status)
		}
	}
}

// In production the limits hold on the same machine too: a proxy may be there.
func TestProductionIsLimited(t *testing.T) {
	t.Parallel()
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_MODE=production", "PARLEY_SIGNUP=open",
		"PARLEY_SOCKETS_PER_ADDRESS=1")...)
	if codes := i.signUps(t, 12); codes["RATE_LIMITED"] < 2 || codes[""] > 10 {
		t.Errorf("12 users sign up: got %v, want 10 of them in", codes)
	}
	if first, second := i.upgrade(t), i.upgrade(t); first != http.StatusSwitchingProtocols ||
		second != http.StatusTooManyRequests {
		t.Errorf("two sockets: got %d and %d, want 101 and 429", first, second)
	}
}
