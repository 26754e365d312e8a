package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"parley/test/faults/history"
	"parley/test/faults/script"
	"parley/test/faults/wait"
)

// Config says what the clients of a run do.
type Config struct {
	Seed    uint64
	Name    string // Begins every key; one of its own for each load on a cluster.
	Users   int
	Writers int // For each user, each in a conversation of its own.
	// Hasty clients stop and delete much more than people do, so that every line of
	// the server is reached soon.
	Hasty bool
}

// Load is the clients of a run: writers that send one message after another, and
// watchers that follow every reply.
type Load struct {
	cfg      Config
	history  *history.History
	replicas []Replica
	users    []*User
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
	user                *User
	conversation, reply string
}

// Start makes the accounts and starts the clients. Call stop, then wait.
func Start(ctx context.Context, replicas []Replica, h *history.History, cfg Config) (*Load, error) {
	l := &Load{cfg: cfg, history: h, replicas: replicas}
	for n := range cfg.Users {
		u, err := SignUp(ctx, replicas, h, fmt.Sprintf("%su%d", cfg.Name, n))
		if err != nil {
			return nil, err
		}
		l.users = append(l.users, u)
	}
	l.life, l.end = context.WithCancel(ctx)
	l.sending, l.quiet = context.WithCancel(l.life)
	for n, u := range l.users {
		for k := range cfg.Writers {
			w := &writer{load: l, user: u, who: fmt.Sprintf("%s-w%d", u.Name, k),
				random: rand.New(rand.NewPCG(cfg.Seed, uint64(1000*n+k)))}
			l.writers.Go(w.run)
		}
		l.feeds.Go(func() { u.feed(l.life, u.Name+"-list", "", rand.New(rand.NewPCG(cfg.Seed, uint64(1000*n+900)))) })
	}
	return l, nil
}

// FeedPatience is how long after the last reply the feeds are still followed: what
// was lost must have been noticed by then. Feeds look every five seconds.
const FeedPatience = 10 * time.Second

// Stop lets the writers finish what they have begun, and nothing more.
func (l *Load) Stop() { l.quiet() }

// Wait returns when all writers and watchers are done, or ctx ends, which it
// reports. The feeds end with it.
func (l *Load) Wait(ctx context.Context) error {
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
	wait.For(ctx, FeedPatience)
	l.end()
	<-done
	l.feeds.Wait()
	return err
}

// Learn tells the load of a reply that somebody else has asked for, so that it is followed
// and read with all others in the end.
func (l *Load) Learn(u *User, conversation, reply string) { l.learn(known{u, conversation, reply}) }

func (l *Load) learn(k known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = append(l.known, k)
}

func (l *Load) replies() []known {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]known(nil), l.known...)
}

// WatchLate follows every reply once more, now that all are final.
func (l *Load) WatchLate(ctx context.Context) {
	limit := make(chan struct{}, 8)
	var all sync.WaitGroup
	for n, k := range l.replies() {
		limit <- struct{}{}
		all.Go(func() {
			defer func() { <-limit }()
			v := &Watcher{
				User: k.user, Who: fmt.Sprintf("%s-late-%d", k.user.Name, n), Reply: k.reply,
				Random: rand.New(rand.NewPCG(l.cfg.Seed, uint64(n))), Faithful: true, Late: true,
			}
			v.Follow(ctx)
		})
	}
	all.Wait()
}

// ReadThrough reads every conversation through every replica.
func (l *Load) ReadThrough(ctx context.Context) error {
	var errs []error
	read := make(map[string]bool)
	for _, k := range l.replies() {
		if read[k.conversation] {
			continue
		}
		read[k.conversation] = true
		for _, on := range l.replicas {
			errs = append(errs, k.user.readAll(ctx, on, k.conversation))
		}
	}
	return errors.Join(errs...)
}

// Occupy makes a replica run a reply that takes it about so long, and returns when it
// does. Who can wait no longer calls release, which stops the reply.
func (l *Load) Occupy(ctx context.Context, on Replica, d time.Duration) (release func(context.Context) error,
	err error) {
	const pace = 100 * time.Millisecond
	for {
		l.mu.Lock()
		l.long++
		n := l.long
		l.mu.Unlock()
		u := l.users[n%len(l.users)]
		key := fmt.Sprintf("%s-long-%d", u.Name, n)
		r := u.Send(ctx, key, on,
			Sending{Question: script.Question{Key: key, User: u.Name, Words: int(d / pace), Pace: pace}})
		if r.Outcome == history.OK {
			l.learn(known{u, r.Conversation, r.Reply})
			random := rand.New(rand.NewPCG(l.cfg.Seed, uint64(n)))
			return func(ctx context.Context) error { return u.stopAnywhere(ctx, random, r.Reply) }, nil
		}
		if !wait.For(ctx, pace) {
			return nil, context.Cause(ctx)
		}
	}
}
