package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestLongTexts sends texts as long as the operator allows, over everything that carries
// them: nothing on the way has a limit of its own that is smaller.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, environ []string) {
		i := startInside(t, append(environ, "PARLEY_MAX_MESSAGE_BYTES=1048576",
			"PARLEY_MAX_SYSTEM_PROMPT_BYTES=1048576", "PARLEY_SENDS_PER_MINUTE=0", "PARLEY_MAX_RUNNING=100")...)
		token := i.signUp(t, "ada@example.org").AccessToken
		for name, long := range map[string]string{
			"100 KiB": strings.Repeat("word ", 20<<10),
			"1 MiB":   strings.Repeat("é", 1<<19),
			// Six bytes of JSON each, the most there can be.
			"1 MiB escaped": "x" + strings.Repeat("\x01", 1<<20-1),
		} {
			t.Run(name, func(t *testing.T) {
				s := i.mustSend(t, token, map[string]any{"content": long})
				if got := i.overSocket(t, token, long); got != long {
					t.Errorf("over a socket: got %d bytes, want all %d", len(got), len(long))
				}
				if !strings.Contains(i.firstEvent(t, token, s.Conversation.ID), string(quoted(t, long))) {
					t.Error("over a stream: the event does not have the text")
				}
				var made struct {
					CreateConversation struct{ Conversation struct{ SystemPrompt string } }
				}
				i.into(t, token, `mutation ($p: String!) { createConversation(input: {systemPrompt: $p}) {
					conversation { systemPrompt } } }`, map[string]any{"p": long}, &made)
				if made.CreateConversation.Conversation.SystemPrompt != long {
					t.Error("the system prompt came back otherwise")
				}
			})
		}
		over := strings.Repeat("x", 1<<20+1)
		for field, a := range map[string]answer{
			"content": i.ask(t, token, sendDocument, map[string]any{"input": map[string]any{"content": over}}),
			"systemPrompt": i.ask(t, token, `mutation ($p: String!) { createConversation(input: {systemPrompt: $p}) {
				conversation { id } } }`, map[string]any{"p": over}),
		} {
			if a.code() != "BAD_USER_INPUT" || !strings.Contains(a.Errors[0].Message, "1048576") {
				t.Errorf("%s of one byte more: got %v, want BAD_USER_INPUT with the limit", field, a.Errors)
			}
		}
	})
}

// quoted is the text as Parley writes it in JSON.
func quoted(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

// overSocket sends a message over a WebSocket and returns what was stored.
func (i *instance) overSocket(t *testing.T, token, content string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, i.url+"/graphql", &websocket.DialOptions{
		Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }() // All that counts has been read.
	conn.SetReadLimit(-1)
	write := func(message map[string]any) {
		t.Helper()
		b, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Write(ctx, websocket.MessageText, b); err != nil {
			t.Fatal(err)
		}
	}
	write(map[string]any{"type": "connection_init", "payload": map[string]any{"Authorization": "Bearer " + token}})
	if _, _, err := conn.Read(ctx); err != nil {
		t.Fatal(err)
	}
	write(map[string]any{"type": "subscribe", "id": "1", "payload": map[string]any{
		"query":     `mutation ($c: String!) { sendMessage(input: {content: $c}) { userMessage { content } } }`,
		"variables": map[string]any{"c": content}}})
	_, next, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Payload struct {
			Data struct {
				SendMessage struct{ UserMessage struct{ Content string } }
			}
		}
	}
	if err := json.Unmarshal(next, &got); err != nil {
		t.Fatal(err)
	}
	return got.Payload.Data.SendMessage.UserMessage.Content
}

// firstEvent returns the first event of a conversation's feed, over Server-Sent Events.
func (i *instance) firstEvent(t *testing.T, token, id string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"variables": map[string]any{"id": id},
		"query": `subscription ($id: ID!) { conversationEvents(conversationId: $id) {
			... on ConversationSnapshot { conversation { messages(last: 5) { nodes { content } } } } } }`})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // Only read.
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data:"); ok && strings.TrimSpace(data) != "" {
			return data
		}
	}
	t.Fatalf("the stream ended: %v", lines.Err())
	return ""
}
