package upstream_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/secret"
	"parley/internal/upstream"
	"parley/internal/upstream/upstreamtest"
)

func ptr[T any](v T) *T { return &v }

// sent decodes the body of a request.
func sent(t *testing.T, r upstreamtest.Request) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.Body, &m); err != nil {
		t.Fatalf("the body %.200s is not JSON: %v", r.Body, err)
	}
	return m
}

func TestWire(t *testing.T) {
	t.Parallel()
	s, base := upstreamtest.Start(t)
	cfg := once(base + "/") // A slash at the end is common and does no harm.
	cfg.APIKey = secret.New("sk-secret")
	c := client(t, cfg)
	content := "a\"b\\c\n\t\x01<&>ä€😀\xff\u2028\x00"
	req := reply.Request{
		Model: "o1-local", // go-openai refuses a temperature for such names.
		Messages: []prompt.Message{
			prompt.Say(prompt.System, "Be brief."),
			prompt.Say(prompt.User, content),
			prompt.Say(prompt.Assistant, ""),
			prompt.Say(prompt.User, "hello"),
		},
		Parameters: reply.Parameters{
			Temperature: ptr(0.0), TopP: ptr(0.0), MaxTokens: ptr(12), Stop: []string{"x", "y"}, Seed: ptr(0),
			PresencePenalty: ptr(0.0), FrequencyPenalty: ptr(-0.5),
			ResponseFormat: &reply.ResponseFormat{Type: reply.FormatJSONSchema, Name: "n", Schema: `{"type":"object"}`,
				Strict: true},
		},
	}
	out := &output{}
	result, err := c.Generate(t.Context(), req, out)
	if err != nil {
		t.Fatalf("Generate: %v", err)
	}
	if got, want := out.text.String(), "You said: hello"; got != want {
		t.Errorf("got text %q, want %q", got, want)
	}
	if result.Model != "o1-local" || result.FinishReason != reply.FinishStop || result.Usage == nil {
		t.Errorf("got result %+v, want model, finish reason and usage", result)
	}
	r := s.Requests()[0]
	got := sent(t, r)
	want := map[string]any{
		"model": "o1-local", "stream": true, "stream_options": map[string]any{"include_usage": true},
		"temperature": 0.0, "top_p": 0.0, "max_tokens": 12.0, "stop": []any{"x", "y"}, "seed": 0.0,
		"presence_penalty": 0.0, "frequency_penalty": -0.5,
		"response_format": map[string]any{"type": "json_schema", "json_schema": map[string]any{
			"name": "n", "strict": true, "schema": map[string]any{"type": "object"}}},
		"messages": []any{
			map[string]any{"role": "system", "content": "Be brief."},
			map[string]any{"role": "user", "content": strings.ToValidUTF8(content, "\ufffd")},
			map[string]any{"role": "assistant", "content": ""},
			map[string]any{"role": "user", "content": "hello"},
		},
	}
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("got body\n%s\nwant\n%s", g, w)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer sk-secret", "Accept-Encoding": "identity",
		"Accept": "text/event-stream", "Content-Type": "application/json",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("got header %s: %q, want %q", name, got, want)
		}
	}
}

func TestWireWithoutKey(t *testing.T) {
	t.Parallel()
	s, base := upstreamtest.Start(t)
	c := client(t, once(base))
	if _, _, err := generate(t, c); err != nil {
		t.Fatalf("Generate: %v", err)
	}
	r := s.Requests()[0]
	if values, ok := r.Header["Authorization"]; ok {
		t.Errorf("got Authorization %q, want none at all", values)
	}
	if got, want := fmt.Sprint(sent(t, r)),
		"map[messages:[map[content:Be brief. role:system] map[content:hello role:user]] model:test stream:true stream_options:map[include_usage:true]]"; got != want {
		t.Errorf("got body %s, want %s", got, want)
	}
}

func TestWireRefusesUnsendable(t *testing.T) {
	t.Parallel()
	s, base := upstreamtest.Start(t)
	c := client(t, once(base))
	for _, p := range []reply.Parameters{
		{ResponseFormat: &reply.ResponseFormat{Type: reply.FormatJSONSchema, Schema: "{"}},
		{ResponseFormat: &reply.ResponseFormat{Type: "XML"}},
	} {
		_, err := c.Generate(t.Context(), reply.Request{Model: "test", Parameters: p}, &output{})
		wantCode(t, err, reply.CodeRejected)
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("got %d requests, want 0", n)
	}
}

// A server that does not know a parameter is asked again without it, once, and
// never again with it.
func TestDialect(t *testing.T) {
	t.Parallel()
	s, base := upstreamtest.Start(t)
	s.Always(func(c *upstreamtest.Call) {
		m := map[string]any{}
		_ = json.Unmarshal(c.Request.Body, &m)
		switch {
		case m["stream_options"] != nil:
			c.Fail(422, nil, `{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}`)
		case m["max_tokens"] != nil && c.Request.Model == "thinker":
			c.Fail(400, nil, `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."}}`)
		default:
			c.Text("ok")
			c.End()
		}
	})
	c := client(t, once(base))
	for i, test := range []struct {
		model    string
		requests int
	}{{"thinker", 3}, {"thinker", 1}, {"plain", 2}, {"plain", 1}, {"thinker", 1}} {
		before := len(s.Requests())
		req := request("hello")
		req.Model, req.Parameters.MaxTokens = test.model, ptr(5)
		out := &output{}
		if _, err := c.Generate(t.Context(), req, out); err != nil || out.text.String() != "ok" {
			t.Errorf("call %d: got %q, %v, want \"ok\"", i, out.text.String(), err)
		}
		if got := len(s.Requests()) - before; got != test.requests {
			t.Errorf("call %d: got %d requests, want %d", i, got, test.requests)
		}
	}
	last := s.Requests()[len(s.Requests())-1]
	if got := sent(t, last); got["max_completion_tokens"] != 5.0 || got["max_tokens"] != nil {
		t.Errorf("got body %v, want max_completion_tokens only", got)
	}
}

// A server that refuses whatever it gets is not asked for ever.
func TestDialectEnds(t *testing.T) {
	t.Parallel()
	s, base := upstreamtest.Start(t)
	s.Always(func(c *upstreamtest.Call) { c.Fail(400, nil, "stream_options max_completion_tokens") })
	req := request("hello")
	req.Parameters.MaxTokens = ptr(5)
	_, err := client(t, once(base)).Generate(t.Context(), req, &output{})
	wantCode(t, err, reply.CodeRejected)
	if n := len(s.Requests()); n != 3 {
		t.Errorf("got %d requests, want 3", n)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for base, ok := range map[string]bool{
		"https://api.openai.com/v1": true, "http://localhost:11434/v1/": true,
		"": false, "api.openai.com": false, "ftp://x/v1": false, "https://": false,
		"https://me:secret@x/v1": false, "https://x/v1?key=secret": false, "http://x:y:secret": false,
	} {
		err := upstream.Config{BaseURL: base}.Validate()
		if (err == nil) != ok {
			t.Errorf("%q: got %v, want valid: %v", base, err, ok)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error %q shows a secret", base, err)
		}
	}
	err := upstream.Config{APIKey: secret.New("sk\nx"), Silence: -1, MaxLineBytes: -1}.Validate()
	for _, want := range []string{"base URL", "API key", "silence", "maximum line bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to name the %s", err, want)
		}
	}
	if _, err := upstream.New(upstream.Config{}, discard()); err == nil {
		t.Error("New took an empty configuration")
	}
}
