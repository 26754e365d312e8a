package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The operations, as they are sent and as they are drawn.
const (
	signUp = `mutation {
  signUp(input: {email: "ann@example.com", password: "correct horse battery", name: "Ann"}) { accessToken }
}`
	// The first reply of a conversation has an introduction, which is too long for the picture.
	greet = `mutation {
  sendMessage(input: {content: "Hello", wait: true}) { conversation { id } }
}`
	question = "I need a chat backend"
	send     = `mutation ($to: ID) {
  sendMessage(input: {
    conversationId: $to
    content: "` + question + `"
  }) {
    reply { id }
  }
}`
	follow = `subscription ($id: ID!) {
  messageEvents(messageId: $id) {
    ... on MessageSnapshot { message { content } }
    ... on MessageDelta { offset text }
    ... on MessageFinished { message { status } }
  }
}`
)

// recording is a reply as a client saw it. Times count from the moment at which
// the message was sent.
type recording struct {
	ID       string        // Of the reply.
	Answered time.Duration // When the send was answered.
	Events   []event
}

// event is one event of the subscription.
type event struct {
	At   time.Duration
	JSON string // The event as it came, without data and messageEvents around it.
	Text string // What it added to the text of the reply.
}

// record starts a server, sends, follows, and ends the server.
func record(ctx context.Context) (_ recording, err error) {
	dir, err := os.MkdirTemp("", "parley-picture-")
	if err != nil {
		return recording{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, url, err := start(ctx, dir)
	if err != nil {
		return recording{}, err
	}
	defer func() {
		err = errors.Join(err, server.Process.Signal(syscall.SIGTERM), server.Wait())
	}()

	c := client{url: url + "/graphql"}
	var account struct{ SignUp struct{ AccessToken string } }
	if err := c.do(ctx, signUp, nil, &account); err != nil {
		return recording{}, err
	}
	c.token = account.SignUp.AccessToken

	var greeted struct {
		SendMessage struct{ Conversation struct{ ID string } }
	}
	if err := c.do(ctx, greet, nil, &greeted); err != nil {
		return recording{}, err
	}

	began := time.Now()
	var sent struct {
		SendMessage struct{ Reply struct{ ID string } }
	}
	if err := c.do(ctx, send, map[string]any{"to": greeted.SendMessage.Conversation.ID}, &sent); err != nil {
		return recording{}, err
	}
	r := recording{ID: sent.SendMessage.Reply.ID, Answered: time.Since(began)}
	r.Events, err = c.follow(ctx, r.ID, began)
	return r, err
}

// start builds the server and starts it on a free port, with nothing configured
// by the environment of the caller. The caller ends it.
func start(ctx context.Context, dir string) (*exec.Cmd, string, error) {
	binary := filepath.Join(dir, "parley")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/parley").CombinedOutput(); err != nil {
		return nil, "", fmt.Errorf("build parley: %w\n%s", err, out)
	}
	cmd := exec.CommandContext(ctx, binary)
	cmd.Env = []string{"PARLEY_ADDR=127.0.0.1:0", "PARLEY_DATA_DIR=" + filepath.Join(dir, "data")}
	cmd.Stderr = io.Discard
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "listening on "); ok {
			url, _, _ := strings.Cut(rest, " ")
			return cmd, url, nil
		}
	}
	return nil, "", errors.Join(errors.New("the server did not say where it listens"), cmd.Wait())
}

// client speaks to one server as one user.
type client struct{ url, token string }

// do runs an operation that has one answer.
func (c client) do(ctx context.Context, query string, variables, data any) error {
	response, err := c.post(ctx, "application/json", query, variables)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // It has been read.
	answer := struct{ Data, Errors any }{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Errors != nil {
		return fmt.Errorf("refused: %v", answer.Errors)
	}
	return nil
}

// follow subscribes to a reply and returns its events, up to the last.
func (c client) follow(ctx context.Context, id string, began time.Time) ([]event, error) {
	response, err := c.post(ctx, "text/event-stream", follow, map[string]any{"id": id})
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // It has been read.
	var (
		events  []event
		content string
	)
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		line, isData := strings.CutPrefix(lines.Text(), "data: {")
		if !isData {
			continue
		}
		e := event{At: time.Since(began)}
		if content, err = e.read("{"+line, content); err != nil {
			return nil, err
		}
		events = append(events, e)
		if strings.Contains(e.JSON, `"status":"COMPLETED"`) {
			return events, nil
		}
	}
	return nil, fmt.Errorf("the stream ended before the reply did, after %q", content)
}

// read takes an event apart and returns the text of the reply after it.
func (e *event) read(line, before string) (after string, err error) {
	var answer struct {
		Data struct{ MessageEvents json.RawMessage }
	}
	if err := json.Unmarshal([]byte(line), &answer); err != nil {
		return "", err
	}
	var fields struct {
		Message struct{ Content *string }
		Offset  int
		Text    *string
	}
	e.JSON = string(answer.Data.MessageEvents)
	if err := json.Unmarshal(answer.Data.MessageEvents, &fields); err != nil {
		return "", fmt.Errorf("event %s: %w", line, err)
	}
	after = before
	switch {
	case fields.Text != nil && fields.Offset <= len(before): // The built-in model speaks ASCII: bytes are units.
		after = before[:fields.Offset] + *fields.Text
	case fields.Message.Content != nil:
		after = *fields.Message.Content
	}
	var grown bool
	if e.Text, grown = strings.CutPrefix(after, before); !grown {
		return "", fmt.Errorf("the text does not grow from %q to %q", before, after)
	}
	return after, nil
}

func (c client) post(ctx context.Context, accept, query string, variables any) (*http.Response, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", accept)
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	return http.DefaultClient.Do(request)
}
