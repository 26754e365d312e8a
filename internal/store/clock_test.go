package store_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"parley/internal/store"
	"parley/internal/store/storetest"
)

// Replicas whose clocks are wrong agree about the time, without asking, and say in the log
// that they are wrong.
func TestClocksOfReplicas(t *testing.T) {
	t.Parallel()
	cfg := storetest.PostgresConfig(t)
	for _, wrong := range []time.Duration{0, 20 * time.Second, -20 * time.Second, 3 * time.Hour} {
		var text bytes.Buffer
		cfg.Clock = func() time.Time { return time.Now().Add(wrong) }
		s, err := store.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(&text, nil)))
		if err != nil {
			t.Fatal(err)
		}
		before, err := s.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		known, skew := s.Clock(), s.Skew()
		after, err := s.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// What the first answer took is not known to be the way there or back.
		const slack = 4 * time.Second
		if known.Before(before.Add(-slack)) || known.After(after.Add(slack)) {
			t.Errorf("%v ahead: the clock says %v between %v and %v", wrong, known, before, after)
		}
		if (skew - wrong).Abs() > slack {
			t.Errorf("%v ahead: found %v", wrong, skew)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if got := strings.Contains(text.String(), "is not the database's"); got != (wrong != 0) {
			t.Errorf("%v ahead: the log says %q", wrong, text.String())
		}
	}
}
