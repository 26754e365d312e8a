package upstream_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/reply"
	"parley/internal/upstream"
)

// choice is a frame with one choice, whose members are given.
func choice(members string) string { return `data: {"choices":[{"index":0,` + members + `}]}` + "\n\n" }

// saying is a frame with a delta, whose members are given.
func saying(members string) string { return choice(`"delta":{` + members + `}`) }

// saysFinish is a frame with text and a finish reason.
func saysFinish(text, reason string) string {
	return choice(`"delta":{"content":"` + text + `"},"finish_reason":"` + reason + `"`)
}

// counted is the last frame of a reply, with a usage.
func counted(usage string) string {
	return `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{` + usage + "}}\n\n" + done
}

// answerTest is how one server was seen to answer. from says where.
type answerTest struct {
	name, from string
	serve      http.HandlerFunc
	tags       []string
	text       string
	reasoning  string
	finish     reply.FinishReason
	usage      *reply.Usage // Nil: it does not matter.
	noUsage    bool
	omitted    []reply.OmittedOutput
	citations  []reply.Citation
	code       reply.Code
}

func (test answerTest) run(t *testing.T) {
	t.Helper()
	cfg := once(serve(t, test.serve))
	cfg.ThinkTags = test.tags
	out, result, err := generate(t, client(t, cfg))
	wantCode(t, err, test.code)
	if got := out.text.String(); got != test.text {
		t.Errorf("got text %.120q, want %.120q", got, test.text)
	}
	if got := out.reasoning.String(); got != test.reasoning {
		t.Errorf("got reasoning %.120q, want %.120q", got, test.reasoning)
	}
	if result.FinishReason != test.finish {
		t.Errorf("got finish reason %q, want %q", result.FinishReason, test.finish)
	}
	if test.usage != nil || test.noUsage {
		if diff := cmp.Diff(test.usage, result.Usage); diff != "" {
			t.Errorf("usage (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(test.omitted, result.Omitted); diff != "" {
		t.Errorf("omitted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(test.citations, result.Citations); diff != "" {
		t.Errorf("citations (-want +got):\n%s", diff)
	}
}

func runAnswers(t *testing.T, tests []answerTest) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t)
		})
	}
}

// What proves that a reply is complete, and what does not.
func TestProof(t *testing.T) {
	t.Parallel()
	nothing := choice(`"delta":{"content":""},"finish_reason":null`)
	runAnswers(t, []answerTest{
		{name: "null as text, then a cut", from: "case finish-null-text-cut; DashScope's null in quotes",
			serve: raw(header+saysFinish("Rivers run ", "null")+saysFinish("to ", "null"), false),
			text:  "Rivers run to ", code: reply.CodeTruncated},
		{name: "null as text, then the end", from: "DashScope", text: "Rivers run.", finish: "STOP",
			serve: body(saysFinish("Rivers ", "null") + saysFinish("run.", "stop") + done)},
		{name: "empty reasons, then the end", from: "ollama/ollama#4357, sgl-project/sglang#3912",
			serve: body(saysFinish("Rivers ", "") + saysFinish("run.", "") + done), text: "Rivers run."},
		{name: "empty reasons, then a cut", from: "ollama/ollama#4357",
			serve: body(saysFinish("Rivers ", "")), text: "Rivers ", code: reply.CodeTruncated},
		{name: "junk behind the end", from: "case junk-after-finish",
			serve: body(saysFinish("Rivers run.", "stop") + "data: bye\n\n"), text: "Rivers run.", finish: "STOP"},
		{name: "error behind the end", serve: body(good + stop + `data: {"error":{"message":"boom"}}` + "\n\n"),
			text: "Hello", finish: "STOP"},
		{name: "error behind text that ends", from: "a server with a reason in each frame",
			serve: body(saysFinish("Hello", "stop") + `data: {"error":{"message":"boom"}}` + "\n\n"), text: "Hello",
			code: reply.CodeUpstream},
		{name: "a reset behind the end", serve: raw(header+saysFinish("Hello", "stop"), true), text: "Hello",
			finish: "STOP"},
		{name: "a reset, and each frame has a reason", serve: raw(header+saysFinish("a", "stop")+
			saysFinish("b", "stop"), true), text: "ab", code: reply.CodeTruncated},
		{name: "a clean end, and each frame has a reason", from: "BerriAI/litellm#376",
			serve: body(saysFinish("a", "stop") + saysFinish("b", "stop")), text: "ab", finish: "STOP"},
		{name: "text behind a reason, then a cut", serve: body(good + stop + more), text: "Hello there",
			code: reply.CodeTruncated},
		{name: "no reason, no end marker, a usage", from: "case no-finish-no-done; alfredapp/openai-workflow#52",
			serve: body(choice(`"delta":{"content":"Rivers run."}`) +
				`data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}` + "\n\n"),
			text: "Rivers run.", usage: &reply.Usage{PromptTokens: 3, CompletionTokens: 2}},
		{name: "a usage, then a reset", serve: raw(header+good+use, true), text: "Hello", code: reply.CodeTruncated},
		{name: "a usage in the middle", serve: body(use + good), text: "Hello", code: reply.CodeTruncated},
		{name: "a usage in every frame, then a cut", from: "vLLM's continuous_usage_stats",
			serve: body(`data: {"choices":[{"index":0,"delta":{"content":"Hello"}}],"usage":{"prompt_tokens":3}}` +
				"\n\n"), text: "Hello", code: reply.CodeTruncated, usage: &reply.Usage{PromptTokens: 3}},
		{name: "never a reason, but an end marker", from: "waybarrios/vllm-mlx#628",
			serve: body(good + nothing + done), text: "Hello"},
		{name: "no reason and no end marker", from: "vllm-project/vllm#52852", serve: body(good + nothing),
			text: "Hello", code: reply.CodeTruncated},
		{name: "unknown reason, then a cut", serve: body(good + strings.Replace(stop, "stop", "shrug", 1)),
			text: "Hello", code: reply.CodeTruncated},
		{name: "length beside text", from: "vllm-project/vllm#35705", serve: body(good + saysFinish(" the", "length")),
			text: "Hello the", finish: "LENGTH"},
		{name: "document without a reason", serve: answer(200, "application/json",
			`{"choices":[{"message":{"content":"Hello"}}]}`), text: "Hello"},
		{name: "end marker, nothing said", serve: body(saying(`"role":"assistant"`) + done), code: reply.CodeProtocol},
		{name: "end marker, white space said", serve: body(delta(`\n\n`) + done), text: "\n\n",
			code: reply.CodeProtocol},
		{name: "white space with a reason", from: "case sticky", serve: body(saysFinish(`\n\n`, "stop") + done),
			text: "\n\n", finish: "STOP"},
		{name: "only thoughts, no reason", serve: body(saying(`"reasoning":"hm"`) + done), reasoning: "hm",
			code: reply.CodeProtocol},
		{name: "only thoughts, too long", from: "BerriAI/litellm-docs#559", reasoning: "hm", finish: "LENGTH",
			serve: body(saying(`"reasoning_content":"hm"`) + strings.Replace(stop, "stop", "length", 1) + done)},
	})
}

// The words of the servers for the end of a reply.
func TestFinishReasons(t *testing.T) {
	t.Parallel()
	var tests []answerTest
	for word, want := range map[string]reply.FinishReason{
		"stop": "STOP", "STOP": "STOP", "end_turn": "STOP", "stop_sequence": "STOP", "eos": "STOP", "eos_token": "STOP",
		"COMPLETE": "STOP", "normal": "STOP", "eosFound": "STOP", "FINISH_REASON_STOP": "STOP",
		"length": "LENGTH", "max_tokens": "LENGTH", "MAX_TOKENS": "LENGTH", "model_length": "LENGTH",
		"model_context_window_exceeded": "LENGTH", "contextLengthReached": "LENGTH",
		"content_filter": "CONTENT_FILTER", "SAFETY": "CONTENT_FILTER", "RECITATION": "CONTENT_FILTER",
		"PROHIBITED_CONTENT": "CONTENT_FILTER", "sensitive": "CONTENT_FILTER", "refusal": "CONTENT_FILTER",
		"guardrail_intervened": "CONTENT_FILTER", "content-filter": "CONTENT_FILTER",
	} {
		tests = append(tests, answerTest{name: word, serve: body(good + strings.Replace(stop, "stop", word, 1)),
			text: "Hello", finish: want})
	}
	for word, code := range map[string]reply.Code{
		"error": reply.CodeUpstream, "abort": reply.CodeUpstream, "cancelled": reply.CodeUpstream,
		"insufficient_system_resource": reply.CodeUpstream, "network_error": reply.CodeUpstream,
		"null": reply.CodeTruncated, "NULL": reply.CodeTruncated, "not_finished": reply.CodeTruncated,
		"other": reply.CodeTruncated, "FINISH_REASON_UNSPECIFIED": reply.CodeTruncated,
	} {
		tests = append(tests, answerTest{name: word, serve: body(good + strings.Replace(stop, "stop", word, 1)),
			text: "Hello", code: code})
	}
	runAnswers(t, tests)
}

// A reply that is given up, as by a server that stops, is not taken for whole because of a
// reason beside text: more text may come.
func TestGivenUpBehindAReason(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	c := client(t, once(serve(t, open(saysFinish("Hello", "stop")))))
	ctx, cancel := context.WithCancelCause(t.Context())
	out := &output{after: func(string) error { cancel(enough); return nil }}
	if _, err := c.Generate(ctx, request("hello"), out); !errors.Is(err, enough) {
		t.Errorf("got %v, want that it was given up", err)
	}
}

// How long a server is waited for that has said why it stops, on a clock that does not wait.
func TestPatienceBehindAReason(t *testing.T) {
	t.Parallel()
	pause := func(w http.ResponseWriter, r *http.Request, d time.Duration) {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(d):
		}
	}
	say := func(w http.ResponseWriter, s string) { _, _ = w.Write([]byte(s)) }
	for name, test := range map[string]struct {
		serve http.HandlerFunc
		text  string
		most  time.Duration
		code  reply.Code
	}{
		"a reason on every frame, with pauses (case finish-early-slow)": {func(w http.ResponseWriter, r *http.Request) {
			say(w, saysFinish("Rivers run ", "stop"))
			pause(w, r, 7*time.Second)
			say(w, saysFinish("to ", "stop"))
			pause(w, r, 4*time.Minute)
			say(w, saysFinish("the sea.", "stop")+done)
		}, "Rivers run to the sea.", time.Hour, ""},
		"a frame of its own, then silence (waybarrios/vllm-mlx#101)": {func(w http.ResponseWriter, r *http.Request) {
			say(w, good+stop)
			pause(w, r, time.Hour)
		}, "Hello", 5 * time.Second, ""},
		"a frame of its own, then comments": {func(w http.ResponseWriter, r *http.Request) {
			say(w, good+stop)
			for r.Context().Err() == nil {
				say(w, ": ping\n\n")
				pause(w, r, time.Second)
			}
		}, "Hello", 5 * time.Second, ""},
		"beside text, then silence": {func(w http.ResponseWriter, r *http.Request) {
			say(w, saysFinish("Hello", "stop"))
			pause(w, r, time.Hour)
		}, "Hello", 5 * time.Minute, ""},
		"on every frame, then silence": {func(w http.ResponseWriter, r *http.Request) {
			say(w, saysFinish("Hel", "stop"))
			pause(w, r, time.Second)
			say(w, saysFinish("lo", "stop"))
			pause(w, r, time.Hour)
		}, "Hello", 6 * time.Minute, reply.CodeTimeout},
		"a frame of its own, then half a character": {func(w http.ResponseWriter, r *http.Request) {
			say(w, good+stop)
			pause(w, r, 4*time.Second)
			say(w, delta("\xe2\x82"))
			pause(w, r, 4*time.Minute)
			say(w, delta("\xac")+stop+done)
		}, "Hello€", time.Hour, ""},
		"a frame of its own, then text": {func(w http.ResponseWriter, r *http.Request) {
			say(w, good+stop)
			pause(w, r, 4*time.Second)
			say(w, more)
			pause(w, r, 4*time.Minute)
			say(w, stop+done)
		}, "Hello there", time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, err := upstream.New(upstream.Config{BaseURL: "http://in-process/v1", MaxRetries: -1,
					Transport: upstream.InProcess(test.serve)}, discard())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				began := time.Now()
				out, _, err := generate(t, c)
				wantCode(t, err, test.code)
				if out.text.String() != test.text {
					t.Errorf("got %q, want %q", out.text.String(), test.text)
				}
				if took := time.Since(began); took > test.most {
					t.Errorf("waited for %v, want at most %v", took, test.most)
				}
				synctest.Wait()
			})
		})
	}
}
