package usage_test

import (
	"testing"
	"time"

	"parley/ent"
	"parley/ent/usageday"
	"parley/internal/usage"
)

func TestDay(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 14*3600)
	for _, test := range []struct {
		at   time.Time
		day  string
		left time.Duration
	}{
		{time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), "2026-03-01", 24 * time.Hour},
		{time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC), "2026-03-01", time.Second},
		{time.Date(2026, 3, 1, 13, 0, 0, 0, east), "2026-02-28", time.Hour},
		{time.Date(2026, 3, 1, 15, 0, 0, 0, east), "2026-03-01", 23 * time.Hour},
	} {
		if day, left := usage.Day(test.at), usage.LeftOfDay(test.at); day != test.day || left != test.left {
			t.Errorf("%v: got %s with %v left, want %s with %v", test.at, day, left, test.day, test.left)
		}
	}
}

func TestOfReply(t *testing.T) {
	t.Parallel()
	asked := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	ended := asked.Add(time.Hour)
	n := func(v int) *int { return &v }
	m := "m"
	full := &ent.Message{UserID: "u", Model: &m, PromptTokens: n(7), CompletionTokens: n(5), CachedTokens: n(3),
		ReasoningTokens: n(2), CreatedAt: asked, FinishedAt: &ended}
	want := usage.Call{UserID: "u", Day: "2026-03-01", Model: "m", Purpose: usageday.PurposeREPLY, PromptTokens: 7,
		CompletionTokens: 5, CachedTokens: 3, ReasoningTokens: 2}
	if got, ok := usage.OfReply(full); !ok || got != want {
		t.Errorf("got %+v, %t, want %+v: it counts for the day it was asked on", got, ok, want)
	}
	part := &ent.Message{UserID: "u", CompletionTokens: n(5), UsageEstimated: true, CreatedAt: asked}
	want = usage.Call{UserID: "u", Day: "2026-03-01", Purpose: usageday.PurposeREPLY, CompletionTokens: 5,
		Estimated: true}
	if got, ok := usage.OfReply(part); !ok || got != want {
		t.Errorf("got %+v, %t, want %+v", got, ok, want)
	}
	if got, ok := usage.OfReply(&ent.Message{UserID: "u", CreatedAt: asked}); ok {
		t.Errorf("got %+v of a reply without a count, want nothing", got)
	}
}
