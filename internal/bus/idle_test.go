package bus_test

import (
	"runtime"
	"testing"

	"parley/internal/bus"
	"parley/internal/fact"
)

// Most listeners wait most of the time: what one costs is counted for each open page. It
// is not parallel, so that nobody else allocates.
func TestAnIdleListenerIsSmall(t *testing.T) {
	const listeners, most = 1000, 900
	b := bus.NewLocal()
	subs := make([]fact.Subscription, listeners)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range subs {
		subs[i] = b.Subscribe(fact.OfConversation("cnv_x"))
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / listeners; each > most {
		t.Errorf("a listener takes %d bytes, the most is %d", each, most)
	}
	for _, s := range subs {
		s.Close()
	}
}
