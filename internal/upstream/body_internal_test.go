package upstream

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"parley/internal/prompt"
	"parley/internal/reply"
)

// The messages are written as encoding/json would have a decoder read them.
func TestBodySaysWhatItIsGiven(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", "\"\\\n\r\t\b\f\x00\x1f\x7f", "<&>", "ä€😀\u2028\u2029\ufffd",
		"\xff", "a\xc3", "\xed\xa0\x80", strings.Repeat(`"`, 5000), "}\n", "]}"} {
		messages := []prompt.Message{prompt.Say(prompt.System, text),
			{Role: prompt.User, Parts: []prompt.Part{{Text: text}, {Text: "more"}, {Text: text}}}}
		req := reply.Request{Model: "m", Messages: messages, Parameters: reply.Parameters{
			ResponseFormat: &reply.ResponseFormat{Type: reply.FormatJSONSchema, Name: "n", Schema: `{"a":{}}`}}}
		body, err := requestBody(req, dialect{})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Model    string
			Format   json.RawMessage `json:"response_format"`
			Messages []struct{ Role, Content string }
		}
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		if err := decoder.Decode(&got); err != nil || decoder.More() {
			t.Fatalf("%q: %.200s is not one document of JSON: %v", text, body, err)
		}
		if got.Model != "m" || !strings.HasSuffix(string(got.Format), `"schema":{"a":{}},"strict":false}}`) {
			t.Errorf("%q: the parameters are %.200s", text, body)
		}
		for i, m := range messages {
			want, err := json.Marshal(m.Text())
			if err != nil {
				t.Fatal(err)
			}
			var content string
			if err := json.Unmarshal(want, &content); err != nil {
				t.Fatal(err)
			}
			if g := got.Messages[i]; g.Role != string(m.Role) || g.Content != content {
				t.Errorf("message %d is %q, want %q", i, g, content)
			}
		}
	}
	if body, err := requestBody(reply.Request{}, dialect{}); err != nil || !json.Valid(body) {
		t.Errorf("without messages: %s, %v", body, err)
	}
}

// A long history is copied into the body and nowhere else.
func TestBodyAllocations(t *testing.T) {
	req := reply.Request{Model: "m"}
	for range 5000 {
		req.Messages = append(req.Messages, prompt.Message{Role: prompt.User,
			Parts: []prompt.Part{{Text: "It was \"fine\" – really.\n"}, {Text: "And then?"}}})
	}
	few := testing.AllocsPerRun(10, func() {
		if _, err := requestBody(req, dialect{}); err != nil {
			t.Fatal(err)
		}
	})
	if few > 50 {
		t.Errorf("%v allocations for 5,000 messages, want a few for all", few)
	}
}
