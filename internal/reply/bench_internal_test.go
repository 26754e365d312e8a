package reply

import (
	"fmt"
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
)

// BenchmarkDelta is the cost of one piece of text from the model to its viewers'
// hands, each of whom reads at once: append, wake, and one update a viewer.
func BenchmarkDelta(b *testing.B) {
	for _, viewers := range []int{0, 1, 10} {
		b.Run(fmt.Sprintf("viewers=%d", viewers), func(b *testing.B) {
			row := &ent.Message{ID: pid.New(pid.Message), Attempt: 1, Status: message.StatusSTREAMING}
			var l *live
			var all []*Watcher
			reset := func() {
				l = newLive(row, maxTestBytes)
				all = all[:0]
				for range viewers {
					v := &Watcher{id: row.ID, wake: make(wakeup, 1), live: l}
					l.join(v)
					v.fromLive(l) // The snapshot.
					all = append(all, v)
				}
			}
			reset()
			b.ReportAllocs()
			for i := range b.N {
				if i%1000 == 999 { // A reply of about a thousand tokens, then the next.
					reset()
				}
				if err := l.Append(Content, " token"); err != nil {
					b.Fatal(err)
				}
				for _, v := range all {
					<-v.wake
					if u, ok, _ := v.fromLive(l); !ok || u.Text != " token" {
						b.Fatalf("got %+v, want the token", u)
					}
				}
			}
		})
	}
}

// BenchmarkUnits is the cost of a UTF-16 offset far into a long reply, which marks
// keep from growing with the text.
func BenchmarkUnits(b *testing.B) {
	for _, kib := range []int{4, 1024} {
		b.Run(fmt.Sprintf("KiB=%d", kib), func(b *testing.B) {
			var t text
			for len(t.bytes) < kib<<10 {
				t.append("some words, ünd ")
			}
			for range b.N {
				t.unitsAt(len(t.bytes) - 1)
			}
		})
	}
}
