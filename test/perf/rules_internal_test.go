package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

func ruled() (*bench, *target) {
	return &bench{figures: make(figures), progress: io.Discard}, &target{name: "SQLite"}
}

// Whatever grows from the second third to the last one is found, and what only finds its
// size in the first is not.
func TestSoakFindsWhatGrows(t *testing.T) {
	t.Parallel()
	steady := inside{goroutines: 30, descriptors: 40, objects: 1e4, heap: 10 * mebibyte, resident: 40 * mebibyte}
	for _, tt := range []struct {
		name string
		grow func(in *inside, turn float64)
		want int
	}{
		{"nothing", func(*inside, float64) {}, 0},
		{"at first only", func(in *inside, turn float64) {
			in.goroutines, in.heap = 20+min(turn, 5)*10, min(turn, 6)*10*mebibyte
		}, 0},
		{"up and down", func(in *inside, turn float64) { in.resident *= 1 + 0.1*float64(int(turn)%3) }, 0},
		{"a goroutine a turn", func(in *inside, turn float64) { in.goroutines += 2 * turn }, 1},
		{"a descriptor a turn", func(in *inside, turn float64) { in.descriptors += 2 * turn }, 1},
		{"the heap", func(in *inside, turn float64) { in.heap += turn * mebibyte / 2 }, 1},
		{"what is resident", func(in *inside, turn float64) { in.resident += 2 * turn * mebibyte }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var seen []inside
			for turn := range soakTurns {
				in := steady
				tt.grow(&in, float64(turn))
				seen = append(seen, in)
			}
			b, server := ruled()
			if b.judgeSoak(server, seen); b.broken != tt.want {
				t.Errorf("%d rules are broken, want %d: %q", b.broken, tt.want, b.notes)
			}
		})
	}
}

// An overload that begins a reply twice, loses one or refuses late is found.
func TestOverloadRules(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(o *outcome, asked *calls)
		want  string
	}{
		{"nothing", func(*outcome, *calls) {}, ""},
		{"a second call", func(_ *outcome, asked *calls) { asked.Repeated = 1 }, "called again for 1"},
		{"an attempt anew", func(o *outcome, _ *calls) { o.restarts = 1 }, "1 began anew"},
		{"a failure", func(o *outcome, _ *calls) { o.codes["UNAVAILABLE"] = 2 }, "2 sends or replies failed"},
		{"late refusals", func(o *outcome, _ *calls) { o.refused[0] = time.Second }, "a refusal took 1000 ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := &outcome{
				first: []time.Duration{500 * time.Millisecond}, lags: []time.Duration{50 * time.Millisecond},
				refused: []time.Duration{90 * time.Millisecond}, admitted: []time.Duration{time.Millisecond},
				codes: map[string]int{"OVERLOADED": 7}, during: span{time: time.Second},
			}
			asked := calls{}
			tt.spoil(o, &asked)
			b, server := ruled()
			b.report(cluster{replicas: []*target{server}}, o, asked)
			got := strings.Join(b.notes, "\n")
			if (b.broken > 0) != (tt.want != "") || !strings.Contains(got, tt.want) {
				t.Errorf("%d rules are broken, %q, want %q", b.broken, got, tt.want)
			}
		})
	}
}
