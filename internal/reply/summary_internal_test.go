package reply

import (
	"testing"

	"parley/ent"
	"parley/ent/message"
)

// A line of many turns is gathered without copying what was gathered before.
func TestTurnsAreGatheredOnce(t *testing.T) {
	const count = 2000
	var line []*ent.Message
	for range count {
		line = append(line,
			&ent.Message{ID: "q", Role: message.RoleUSER, Status: message.StatusCOMPLETED, Content: "question"},
			&ent.Message{ID: "r", Role: message.RoleASSISTANT, Status: message.StatusCOMPLETED, Content: "reply"})
	}
	var all *turns
	n := testing.AllocsPerRun(1, func() {
		all = &turns{reads: 1 << 20}
		for _, m := range line {
			all.take(m)
		}
		all.close()
	})
	if all.count != count || all.left {
		t.Errorf("%d turns, want %d", all.count, count)
	}
	if n > 100 {
		t.Errorf("%v allocations for %d turns", n, count)
	}
}
