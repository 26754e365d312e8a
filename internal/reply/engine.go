package reply

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
)

// pollInterval is how often replies are looked at whose changes nobody announces.
const pollInterval = time.Second

// Engine runs replies: it starts and stops what doc.go lists, and finds what runs. It is
// safe for concurrent use. It must be started before the first reply and stopped after
// the last request.
type Engine struct {
	*host
	cfg      Config
	upstream Upstream
	wire     Wire // nil: what runs on other replicas is followed in the database

	life     *life
	places   *places
	attempts *attempts
	mirrors  *mirrors
	queue    *queue
	lease    *lease
	sweeper  *sweeper
	watch    *ownRows
	saver    *saver
	contexts *contexts
	asides   *asides
	meters   *Meters

	stopServing func() // Set by Start; nil without a wire.
	stopOnce    sync.Once
}

// New returns an engine with an id of its own. It does nothing before Start. The caller
// has called Validate of cfg. wire is nil where there is none: watchers of replies on other
// replicas then see what those have stored, each second.
func New(cfg Config, store Store, upstream Upstream, bus fact.Bus, wire Wire, log *slog.Logger) *Engine {
	id := pid.New(pid.Replica)
	h := &host{id: id, store: store, bus: bus, meters: newMeters(cfg.CountedModels, cfg.SameModel),
		log: log.With("replica_id", string(id))}
	e := &Engine{host: h, cfg: cfg, upstream: upstream, wire: wire, meters: h.meters}
	e.life = &life{host: h}
	lag := newLag(cfg.MaxLag)
	e.places = newPlaces(lag.behind)
	e.attempts = newAttempts()
	e.contexts = newContexts()
	e.mirrors = newMirrors(h, wire, e.life, e.attempts)
	e.asides = newAsides(h, cfg, e.life, upstream)
	e.queue = &queue{host: h, prepare: e.prepareNext}
	e.sweeper = newSweeper(h, cfg, e.queue, wire == nil)
	e.watch = newOwnRows(h, e.attempts, e.sweeper.claim)
	e.saver = &saver{host: h, lag: lag, every: cfg.Checkpoint, attempts: e.attempts, lost: e.watch.reconsider}
	e.lease = newLease(h, cfg)
	e.lease.running = e.Running
	e.lease.back = func() {
		e.watch.hurry() // Some may be others' by now.
		e.sweeper.hurry()
	}
	return e
}

// ID is the id of this replica, the owner of the replies it runs.
func (e *Engine) ID() pid.ID { return e.id }

// Start takes the replica's lease, looks for abandoned replies and starts the
// loops that keep both going. Replies run until Stop, not until ctx ends: ctx
// gives its values only. An engine is started once: afterwards, and after Stop, Start
// returns ErrStarted and changes nothing. One that failed may be tried again.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.life.begin(ctx); err != nil {
		return err
	}
	defer e.life.over()
	if err := e.lease.take(ctx); err != nil {
		return fmt.Errorf("start replies: %w", err)
	}
	e.life.run()
	facts := e.bus.Subscribe(fact.Control)
	if e.wire != nil {
		e.stopServing = e.wire.Serve(e.id, e.answer)
	}
	for _, loop := range []func(context.Context){e.lease.keep, e.sweeper.run, e.saver.run, e.watch.run} {
		e.life.goLoop(func() { e.life.keepGoing(loop) })
	}
	e.life.goLoop(func() {
		defer facts.Close()
		e.life.keepGoing(func(ctx context.Context) { e.listen(ctx, facts) })
	})
	return nil
}

// Drain says that this replica is about to be stopped. It takes over no replies any more,
// and leaves those that wait for their turn to other replicas, as far as there are any. What
// users ask for here still runs here.
func (e *Engine) Drain() { e.sweeper.draining.Store(true) }

// Stop ends the engine. Running replies get until ctx ends to finish; the others
// are released, text included, for the next process to take up at once. It
// returns when nothing runs any more. It may be called more than once, also at the same
// time: each call waits for the end. Before Start it makes the engine one that is never
// started; a Start that is under way is waited for.
func (e *Engine) Stop(ctx context.Context) {
	if !e.life.close() {
		return
	}
	e.life.await(ctx)
	e.stopOnce.Do(func() {
		if e.stopServing != nil {
			e.stopServing()
		}
		e.life.end()
		e.lease.giveBack(context.WithoutCancel(e.life.ctx))
	})
}

// RequestStop asks for a reply of this user to be stopped, from any replica: a
// durable flag, and a signal that makes it quick. It is idempotent. A reply that is
// final, or not this user's, stays as it is.
func (e *Engine) RequestStop(ctx context.Context, userID, id pid.ID) error {
	now, err := e.store.Now(ctx)
	if err != nil {
		return err
	}
	n, err := FlagStop(e.store.Client().Message.Update(), userID, id, now).Save(e.store.Urgent(ctx))
	if err != nil {
		return fmt.Errorf("request stop: %w", err)
	}
	if n > 0 {
		failpoint.Hit("reply.after-stop-flag")
		e.bus.Publish(fact.Fact{Kind: fact.StopRequested, MessageID: id})
	}
	return nil
}

// FlagStop narrows an update to a running reply of a user that nobody has asked to stop
// yet, and sets the flag its owner looks for.
func FlagStop(u *ent.MessageUpdate, userID, id pid.ID, now time.Time) *ent.MessageUpdate {
	return u.Where(message.ID(id), message.UserID(userID), Streaming(), message.StopRequestedAtIsNil()).
		SetStopRequestedAt(now)
}

// Running returns how many replies run here, those included that are about to.
func (e *Engine) Running() int { return e.places.count() }

// Peers returns how many other replicas were alive at the last sweep.
func (e *Engine) Peers() int { return int(e.sweeper.peers.Load()) }

// listen acts on what other rooms and replicas say.
func (e *Engine) listen(ctx context.Context, facts fact.Subscription) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-facts.Facts():
			switch f.Kind {
			case fact.StopRequested, fact.ConversationDeleted:
				if e.attempts.concerns(*f) {
					e.watch.hurry() // The row says whether it is true.
				}
			case fact.AccessRevoked:
				if f.SessionID == "" && e.Running() > 0 {
					e.watch.hurry() // The user may be disabled.
				}
			case fact.ReplyReleased:
				e.sweeper.hurry()
			}
		case <-facts.Missed():
			// The look at own rows finds what was lost within a second.
		}
	}
}
