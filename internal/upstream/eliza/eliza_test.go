package eliza_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"parley/internal/upstream/eliza"
	"parley/internal/waittest"
)

// introduction follows a short first reply.
const introduction = " I am ELIZA, by the way: a program of 1966, and no language model. " +
	"I turn what you say into questions, by a few rules and without understanding."

// A whole conversation: keywords, turns, classes, memory and jumps.
func TestRespond(t *testing.T) {
	t.Parallel()
	var said []string
	for i, turn := range []struct{ user, want string }{
		{"Hi there!", "Hello. How are you feeling today?" + introduction},
		{"I'm very unhappy.", "I am sorry to hear that you are unhappy."},
		{"I need some help, that much seems certain.", "What would it mean to you if you got some help?"},
		{"Perhaps I could learn to get along with my mother.", "Tell me more about your family."},
		{"You are like my father in some ways.", "In what way?"},
		{"You don't argue with me.", "Why do you think I do not argue with you?"},
		{"Why don't you argue with me?", "Do you believe I do not argue with you?"},
		{"I remember my old school", "Do you often think of your old school?"},
		{"I think you are a machine", "Do machines worry you?"},
		{"Men!", "I am not sure I follow. Could you put it another way?"},
		{"Hmm.", "Earlier you spoke of your mother. Let us return to that."},
		{"What is your name?", "My name is ELIZA. I am a small program, and names are not what I am good at."},
		{"I dreamt about you", "Really: about me?"},
		{"Well, everybody hates me.", "Really, everyone?"},
		{"Because I said so", "Is that the real reason?"},
		{"I can’t sleep", "How do you know that you cannot sleep?"},
		{"Goodbye", "Goodbye. I hope this was of some use to you."},
	} {
		said = append(said, turn.user)
		if got := eliza.Respond(said); got != turn.want {
			t.Errorf("turn %d, %q: got %q, want %q", i, turn.user, got, turn.want)
		}
		if again := eliza.Respond(said); again != eliza.Respond(said) {
			t.Errorf("turn %d: the reply is not the same again", i)
		}
	}
	if got := eliza.Respond(nil); got != eliza.Greeting {
		t.Errorf("got %q, want the greeting", got)
	}
}

// Whatever the first message is, its reply is long enough to be seen growing; and one that is long by itself is left
// alone.
func TestRespondFirst(t *testing.T) {
	t.Parallel()
	long := "If the river had no water and the sea had no salt and nobody had a boat"
	for _, first := range []string{"Hello", "I need a chat backend", "test", "", "你好", "Mother never listens", long} {
		got := eliza.Respond([]string{first})
		if n := len(strings.Fields(got)); n < 20 || n > 50 {
			t.Errorf("%q: got %d words, want 20 to 50: %s", first, n, got)
		}
		if strings.HasSuffix(got, introduction) == (first == long) {
			t.Errorf("%q: got %q, want the introduction unless the reply is long without", first, got)
		}
		if second := eliza.Respond([]string{"Hello", first}); strings.Contains(second, "by the way") {
			t.Errorf("%q in second place: got %q, want no introduction", first, second)
		}
	}
}

func TestRespondTakesTurns(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	var said []string
	for range 6 {
		said = append(said, "asdf")
		seen[eliza.Respond(said)] = true
	}
	if len(seen) != 6 {
		t.Errorf("got %d different replies to 6 words without meaning, want 6", len(seen))
	}
}

// No input breaks it, takes long or gets an empty reply.
func TestRespondOdd(t *testing.T) {
	t.Parallel()
	said := []string{"", " ", "...", "你好", "\xff\x00", "$1 $2", "*none*", "but but but", "I", "my", "am I", "are you",
		"I am", strings.Repeat("my you i am like ", 10000)}
	for i, s := range said {
		if got := eliza.Respond(said[:i+1]); strings.TrimSpace(got) == "" || strings.Contains(got, "$") &&
			s != "$1 $2" || strings.HasPrefix(got, "=") {
			t.Errorf("%.40q: got %q", s, got)
		}
	}
	long := make([]string, 5000)
	for i := range long {
		long[i] = strings.Repeat("are my you i am like was mother ", 100)
	}
	began := time.Now()
	_ = eliza.Respond(long)
	if took := time.Since(began); took > waittest.Limit {
		t.Errorf("a long conversation took %v", took)
	}
}

func post(t *testing.T, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
	eliza.Handler(0).ServeHTTP(w, r)
	return w
}

func TestHandler(t *testing.T) {
	t.Parallel()
	const messages = `"messages":[{"role":"system","content":"x"},{"role":"user","content":"Hello"},{"role":"user","content":[{"type":"text","text":"I am sad"}]}]`
	for _, test := range []struct {
		body   string
		status int
		want   string // "text|finish reason", or a part of the body
	}{
		{`{"model":"eliza",` + messages + `}`, 200, "I am sorry to hear that you are sad.|stop"},
		{`{"model":"eliza",` + messages + `,"max_tokens":2,"stop":null}`, 200, "I am |length"},
		{`{"model":"eliza",` + messages + `,"max_completion_tokens":100,"stop":" to"}`, 200, "I am sorry|stop"},
		{`{"model":"eliza",` + messages + `,"stop":["hear","sorry"]}`, 200, "I am |stop"},
		{`{"model":"eliza","messages":[]}`, 200, eliza.Greeting + "|stop"},
		{`{"model":"gpt-4"}`, 404, "model_not_found"},
		{`{`, 400, "invalid_request_error"},
		{`{"model":"eliza","messages":[{"role":"user","content":1}]}`, 400, "invalid_request_error"},
	} {
		w := post(t, test.body)
		got := w.Body.String()
		if test.status == 200 {
			var answer struct {
				Choices []struct {
					Message      struct{ Content string }
					FinishReason string `json:"finish_reason"`
				}
				Usage map[string]int
			}
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Choices) != 1 ||
				len(answer.Usage) != 3 {
				t.Fatalf("%s: got %s, %v", test.body, got, err)
			}
			got = fmt.Sprintf("%s|%s", answer.Choices[0].Message.Content, answer.Choices[0].FinishReason)
		}
		if w.Code != test.status || got != test.want && !(test.status != 200 && strings.Contains(got, test.want)) {
			t.Errorf("%s: got %d %q, want %d %q", test.body, w.Code, got, test.status, test.want)
		}
	}
}

func TestHandlerStream(t *testing.T) {
	t.Parallel()
	w := post(t, `{"model":"eliza","stream":true,"messages":[{"role":"user","content":"x"},{"role":"user","content":"hello"}]}`)
	body := w.Body.String()
	if strings.Contains(body, "usage") || !strings.HasSuffix(body, "data: [DONE]\n\n") ||
		w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("got %s, want a stream without usage", body)
	}
	if got := strings.Count(body, `"content":`); got != 7 { // The role and 6 words.
		t.Errorf("got %d pieces, want 7: %s", got, body)
	}
	w = post(t, `{"model":"eliza","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hello"}]}`)
	if !strings.Contains(w.Body.String(), `"choices":[],`) || !strings.Contains(w.Body.String(), `"prompt_tokens":1,`) {
		t.Errorf("got %s, want usage", w.Body.String())
	}
}

func TestHandlerModels(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	eliza.Handler(0).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/models", nil))
	if !strings.Contains(w.Body.String(), `"id":"eliza"`) ||
		!strings.Contains(w.Body.String(), "not a language model") {
		t.Errorf("got %s, want eliza and what it is", w.Body.String())
	}
}
