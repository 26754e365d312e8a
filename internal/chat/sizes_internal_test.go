package chat

import (
	"context"
	"errors"
	"testing"
	"time"

	"parley/internal/pid"
)

func TestSizesAreMeasuredNowAndThen(t *testing.T) {
	t.Parallel()
	stored, measured := 10, 0
	var failure error
	s := newSizes(func(context.Context, pid.ID) (int, error) { measured++; return stored, failure })
	now := time.Now()
	const limit = 100
	for i, x := range []struct {
		after    time.Duration
		stored   int
		want     int
		measured int
	}{
		{0, 10, 10, 1},
		{measureEvery - 1, 60, 10, 1},
		{1, 60, 60, 2}, // More than a half by now.
		{measureSoon, 100, 100, 3},
		{measureOver - 1, 20, 100, 3},
		{1, 20, 20, 4},
	} {
		now, stored = now.Add(x.after), x.stored
		got, err := s.of(t.Context(), "a", limit, now)
		if err != nil || got != x.want || measured != x.measured {
			t.Errorf("step %d: got %d, %v after %d measures, want %d after %d", i, got, err, measured, x.want,
				x.measured)
		}
	}
	now, failure = now.Add(measureEvery), errors.New("away")
	for range 2 { // A failure is not remembered.
		if _, err := s.of(t.Context(), "a", limit, now); !errors.Is(err, failure) {
			t.Errorf("got %v, want what the database says", err)
		}
	}
	failure = nil
	for range 2 * maxSizes {
		if _, err := s.of(t.Context(), pid.New(pid.User), limit, now); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.known) > maxSizes {
		t.Errorf("%d users are known, want at most %d", len(s.known), maxSizes)
	}
}
