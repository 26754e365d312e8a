package main

import (
	"testing"
)

func TestQuickDelta(t *testing.T) {
	t.Parallel()
	const head = `{"id":"3","type":"next","payload":{"data":{"conversationEvents":{`
	for _, tt := range []struct {
		name, raw string
		offset    int
		text, id  string
		ok        bool
	}{
		{"a delta", head + `"__typename":"MessageDelta","offset":17,"text":"1.a.b ","message":{"id":"msg_1"}}}}}`,
			17, "1.a.b ", "msg_1", true},
		{"an escape", head + `"__typename":"MessageDelta","offset":0,"text":"\"","message":{"id":"msg_1"}}}}}`,
			0, "", "", false},
		{"no message", head + `"__typename":"MessageDelta","offset":0,"text":"a"}}}}`, 0, "a", "", false},
		{"another event", head + `"__typename":"MessageSnapshot","message":{"id":"msg_1","content":""}}}}}`,
			0, "", "", false},
		{"cut off", head + `"__typename":"MessageDelta","offset":0,"text":"a`, 0, "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			offset, text, id, ok := quickDelta([]byte(tt.raw))
			if ok != tt.ok {
				t.Fatalf("ok is %v, want %v", ok, tt.ok)
			}
			if ok && (offset != tt.offset || string(text) != tt.text || string(id) != tt.id) {
				t.Errorf("got %d, %q, %q", offset, text, id)
			}
		})
	}
}
