package attacks_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"parley/internal/store/storetest"
)

// tally counts answers by their codes.
type tally struct {
	mu    sync.Mutex // guards codes
	codes map[string]int
}

// all does something so many times on each of so many connections, and counts what comes of
// it.
func (u *user) all(t *testing.T, connections, times int, document string, v vars) map[string]int {
	t.Helper()
	n := tally{codes: make(map[string]int)}
	var running sync.WaitGroup
	for range connections {
		running.Go(func() {
			for range times {
				a, err := u.try(t.Context(), document, v)
				code := a.code()
				if err != nil {
					code = err.Error()
				} else if code == "QUOTA_EXCEEDED" {
					code = a.Errors[0].Extensions.Quota
				}
				n.mu.Lock()
				n.codes[code]++
				n.mu.Unlock()
			}
		})
	}
	running.Wait()
	return n.codes
}

// One user sends on many connections at once, far more than may be sent. The others are
// not kept from the database.
func TestRefusedSends(t *testing.T) {
	t.Parallel()
	const connections, times, allowed = 60, 50, 60
	// None is refused because the machine is busy, or because others of hers are being written.
	settings := []string{fmt.Sprint("PARLEY_SENDS_PER_MINUTE=", allowed), "PARLEY_MAX_RUNNING=1000",
		"PARLEY_DB_CONNECTIONS=4", "PARLEY_QUEUE_AGE=1m"}
	if os.Getenv(storetest.URLVariable) != "" {
		settings = append(settings, "PARLEY_DATABASE_URL="+storetest.EmptyPostgresConfig(t).DatabaseURL)
	}
	s := start(t, settings...)
	defer s.bystander(t)()
	eve := s.user(t, "eve")
	const send = `mutation { sendMessage(input: {content: "Hello."}) { reply { id } } }`
	codes := eve.all(t, connections, 2, send, nil)
	if codes[""] < allowed || codes[""]+codes["RATE_LIMITED"] != 2*connections {
		t.Errorf("got %v, want %d sent, and all others RATE_LIMITED", codes, allowed)
	}
	// A refusal costs little more than to say nothing: no transaction, and no turn at the
	// user's rows.
	before := s.cpu(t)
	eve.all(t, connections, times, `{ __typename }`, nil)
	nothing := s.cpu(t) - before
	before = s.cpu(t)
	codes = eve.all(t, connections, times, send, nil)
	refusals := s.cpu(t) - before
	if n := codes["RATE_LIMITED"]; n < connections*(times-2) || codes[""]+n != connections*times {
		t.Errorf("got %v, want RATE_LIMITED, but for some after a minute", codes)
	}
	t.Logf("%d refusals took %v of processors, as many answers without a word %v, with the bystander's",
		connections*times, refusals, nothing)
	if most := 4 * nothing; refusals > most {
		t.Errorf("that is more than %v", most)
	}
}

// One user makes conversations without end, and stores texts without end.
func TestGrowth(t *testing.T) {
	t.Parallel()
	const connections, times, allowed = 8, 30, 150
	settings := []string{"PARLEY_DATA_DIR=" + t.TempDir(), fmt.Sprint("PARLEY_CONVERSATIONS_PER_DAY=", allowed),
		fmt.Sprint("PARLEY_BYTES_PER_USER=", 4<<20)}
	var eve *user
	var conversation string
	t.Run("conversations", func(t *testing.T) {
		s := start(t, settings...)
		defer s.bystander(t)()
		eve = s.user(t, "eve")
		const create = `mutation ($text: String!) { createConversation(input: {systemPrompt: $text}) {
			conversation { id } } }`
		text := vars{"text": strings.Repeat("a", 32<<10)}
		conversation = eve.ask(t, create, text).field(t, "createConversation", "conversation", "id")
		codes := eve.all(t, connections, times, create, text)
		if codes[""] != allowed-1 || codes["conversations_per_day"] != connections*times-allowed+1 {
			t.Errorf("got %v, want %d made and all others refused", codes, allowed-1)
		}
		codes = eve.all(t, connections, 2, `mutation { sendMessage(input: {content: "Hello."}) { reply { id } } }`, nil)
		if codes["conversations_per_day"] != 2*connections {
			t.Errorf("got %v, want no conversation begun by a message either", codes)
		}
	})
	if t.Failed() {
		return
	}
	// What somebody has stored is measured now and then: here, when the server is new.
	t.Run("bytes", func(t *testing.T) {
		s := start(t, settings...)
		defer s.bystander(t)()
		again := s.nobody(t)
		again.token = eve.token
		codes := again.all(t, connections, times, `mutation ($id: ID!) { sendMessage(input: {conversationId: $id,
			content: "Hello.", onBusy: QUEUE}) { reply { id } } }`, vars{"id": conversation})
		if codes["bytes_per_user"] < connections*(times-1) || codes["bytes_per_user"]+codes[""] != connections*times {
			t.Errorf("got %v, want all refused but those that came while it was measured", codes)
		}
	})
}

// A page that is reloaded often gets its tokens, and a flood of refreshes does not.
func TestManyRefreshes(t *testing.T) {
	t.Parallel()
	const reloads, most = 40, 500
	s := start(t)
	defer s.bystander(t)()
	ada, eve := s.user(t, "ada"), s.user(t, "eve")
	const document = `mutation ($token: String!) { refreshSession(input: {refreshToken: $token}) {
		accessToken refreshToken } }`
	refresh := func(u *user) answer {
		a, err := u.try(t.Context(), document, vars{"token": u.refresh})
		if err != nil {
			t.Fatal(err)
		}
		if a.code() == "" {
			u.token = a.field(t, "refreshSession", "accessToken")
			u.refresh = a.field(t, "refreshSession", "refreshToken")
		}
		return a
	}
	n := 0
	for ; n < most; n++ {
		a := refresh(eve)
		if a.code() == "RATE_LIMITED" {
			break
		} else if a.code() != "" {
			t.Fatalf("refresh %d: got %+v", n, a.Errors)
		}
	}
	if n < reloads || n == most {
		t.Errorf("refused after %d refreshes at once, want that after %d and before %d", n, reloads, most)
	}
	eve.ask(t, `{ viewer { id } }`, nil) // She is not locked out.
	if codes := eve.all(t, 20, 5, document, vars{"token": eve.refresh}); codes["RATE_LIMITED"] < 90 ||
		codes["RATE_LIMITED"]+codes[""] != 100 {
		t.Errorf("more of them: got %v, want RATE_LIMITED", codes)
	}
	for i := range reloads {
		if a := refresh(ada); a.code() != "" {
			t.Fatalf("refresh %d of a page beside it: got %+v", i, a.Errors)
		}
	}
}
