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
	"strings"
	"time"
)

// A chat asks one question at a time and receives the replies.
type chat interface {
	// ask returns when the reply is whole, or there is no hope for it. After a refusal
	// the same reply may be asked for again.
	ask(ctx context.Context, r *reply) error
	// renew begins a new conversation, so that what is sent to the model stays short.
	renew(ctx context.Context) error
	close()
}

// streamChat asks a model server, or the relay before it, as a frontend without a server
// of its own would.
type streamChat struct {
	web *http.Client
	url string
	// history stands before the question, as JSON with a comma at its end.
	history string
}

// openStreams returns n chats with what speaks at the address.
func openStreams(addr string, n int) []chat {
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n, DisableCompression: true}}
	chats := make([]chat, n)
	for i := range chats {
		chats[i] = &streamChat{web: web, url: "http://" + addr + "/v1/chat/completions"}
	}
	return chats
}

func (c *streamChat) renew(context.Context) error { return nil } // It remembers nothing.

func (c *streamChat) close() { c.web.CloseIdleConnections() }

func (c *streamChat) ask(ctx context.Context, r *reply) error {
	question, err := json.Marshal(r.script.String())
	if err != nil {
		return err
	}
	body := `{"model":"` + modelName + `","stream":true,"messages":[` + c.history + `{"role":"user","content":` +
		string(question) + `}]}`
	r.begun = time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.web.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // Only read.
	r.admitted = time.Since(r.begun)
	if response.StatusCode != http.StatusOK {
		return &refusal{code: response.Status}
	}
	return receiveStream(response.Body, r)
}

var (
	dataField    = []byte("data: ")
	contentField = []byte(`"content":"`)
	stopField    = []byte(`"finish_reason":"stop"`)
	doneMark     = []byte("[DONE]")
)

var (
	errUnmarked = errors.New("the stream ended without its mark")
	errEvent    = errors.New("a broken event")
)

// receiveStream reads the stream of a reply. Tokens hold nothing that JSON escapes, so
// that the text need not be parsed: the client is to cost little.
func receiveStream(body io.Reader, r *reply) error {
	lines := bufio.NewReaderSize(body, 8192)
	finished := false
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return fmt.Errorf("reply %s: %w", r.script.key, errUnmarked)
		}
		if err != nil {
			return err
		}
		data, ok := bytes.CutPrefix(line, dataField)
		if !ok {
			continue
		}
		if bytes.HasPrefix(data, doneMark) {
			if finished {
				r.finish(completed, nil, time.Now())
			} else {
				r.fail("the stream ended without a reason")
			}
			return nil
		}
		finished = finished || bytes.Contains(data, stopField)
		if at := bytes.Index(data, contentField); at >= 0 {
			text := data[at+len(contentField):]
			end := bytes.IndexByte(text, '"')
			if end < 0 {
				return fmt.Errorf("reply %s: %w", r.script.key, errEvent)
			}
			r.delta(len(r.text), text[:end], time.Now())
		}
	}
}

// refusal is an answer that is no reply.
type refusal struct {
	code  string
	after time.Duration // When to try again; 0 where the server does not say.
	open  *openReply    // What was taken and has no end yet; mostly nil.
}

// Error names the code.
func (r *refusal) Error() string { return "refused: " + r.code }

// refusing lists the codes that say: not now. What they refuse is counted apart.
var refusing = []string{"OVERLOADED", "RATE_LIMITED", "QUEUE_FULL"}
