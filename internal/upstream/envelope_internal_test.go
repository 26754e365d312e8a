package upstream

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"parley/internal/prompt"
	"parley/internal/reply"
)

// An error is read wherever a server puts it. The words stand for those that decide.
func TestEnvelopes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body   string
		status int
		kind   string
		words  string
	}{
		"OpenAI":       {`{"error":{"message":"No Luck","type":"server_error","code":"x_y"}}`, 0, "x_y", "no luck"},
		"text":         {`{"error":"No Luck"}`, 0, "", "no luck"},
		"top":          {`{"object":"error","message":"No Luck","code":404}`, 404, "", "no luck"},
		"detail":       {`{"detail":[{"loc":["body"],"msg":"No Luck"}]}`, 0, "", "no luck"},
		"Gemini":       {`[{"error":{"code":400,"message":"No Luck","status":"INVALID"}}]`, 400, "invalid", "no luck"},
		"MiniMax":      {`{"choices":null,"base_resp":{"status_code":1008,"status_msg":"No Luck"}}`, 0, "", "no luck"},
		"choice":       {`{"choices":[{"delta":{},"error":{"code":502,"message":"No Luck"}}]}`, 502, "", "no luck"},
		"Azure":        {`{"error":{"code":"a","innererror":{"code":"No_Luck"}}}`, 0, "no_luck", ""},
		"Baidu":        {`{"error_code":18,"error_msg":"No Luck"}`, 0, "", "no luck"},
		"Cloudflare":   {`{"success":false,"errors":[{"code":7003,"message":"No Luck"}]}`, 0, "", "no luck"},
		"Tencent":      {`{"Response":{"Error":{"Code":"x","message":"No Luck"}}}`, 0, "", "no luck"},
		"Groq":         {`{"x_groq":{"error":"No Luck"}}`, 0, "", "no luck"},
		"code in text": {`{"error":{"code":"429","message":"No Luck"}}`, 429, "429", "no luck"},
		"plain":        {`No Luck`, 0, "", "no luck"},
		"JSON text":    {`"No Luck"`, 0, "", "no luck"},
		"cut":          {`{"detail":[{"code":"a}\"","msg":"No Luck","input":{"m":[{"content":"a, b`, 0, "a}", "no luck"},
		"cut, one":     {`{"error":{"message":"No Luck`, 0, "", "no luck"},
	} {
		r := readRefusal([]byte(test.body))
		if r.status != test.status || !strings.Contains(r.kinds, test.kind) ||
			!strings.Contains(r.message, test.words) {
			t.Errorf("%s: got %+v, want status %d, kind %q and words %q", name, r, test.status, test.kind, test.words)
		}
	}
	// What FastAPI repeats of a request, and is cut, are not words.
	if r := readRefusal([]byte(`{"detail":[{"msg":"No","loc":["body","seed"],"input":{"temperature":1,"stop":"`)); r.says(
		"temperature") || !slices.Equal(r.parameters, []string{"seed"}) {
		t.Errorf("the request is taken for words: %+v", r)
	}
	deep := strings.Repeat(`{"error":`, 1000) + `"x"` + strings.Repeat(`}`, 1000)
	if r := readRefusal([]byte(deep)); len(r.message) > len(deep) {
		t.Errorf("got %d bytes of a message of %d", len(r.message), len(deep))
	}
}

// Whatever a server says of an error, it has a code, a limit that can be one, and what it repeats of
// a question is neither learnt nor logged.
func FuzzRefusal(f *testing.F) {
	for _, seed := range []string{
		`{"error":{"message":"maximum context length is 8192 tokens, %"}}`, `{"detail":[{"msg":"%","x":[`,
		`[{"error":"{\"error\":\"%\"}`, `%`, `{"a":"\`, `{,}`, `[],,{`, `}{,`, `{"error":"\ud800%\\u4f60`} {
		f.Add([]byte(seed), "what is the maximum context length of 4096 tokens?")
	}
	f.Fuzz(func(t *testing.T, body []byte, question string) {
		req := &reply.Request{Messages: []prompt.Message{prompt.Say(prompt.User, question)}}
		said := []byte(strings.ReplaceAll(string(body), "%", question))
		for _, status := range []int{302, 400, 404, 429, 503} {
			err := classifier{}.status(status, http.Header{}, said)
			if n := err.ContextTokens; err.Code == "" || n != 0 && (n < minWindow || n > maxWindow) {
				t.Fatalf("%d: got %+v", status, err)
			}
		}
		if err := (classifier{}).frame(said, http.Header{}); err.Code == "" {
			t.Fatalf("a frame: got %+v", err)
		}
		words := withoutRepeats(readRefusal(said).words, req)
		if plain := strings.ToLower(strings.Join(strings.Fields(question), " ")); len([]rune(plain)) >= repeatRunes &&
			strings.Contains(strings.ToLower(words), plain) {
			t.Fatalf("the question %q is in %q", question, words)
		}
	})
}
