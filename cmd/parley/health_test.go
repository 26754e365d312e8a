package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/internal/auth"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/store/storetest"
)

func TestClockHealth(t *testing.T) {
	t.Parallel()
	for skew, want := range map[time.Duration]string{
		0: "", 4900 * time.Millisecond: "", -4 * time.Second: "",
		5 * time.Second:   "warning: the clock of this machine is 5s ahead of the database's",
		-2 * time.Minute:  "warning: the clock of this machine is 2m0s behind the database's",
		121 * time.Second: "the clock of this machine is 2m1s ahead of the database's",
		-time.Hour:        "the clock of this machine is 1h0m0s behind the database's",
	} {
		h := clockHealth(skew)
		got := h.reason
		for _, note := range h.notes {
			got += "warning: " + note
		}
		if got != want {
			t.Errorf("%v ahead: %q, want %q", skew, got, want)
		}
	}
}

// Replicas whose clocks are wrong serve each other's users, and say that they are wrong.
func TestReplicasWithWrongClocks(t *testing.T) {
	t.Parallel()
	shared := []string{
		"PARLEY_DATABASE_URL=" + storetest.EmptyPostgresConfig(t).DatabaseURL, "PARLEY_AUTH_KEYS=" + testKeys,
		"PARLEY_ACCESS_TTL=10m",
	}
	start := func(ahead time.Duration) *instance {
		t.Helper()
		return serveInside(t, ahead, append(sqliteEnviron(t), shared...)...)
	}
	right := start(0)
	right.waitReady(t)
	token := right.signUp(t, "ada@example.com").AccessToken
	for _, tt := range []struct {
		ahead  time.Duration
		status int
		says   string
	}{
		{20 * time.Second, http.StatusOK, "ready\nwarning: the clock of this machine is"},
		{-time.Hour, http.StatusServiceUnavailable, "behind the database's"},
	} {
		i := start(tt.ahead)
		eventually(t, startLimit, "it says that its clock is wrong", func() bool {
			status, body := i.get(t, "/readyz")
			return status == tt.status && strings.Contains(body, tt.says)
		})
		if !strings.Contains(i.out.String(), "the clock of this machine is not the database's") {
			t.Errorf("%v ahead: nothing in the log:\n%s", tt.ahead, i.out.String())
		}
		theirs, code := i.signIn(t, "ada@example.com", testPassword)
		if code != "" {
			t.Fatalf("%v ahead: sign-in is %s", tt.ahead, code)
		}
		for _, c := range []struct {
			who   *instance
			token string
		}{{i, token}, {right, theirs.AccessToken}} {
			if a := c.who.ask(t, c.token, `{ viewer { id } }`, nil); len(a.Errors) > 0 {
				t.Errorf("%v ahead: a fresh token of the other: %v", tt.ahead, a.Errors)
			}
		}
	}
	if status, body := right.get(t, "/readyz"); status != http.StatusOK || body != "ready\n" {
		t.Errorf("the one that is right says %d %q", status, body)
	}
}

// otherKeys are not testKeys.
const otherKeys = "other:Zx9Tq2L7wYkR4nVb8mPc1sHd6fJg3aKuEoXyNiQtWrU"

// A replica with other keys than those that are there is not ready; they go on. One that
// shares a key is ready.
func TestReplicasWithOtherKeys(t *testing.T) {
	t.Parallel()
	url := "PARLEY_DATABASE_URL=" + storetest.EmptyPostgresConfig(t).DatabaseURL
	start := func(keys string) *instance {
		t.Helper()
		return serveInside(t, 0, append(sqliteEnviron(t), url, "PARLEY_AUTH_KEYS="+keys)...)
	}
	says := func(i *instance, status int, text string) {
		t.Helper()
		eventually(t, startLimit, "/readyz says "+text, func() bool {
			got, body := i.get(t, "/readyz")
			return got == status && strings.Contains(body, text)
		})
	}
	first := start(testKeys)
	first.waitReady(t)
	stranger := start(otherKeys)
	says(stranger, http.StatusServiceUnavailable, "other replicas of this installation have other keys")
	says(first, http.StatusOK, "warning: a replica that came later has other keys")
	for _, i := range []*instance{first, stranger} {
		if got := strings.Count(i.out.String(), "another replica has other keys"); got != 1 {
			t.Errorf("the log says it %d times, want once:\n%s", got, i.out.String())
		}
		if secret := strings.TrimPrefix(otherKeys, "other:"); strings.Contains(i.out.String(), secret) {
			t.Error("the log holds a key")
		}
	}
	both := start(otherKeys + "," + testKeys)
	says(both, http.StatusOK, "warning: not all replicas accept the key that others sign with")
	first.stop(t)
	says(stranger, http.StatusOK, "ready\n")
	both.stop(t)
	eventually(t, startLimit, "nothing is odd any more", func() bool {
		_, body := stranger.get(t, "/readyz")
		return body == "ready\n"
	})
}

// What is known of other replicas stands while they cannot be looked for, and each thing is
// said once.
func TestPeersLook(t *testing.T) {
	t.Parallel()
	keys := func(text string) string {
		ring, err := auth.ParseKeyring(text)
		if err != nil {
			t.Fatal(err)
		}
		return ring.Fingerprints()
	}
	var list []reply.Peer
	var broken error
	var text strings.Builder
	p := newPeers(keys(testKeys), func(context.Context) ([]reply.Peer, error) { return list, broken },
		slog.New(slog.NewTextHandler(&text, nil)))
	want := func(what string, ready bool, notes, lines int) {
		t.Helper()
		text.Reset()
		p.look(t.Context())
		reason, got := p.health()
		if (reason == "") != ready || len(got) != notes || strings.Count(text.String(), "\n") != lines {
			t.Errorf("%s: %q and %q, log %q; want ready: %v, %d notes, %d lines", what, reason, got, text.String(),
				ready, notes, lines)
		}
	}
	want("nobody else is there", true, 0, 0)
	same := reply.Peer{ID: pid.New(pid.Replica), Keys: keys(testKeys), Older: true}
	before := reply.Peer{ID: pid.New(pid.Replica), Older: true}
	list = []reply.Peer{same, before}
	want("the same keys, and a replica of the version before", true, 0, 0)
	older := reply.Peer{ID: pid.New(pid.Replica), Keys: keys(otherKeys), Older: true}
	list = append(list, older)
	want("an older one with other keys", false, 0, 1)
	want("it is still there", false, 0, 0)
	broken = errors.New("no database")
	want("nobody can look", false, 0, 1)
	broken = nil
	want("it is still there, as is seen again", false, 0, 1)
	younger := older
	younger.ID, younger.Older = pid.New(pid.Replica), false
	list = []reply.Peer{same, younger}
	want("a younger one with other keys", true, 1, 1)
	next := younger
	next.ID, next.Keys = pid.New(pid.Replica), keys(otherKeys+","+testKeys)
	list = []reply.Peer{same, next}
	want("one that goes on to another key too soon", true, 1, 1)
	list = []reply.Peer{same}
	want("all is well", true, 0, 0)
}
