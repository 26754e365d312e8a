package main

import (
	"context"
	"math"
	"time"
)

// mode is one kind of measurement.
type mode struct {
	name string
	run  func(ctx context.Context, b *bench) error
	// alone says that it runs only when it is named: it takes long.
	alone bool
}

// modes lists all, in the order of the table.
var modes = []mode{
	{name: "first", run: measureFirst},
	{name: "saturation", run: measureSaturation},
	{name: "small", run: measureSmall, alone: true},
	{name: "paced", run: measurePaced},
	{name: "burst", run: measureBurst},
	{name: "memory", run: measureMemory},
	{name: "history", run: measureHistory},
	{name: "start", run: measureStart},
	{name: "idle", run: measureIdle},
	{name: "overload", run: measureOverload},
	{name: "soak", run: measureSoak, alone: true},
}

// shortModes are those of the short form.
var shortModes = []string{"first", "saturation", "burst"}

func modeNames() []string {
	var names []string
	for _, m := range modes {
		names = append(names, m.name)
	}
	return names
}

// The pace of a fast model, and how many questions a conversation takes: its whole text
// goes to the model each time.
const (
	pace         = time.Second / 30
	conversation = 10
)

// pick returns what belongs to the form that runs.
func pick[T any](b *bench, full, short T) T {
	if b.options.short {
		return short
	}
	return full
}

// measureFirst measures the time to the first token beyond what the model itself takes.
func measureFirst(ctx context.Context, b *bench) error {
	servers, stop, err := b.startServers(ctx)
	if err != nil {
		return err
	}
	defer b.ended(stop)
	var alone, among float64 // Of the model itself, in this round.
	targets := append([]*target{b.direct, b.relay}, servers...)
	return b.turns(b.options.rounds, targets, func(_ int, t *target) error {
		o, err := b.drive(ctx, "first, 1 chat", t, 1, load{
			tokens: 10, replies: pick(b, 100, 35), pause: 20 * time.Millisecond, perConversation: conversation,
		})
		if err != nil {
			return err
		}
		one := millis(o.first, 0.5)
		if o, err = b.drive(ctx, "first, 50 chats", t, 50, load{
			tokens: pick(b, 30, 15), gap: pace, lasting: pick(b, 6*time.Second, 2*time.Second), spread: time.Second,
			perConversation: conversation,
		}); err != nil {
			return err
		}
		many := millis(o.first, 0.99)
		if t == b.direct {
			alone, among = one, many
			b.put(rowDirect, t, one)
			return nil
		}
		b.put(rowFirst, t, one-alone)
		b.put(rowFirstAmong, t, many-among)
		return nil
	})
}

// besideRelay starts the servers, and lets the relay and them take turns.
func (b *bench) besideRelay(ctx context.Context, rounds int, one func(t *target) error) error {
	servers, stop, err := b.startServers(ctx)
	if err != nil {
		return err
	}
	defer b.ended(stop)
	return b.turns(rounds, append([]*target{b.relay}, servers...), func(_ int, t *target) error { return one(t) })
}

// measureSaturation measures how many replies a second come through at most.
func measureSaturation(ctx context.Context, b *bench) error {
	return b.besideRelay(ctx, b.options.rounds, func(t *target) error {
		o, err := b.drive(ctx, "saturation", t, 50, load{
			tokens: 200, lasting: pick(b, 6*time.Second, 2*time.Second),
			warm: pick(b, time.Second, 500*time.Millisecond), perConversation: conversation,
		})
		if err != nil {
			return err
		}
		d := o.during
		b.put(rowReplies, t, float64(d.replies)/d.time.Seconds())
		b.put(rowReplyCPU, t, d.cpu.Seconds()*1000/float64(d.replies))
		b.put(rowSaturatedLag, t, millis(o.lags, 0.99))
		b.put(rowPieces, t, 200*float64(o.replies)/float64(o.pieces))
		b.put(rowShare, t, 100*d.cpu.Seconds()/d.time.Seconds())
		b.put(rowClientShare, t, 100*d.client.Seconds()/d.time.Seconds())
		if o, err = b.drive(ctx, "10 tokens", t, 1, load{
			tokens: 10, gap: pace, replies: pick(b, 15, 5),
		}); err != nil {
			return err
		}
		b.put(rowSmallCPU, t, o.during.cpu.Seconds()*1000/float64(o.during.replies))
		if b.options.short {
			return nil
		}
		if o, err = b.drive(ctx, "long texts", t, 10, load{
			tokens: 200, size: longToken, lasting: 4 * time.Second, warm: 500 * time.Millisecond, perConversation: 3,
		}); err != nil {
			return err
		}
		b.put(rowLong, t, float64(o.during.tokens)*longToken/mebibyte/o.during.time.Seconds())
		return nil
	})
}

// measureSmall measures what a short reply costs, by more of them than saturation has time for.
func measureSmall(ctx context.Context, b *bench) error {
	return b.besideRelay(ctx, b.options.rounds, func(t *target) error {
		o, err := b.drive(ctx, "small", t, 1, load{
			tokens: 10, gap: pace, replies: pick(b, 30, 15), perConversation: conversation,
		})
		if err != nil {
			return err
		}
		b.put(rowSmallCPU, t, o.during.cpu.Seconds()*1000/float64(o.during.replies))
		return nil
	})
}

// longToken is the bytes of a token of a long text: 200 of them are a reply of 100 KB.
const longToken = 500

// The streams of the mode paced: their length, the lag that a reader notices, and how
// many are tried.
const (
	pacedTokens = 240
	mostLag     = 100.0 // Milliseconds.
)

var ladder = []int{100, 150, 200, 300, 400, 500, 750, 1000, 1500, 2000, 3000}

// measurePaced measures what a paced token costs, and how many streams keep up.
func measurePaced(ctx context.Context, b *bench) error {
	servers, stop, err := b.startServers(ctx)
	if err != nil {
		return err
	}
	defer b.ended(stop)
	targets := append([]*target{b.relay}, servers...)
	err = b.turns(b.options.rounds, targets, func(_ int, t *target) error {
		o, err := b.stream(ctx, "paced", t, 100)
		if err != nil {
			return err
		}
		b.put(rowTokenCPU, t, o.during.cpu.Seconds()*1e6/float64(o.during.tokens))
		b.put(rowPacedLag, t, millis(o.lags, 0.99))
		return nil
	})
	if err != nil {
		return err
	}
	return b.search(ctx, targets)
}

// stream runs n paced streams that begin within two seconds. Processor time and tokens
// are counted when all have begun and none has ended.
func (b *bench) stream(ctx context.Context, what string, t *target, n int) (*outcome, error) {
	return b.drive(ctx, what, t, n, load{
		tokens: pacedTokens, gap: pace, replies: 1, spread: 2 * time.Second, warm: 2500 * time.Millisecond,
		lasting: pacedTokens*pace - 500*time.Millisecond,
	})
}

// search looks for the step of the ladder up to which all streams keep up, by halves,
// the targets in turns. A step that fails is tried once more.
func (b *bench) search(ctx context.Context, targets []*target) error {
	steps := ladder
	for len(steps) > 0 && steps[len(steps)-1] > b.options.streams {
		steps = steps[:len(steps)-1]
	}
	state := make(map[*target]*halving)
	for _, t := range targets {
		state[t] = &halving{0, len(steps)}
	}
	for open := true; open; {
		open = false
		for _, t := range targets {
			step, ok := state[t].next()
			if !ok {
				continue
			}
			open = true
			ok, err := b.keepsUp(ctx, t, steps[step])
			if err != nil {
				return err
			}
			state[t].tell(step, ok)
		}
	}
	for _, t := range targets {
		most := 0.0
		if s := state[t]; s.low > 0 {
			most = float64(steps[s.low-1])
		}
		if state[t].low == len(steps) {
			b.note("paced, %s: the largest number that was tried keeps up.", t.name)
		}
		b.put(rowStreams, t, most)
	}
	return nil
}

// halving looks for the first step that fails. Steps below low do not, those from high
// on do.
type halving struct{ low, high int }

// next returns the step to try, and false when the answer is known: low.
func (h *halving) next() (step int, ok bool) { return (h.low + h.high) / 2, h.low < h.high }

func (h *halving) tell(step int, ok bool) {
	if ok {
		h.low = step + 1
	} else {
		h.high = step
	}
}

// keepsUp reports whether n streams keep up in one of two tries.
func (b *bench) keepsUp(ctx context.Context, t *target, n int) (bool, error) {
	for range 2 {
		began := len(b.notes)
		o, err := b.stream(ctx, "paced", t, n)
		if err != nil {
			return false, err
		}
		if len(o.wrong) == 0 {
			b.notes = b.notes[:began] // Beyond what it can do, which is what is looked for.
		}
		lag := millis(o.lags, 0.99)
		b.say("  %s: %d streams: lag p99 %.0f ms, %d not whole%s", t.name, n, lag, n-o.replies, o.counts(", "))
		if o.replies == n && lag < mostLag {
			return true, nil
		}
	}
	return false, nil
}

// burstStreams is how many the mode burst begins.
const burstStreams = 500

// measureBurst measures how long the last of many wait for their first token.
func measureBurst(ctx context.Context, b *bench) error {
	return b.besideRelay(ctx, pick(b, b.options.rounds, 1), func(t *target) error {
		o, err := b.drive(ctx, "burst", t, burstStreams, load{
			tokens: pick(b, 90, 30), gap: pace, replies: 1, spread: 2 * time.Second,
		})
		if err != nil {
			return err
		}
		b.put(rowBurst, t, millis(o.first, 0.99))
		b.put(rowBurstLag, t, millis(o.lags, 0.99))
		if o.replies == 0 {
			b.put(rowBurst, t, math.NaN())
		}
		return nil
	})
}

// ended stops the servers of a mode. That they do not stop in order is worth a line.
func (b *bench) ended(stop func() error) {
	if err := stop(); err != nil {
		b.note("The servers did not stop in order: %v", err)
	}
}
