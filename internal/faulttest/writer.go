package faulttest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// writer is a client that sends one message after another to its conversation.
type writer struct {
	load         *load
	user         *user
	who          string
	random       *rand.Rand
	conversation string
	count        int
}

func (w *writer) run() {
	for w.load.sending.Err() == nil {
		w.turn()
		if !pause(w.load.sending, time.Duration(w.random.IntN(300))*time.Millisecond) {
			return
		}
	}
}

// turn sends one message and does with its reply what people do.
func (w *writer) turn() {
	w.count++
	s := sending{conversation: w.conversation, question: question{
		Key:   fmt.Sprintf("%s-%d", w.who, w.count),
		User:  w.user.name,
		Words: 10 + w.random.IntN(150),
		Pace:  time.Duration(3+w.random.IntN(30)) * time.Millisecond,
	}}
	s.onBusy = []string{"", "QUEUE", "QUEUE", "INTERRUPT"}[w.random.IntN(4)]
	r, sent := w.deliver(s)
	if !sent {
		return
	}
	if w.conversation != r.Conversation {
		w.conversation = r.Conversation
		w.load.feeds.Go(func() {
			w.user.feed(w.load.life, w.who+"-"+r.Conversation, r.Conversation,
				rand.New(rand.NewPCG(w.load.cfg.seed, uint64(len(r.Conversation)))))
		})
	}
	w.load.learn(known{w.user, r.Conversation, r.Reply})
	seen := make(chan struct{})
	var watching sync.WaitGroup
	for n := range 1 + w.random.IntN(3) {
		v := &watcher{user: w.user, who: fmt.Sprintf("%s-v%d", s.question.Key, n), reply: r.Reply,
			random: rand.New(rand.NewPCG(w.load.cfg.seed, w.random.Uint64()))}
		watching.Go(func() { v.follow(w.load.life) })
	}
	w.load.watchers.Go(func() { watching.Wait(); close(seen) })
	w.play(s.question, r, seen)
}

// play stops the reply, deletes the conversation, looks at it as somebody else,
// waits for the end, or sends the next message at once.
func (w *writer) play(q question, r record, seen <-chan struct{}) {
	during := time.Duration(w.random.Int64N(int64(q.duration()) + 1))
	dice := w.random.IntN(20)
	if w.load.cfg.hasty {
		dice /= 2 // Twice as often each of the following.
	}
	switch {
	case dice < 3:
		if pause(w.load.life, during) {
			w.insist(func(on door) record { return w.user.stop(w.load.life, w.who, on, r.Reply) })
		}
	case dice == 3:
		if pause(w.load.life, during) {
			w.insist(func(on door) record { return w.user.remove(w.load.life, w.who, on, r.Conversation) })
			w.conversation = ""
		}
	case dice == 4 && len(w.load.users) > 1:
		other := w.load.users[w.random.IntN(len(w.load.users))]
		if other != w.user {
			other.probe(w.load.life, w.who+"-probe", other.any(w.random), r.Reply)
		}
	case dice < 8:
		return // The next message meets a reply that is still being written.
	}
	select {
	case <-seen:
	case <-w.load.life.Done():
	}
}

// deliver sends until it knows what became of the message, now and then twice at
// once. It gives up when it is refused, sometimes at once and sometimes for as
// long as the load runs.
func (w *writer) deliver(s sending) (record, bool) {
	for {
		sends := 1
		if w.random.IntN(6) == 0 {
			sends = 2 + w.random.IntN(2)
		}
		results := make([]record, sends)
		var all sync.WaitGroup
		for n := range results {
			on := w.user.any(w.random)
			all.Go(func() { results[n] = w.user.send(w.load.life, w.who, on, s) })
		}
		all.Wait()
		open := false
		for _, r := range results {
			if r.Outcome == ok {
				return r, true
			}
			open = open || r.Outcome == unknown
		}
		switch {
		case w.load.life.Err() != nil:
			return record{}, false
		case !open && (w.random.IntN(3) == 0 || w.load.sending.Err() != nil):
			return record{}, false
		case !pause(w.load.life, time.Duration(100+w.random.IntN(400))*time.Millisecond):
			return record{}, false
		}
	}
}

// insist tries through one replica after another until there is an answer.
func (w *writer) insist(try func(on door) record) {
	for w.load.life.Err() == nil {
		if try(w.user.any(w.random)).Outcome != unknown {
			return
		}
		pause(w.load.life, time.Duration(100+w.random.IntN(400))*time.Millisecond)
	}
}
