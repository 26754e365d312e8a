package upstreamtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// Call is one request that a script answers. Its methods send at once what they
// say; errors of sending are dropped, as a client that goes away is part of the
// test. It is used by one goroutine.
type Call struct {
	// Request is what was asked.
	Request Request

	w       http.ResponseWriter
	r       *http.Request
	closing chan struct{}
	began   bool
}

// Context ends when the client goes away.
func (c *Call) Context() context.Context { return c.r.Context() }

// Raw sends bytes of the stream as they are.
func (c *Call) Raw(s string) {
	if !c.began {
		c.began = true
		if c.w.Header().Get("Content-Type") == "" {
			c.w.Header().Set("Content-Type", "text/event-stream")
		}
	}
	_, _ = c.w.Write([]byte(s))
	_ = http.NewResponseController(c.w).Flush()
}

// Frame sends one frame with v, encoded as JSON, as its payload.
func (c *Call) Frame(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("upstreamtest: %v", err)) // A mistake in the test.
	}
	c.Raw("data: " + string(b) + "\n\n")
}

func (c *Call) delta(member, piece string, finish any) {
	delta := map[string]string{}
	if member != "" {
		delta[member] = piece
	}
	c.Frame(map[string]any{
		"id": "reply-1", "object": "chat.completion.chunk", "created": 1700000000, "model": c.Request.Model,
		"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}},
	})
}

// Text sends a piece of the reply.
func (c *Call) Text(piece string) { c.delta("content", piece, nil) }

// Reasoning sends a piece of reasoning.
func (c *Call) Reasoning(piece string) { c.delta("reasoning_content", piece, nil) }

// Finish sends a finish reason, such as "stop" or "length".
func (c *Call) Finish(reason string) { c.delta("", "", reason) }

// Usage sends the frame that counts tokens.
func (c *Call) Usage(prompt, completion int) {
	c.Frame(map[string]any{
		"id": "reply-1", "object": "chat.completion.chunk", "created": 1700000000, "model": c.Request.Model,
		"choices": []any{},
		"usage": map[string]int{
			"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
		},
	})
}

// Done sends the end marker.
func (c *Call) Done() { c.Raw("data: [DONE]\n\n") }

// End sends what ends a good reply: finish reason "stop", usage and end marker.
func (c *Call) End() {
	c.Finish("stop")
	c.Usage(10, 5)
	c.Done()
}

// Hang sends nothing more, but leaves the connection open until the client goes
// away or the server is closed.
func (c *Call) Hang() {
	if c.began {
		_ = http.NewResponseController(c.w).Flush()
	}
	select {
	case <-c.r.Context().Done():
	case <-c.closing:
	}
}

// Cut ends the connection in mid-answer. It does not return.
func (c *Call) Cut() { panic(http.ErrAbortHandler) }

// Reset ends the connection with a TCP reset, or like Cut where there is no
// connection. It does not return.
func (c *Call) Reset() {
	if conn, _, err := http.NewResponseController(c.w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	panic(http.ErrAbortHandler)
}

// Fail answers with a status and a body in place of a stream.
func (c *Call) Fail(status int, header http.Header, body string) {
	for name, values := range header {
		c.w.Header()[name] = values
	}
	if c.w.Header().Get("Content-Type") == "" {
		c.w.Header().Set("Content-Type", "application/json")
	}
	c.began = true
	c.w.WriteHeader(status)
	_, _ = c.w.Write([]byte(body))
}

// Words splits text into the pieces that Say and Then send: words with the white
// space after them.
func Words(text string) []string {
	var words []string
	for text != "" {
		n := strings.IndexAny(text, " \n")
		for n >= 0 && n < len(text) && (text[n] == ' ' || text[n] == '\n') {
			n++
		}
		if n < 0 {
			n = len(text)
		}
		words, text = append(words, text[:n]), text[n:]
	}
	return words
}

// Say returns a script that replies with text(request), word by word.
func Say(text func(Request) string) Script {
	return func(c *Call) {
		for _, word := range Words(text(c.Request)) {
			c.Text(word)
		}
		c.End()
	}
}

// Reply returns a script that replies with text, word by word.
func Reply(text string) Script { return Say(func(Request) string { return text }) }

// Pieces returns a script that sends each piece it receives, and ends the reply
// well when the channel is closed. So the test decides when each piece comes: a
// send on an unbuffered channel returns once the script has taken the piece.
func Pieces(pieces <-chan string) Script {
	return func(c *Call) {
		for {
			select {
			case <-c.Context().Done():
				return
			case <-c.closing:
				return
			case piece, ok := <-pieces:
				if !ok {
					c.End()
					return
				}
				c.Text(piece)
			}
		}
	}
}

// Then returns a script that sends text, word by word, and goes on with next.
func Then(text string, next Script) Script {
	return func(c *Call) {
		for _, word := range Words(text) {
			c.Text(word)
		}
		next(c)
	}
}

// Hang is a script that never answers.
func Hang(c *Call) { c.Hang() }

// Cut is a script that ends the connection.
func Cut(c *Call) { c.Cut() }

// Fail returns a script that answers with a status and an error of OpenAI's form.
func Fail(status int, code string) Script {
	return func(c *Call) {
		body, _ := json.Marshal(map[string]any{ // Strings always encode.
			"error": map[string]string{"message": "scripted failure", "type": code, "code": code},
		})
		c.Fail(status, nil, string(body))
	}
}
