package upstream

import (
	"slices"
	"strings"
	"testing"
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
		"cut":          {`{"detail":[{"code":"a}\"","msg":"No Luck","input":{"messages":[{"content":"a, b`, 0, "a}", "no luck"},
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
