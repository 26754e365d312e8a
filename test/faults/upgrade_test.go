package main

import (
	"strings"
	"testing"
)

// TestUpgrade replaces three replicas of the version before, one after the other, while
// clients send, stop, interrupt and watch. Nobody may notice more than a restart.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	res, err := runUpgrade(t.Context(), seed(t), binaryOf(t, before), binaryOf(t, plain), postgres(t))
	t.Log(strings.TrimSpace(res.line(err)))
	if err != nil || len(res.violations) > 0 {
		t.Fail()
	}
	for _, what := range []string{"follow-new-on-old", "follow-old-on-new"} {
		if res.counts[what] != 2 {
			t.Errorf("got %d times %s, want it with one new replica and with two", res.counts[what], what)
		}
	}
}
