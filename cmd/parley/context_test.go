package main

import (
	"testing"

	"parley/internal/prompt"
)

func TestParseContext(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]prompt.Settings{
		"full": {Policy: prompt.Full}, "truncate": {Policy: prompt.Truncate}, "summarize": {Policy: prompt.Summarize},
		"last 20": {Policy: prompt.LastN, Turns: 20},
	} {
		var c config
		if err := parseContext(&c, text); err != nil || c.Context != want || showContext(c) != text {
			t.Errorf("%q: got %+v, %v, want %+v", text, c.Context, err, want)
		}
	}
	for _, text := range []string{"last", "last 0", "last 1001", "last x", "full 3", "Full", "other"} {
		if err := parseContext(&config{}, text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
