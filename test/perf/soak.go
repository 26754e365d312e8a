package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A soak is many turns, after each of which the server is at rest and is looked into.
const (
	soakTurns = 21 // Thirds have the same number.
	soakChats = 50
	// soakRest is how long it is waited until what has ended is forgotten: a final reply
	// stays readable from memory for five seconds.
	soakRest = 6 * time.Second
	// soakShortest is the shortest turn that says something.
	soakShortest = 2 * time.Second
)

// Between the second third and the last one these may grow. The first third is for caches,
// pools and tables to find their size. Goroutines and descriptors are counted at rest, where
// only idle connections to the model and the database come and go: a few, or a tenth of a
// few. What the heap holds after a collection moves by what is under way at the time, such
// as a renewal or a sweep. What is resident depends on when the collector ran last, which
// is worth about a tenth of the mean over seven looks; a leak of one reply's text in a
// hundred replies would be more than that.
const (
	soakCountsGrow   = 1.1
	soakCountsSpare  = 5
	soakHeapGrow     = 1.1
	soakHeapSpare    = 1 * mebibyte
	soakResidentGrow = 1.15
)

// measureSoak keeps a server at half of what it can do, and sees whether it holds more and
// more. In each turn all sockets, conversations and users are new.
func measureSoak(ctx context.Context, b *bench) error {
	for _, database := range b.options.databases {
		v := b.versions[len(b.versions)-1]
		t, err := b.start(ctx, database, v, debugging()...)
		if err != nil {
			return err
		}
		if err = b.warm(ctx, t); err == nil {
			err = b.soak(ctx, t)
		}
		if stopped := b.stop(ctx, t); err != nil || stopped != nil {
			return fmt.Errorf("%s: %w", t.name, errors.Join(err, stopped))
		}
	}
	return nil
}

func (b *bench) soak(ctx context.Context, t *target) error {
	o, err := b.drive(ctx, "soak, saturation", t, soakChats, load{
		tokens: 200, lasting: pick(b, 6*time.Second, 3*time.Second), warm: time.Second, perConversation: conversation,
	})
	if err != nil {
		return err
	}
	most := float64(o.during.replies) / o.during.time.Seconds()
	if most == 0 {
		return fmt.Errorf("no reply came through in %v", o.during.time)
	}
	each := time.Duration(soakChats / (most / 2) * float64(time.Second))
	lasting := max(b.options.soak/soakTurns-soakRest, soakShortest)
	b.say("  %s: at most %.0f replies a second; %d turns of %v at half of that", t.name, most, soakTurns,
		lasting.Round(time.Second/10))
	if _, err := b.callsOf(ctx, true); err != nil {
		return err
	}
	var seen []inside
	for turn := range soakTurns {
		o, err := b.drive(ctx, "soak", t, soakChats, load{
			tokens: 200, lasting: lasting, spread: min(each, lasting/2), every: each, perConversation: conversation,
		})
		if err != nil {
			return err
		}
		for code, n := range o.codes { // Refusals are noted already: a machine that others use may stall.
			if !slices.Contains(refusing, code) {
				b.violate("soak, %s: %d × %s.", t.name, n, code)
			}
		}
		if err := until(ctx, time.Now().Add(soakRest)); err != nil {
			return err
		}
		in, err := t.look(ctx)
		if err != nil {
			return err
		}
		seen = append(seen, in)
		b.say("  %s, turn %d: %.0f replies/s, then %v", t.name, turn+1, float64(o.replies)/lasting.Seconds(), in)
	}
	asked, err := b.callsOf(ctx, false)
	if err != nil {
		return err
	}
	if asked.Repeated > 0 {
		b.violate("soak, %s: the model was called again for %d replies.", t.name, asked.Repeated)
	}
	b.put(rowSoakReplies, t, float64(asked.Replies))
	b.judgeSoak(t, seen)
	return nil
}

// judgeSoak compares the last third of the looks with the second.
func (b *bench) judgeSoak(t *target, seen []inside) {
	third := len(seen) / 3
	for _, m := range []struct {
		row   string
		of    func(in inside) float64
		grow  float64
		spare float64
	}{
		{rowSoakGoroutines, func(in inside) float64 { return in.goroutines }, soakCountsGrow, soakCountsSpare},
		{rowSoakDescriptors, func(in inside) float64 { return in.descriptors }, soakCountsGrow, soakCountsSpare},
		{rowSoakHeap, func(in inside) float64 { return in.heap }, soakHeapGrow, soakHeapSpare},
		{rowSoakResident, func(in inside) float64 { return in.resident }, soakResidentGrow, 0},
	} {
		before, after := mean(seen[third:2*third], m.of), mean(seen[2*third:], m.of)
		b.put(m.row, t, after/before)
		if after > before*m.grow+m.spare {
			b.violate("%s, %s: %.0f on average, before it %.0f.", m.row, t.name, after, before)
		}
	}
}

func mean(seen []inside, of func(in inside) float64) float64 {
	sum := 0.0
	for _, in := range seen {
		sum += of(in)
	}
	return sum / float64(len(seen))
}
