package bus

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLossy(t *testing.T) {
	t.Parallel()
	const messages = 1000
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			lossy       Lossy
			now, later  int // Within a tenth.
			description string
		}{
			{Lossy{}, messages, 0, "nothing"},
			{Lossy{Drop: 100}, 0, 0, "all dropped"},
			{Lossy{Drop: 30, Seed: 1}, 700, 0, "some dropped"},
			{Lossy{Duplicate: 50, Seed: 1}, 1500, 0, "some twice"},
			{Lossy{Reorder: 50, Seed: 1}, 500, 500, "some later"},
		} {
			s := newShim(tt.lossy)
			arrived := make(chan struct{}, 2*messages)
			for range messages {
				s.pass(func() { arrived <- struct{}{} })
			}
			now := len(arrived)
			time.Sleep(2 * reorderDelay)
			synctest.Wait()
			later := len(arrived) - now
			if off(now, tt.now) || off(later, tt.later) {
				t.Errorf("%s: %d at once and %d later, want about %d and %d", tt.description, now, later, tt.now,
					tt.later)
			}
		}
	})
}

func off(got, want int) bool { return got < want-want/10 || got > want+want/10 }
