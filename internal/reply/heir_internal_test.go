package reply

import (
	"testing"
	"time"

	"parley/ent"
	"parley/internal/pid"
)

func TestHeirs(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	member := func(id pid.ID, began int) *ent.Replica {
		return &ent.Replica{ID: id, CreatedAt: at.Add(time.Duration(began) * time.Minute)}
	}
	old, older, fresh, newest := member("b", -20), member("a", -21), member("c", -3), member("d", -2)
	begun := at.Add(-10 * time.Minute)
	const moment = 5 * time.Second
	for name, tt := range map[string]struct {
		self    *ent.Replica
		living  []*ent.Replica
		attempt int
		wait    time.Duration
	}{
		"nobody else":                    {old, []*ent.Replica{old}, 1, 0},
		"the youngest, and it is new":    {newest, []*ent.Replica{old, fresh, newest}, 1, 0},
		"new, but not the youngest":      {fresh, []*ent.Replica{old, fresh, newest}, 1, moment},
		"old beside a new one":           {old, []*ent.Replica{old, fresh}, 1, moment},
		"the youngest of the old":        {old, []*ent.Replica{old, older}, 1, moment},
		"the oldest":                     {older, []*ent.Replica{old, older}, 1, 2 * moment},
		"the oldest, but it never ran":   {older, []*ent.Replica{old, older}, 0, 0},
		"one without a row, and one old": {nil, []*ent.Replica{old}, 1, 2 * moment},
	} {
		h := heirs{moment: moment}
		h.look(at, tt.self, tt.living, tt.living)
		row := &ent.Message{Attempt: tt.attempt, StartedAt: &begun}
		if got := h.wait(row, at); got != tt.wait {
			t.Errorf("%s: waits %v, want %v", name, got, tt.wait)
		}
		if got := h.wait(row, at.Add(tt.wait)); got != 0 {
			t.Errorf("%s: still waits %v when that is over", name, got)
		}
	}
}

// Whoever is alone waits for nobody, but does when another replica has just gone: that may
// be coming back.
func TestHeirsRememberCompany(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	self, other := &ent.Replica{ID: "a", CreatedAt: at}, &ent.Replica{ID: "b", CreatedAt: at.Add(-time.Hour)}
	begun := at.Add(time.Minute)
	h := heirs{moment: 5 * time.Second}
	h.look(at, self, []*ent.Replica{self, other}, []*ent.Replica{self, other})
	row := &ent.Message{Attempt: 1, StartedAt: &begun}
	at = at.Add(time.Second)
	h.look(at, self, []*ent.Replica{self}, []*ent.Replica{self})
	if h.wait(row, at) == 0 {
		t.Error("takes it at once, though another replica has just gone")
	}
	at = at.Add(time.Minute)
	h.look(at, self, []*ent.Replica{self}, []*ent.Replica{self})
	if wait := h.wait(row, at); wait != 0 {
		t.Errorf("waits %v for nobody", wait)
	}
}
