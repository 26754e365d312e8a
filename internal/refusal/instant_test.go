package refusal_test

import (
	"testing"
	"time"

	"parley/internal/refusal"
)

func TestInstant(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2026-01-02T03:04:05Z":                "2026-01-02T03:04:05.000Z",
		"2026-01-02T03:04:05.1Z":              "2026-01-02T03:04:05.100Z",
		"2026-01-02T03:04:05.000999Z":         "2026-01-02T03:04:05.000Z",
		"2026-12-31T23:59:59.999999999Z":      "2026-12-31T23:59:59.999Z",
		"2026-01-02T05:04:05.123456789+02:00": "2026-01-02T03:04:05.123Z",
	} {
		at, err := time.Parse(time.RFC3339Nano, in)
		if err != nil {
			t.Fatal(err)
		}
		if got := refusal.Instant(at); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
