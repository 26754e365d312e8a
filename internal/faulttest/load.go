package faulttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// loadConfig says what the clients of a run do.
type loadConfig struct {
	seed    uint64
	name    string // Begins every key; one of its own for each load on a cluster.
	users   int
	writers int // For each user, each in a conversation of its own.
	// hasty clients stop and delete much more than people do, so that every line of
	// the server is reached soon.
	hasty bool
}

// load is the clients of a run: writers that send one message after another, and
// watchers that follow every reply.
type load struct {
	cfg     loadConfig
	history *history
	doors   []door
	users   []*user
	// life ends the clients; sending ends before it: no new messages then.
	life, sending context.Context
	end, quiet    context.CancelFunc
	writers       sync.WaitGroup
	watchers      sync.WaitGroup
	feeds         sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	known []known
	long  int // Replies that occupied a replica.
}

// known is a reply that a client has got the id of.
type known struct {
	user                *user
	conversation, reply string
}

// startLoad makes the accounts and starts the clients. Call stop, then wait.
func startLoad(ctx context.Context, doors []door, h *history, cfg loadConfig) (*load, error) {
	l := &load{cfg: cfg, history: h, doors: doors}
	for n := range cfg.users {
		u, err := signUp(ctx, doors, h, fmt.Sprintf("%su%d", cfg.name, n))
		if err != nil {
			return nil, err
		}
		l.users = append(l.users, u)
	}
	l.life, l.end = context.WithCancel(ctx)
	l.sending, l.quiet = context.WithCancel(l.life)
	for n, u := range l.users {
		for k := range cfg.writers {
			w := &writer{load: l, user: u, who: fmt.Sprintf("%s-w%d", u.name, k),
				random: rand.New(rand.NewPCG(cfg.seed, uint64(1000*n+k)))}
			l.writers.Go(w.run)
		}
		l.feeds.Go(func() { u.feed(l.life, u.name+"-list", "", rand.New(rand.NewPCG(cfg.seed, uint64(1000*n+900)))) })
	}
	return l, nil
}

// feedPatience is how long after the last reply the feeds are still followed: what
// was lost must have been noticed by then. Feeds look every five seconds.
const feedPatience = 10 * time.Second

// stop lets the writers finish what they have begun, and nothing more.
func (l *load) stop() { l.quiet() }

// wait returns when all writers and watchers are done, or ctx ends, which it
// reports. The feeds end with it.
func (l *load) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		l.writers.Wait()
		l.watchers.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("clients still wait: %w", context.Cause(ctx))
	}
	pause(ctx, feedPatience)
	l.end()
	<-done
	l.feeds.Wait()
	return err
}

func (l *load) learn(k known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = append(l.known, k)
}

func (l *load) replies() []known {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]known(nil), l.known...)
}

// watchLate follows every reply once more, now that all are final.
func (l *load) watchLate(ctx context.Context) {
	limit := make(chan struct{}, 8)
	var all sync.WaitGroup
	for n, k := range l.replies() {
		limit <- struct{}{}
		all.Go(func() {
			defer func() { <-limit }()
			v := &watcher{
				user: k.user, who: fmt.Sprintf("%s-late-%d", k.user.name, n), reply: k.reply,
				random: rand.New(rand.NewPCG(l.cfg.seed, uint64(n))), faithful: true, late: true,
			}
			v.follow(ctx)
		})
	}
	all.Wait()
}

// readThrough reads every conversation through every replica.
func (l *load) readThrough(ctx context.Context) error {
	var errs []error
	read := make(map[string]bool)
	for _, k := range l.replies() {
		if read[k.conversation] {
			continue
		}
		read[k.conversation] = true
		for _, on := range l.doors {
			errs = append(errs, k.user.readAll(ctx, on, k.conversation))
		}
	}
	return errors.Join(errs...)
}

// occupy makes a replica run a reply that takes it about so long, and returns when it
// does. Who can wait no longer calls release, which stops the reply.
func (l *load) occupy(ctx context.Context, on door, d time.Duration) (release func(context.Context) error, err error) {
	const pace = 100 * time.Millisecond
	for {
		l.mu.Lock()
		l.long++
		n := l.long
		l.mu.Unlock()
		u := l.users[n%len(l.users)]
		key := fmt.Sprintf("%s-long-%d", u.name, n)
		r := u.send(ctx, key, on,
			sending{question: question{Key: key, User: u.name, Words: int(d / pace), Pace: pace}})
		if r.Outcome == ok {
			l.learn(known{u, r.Conversation, r.Reply})
			random := rand.New(rand.NewPCG(l.cfg.seed, uint64(n)))
			return func(ctx context.Context) error { return u.stopAnywhere(ctx, random, r.Reply) }, nil
		}
		if !pause(ctx, pace) {
			return nil, context.Cause(ctx)
		}
	}
}
