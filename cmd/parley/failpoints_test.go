//go:build failpoints

package main

import (
	"testing"
	"time"

	"parley/internal/bus"
)

func TestLossyBusSetting(t *testing.T) {
	t.Parallel()
	got := lossyBus([]string{"HOME=/", "PARLEY_TEST_LOSSY_BUS=drop=30,duplicate=10,reorder=5,seed=1"})
	if want := (bus.Lossy{Drop: 30, Duplicate: 10, Reorder: 5, Seed: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := lossyBus([]string{"HOME=/"}); got != (bus.Lossy{}) {
		t.Errorf("got %+v without the variable, want none", got)
	}
}

func TestClockAheadSetting(t *testing.T) {
	t.Parallel()
	if got := clockAhead([]string{"HOME=/", "PARLEY_TEST_CLOCK_AHEAD=-20s"}); got != -20*time.Second {
		t.Errorf("got %v, want -20s", got)
	}
	if got := clockAhead([]string{"HOME=/"}); got != 0 {
		t.Errorf("got %v without the variable, want none", got)
	}
}
