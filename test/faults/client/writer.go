package client

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"parley/test/faults/history"
	"parley/test/faults/script"
	"parley/test/faults/wait"
)

// writer is a client that sends one message after another to its conversation.
type writer struct {
	load         *Load
	user         *User
	who          string
	random       *rand.Rand
	conversation string
	turns        []turn // of the conversation
	count        int
}

// turn is a question and a reply to it that the writer knows of.
type turn struct {
	question       script.Question
	message, reply string
}

func (w *writer) run() {
	for w.load.sending.Err() == nil {
		w.turn()
		w.rearrange()
		if !wait.For(w.load.sending, time.Duration(w.random.IntN(300))*time.Millisecond) {
			return
		}
	}
}

// turn sends one message and does with its reply what people do.
func (w *writer) turn() {
	w.count++
	s := w.next()
	r, sent := w.deliver(s)
	if !sent {
		return
	}
	if w.conversation != r.Conversation {
		w.conversation, w.turns = r.Conversation, nil
		w.load.feeds.Go(func() {
			w.user.feed(w.load.life, w.who+"-"+r.Conversation, r.Conversation,
				rand.New(rand.NewPCG(w.load.cfg.Seed, uint64(len(r.Conversation)))))
		})
	}
	w.turns = append(w.turns, turn{s.Question, r.Message, r.Reply})
	w.load.learn(known{w.user, r.Conversation, r.Reply})
	seen := make(chan struct{})
	var watching sync.WaitGroup
	for n := range 1 + w.random.IntN(3) {
		v := &Watcher{User: w.user, Who: fmt.Sprintf("%s-v%d", r.Key, n), Reply: r.Reply,
			Random: rand.New(rand.NewPCG(w.load.cfg.Seed, w.random.Uint64()))}
		watching.Go(func() { v.Follow(w.load.life) })
	}
	w.load.watchers.Go(func() { watching.Wait(); close(seen) })
	w.play(s.Question, r, seen)
}

// next is a message, or another version of what was said.
func (w *writer) next() Sending {
	s := Sending{Conversation: w.conversation, Question: script.Question{
		Key:   fmt.Sprintf("%s-%d", w.who, w.count),
		User:  w.user.Name,
		Words: 10 + w.random.IntN(150),
		Pace:  time.Duration(3+w.random.IntN(30)) * time.Millisecond,
	}}
	if len(w.turns) == 0 || w.random.IntN(5) > 1 {
		s.OnBusy = []string{"", "QUEUE", "QUEUE", "INTERRUPT"}[w.random.IntN(4)]
		return s
	}
	of := w.turns[w.random.IntN(len(w.turns))]
	s.Verb = []Verb{Regenerate, Regenerate, Edit, Continue}[w.random.IntN(4)]
	switch s.Verb {
	case Edit:
		s.Of = of.message
	case Continue: // Only the head is taken.
		of = w.turns[len(w.turns)-1]
		fallthrough
	default:
		s.Of, s.Question, s.Key = of.reply, of.question, script.VersionKey(of.question.Key, w.count)
	}
	if s.Verb != Continue {
		s.OnBusy = []string{"REJECT", "INTERRUPT"}[w.random.IntN(2)]
	}
	return s
}

// rearrange chooses another line, or deletes what was said.
func (w *writer) rearrange() {
	if len(w.turns) == 0 {
		return
	}
	of := w.turns[w.random.IntN(len(w.turns))]
	switch dice := w.random.IntN(16); {
	case dice < 3:
		w.insist(func(on Replica) history.Record { return w.user.choose(w.load.life, w.who, on, of.reply) })
	case dice == 3:
		w.insist(func(on Replica) history.Record {
			return w.user.trim(w.load.life, w.who, on, w.conversation, of.message)
		})
	}
}

// play stops the reply, deletes the conversation, looks at it as somebody else,
// waits for the end, or sends the next message at once.
func (w *writer) play(q script.Question, r history.Record, seen <-chan struct{}) {
	during := time.Duration(w.random.Int64N(int64(q.Duration()) + 1))
	dice := w.random.IntN(20)
	if w.load.cfg.Hasty {
		dice /= 2 // Twice as often each of the following.
	}
	switch {
	case dice < 3:
		if wait.For(w.load.life, during) {
			w.insist(func(on Replica) history.Record { return w.user.Stop(w.load.life, w.who, on, r.Reply) })
		}
	case dice == 3:
		if wait.For(w.load.life, during) {
			w.insist(func(on Replica) history.Record { return w.user.remove(w.load.life, w.who, on, r.Conversation) })
			w.conversation, w.turns = "", nil
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
// long as the load runs. When the server is overloaded it comes back when that said.
func (w *writer) deliver(s Sending) (history.Record, bool) {
	for {
		sends := 1
		if w.random.IntN(6) == 0 {
			sends = 2 + w.random.IntN(2)
		}
		results := make([]history.Record, sends)
		var all sync.WaitGroup
		for n := range results {
			on := w.user.any(w.random)
			all.Go(func() { results[n] = w.user.Send(w.load.life, w.who, on, s) })
		}
		all.Wait()
		open, overloaded := false, false
		pause := time.Duration(100+w.random.IntN(400)) * time.Millisecond
		for _, r := range results {
			if r.Outcome == history.OK {
				return r, true
			}
			open = open || r.Outcome == history.Unknown
			if r.Code == history.Overloaded {
				overloaded, pause = true, max(pause, r.RetryAfter)
			}
		}
		switch {
		case w.load.life.Err() != nil:
			return history.Record{}, false
		case !open && (!overloaded && w.random.IntN(3) == 0 || w.load.sending.Err() != nil):
			return history.Record{}, false
		case !wait.For(w.load.life, pause):
			return history.Record{}, false
		}
	}
}

// insist tries through one replica after another until there is an answer.
func (w *writer) insist(try func(on Replica) history.Record) {
	for w.load.life.Err() == nil {
		if try(w.user.any(w.random)).Outcome != history.Unknown {
			return
		}
		wait.For(w.load.life, time.Duration(100+w.random.IntN(400))*time.Millisecond)
	}
}
