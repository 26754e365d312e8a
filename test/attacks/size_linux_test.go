package attacks_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// controls is as long as a text may be, and six times as long in JSON.
var controls = "x" + strings.Repeat("\x01", 32<<10-1)

func aliases(field string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " a%d: %s", i, field)
	}
	return b.String()
}

func repeated(id string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = id
	}
	return ids
}

// long makes a message of the longest text, and returns its id.
func (u *user) long(t *testing.T) string {
	t.Helper()
	return u.ask(t, `mutation ($text: String!) { sendMessage(input: {content: $text, wait: true}) { userMessage { id } } }`,
		vars{"text": controls}).field(t, "sendMessage", "userMessage", "id")
}

const nodes = `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { %s } } }`

// A few kilobytes ask for 610 MB, on many connections at once.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	s := start(t)
	defer s.bystander(t)()
	eve := s.user(t, "eve")
	id := eve.long(t)
	attack, ids := fmt.Sprintf(nodes, aliases("content", 30)), vars{"ids": repeated(id, 100)}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 3 {
				a, err := eve.try(t.Context(), attack, ids)
				if err != nil || a.code() != "OPERATION_TOO_COMPLEX" && a.code() != "RATE_LIMITED" ||
					!strings.Contains(a.Errors[0].Message, "8388608") && a.code() == "OPERATION_TOO_COMPLEX" {
					t.Errorf("got %+v, %v, want it refused with the number", a.Errors, err)
					return
				}
			}
		})
	}
	all.Wait()
	// What is just short enough is made, a few at a time.
	var mu sync.Mutex
	codes := make(map[string]int)
	for range 20 {
		all.Go(func() {
			a, err := eve.try(t.Context(), fmt.Sprintf(nodes, "content"), vars{"ids": repeated(id, 40)})
			mu.Lock()
			defer mu.Unlock()
			if err != nil || a.code() == "" && a.size < 7<<20 {
				t.Errorf("got %d bytes, %v", a.size, err)
			}
			codes[a.code()]++
		})
	}
	all.Wait()
	if codes[""] == 0 || codes[""]+codes["RATE_LIMITED"] != 20 {
		t.Errorf("long answers: %v", codes)
	}
}

// Nobody reads the longest answers there are, over HTTP and on sockets.
func TestUnreadAnswers(t *testing.T) {
	t.Parallel()
	s := start(t)
	defer s.bystander(t)()
	eve := s.user(t, "eve")
	ids := vars{"ids": repeated(eve.long(t), 40)}
	document := fmt.Sprintf(nodes, "content")
	for range 80 {
		eve.unread(t, document, ids)
	}
	for range 15 {
		unread := eve.socket(t)
		for i := range 40 {
			unread.try(fmt.Sprint(i), document, ids) // It may have been let go.
		}
	}
}

// Many feeds of one conversation select a large text, several times.
func TestMultipliedFeeds(t *testing.T) {
	t.Parallel()
	s := start(t)
	defer s.bystander(t)()
	eve := s.user(t, "eve")
	id := eve.ask(t, `mutation ($text: String!) { createConversation(input: {systemPrompt: $text}) { conversation { id } } }`,
		vars{"text": controls}).field(t, "createConversation", "conversation", "id")
	const sockets, feeds, changes = 5, 20, 3
	document := `subscription ($id: ID!) { conversationEvents(conversationId: $id) { __typename
		... on ConversationUpdated { conversation {` + aliases("systemPrompt", 5) + ` } } } }`
	var all []*socket
	for range sockets {
		c := eve.socket(t)
		all = append(all, c)
		for i := range feeds {
			c.start(t, fmt.Sprint(i), document, vars{"id": id})
		}
		for range feeds {
			if m, err := c.next(); err != nil || !strings.Contains(string(m.Payload), "ConversationSnapshot") {
				t.Fatalf("got %s %.200s, %v", m.Type, m.Payload, err)
			}
		}
	}
	more := eve.socket(t)
	more.start(t, "more", document, vars{"id": id})
	if m, err := more.next(); err != nil || !strings.Contains(string(m.Payload), `"RATE_LIMITED"`) {
		t.Errorf("got %.200s, %v, want one feed more refused", m.Payload, err)
	}
	var reading sync.WaitGroup
	for _, c := range all {
		reading.Go(func() {
			for n := 0; n < feeds*changes; n++ {
				data, err := c.read()
				if err != nil || len(data) < 5*6*len(controls) ||
					!bytes.Contains(data[:100], []byte(`"type":"next"`)) {
					t.Errorf("event %d of a socket: got %d bytes, %.100q, %v", n, len(data), data, err)
					return
				}
			}
		})
	}
	for i := range changes {
		eve.ask(t, `mutation ($id: ID!, $name: String!) { updateConversation(input: {conversationId: $id, name: $name}) {
			conversation { id } } }`, vars{"id": id, "name": fmt.Sprint("name ", i)})
	}
	reading.Wait()
}
