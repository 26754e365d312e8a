package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// What an overload is made of: chats that ask again as soon as they have a reply, five
// times as many as the machine can feed. Where the mode paced has not said how many
// those are, the number is one that broke a server once.
const (
	overloadTimes   = 5
	overloadUnknown = 300
	overloadTokens  = 60
	// recoveryLimit is how long it is waited for what it was before.
	recoveryLimit = time.Minute
)

// cluster is the replicas on one database that an overload goes to, and how its figures are
// named.
type cluster struct {
	replicas []*target
	prefix   string
}

// measureOverload begins more replies than the machine can feed, and looks at what comes
// of those that are taken, of those that are refused, and of the server afterwards. With
// Postgres it does so with three replicas too.
func measureOverload(ctx context.Context, b *bench) error {
	for _, database := range b.options.databases {
		for _, v := range b.versions {
			if err := b.overloadOn(ctx, database, v, 1); err != nil {
				return err
			}
			if database != postgresName {
				continue
			}
			if err := b.overloadOn(ctx, database, v, 3); err != nil {
				return err
			}
		}
	}
	return nil
}

// overloadOn starts so many replicas on one database and overloads them.
func (b *bench) overloadOn(ctx context.Context, database string, v *version, replicas int) (err error) {
	c := cluster{}
	more := debugging()
	if replicas > 1 {
		c.prefix = threeReplicas
		bus, err := startBroker()
		if err != nil {
			return err
		}
		defer bus.stop()
		more = append(more, "PARLEY_NATS_URL="+bus.url, "PARLEY_DRAIN=0s", "PARLEY_AUTH_KEYS="+clusterKeys())
	}
	first, err := b.start(ctx, database, v, more...)
	if err != nil {
		return err
	}
	c.replicas = []*target{first}
	defer func() {
		for _, t := range slices.Backward(c.replicas) { // The storage goes with the first.
			err = errors.Join(err, b.stop(ctx, t))
		}
	}()
	for i := 1; i < replicas; i++ {
		t, err := b.startBeside(ctx, first, slices.Concat(more, debugging())...)
		if err != nil {
			return err
		}
		c.replicas = append(c.replicas, t)
	}
	if err := b.overloadCluster(ctx, c); err != nil {
		return fmt.Errorf("%s: %w", first.name, err)
	}
	return nil
}

func (b *bench) overloadCluster(ctx context.Context, c cluster) error {
	first := c.replicas[0]
	for _, t := range c.replicas {
		if err := b.warm(ctx, t); err != nil {
			return err
		}
	}
	pulse, err := b.pulse(ctx, first)
	if err != nil {
		return err
	}
	before, err := lookInto(ctx, c.replicas)
	if err != nil {
		return err
	}
	o, asked, err := b.overload(ctx, c)
	if err != nil {
		return err
	}
	b.report(c, o, asked)
	if err := b.recover(ctx, c, pulse); err != nil {
		return err
	}
	left, err := settle(ctx, o.open)
	if err != nil {
		return err
	}
	b.put(c.prefix+rowOverOpen, first, float64(left))
	if left > 0 {
		b.violate("overload, %s%s: %d replies that were taken have no end.", c.prefix, first.name, left)
	}
	return b.compareMemory(ctx, c, before)
}

func lookInto(ctx context.Context, replicas []*target) ([]inside, error) {
	var all []inside
	for _, t := range replicas {
		if t.server.debug == "" {
			return nil, nil // An older version.
		}
		in, err := t.look(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, in)
	}
	return all, nil
}

// memoryLimit is how long it is waited for the memory of a burst.
const memoryLimit = 45 * time.Second

// What a burst may leave. The heap holds what is kept for a while, as 256 idle connections to
// the model and what those to the database have prepared, which is a few megabytes. What is
// free and not given back was 90 MB once. What the system counts as resident is shown, not
// judged: it has parts of the program and SQLite's caches in it.
const (
	heapMayGrow = 2.0
	heapMayKeep = 8 * mebibyte
	freeMayKeep = 32 * mebibyte
)

// compareMemory asks whether the memory of a burst has been given back.
func (b *bench) compareMemory(ctx context.Context, c cluster, before []inside) error {
	resident := func() (float64, error) {
		n, err := residentOf(c.replicas[0].process.pid())
		return float64(n), err
	}
	first := c.replicas[0]
	if before == nil {
		return nil
	}
	// Before look, whose collection would be a help.
	now, err := resident()
	for limit := time.Now().Add(memoryLimit); err == nil && now > 1.5*before[0].resident && time.Now().Before(limit); {
		if err = until(ctx, time.Now().Add(time.Second)); err == nil {
			now, err = resident()
		}
	}
	if err != nil {
		return err
	}
	b.put(c.prefix+rowOverMemory, first, now/before[0].resident)
	after, err := lookInto(ctx, c.replicas)
	if err != nil {
		return err
	}
	for i, t := range c.replicas {
		b.say("  %s before: %v", t.name, before[i])
		b.say("  %s after:  %v", t.name, after[i])
		if after[i].heap > heapMayGrow*before[i].heap+heapMayKeep {
			b.violate("overload, %s%s: the heap holds %.1f MB, before it were %.1f MB.", c.prefix, t.name,
				after[i].heap/mebibyte, before[i].heap/mebibyte)
		}
		if after[i].kept > freeMayKeep {
			b.violate("overload, %s%s: %.1f MB are free and not given back.", c.prefix, t.name, after[i].kept/mebibyte)
		}
	}
	b.put(c.prefix+rowOverHeap, first, after[0].heap/before[0].heap)
	return nil
}

// overload runs the load and returns with what the model server was asked for.
func (b *bench) overload(ctx context.Context, c cluster) (*outcome, calls, error) {
	first := c.replicas[0]
	fed := overloadUnknown
	if known := b.figures.of(rowStreams, first.name); known > 0 {
		fed = int(known)
	}
	n := min(overloadTimes*fed, b.options.streams)
	b.say("  %s%s: %d chats for %v", c.prefix, first.name, n, b.options.overload)
	if _, err := b.callsOf(ctx, true); err != nil {
		return nil, calls{}, err
	}
	var chats []chat
	defer func() { closeAll(chats) }()
	for i, t := range c.replicas {
		some, err := b.open(ctx, t, (n+i)/len(c.replicas))
		if err != nil {
			return nil, calls{}, err
		}
		chats = append(chats, some...)
	}
	looking, endLooking := context.WithCancel(ctx)
	var looks sync.WaitGroup
	for _, t := range c.replicas {
		looks.Go(func() { b.watchReady(looking, t) })
	}
	o, err := drive(ctx, chats, load{
		tokens: overloadTokens, gap: pace, spread: 2 * time.Second, lasting: b.options.overload,
		perConversation: conversation, insist: true, pid: first.process.pid(),
	})
	endLooking()
	looks.Wait()
	if err != nil {
		return nil, calls{}, err
	}
	asked, err := b.callsOf(ctx, false)
	return o, asked, err
}

// settle waits until the replies that were given up have ended after all, and returns how
// many have not within the limit.
func settle(ctx context.Context, open []*openReply) (int, error) {
	limit := time.Now().Add(recoveryLimit)
	for {
		var left []*openReply
		for _, o := range open {
			if running(o.status(ctx)) {
				left = append(left, o)
			}
		}
		if open = left; len(open) == 0 || time.Now().After(limit) {
			return len(open), nil
		}
		if err := until(ctx, time.Now().Add(time.Second)); err != nil {
			return 0, err
		}
	}
}

// watchReady sees whether a server calls itself ready all the time. No answer in time says
// something of the machine only.
func (b *bench) watchReady(ctx context.Context, t *target) {
	asked, late, bad := 0, 0, 0
	for until(ctx, time.Now().Add(time.Second)) == nil {
		status := t.server.readiness(ctx)
		if ctx.Err() != nil {
			break
		}
		asked++
		switch status {
		case http.StatusOK:
		case 0:
			late++
		default:
			bad++
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if late > 0 {
		b.note("overload, %s: no answer of /readyz in time in %d of %d looks.", t.name, late, asked)
	}
	if bad > 0 {
		b.violate("overload, %s: not ready in %d of %d looks at /readyz.", t.name, bad, asked)
	}
}

// report puts down what came of an overload, and which rules did not hold.
func (b *bench) report(c cluster, o *outcome, asked calls) {
	t := c.replicas[0]
	b.judge("overload", t, o)
	failed, refused := 0, 0
	for code, n := range o.codes {
		if slices.Contains(refusing, code) {
			refused += n
		} else {
			failed += n
		}
	}
	b.put(c.prefix+rowOverReplies, t, float64(o.during.replies)/o.during.time.Seconds())
	b.put(c.prefix+rowOverRepeated, t, float64(asked.Repeated))
	b.put(c.prefix+rowOverFailed, t, float64(failed))
	b.put(c.prefix+rowOverRefused, t, float64(refused)/o.during.time.Seconds())
	b.put(c.prefix+rowOverAdmitted, t, millis(o.admitted, 0.99))
	b.put(c.prefix+rowOverRefusal, t, millis(o.refused, 0.99))
	b.put(c.prefix+rowOverMostly, t, millis(o.refused, 0.9))
	b.put(c.prefix+rowOverFirst, t, millis(o.first, 0.99))
	b.put(c.prefix+rowOverLag, t, millis(o.lags, 0.99))
	b.say("  %s%s: %d whole, model called %d times for %d replies%s", c.prefix, t.name, o.replies, asked.Calls,
		asked.Replies, o.counts(", "))
	name := "overload, " + c.prefix + t.name
	if asked.Repeated > 0 || o.restarts > 0 {
		b.violate("%s: the model was called again for %d replies, and %d began anew.", name, asked.Repeated, o.restarts)
	}
	if failed > 0 {
		b.violate("%s: %d sends or replies failed:%s.", name, failed, o.counts(" "))
	}
	if refused == 0 {
		b.note("%s: nothing was refused, so this was no overload.", name)
		return
	}
	// A refusal comes to its client on the way of any other word. Some were let in and met a
	// stall, of which nobody knew: those are less than a tenth.
	most := millis(o.lags, 0.99) + millis(o.first, 0.99)/10
	if got := millis(o.refused, 0.9); got > most {
		b.violate("%s: a refusal took %.0f ms (p90), want %.0f ms: a tenth of a first token, beside the lag of a token.",
			name, got, most)
	}
}

// pulse is the median time to the first token of one chat, in milliseconds.
func (b *bench) pulse(ctx context.Context, t *target) (float64, error) {
	o, err := b.drive(ctx, "overload, 1 chat", t, 1, load{tokens: 10, replies: 15})
	if err != nil {
		return 0, err
	}
	return millis(o.first, 0.5), nil
}

// recover waits until a single chat has its first tokens within twice the time of
// before.
func (b *bench) recover(ctx context.Context, c cluster, before float64) error {
	t := c.replicas[0]
	began := time.Now()
	for {
		now, err := b.pulse(ctx, t)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && now <= 2*before:
			b.put(c.prefix+rowOverRecovery, t, time.Since(began).Seconds())
			return nil
		case time.Since(began) > recoveryLimit:
			b.violate("overload, %s: %v later a first token still takes %.1f ms, before it %.1f ms.", t.name,
				recoveryLimit, now, before)
			return err
		}
		if err := until(ctx, time.Now().Add(time.Second)); err != nil {
			return err
		}
	}
}
