package main

import (
	"context"
	"errors"
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

// measureOverload begins more replies than the machine can feed, and looks at what comes
// of those that are taken, of those that are refused, and of the server afterwards.
func measureOverload(ctx context.Context, b *bench) error {
	return b.eachFresh(ctx, func(t *target) error {
		if err := b.warm(ctx, t); err != nil {
			return err
		}
		before, err := b.pulse(ctx, t)
		if err != nil {
			return err
		}
		resident, err := residentOf(t.process.pid())
		if err != nil {
			return err
		}
		o, asked, err := b.overload(ctx, t)
		if err != nil {
			return err
		}
		b.report(t, o, asked)
		if err := b.recover(ctx, t, before); err != nil {
			return err
		}
		left, err := settle(ctx, o.open)
		if err != nil {
			return err
		}
		b.put(rowOverOpen, t, float64(left))
		after, err := residentOf(t.process.pid())
		b.put(rowOverMemory, t, float64(after)/float64(resident))
		return err
	})
}

// overload runs the load and returns with what the model server was asked for.
func (b *bench) overload(ctx context.Context, t *target) (*outcome, calls, error) {
	fed := overloadUnknown
	if known := b.figures.of(rowStreams, t.name); known > 0 {
		fed = int(known)
	}
	n := min(overloadTimes*fed, b.options.streams)
	b.say("  %s: %d chats for %v", t.name, n, b.options.overload)
	if _, err := b.callsOf(ctx, true); err != nil {
		return nil, calls{}, err
	}
	chats, err := b.open(ctx, t, n)
	if err != nil {
		return nil, calls{}, err
	}
	defer closeAll(chats)
	looking, endLooking := context.WithCancel(ctx)
	var looks sync.WaitGroup
	looks.Go(func() { b.watchReady(looking, t) })
	o, err := drive(ctx, chats, load{
		tokens: overloadTokens, gap: pace, spread: 2 * time.Second, lasting: b.options.overload,
		perConversation: conversation, insist: true, pid: t.process.pid(),
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

// watchReady notes how often a server does not call itself ready.
func (b *bench) watchReady(ctx context.Context, t *target) {
	asked, bad := 0, 0
	for until(ctx, time.Now().Add(time.Second)) == nil {
		ok := t.server.ready(ctx)
		if ctx.Err() != nil {
			break
		}
		asked++
		if !ok {
			bad++
		}
	}
	if bad > 0 {
		b.note("overload, %s: not ready in %d of %d looks at /readyz.", t.name, bad, asked)
	}
}

// report puts down what came of an overload.
func (b *bench) report(t *target, o *outcome, asked calls) {
	b.judge("overload", t, o)
	failed, refused := 0, 0
	for code, n := range o.codes {
		if slices.Contains(refusing, code) {
			refused += n
		} else {
			failed += n
		}
	}
	b.put(rowOverReplies, t, float64(o.during.replies)/o.during.time.Seconds())
	b.put(rowOverRepeated, t, float64(asked.Repeated))
	b.put(rowOverFailed, t, float64(failed))
	b.put(rowOverRefused, t, float64(refused)/o.during.time.Seconds())
	b.put(rowOverAdmitted, t, millis(o.admitted, 0.99))
	b.put(rowOverRefusal, t, millis(o.refused, 0.99))
	b.put(rowOverFirst, t, millis(o.first, 0.99))
	b.put(rowOverLag, t, millis(o.lags, 0.99))
	b.say("  %s: %d whole, model called %d times for %d replies%s", t.name, o.replies, asked.Calls, asked.Replies,
		o.counts(", "))
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
// before, and ten seconds more for the memory.
func (b *bench) recover(ctx context.Context, t *target, before float64) error {
	began := time.Now()
	for {
		now, err := b.pulse(ctx, t)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && now <= 2*before:
			b.put(rowOverRecovery, t, time.Since(began).Seconds())
			return until(ctx, time.Now().Add(10*time.Second))
		case time.Since(began) > recoveryLimit:
			b.note("overload, %s: %v later a first token still takes %.1f ms, before it %.1f ms.", t.name,
				recoveryLimit, now, before)
			return errors.Join(err)
		}
		if err := until(ctx, time.Now().Add(time.Second)); err != nil {
			return err
		}
	}
}
