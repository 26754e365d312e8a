package graph_test

import (
	"fmt"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// followDocument selects all that a careful client wants.
const followDocument = `subscription($id: ID!, $after: String) { messageEvents(messageId: $id, after: $after) {
	__typename message { id status attempt content reasoning finishReason error { code } usage { totalTokens } finishedAt }
	... on MessageSnapshot { cursor }
	... on MessageDelta { offset text cursor }
	... on MessageReasoningDelta { offset text cursor } } }`

// screen is what a client shows of one message, kept by the rule the schema
// documents: content = content[0..offset) + text in UTF-16 units, and a snapshot
// and the end replace everything.
type screen struct {
	content, reasoning []uint16
	cursor             string
	status             string
	snapshots          int
	finished           bool
}

func (s screen) text() string { return string(utf16.Decode(s.content)) }

// apply takes one event and checks everything that holds for every event.
func (s *screen) apply(t testing.TB, e any) {
	t.Helper()
	if s.finished {
		t.Fatalf("an event after MessageFinished: %v", e)
	}
	kind := fmt.Sprint(at(e, "__typename"))
	content, reasoning := fmt.Sprint(at(e, "message.content")), fmt.Sprint(at(e, "message.reasoning"))
	s.status = fmt.Sprint(at(e, "message.status"))
	isFinal := s.status != "STREAMING" && s.status != "QUEUED"
	splice := func(units []uint16) []uint16 {
		offset, text := at(e, "offset").(float64), at(e, "text").(string)
		switch {
		case text == "" || !utf8.ValidString(text):
			t.Fatalf("%s: the text %q is empty or half a character", kind, text)
		case int(offset) != len(units):
			t.Fatalf("%s: the offset is %v, but we hold %d units; nothing was lost", kind, offset, len(units))
		}
		// Cut off, so that what was saved elsewhere stays.
		return append(units[:int(offset):int(offset)], utf16.Encode([]rune(text))...)
	}
	switch kind {
	case "MessageSnapshot":
		s.content, s.reasoning = utf16.Encode([]rune(content)), utf16.Encode([]rune(reasoning))
		s.snapshots++
	case "MessageDelta":
		s.content = splice(s.content)
	case "MessageReasoningDelta":
		s.reasoning = splice(s.reasoning)
	case "MessageFinished":
		s.finished = true
		if !isFinal {
			t.Fatalf("MessageFinished with the status %s", s.status)
		}
	default:
		t.Fatalf("an event of the type %s", kind)
	}
	// The message on an event is the state at that event.
	if got, want := s.text(), content; got != want {
		t.Fatalf("%s: we hold the content %q, the message says %q", kind, got, want)
	}
	if got, want := string(utf16.Decode(s.reasoning)), reasoning; got != want {
		t.Fatalf("%s: we hold the reasoning %q, the message says %q", kind, got, want)
	}
	if kind != "MessageFinished" {
		s.cursor, _ = at(e, "cursor").(string)
		if s.cursor == "" {
			t.Fatalf("%s without a cursor", kind)
		}
		if kind != "MessageSnapshot" && isFinal {
			t.Fatalf("%s with the final status %s", kind, s.status)
		}
	}
}

// follow subscribes to a reply, behind a cursor unless it is empty.
func (b *bundle) follow(p person, reply any, after string) *subscriber {
	b.t.Helper()
	v := vars{"id": reply}
	if after != "" {
		v["after"] = after
	}
	return b.subscribe(p, followDocument, v)
}

// step applies the next event.
func (s *screen) step(t testing.TB, sub *subscriber) {
	t.Helper()
	s.apply(t, sub.event(t).at("messageEvents"))
}

// toEnd applies all events up to MessageFinished, after which the subscription
// has to complete.
func (s *screen) toEnd(t testing.TB, sub *subscriber) {
	t.Helper()
	for !s.finished {
		s.step(t, sub)
	}
	sub.wantCompleted(t)
}

// until applies events until the content has so many units.
func (s *screen) until(t testing.TB, sub *subscriber, units int) {
	t.Helper()
	for len(s.content) < units {
		s.step(t, sub)
	}
}
