package reply

import (
	"fmt"
	"testing"
	"time"

	"parley/internal/prompt"
)

// A model server that reads less than it is sent is told of once an hour, each model for itself.
func TestWarningsOfCuts(t *testing.T) {
	t.Parallel()
	c := newContexts()
	start := time.Unix(1_000_000, 0)
	for _, step := range []struct {
		model string
		after time.Duration
		want  bool
	}{
		{"a", 0, true}, {"a", time.Second, false}, {"b", 2 * time.Second, true}, {"a", warnEvery - 1, false},
		{"a", warnEvery, true}, {"b", warnEvery, false}, {"a", 2*warnEvery - 1, false},
	} {
		if got := c.warns(step.model, start.Add(step.after)); got != step.want {
			t.Errorf("%s after %s: warns: %t, want %t", step.model, step.after, got, step.want)
		}
	}
}

// Whatever a model server counts, what is believed of it stays within reason, and so does what is
// kept of models.
func TestAbsurdCounts(t *testing.T) {
	t.Parallel()
	c := newContexts()
	w := prompt.Window{Bytes: 10_000, Count: 3, Tokens: 2500}
	for range 100 {
		for _, tokens := range []int{1, 1 << 60, -5, 0, 2500} {
			c.learn("m", w, tokens)
			if got := c.perByte("m"); got < 0.15 || got > 1.5 {
				t.Fatalf("after a count of %d: %f tokens for a byte", tokens, got)
			}
		}
	}
	for n := range 3 * maxContexts {
		c.learn(fmt.Sprint(n), w, 2500)
		c.warns(fmt.Sprint(n), time.Unix(1, 0))
	}
	if len(c.ratios) > maxContexts || len(c.warned) > maxContexts {
		t.Errorf("%d and %d models are remembered", len(c.ratios), len(c.warned))
	}
	short := prompt.Window{Bytes: 10, Count: 1, Tokens: 7}
	if c.learn("short", short, 1000); c.perByte("short") != 0 {
		t.Error("a prompt of 10 bytes was believed")
	}
}
