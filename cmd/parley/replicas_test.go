package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"parley/internal/bus/bustest"
	"parley/internal/store/storetest"
	"parley/internal/upstream/upstreamtest"
	"parley/internal/waittest"
)

// eventsLimit is how long a test waits for an event that must come.
const eventsLimit = waittest.Limit

// stream is a subscription over Server-Sent Events.
type stream struct {
	events chan string // What each event selects, as JSON; closed at the end.
}

// subscribe follows a subscription until the test ends or it does.
func (i *instance) subscribe(t *testing.T, token, query string, variables map[string]any) *stream {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, i.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{events: make(chan string, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(s.events)
		defer func() { _ = response.Body.Close() }() // Only read.
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && data != "" {
				s.events <- data
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return s
}

// until reads events up to one that holds a text, and returns all.
func (s *stream) until(t *testing.T, text string) string {
	t.Helper()
	var all strings.Builder
	over := time.After(eventsLimit)
	for {
		select {
		case e, ok := <-s.events:
			if !ok {
				t.Fatalf("the subscription ended before %q:\n%s", text, all.String())
			}
			all.WriteString(e + "\n")
			if strings.Contains(e, text) {
				return all.String()
			}
		case <-over:
			t.Fatalf("no %q within %v:\n%s", text, eventsLimit, all.String())
		}
	}
}

// untilEnd reads events until the subscription ends.
func (s *stream) untilEnd(t *testing.T) {
	t.Helper()
	over := time.After(eventsLimit)
	for {
		select {
		case _, ok := <-s.events:
			if !ok {
				return
			}
		case <-over:
			t.Fatalf("the subscription goes on after %v", eventsLimit)
		}
	}
}

// cluster is three servers on one Postgres and one NATS server, in this process.
type cluster struct {
	replicas [3]*instance
	nats     *natsserver.Server
	upstream *upstreamtest.Server
	token    string
}

func startCluster(t *testing.T, environ ...string) *cluster {
	t.Helper()
	c := &cluster{nats: bustest.Start(t)}
	var baseURL string
	c.upstream, baseURL = upstreamtest.Start(t)
	shared := append([]string{
		"PARLEY_DATABASE_URL=" + storetest.EmptyPostgresConfig(t).DatabaseURL, "PARLEY_NATS_URL=" + c.nats.ClientURL(),
		"PARLEY_AUTH_KEYS=" + testKeys, "OPENAI_BASE_URL=" + baseURL, "PARLEY_DRAIN=0s", "PARLEY_SENDS_PER_MINUTE=0",
	}, environ...)
	for n := range c.replicas {
		c.replicas[n] = startInside(t, append(sqliteEnviron(t), shared...)...)
	}
	c.token = c.replicas[0].signUp(t, "ada@example.com").AccessToken
	return c
}

const (
	messageEventsDocument      = `subscription ($id: ID!) { messageEvents(messageId: $id) { __typename message { status } ... on MessageDelta { text } } }`
	viewerEventsDocument       = `subscription { viewerEvents { __typename ... on ConversationCreated { conversation { id } } ... on ConversationDeleted { conversationId } } }`
	conversationEventsDocument = `subscription ($id: ID!) { conversationEvents(conversationId: $id) { __typename ... on MessageAdded { message { role content } } ... on MessageFinished { message { status } } } }`
)

// What one replica does is seen on the others at once: text as it is written, the
// list, an open chat, the end of a session.
func TestReplicasWithNATS(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	a, b, third := c.replicas[0], c.replicas[1], c.replicas[2]
	list := third.subscribe(t, c.token, viewerEventsDocument, nil)
	list.until(t, "ViewerReady")

	pieces := make(chan string)
	c.upstream.Next(upstreamtest.Pieces(pieces))
	sent := a.mustSend(t, c.token, map[string]any{"content": "Hello"})
	list.until(t, sent.Conversation.ID)
	reply := b.subscribe(t, c.token, messageEventsDocument, map[string]any{"id": sent.Reply.ID})
	chat := third.subscribe(t, c.token, conversationEventsDocument, map[string]any{"id": sent.Conversation.ID})
	chat.until(t, "ConversationSnapshot")
	reply.until(t, "MessageSnapshot")
	for n := range 5 { // Each piece arrives before the next is written.
		text := fmt.Sprintf("piece-%d ", n)
		pieces <- text
		reply.until(t, text)
	}
	queued := b.mustSend(t, c.token, map[string]any{"content": "And then?", "conversationId": sent.Conversation.ID,
		"onBusy": "QUEUE"})
	chat.until(t, "And then?")
	close(pieces)
	reply.until(t, "COMPLETED")
	reply.untilEnd(t)
	chat.until(t, "COMPLETED")
	eventually(t, eventsLimit, "the queued reply is whole", func() bool {
		return third.reply(t, c.token, queued.Reply.ID).Content == "You said: And then?"
	})

	b.ask(t, c.token, `mutation ($id: ID!) { deleteConversation(input: {conversationId: $id}) { conversationId } }`,
		map[string]any{"id": sent.Conversation.ID})
	list.until(t, "ConversationDeleted")
	chat.until(t, "ConversationDeleted")
	chat.untilEnd(t)

	// A session that ends on one replica ends on all.
	b.ask(t, c.token, `mutation { signOut { __typename } }`, nil)
	list.untilEnd(t)
}

// While NATS is away everything goes on, a little later, and the servers are ready all
// the same.
func TestReplicasWithoutNATS(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	a, b, third := c.replicas[0], c.replicas[1], c.replicas[2]
	list := third.subscribe(t, c.token, viewerEventsDocument, nil)
	list.until(t, "ViewerReady")
	bustest.Stop(c.nats)

	pieces := make(chan string)
	c.upstream.Next(upstreamtest.Pieces(pieces))
	sent := a.mustSend(t, c.token, map[string]any{"content": "Hello"})
	reply := b.subscribe(t, c.token, messageEventsDocument, map[string]any{"id": sent.Reply.ID})
	chat := third.subscribe(t, c.token, conversationEventsDocument, map[string]any{"id": sent.Conversation.ID})
	reply.until(t, "MessageSnapshot")
	pieces <- "half "
	reply.until(t, "half ")
	list.until(t, "ViewerReady") // It has noticed, and says that everything is to be fetched.
	for _, i := range c.replicas {
		if status, body := i.get(t, "/readyz"); status != http.StatusOK {
			t.Errorf("without NATS /readyz says %d %q", status, body)
		}
	}
	b.ask(t, c.token, `mutation ($id: ID!) { stopReply(input: {messageId: $id}) { message { id } } }`,
		map[string]any{"id": sent.Reply.ID})
	reply.until(t, "STOPPED")
	chat.until(t, "STOPPED")
	b.ask(t, c.token, `mutation { signOut { __typename } }`, nil)
	list.untilEnd(t)
}
