package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	openai "github.com/sashabaranov/go-openai"

	"parley/internal/prompt"
	"parley/internal/reply"
)

// FuzzEventReader checks that the reader never panics, always ends, keeps to its
// limit, and sees the same frames however the bytes arrive.
func FuzzEventReader(f *testing.F) {
	for _, s := range []string{
		"", "\n", "data", "data:", "data: x\n\n", "data: {}\ndata: {}\n\n", ": c\r\rdata: 1\r\n\r\n",
		"\ufeffdata: a\n\n", "event: error\ndata: {}\n\n", "data: a\ndata: b\n\n", "{\"error\":1}\n", "{\n\"a\":1\n}",
		"<html>", "data: [DONE]", "data: {}\n{\"error\":1}\ndata: [DONE]\n", "data: \xff\x00\n\n", "[1,\r2]",
		"\r\n\r\n\r", `data: {"images":["` + strings.Repeat("A", 100) + `"],"b":"\u00e4"}` + "\n\n",
		`data: {"content":"` + strings.Repeat("A", 100) + `"}` + "\n\n", "{\n\"url\":\"" + strings.Repeat(`\/`, 50) +
			"\"\n}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 64
		read := func(src io.Reader, eager bool) string {
			r := newEventReader(src, limit)
			var seen strings.Builder
			for range len(in) + 2 {
				e, err := event{}, errNotYet
				if eager {
					e, err = r.more()
				}
				if errors.Is(err, errNotYet) {
					e, err = r.next()
				}
				if err != nil {
					if errors.Is(err, io.EOF) {
						t.Fatalf("got io.EOF, want an error of its own")
					}
					fmt.Fprint(&seen, err)
					return seen.String()
				}
				if len(e.data) > limit {
					t.Fatalf("got a frame of %d bytes, want at most %d", len(e.data), limit)
				}
				if bytes.IndexByte(e.data, '\n') >= 0 {
					t.Fatalf("the frame %q is more than one line", e.data)
				}
				fmt.Fprintf(&seen, "%q %v\n", e.data, e.failed)
			}
			t.Fatalf("more frames than bytes: %s", seen.String())
			return ""
		}
		whole := read(bytes.NewReader(in), true)
		if dripped := read(iotest.OneByteReader(bytes.NewReader(in)), true); dripped != whole {
			t.Errorf("at once:\n%s\nbyte by byte:\n%s", whole, dripped)
		}
		if waiting := read(bytes.NewReader(in), false); waiting != whole {
			t.Errorf("as it arrives:\n%s\nframe by frame:\n%s", whole, waiting)
		}
	})
}

// FuzzSkimmer checks that what is cut out of a frame changes nothing that is read of it, and
// that it is the same wherever the bytes are divided.
func FuzzSkimmer(f *testing.F) {
	long := strings.Repeat("A", 40)
	for _, s := range []string{
		`{"choices":[{"delta":{"content":"` + long + `","images":[{"image_url":{"url":"` + long + `"}}]}}]}`,
		`{"choices":[{"delta":{"content":[{"text":"` + long + `"},"` + long + `"],"reasoning":{"text":"` + long +
			`"}}}]}`,
		`{"choices":[{"delta":{"audio":{"data":"` + strings.Repeat(`\u00e4\/`, 9) + `","transcript":"` + long +
			`"}}}]}`,
		`{"choices":[{"finish_reason":"stop","delta":{"x":{"content":["` + long + `",["` + long + `"]]}}}]}`,
		`{"a":["` + long + `"],"choices":[{"message":{"content":[{"type":"` + long + `"},"` + long + `"]}}]}`,
	} {
		f.Add([]byte(s), 7)
	}
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		if !json.Valid(in) || size < 1 {
			return
		}
		var all, parts skimmer
		all.reset(20)
		parts.reset(20)
		whole := all.skim(nil, in)
		var out []byte
		for piece := range slices.Chunk(in, size) {
			out = parts.skim(out, piece)
		}
		if !bytes.Equal(out, whole) {
			t.Errorf("%q: got %q by %d bytes, %q at once", in, out, size, whole)
		}
		if !json.Valid(out) {
			t.Fatalf("%q: %q is no JSON", in, out)
		}
		var before, after frame
		if before.parse(in) != nil || len(before.finish) > 20 {
			return
		}
		if err := after.parse(out); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if !bytes.Equal(before.text, after.text) || !bytes.Equal(before.reasoning, after.reasoning) ||
			before.finish != after.finish || before.failed != after.failed || before.tools != after.tools {
			t.Errorf("%q was skimmed to %q: got %q, %q, want %q, %q", in, out, after.text, after.reasoning,
				before.text, before.reasoning)
		}
	})
}

// FuzzFrame checks the hand-written parser against encoding/json: it takes all
// that is JSON, and finds the same text in it.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `null`, `{"choices":null}`, `{"choices":[{"delta":{"content":"a\u00e4\ud83d\ude00\ud83d\n"}}]}`,
		`{"choices":[{"index":1,"delta":{"content":"a"}},{"delta":{"content":"b"},"finish_reason":"stop"}]}`,
		`{"usage":{"prompt_tokens":1e3,"completion_tokens":-1,"prompt_tokens_details":{"cached_tokens":2}}}`,
		`{"error":{"message":"x"},"a":[1,2.5e-3,true,false,null,{"b":[[]]}]}`,
		`{"cho\u0069ces":[{"delta":{"content":"a"}}]}`,
		`{"choices":[{"delta":{"content":[{"text":"a"},{"thinking":[{"text":"b"}]},1]}}]}`, "{\"a\":\"\x7f\xff\"}",
		`{"a":"\q"}`, `{"a":1}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var got frame
		err := got.parse(in)
		var want struct {
			Choices []struct {
				Index  int     `json:"index"`
				Finish *string `json:"finish_reason"`
				Delta  struct {
					Content *string `json:"content"`
				} `json:"delta"`
			} `json:"choices"`
		}
		trimmed := bytes.TrimSpace(in)
		if !json.Valid(in) || len(trimmed) == 0 || trimmed[0] != '{' {
			return
		}
		if err != nil && bytes.Count(in, []byte("["))+bytes.Count(in, []byte("{")) <= maxNesting {
			t.Fatalf("%q is JSON, got %v", in, err)
		}
		// Only the usual shape is compared: encoding/json folds case and lets the
		// last of two equal keys win.
		if json.Unmarshal(in, &want) != nil || len(want.Choices) != 1 || want.Choices[0].Delta.Content == nil ||
			bytes.Count(in, []byte(`"content"`)) != 1 || bytes.Count(in, []byte(`"`)) > 40 ||
			bytes.Contains(in, []byte("refusal")) ||
			bytes.Count(bytes.ToLower(in), []byte("content")) != 1 ||
			bytes.Count(bytes.ToLower(in), []byte("choices")) != 1 ||
			bytes.Count(bytes.ToLower(in), []byte("delta")) != 1 ||
			bytes.Contains(bytes.ToLower(in), []byte("index")) ||
			!bytes.Contains(in, []byte(`"choices"`)) || !bytes.Contains(in, []byte(`"delta"`)) ||
			bytes.Contains(in, []byte(`\u00`)) {
			return
		}
		if g, w := strings.ToValidUTF8(string(got.text), "\ufffd"),
			*want.Choices[0].Delta.Content; strings.ReplaceAll(g, "\ufffd", "") != strings.ReplaceAll(w, "\ufffd", "") {
			t.Errorf("%q: got text %q, want %q", in, g, w)
		}
		if want.Choices[0].Finish != nil && !bytes.Contains(in, []byte(`\`)) &&
			bytes.Count(bytes.ToLower(in), []byte("finish")) == 1 && got.finish != *want.Choices[0].Finish &&
			utf8.Valid(in) {
			t.Errorf("%q: got finish reason %q, want %q", in, got.finish, *want.Choices[0].Finish)
		}
	})
}

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		ms, value string
		want      time.Duration
	}{
		{"", "", 0}, {"", "2", 2 * time.Second}, {"", "0.5", 500 * time.Millisecond},
		{"250", "9", 250 * time.Millisecond},
		{"", "-1", 0}, {"", "NaN", 0}, {"", "1e300", 24 * time.Hour}, {"", "soon", 0}, {"x", "1", time.Second},
		{"", now.Add(7 * time.Second).Format(http.TimeFormat), 7 * time.Second},
		{"", now.Add(-time.Hour).Format(http.TimeFormat), 0},
		{"", "Fri, 31 Dec 9999 23:59:59 GMT", 24 * time.Hour}, {"", "Mon, 01 Jan 0001 00:00:00 GMT", 0},
	} {
		h := http.Header{}
		h.Set("Retry-After-Ms", test.ms)
		h.Set("Retry-After", test.value)
		if got := parseRetryAfter(h, now); got != test.want {
			t.Errorf("%q, %q: got %v, want %v", test.ms, test.value, got, test.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for n, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second,
		8 * time.Second, 8 * time.Second} {
		for range 100 {
			if got, ok := backoff(n, &reply.Error{}, 0); !ok || got > want || got < want*3/4 {
				t.Fatalf("retry %d: got %v, want %v less up to a quarter", n, got, want)
			}
		}
	}
	// A server that is back when nobody is any more is not waited for.
	if _, ok := backoff(0, &reply.Error{RetryAfter: math.MaxInt64}, time.Second); ok {
		t.Error("300 years are patience")
	}
}

// benchFrame is a frame as OpenAI sends it.
const benchFrame = `{"id":"chatcmpl-BkqW2y0pQ7hLrT3nXv5sD9fG1jKm4","object":"chat.completion.chunk","created":1750000000,"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_51e1070cf2","choices":[{"index":0,"delta":{"content":" conversation"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"aB3xY"}`

// frames is a transport whose answer is a stream of n frames.
type frames int

func (n frames) RoundTrip(req *http.Request) (*http.Response, error) {
	body := strings.Repeat("data: "+benchFrame+"\n\n", int(n)) + "data: [DONE]\n\n"
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)),
		Request: req}, nil
}

type nowhere struct{}

func (nowhere) Append(reply.Channel, string) error { return nil }

type direct struct{ http.RoundTripper }

func (d direct) Do(req *http.Request) (*http.Response, error) { return d.RoundTrip(req) }

// TestAFrameAllocatesNothing, whatever a model says in it.
func TestAFrameAllocatesNothing(t *testing.T) {
	var f frame
	for _, data := range []string{
		benchFrame,
		`{"choices":[{"index":0,"delta":{"reasoning":"hm","reasoning_details":[{"text":"hm"}]}}],"usage":{"prompt_tokens":3}}`,
		`{"choices":[{"delta":{"content":[{"type":"text","text":"a"}],"tool_calls":[]}}],"citations":["https://a.example"]}`,
	} {
		frame := []byte(data)
		parse := func() {
			if err := f.parse(frame); err != nil {
				t.Fatal(err)
			}
		}
		parse() // What is kept from frame to frame grows once.
		if n := testing.AllocsPerRun(1000, parse); n != 0 {
			t.Errorf("%s: %v allocations, want none", data, n)
		}
	}
	th := newThoughts([]string{"think"})
	th.split([]byte("Rivers "))
	piece := []byte("run.")
	if n := testing.AllocsPerRun(1000, func() { th.split(piece) }); n != 0 {
		t.Errorf("a piece of the answer allocates %v times, want never", n)
	}
}

// BenchmarkFrame compares the cost of a frame: our whole path, go-openai's own
// Recv without any cleaning, and the parts of our path.
func BenchmarkFrame(b *testing.B) {
	b.Run("generate", func(b *testing.B) {
		b.ReportAllocs()
		c, err := New(Config{BaseURL: "http://x/v1", Transport: frames(b.N), MaxReplyBytes: 1 << 40}, discardLogger())
		if err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		if _, err := c.Generate(b.Context(), reply.Request{Model: "x"}, nowhere{}); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("go-openai", func(b *testing.B) {
		b.ReportAllocs()
		cfg := openai.DefaultConfig("")
		cfg.HTTPClient = direct{frames(b.N)}
		stream, err := openai.NewClientWithConfig(cfg).
			CreateChatCompletionStream(b.Context(), openai.ChatCompletionRequest{Model: "x"})
		if err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		for {
			if _, err := stream.Recv(); err != nil {
				break
			}
		}
	})
	b.Run("events", func(b *testing.B) {
		b.ReportAllocs()
		r := newEventReader(strings.NewReader(strings.Repeat("data: "+benchFrame+"\n\n", b.N)), 1<<20)
		b.ResetTimer()
		for {
			if _, err := r.next(); err != nil {
				break
			}
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		var f frame
		data := []byte(benchFrame)
		for b.Loop() {
			if err := f.parse(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		data := []byte(benchFrame)
		for b.Loop() {
			var f openai.ChatCompletionStreamResponse
			if err := json.Unmarshal(data, &f); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkBody compares ways to encode a history of 5,000 messages.
func BenchmarkBody(b *testing.B) {
	req := reply.Request{Model: "gpt-4.1"}
	other := openai.ChatCompletionRequest{Model: "gpt-4.1", Stream: true}
	for i := range 5000 {
		role, content := prompt.User, strings.Repeat("It was \"fine\" – really.\n", 8)
		if i%2 == 1 {
			role = prompt.Assistant
		}
		req.Messages = append(req.Messages, prompt.Say(role, content))
		other.Messages = append(other.Messages, openai.ChatCompletionMessage{Role: string(role), Content: content})
	}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			body, err := requestBody(&req, 0)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, body.open()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("go-openai", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(other); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func discardLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }
