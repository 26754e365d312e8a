package graph

import (
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
)

// An event of a running reply tells one message, for each token anew.
func TestOneReplyInAnAnswerCostsNothing(t *testing.T) { // Not parallel: allocations are counted.
	m := &ent.Message{ID: pid.New(pid.Message), Status: message.StatusSTREAMING}
	var s seen
	ctx, r := t.Context(), new(Resolver)
	if n := testing.AllocsPerRun(100, func() {
		s.forget()
		if s.message(ctx, r, m, nil) != m || s.message(ctx, r, &ent.Message{ID: m.ID}, nil) != m {
			t.Error("the reply is told in two states")
		}
	}); n > 1 { // The second state.
		t.Errorf("%v allocations, want 1", n)
	}
}
