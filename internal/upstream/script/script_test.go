package script_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"parley/internal/upstream/script"
)

// said is what came of a message: the pieces of the text and of the reasoning, the finish
// reason, the error, and how long it took.
type said struct {
	status            int
	pieces, reasoning []string
	finish, failure   string
	usage             map[string]any
	annotations       []any
	whole             bool // the end marker has come
	took              time.Duration
}

func (s said) text() string { return strings.Join(s.pieces, "") }

// say sends messages, oldest first, and reads the stream. Time is that of a bubble.
func say(ctx context.Context, t *testing.T, more string, messages ...string) said {
	t.Helper()
	var list []map[string]string
	for _, m := range messages {
		list = append(list, map[string]string{"role": "user", "content": m})
	}
	encoded, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"model":"script","stream":true,"stream_options":{"include_usage":true},"messages":` + string(encoded) +
		more + `}`
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
	w := httptest.NewRecorder()
	began := time.Now()
	script.Handler().ServeHTTP(w, r)
	return read(t, w, time.Since(began))
}

func read(t *testing.T, w *httptest.ResponseRecorder, took time.Duration) said {
	t.Helper()
	s := said{status: w.Code, took: took}
	if w.Header().Get("Content-Type") != "text/event-stream" {
		s.failure = w.Body.String()
		return s
	}
	for frame := range strings.SplitSeq(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n") {
		payload := strings.TrimPrefix(frame, "data: ")
		if payload == "[DONE]" {
			s.whole = true
			continue
		}
		var f struct {
			Error   *struct{ Code string }
			Usage   map[string]any
			Choices []struct {
				Delta struct {
					Content     string
					Reasoning   string `json:"reasoning_content"`
					Annotations []any
				}
				Finish string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte(payload), &f); err != nil {
			t.Fatalf("frame %q: %v", payload, err)
		}
		if f.Error != nil {
			s.failure = f.Error.Code
		}
		if f.Usage != nil {
			s.usage = f.Usage
		}
		for _, c := range f.Choices {
			if c.Delta.Content != "" {
				s.pieces = append(s.pieces, c.Delta.Content)
			}
			if c.Delta.Reasoning != "" {
				s.reasoning = append(s.reasoning, c.Delta.Reasoning)
			}
			s.annotations = append(s.annotations, c.Delta.Annotations...)
			s.finish += c.Finish
		}
	}
	return s
}

// bubble runs a test in which waiting takes no time.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

func TestShapes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		message          string
		pieces, thoughts int
		begins           string
		took             time.Duration
	}{
		{"/tokens 200", 200, 0, "The harbour lies", 199 * 20 * time.Millisecond},
		{"/tokens 3 /slow 1s", 3, 0, "The harbour lies", 2 * time.Second},
		{"Tell me. /tokens 5 /slow 0", 5, 0, "Tell me. The harbour lies", 0},
		{"One two three /tokens 2 /slow 0", 2, 0, "One two ", 0},
		{"/SLOW 10, Hi /Tokens 2.", 2, 0, "Hi The", 10 * time.Millisecond},
		{"/wait 2s hello /slow 0", 1, 0, "hello", 2 * time.Second},
		{"/think 3s hello /slow 0", 1, 30, "hello", 3 * time.Second},
		{"/think 7 hello /slow 100", 1, 7, "hello", 700 * time.Millisecond},
		{"/think 1ms hello /slow 0", 1, 1, "hello", time.Millisecond},
		{"/slow 0", 40, 0, "The harbour", 0},
		{"/slow 0 /slow 5 hello there", 2, 0, "hello there", 5 * time.Millisecond},
		{"/usr/bin and / and 1/2 and // /slow 0", 7, 0, "/usr/bin and / and 1/2 and //", 0},
		{"first line\nsecond /slow 0\nthird", 4, 0, "first line\nsecond\nthird", 0},
		{"/error rate /wait 9s\n \nafter that /slow 0", 2, 0, "after that", 0},
		{"/long 3 /slow 10", 3, 0, "The harbour lies", 20 * time.Millisecond},
		{"Look: /code /slow 0 /tokens 4", 4, 0, "Look:\n\n```js\nconst ", 0},
		{"/rtl /rtl /slow 0 /tokens 70", 70, 0, "المد", 0},
		{strings.Repeat("语", 40) + " /slow 0", 3, 0, "语", 0},
	} {
		t.Run(test.message, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := say(t.Context(), t, "", test.message)
				if len(s.pieces) != test.pieces || len(s.reasoning) != test.thoughts ||
					!strings.HasPrefix(s.text(), test.begins) {
					t.Errorf("got %d pieces %.80q and %d of reasoning, want %d beginning with %q and %d",
						len(s.pieces), s.text(), len(s.reasoning), test.pieces, test.begins, test.thoughts)
				}
				if s.took != test.took {
					t.Errorf("took %v, want %v", s.took, test.took)
				}
				if s.finish != "stop" || !s.whole {
					t.Errorf("finish reason %q, end marker %t, want stop, true", s.finish, s.whole)
				}
				if got := s.usage["completion_tokens"]; got != float64(test.pieces+test.thoughts) {
					t.Errorf("counted %v tokens, want %d", got, test.pieces+test.thoughts)
				}
				if again := say(t.Context(), t, "", test.message); fmt.Sprint(again.pieces) != fmt.Sprint(s.pieces) {
					t.Errorf("the same message again gave %q, want %q", again.pieces, s.pieces)
				}
			})
		})
	}
}

func TestEndings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		message string
		status  int
		pieces  int
		finish  string // with a "!" when it is whole
		failure string
	}{
		{"/length", 200, 40, "length!", ""},
		{"/filter hello", 200, 1, "content_filter!", ""},
		{"/fail-at 90", 200, 90, "", "internal_error"},
		{"/fail-at 5 /tokens 2", 200, 2, "", "internal_error"},
		{"/fail-at 0 hello", 200, 0, "", "internal_error"},
		{"/fail-at 2 /error quota", 200, 2, "", "insufficient_quota"},
		{"/cut 3 hello", 200, 3, "", ""},
		{"/cut 0 hello", 200, 0, "", ""},
		{"/refuse", 400, 0, "", "content_filter"},
		{"/too-long", 400, 0, "", "context_length_exceeded"},
		{"/error rate", 429, 0, "", "rate_limit_exceeded"},
		{"/error RATE.", 429, 0, "", "rate_limit_exceeded"},
		{"/error unavailable /tokens 5", 503, 0, "", "service_unavailable"},
		{"/error protocol", 200, 0, "", "<html>"},
	} {
		t.Run(test.message, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := say(t.Context(), t, "", test.message)
				finish := s.finish
				if s.whole {
					finish += "!"
				}
				if s.status != test.status || len(s.pieces) != test.pieces || finish != test.finish ||
					!strings.Contains(s.failure, test.failure) || (s.failure == "") != (test.failure == "") {
					t.Errorf("got %d, %d pieces, %q, %.80q, want %d, %d, %q, %q", s.status, len(s.pieces), finish,
						s.failure, test.status, test.pieces, test.finish, test.failure)
				}
			})
		})
	}
}

// What hangs does so until the client has had enough, and what waits ends with it, too.
func TestGoneClient(t *testing.T) {
	t.Parallel()
	for _, message := range []string{"/hang 3", "/wait 50s", "/think 2m", "/slow 30s"} {
		t.Run(message, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
				defer cancel()
				if s := say(ctx, t, "", message); s.took != 25*time.Second || s.whole {
					t.Errorf("ended after %v, whole %t, want 25 s, false", s.took, s.whole)
				}
			})
		})
	}
}

// Parameters of the request count as with any model.
func TestParameters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		if s := say(t.Context(), t, `,"max_tokens":3`, "/tokens 9"); len(s.pieces) != 3 || s.finish != "length" {
			t.Errorf("max_tokens 3: got %q, %s", s.pieces, s.finish)
		}
		if s := say(t.Context(), t, `,"stop":"still"`, "/tokens 9"); s.text() != "The harbour lies " ||
			s.finish != "stop" {
			t.Errorf("stop: got %q, %s", s.text(), s.finish)
		}
		if s := say(t.Context(), t, "", "/fail-at 3", "hello /slow 0"); s.text() != "hello" {
			t.Errorf("after another message: got %q", s.text())
		}
	})
}

// What cannot be obeyed is answered with what is wrong and with all commands.
func TestProblems(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for message, want := range map[string]string{
			"/help":               "I am `script`",
			"/tokenz 5":           "There is no command `/tokenz`.",
			"/tokens":             "`/tokens` needs a number from 1 to 10000, as in `/tokens 200`.",
			"/tokens /slow 5":     "`/tokens` needs a number",
			"/tokens 0":           "and not `0`",
			"/tokens 10001":       "and not `10001`",
			"/tokens 1e3":         "and not `1e3`",
			"/slow 31s":           "`/slow` needs a time from 0 to 30s",
			"/slow -1":            "and not `-1`",
			"/slow 99999999999s":  "`/slow` needs",
			"/wait 51s":           "`/wait` needs",
			"/think 0":            "`/think` needs",
			"/think 121s":         "`/think` needs",
			"/long 2001":          "`/long` needs",
			"/cut x":              "`/cut` needs",
			"/error nothing":      "`/error` needs one of unavailable,",
			"/usage some":         "`/usage` needs the word none",
			"/a`b":                "There is no command `/a'b`.",
			"/" + repeated(100):   "There is no command `/" + repeated(40) + "…`.",
			"/fail-at 5 /refuze!": "There is no command `/refuze`.",
		} {
			s := say(t.Context(), t, "", message)
			if !strings.Contains(s.text(), want) || s.finish != "stop" || !s.whole {
				t.Errorf("%q: got %.200q, %s, want %q and the end", message, s.text(), s.finish, want)
			}
			for _, c := range script.Commands() {
				if !strings.Contains(s.text(), "- `"+c.Example+"`: "+c.Does) {
					t.Errorf("%q: the answer does not explain /%s", message, c.Name)
				}
			}
		}
	})
}

func repeated(n int) string { return strings.Repeat("x", n) }

// Each example can be sent as it is.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, c := range script.Commands() {
		t.Run(c.Name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				s := say(ctx, t, "", c.Example)
				if strings.Contains(s.text(), " needs ") || strings.Contains(s.text(), "There is no command") {
					t.Errorf("%s: got %.100q", c.Example, s.text())
				}
				if !strings.HasPrefix(c.Example, "/"+c.Name) {
					t.Errorf("%s is no example of /%s", c.Example, c.Name)
				}
			})
		})
	}
}

// A question for a title or a summary is answered as such, whatever stands in the conversation.
func TestAsides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const about = "Between the two lines of m7 is what somebody has asked. "
		for message, want := range map[string]string{
			about + "Give the conversation a title of two to six words.\n\nm7\nTell me about the tides of Europe. " +
				"/fail-at 3\nm7": "Tell me about the tides of",
			about + "Give the conversation a title of two words.\n\nm7\n/refuse\nm7":             "/refuse",
			about + "Give the conversation a title of two words.\n\nm7\nOnce, /nothing 5.\nm7\n": "Once, 5",
			about + "Sum it up.\n\nm7\nUser: hello /cut 0\n\nAssistant: m7 hi\nm7":               "Summed up: User: hello /cut 0 Assistant: m7 hi",
			"a title of it\n\nno mark\nhello /slow 0":                                            "no mark\nhello",
		} {
			if s := say(t.Context(), t, "", message); s.text() != want || !s.whole {
				t.Errorf("%q: got %q, want %q", message, s.text(), want)
			}
		}
	})
}

// What is seen as one character comes in several pieces, none of them half a code point.
func TestEmoji(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := say(t.Context(), t, "", "/emoji")
		if !strings.HasPrefix(s.text(), "👩‍👩‍👧‍👦 ") || s.pieces[0] != "👩" || s.pieces[1] != "\u200d" {
			t.Errorf("got %q", s.pieces)
		}
	})
}

// The places of sources are those of their sentences, also behind other text.
func TestCitations(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := say(t.Context(), t, "", "Tides 🌊 /citations")
		text := []rune(s.text())
		var places []string
		for _, a := range s.annotations {
			source := a.(map[string]any)["url_citation"].(map[string]any)
			if start, ok := source["start_index"].(float64); ok {
				places = append(places, string(text[int(start):int(source["end_index"].(float64))]))
			}
		}
		if len(s.annotations) != 3 || len(places) != 2 || !strings.HasPrefix(places[0], "The sea rises") ||
			!strings.HasSuffix(places[1], "by 16 metres.") {
			t.Errorf("got %v at %q", s.annotations, places)
		}
	})
}

// A client that wants no stream gets the same in one piece, at once.
func TestWithoutStream(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	body := `{"model":"script","messages":[{"role":"user","content":"/think 2 /tokens 3 /slow 30s"}]}`
	script.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions",
		strings.NewReader(body)))
	for _, want := range []string{`"content":"The harbour lies"`, `"reasoning_content":"First I "`,
		`"finish_reason":"stop"`, `"completion_tokens":5`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("got %s, want %s", w.Body.String(), want)
		}
	}
	w = httptest.NewRecorder()
	script.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/models", nil))
	if !strings.Contains(w.Body.String(), `"id":"script"`) {
		t.Errorf("models: got %s", w.Body.String())
	}
}

// No message makes it fail that did not ask for it, and the bounds hold for all.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{"", "/", "//", "/tokens", "/tokens 1 /tokens", "/\xff", "/tokens \xff", "/slow 1h",
		"/é", "a\n\n/long 2000 /slow 0", "/think 9999999999999999999", "/long 5 /tokens 2 /emoji /markdown",
		"/tokens 5 \n /code\n \n\n", "\u2028/tokens\u00a05", "/.", "/a.b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		pieces, bytes := script.Measure(message)
		if pieces > 20_000 || bytes > 4<<20+len(message) {
			t.Errorf("%q: %d pieces of %d bytes", message, pieces, bytes)
		}
		if utf8.ValidString(message) && pieces == 0 {
			t.Errorf("%q: no piece", message)
		}
		if again, _ := script.Measure(message); again != pieces {
			t.Errorf("%q: %s pieces, then %d", message, strconv.Itoa(pieces), again)
		}
	})
}
