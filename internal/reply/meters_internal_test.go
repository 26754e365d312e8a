package reply

import (
	"strings"
	"testing"

	"parley/ent"
	"parley/ent/message"
)

// TestADeltaAllocatesNothing but room for the text, now and then.
func TestADeltaAllocatesNothing(t *testing.T) {
	l := newLive(&ent.Message{ID: "msg_1"}, 1<<30)
	wake := make(wakeup, 1)
	l.join(wake)
	if n := testing.AllocsPerRun(10_000, func() {
		if l.Append(0, "word ") != nil {
			t.Error("not appended")
		}
	}); n != 0 {
		t.Errorf("a delta allocates %v times, want never", n)
	}
	if l.spokeFirst().IsZero() {
		t.Error("nothing was noted of the first text")
	}
}

// TestModelsThatNobodyConfigured count together.
func TestModelsThatNobodyConfigured(t *testing.T) {
	t.Parallel()
	m := newMeters([]string{"a"}, nil)
	hostile, known := "\"} 1\nx", "a"
	tokens := 3
	for _, model := range []*string{&hostile, &known, nil} {
		m.ended(&ent.Message{Model: model, Status: message.StatusCOMPLETED, CompletionTokens: &tokens})
	}
	if a, other := m.Models.Of("a"), m.Models.Of("other"); a.Ended.Of("completed").Count() != 1 ||
		other.Ended.Of("completed").Count() != 2 || other.CompletionTokens.Count() != 6 {
		t.Errorf("got %d of a, and %d of others with %d tokens, want 1, 2 and 6", a.Ended.Of("completed").Count(),
			other.Ended.Of("completed").Count(), other.CompletionTokens.Count())
	}
}

// TestOtherNamesOfAModel count as the configured one; an exact name comes first.
func TestOtherNamesOfAModel(t *testing.T) {
	t.Parallel()
	bare := func(name string) string { return strings.TrimSuffix(name, ":latest") }
	m := newMeters([]string{"a", "b", "b:latest"}, func(a, b string) bool { return bare(a) == bare(b) })
	for _, model := range []string{"a:latest", "b:latest", "c:latest"} {
		m.ended(&ent.Message{Model: &model, Status: message.StatusCOMPLETED})
	}
	for model, want := range map[string]uint64{"a": 1, "b": 0, "b:latest": 1, "other": 1} {
		if got := m.Models.Of(model).Ended.Of("completed").Count(); got != want {
			t.Errorf("%s has %d replies, want %d", model, got, want)
		}
	}
}
