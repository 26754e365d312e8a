package reply

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// Those that somebody waits for come first and have room of their own: what is made unbidden
// takes none of it, however much that is.
func TestAskedAsidesComeFirst(t *testing.T) {
	t.Parallel()
	s := &asides{host: &host{meters: newMeters(nil, nil)}, cfg: Asides{AtOnce: 1, Waiting: 2}, running: 1,
		going: make(map[asideKey]bool),
		taken: make([]time.Time, 2)}
	start := func(asked bool, want error) *aside {
		t.Helper()
		a := &aside{asked: asked}
		if err := s.start(a); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
		clear(s.going) // Each is about another conversation.
		return a
	}
	unbidden := []*aside{start(false, nil), start(false, nil)}
	start(false, ErrAsidesBusy)
	asked := []*aside{start(true, nil), start(true, nil)}
	start(true, ErrAsidesBusy)
	if want := slices.Concat(asked, unbidden); !slices.Equal(s.waiting, want) {
		t.Errorf("they wait as %v, want %v", s.waiting, want)
	}
	s.waiting = nil
	start(false, ErrAsidesBusy) // Two a minute.
	start(true, nil)
}
