package upstream_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"parley/internal/reply"
)

// pieces is an output that says when each piece comes.
type pieces chan string

func (p pieces) Append(_ reply.Channel, piece string) error {
	p <- piece
	return nil
}

// Frames that arrive together make one piece, and do not wait for those behind them.
func TestFramesThatArriveTogether(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		write := func(s string) {
			_, _ = io.WriteString(w, s)
			_ = http.NewResponseController(w).Flush()
		}
		all := strings.Repeat(good, 3) + more
		write(all[:len(all)-20])
		<-next
		write(all[len(all)-20:] + ": a note\n\n")
		<-next
		write(`data: {"choices":[{"index":0,"delta":{"reasoning":"Hm"}}]}` + "\n\n" + good + stop + done)
	})
	c := client(t, once(base))
	out := make(pieces)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Generate(deadline(t), request("hi"), out)
		ended <- err
	}()
	want := func(want string) {
		t.Helper()
		select {
		case got := <-out:
			if got != want {
				t.Errorf("got the piece %q, want %q", got, want)
			}
		case err := <-ended:
			t.Fatalf("got the end, %v, want %q", err, want)
		}
	}
	want("HelloHelloHello")
	next <- struct{}{}
	want(" there")
	next <- struct{}{}
	want("Hm")
	want("Hello")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// The text before an error that arrives with it is kept.
func TestTextBeforeAnError(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]string{
		"error frame": `data: {"error":{"message":"broken"}}` + "\n\n",
		"error event": "event: error\ndata: {\"message\":\"broken\"}\n\n",
		"not JSON":    "data: {\x1e}\n\n",
		"reason":      `data: {"choices":[{"index":0,"delta":{"content":"!"},"finish_reason":"error"}]}` + "\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, _, err := generate(t, client(t, once(serve(t, body(good+more+bad+good+done)))))
			text := out.text.String()
			if want := "Hello there"; strings.TrimSuffix(text, "!") != want || err == nil {
				t.Errorf("got %q, %v, want %q and an error", text, err, want)
			}
		})
	}
}
