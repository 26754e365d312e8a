package chat_test

import (
	"fmt"
	"sync"
	"testing"

	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/store/storetest"
	"parley/internal/upstream/upstreamtest"
)

// replicas are several on one Postgres, without a bus between them: what works here
// works while the bus is down.
func replicas(t *testing.T, n int, cfg chat.Config) []*bundle {
	t.Helper()
	s := storetest.Postgres(t)
	all := make([]*bundle, n)
	for i := range all {
		all[i] = setup(t, s, cfg)
	}
	return all
}

// calls counts what all model servers were asked.
func calls(all []*bundle) int {
	n := 0
	for _, b := range all {
		n += len(b.upstream.Requests())
	}
	return n
}

// A hundred repeats of one send, at once and over three replicas, make one pair and
// one call of the model, even when the user may send nothing else.
func TestParallelRepeatsOverReplicas(t *testing.T) {
	t.Parallel()
	all := replicas(t, 3, chat.Config{SendsPerMinute: 1, MaxRunning: 1})
	u := all[0].user(t)
	in := chat.SendInput{Content: "once", ClientKey: ptr("key-over-replicas")}
	results := make([]chat.SendResult, 100)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			b := all[i%3]
			for { // A client repeats what was not answered.
				var err error
				results[i], err = b.SendMessage(u.ctx, u.id, in)
				if _, refused := refusal.As(err); err == nil || refused {
					if err != nil {
						t.Errorf("repeat %d: %v", i, err)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	first := 0
	for i, r := range results {
		if !r.Deduplicated {
			first++
		}
		if r.Reply.ID != results[0].Reply.ID || r.UserMessage.ID != results[0].UserMessage.ID {
			t.Errorf("repeat %d got another pair", i)
		}
	}
	if first != 1 {
		t.Errorf("%d sends say that they are the first, want one", first)
	}
	all[0].final(t, u, results[0].Reply.ID)
	if n := calls(all); n != 1 {
		t.Errorf("the model was called %d times, want once", n)
	}
	all[1].wantLine(t, u, results[0].Conversation.ID, 3)
	in.Content = "something else"
	_, err := all[2].SendMessage(u.ctx, u.id, in)
	refused(t, err, refusal.CodeIdempotencyConflict)
}

// Sends to one conversation through all replicas at once, without keys: one is
// admitted.
func TestOneConversationOverReplicas(t *testing.T) {
	t.Parallel()
	all := replicas(t, 3, chat.Config{})
	u := all[0].user(t)
	id := all[0].ask(t, u, nil, "one").Conversation.ID
	for _, b := range all {
		b.upstream.Always(upstreamtest.Hang)
	}
	var wg sync.WaitGroup
	admitted := make(chan pid.ID, 30)
	for i := range cap(admitted) {
		wg.Go(func() {
			r, err := all[i%3].SendMessage(u.ctx, u.id,
				chat.SendInput{ConversationID: &id, Content: fmt.Sprint("send ", i)})
			if err != nil {
				refused(t, err, refusal.CodeConversationBusy)
				return
			}
			admitted <- r.Reply.ID
		})
	}
	wg.Wait()
	if len(admitted) != 1 {
		t.Errorf("%d sends were admitted, want one", len(admitted))
	}
	all[2].wantLine(t, u, id, 5)
}

// A queue filled through other replicas is worked off by the owner of the running
// reply; a stop reaches it from anywhere.
func TestQueueOverReplicas(t *testing.T) {
	t.Parallel()
	all := replicas(t, 3, chat.Config{})
	u := all[0].user(t)
	running := all[0].running(t, u, nil, "half ")
	id := running.Conversation.ID
	second, third := all[1].queue(t, u, id, "two"), all[2].queue(t, u, id, "three")
	if m, err := all[2].StopReply(u.ctx, u.id, second.Reply.ID); err != nil || m.Status != message.StatusSTOPPED {
		t.Errorf("got %v, %v, want the queued reply stopped from another replica", m, err)
	}
	if _, err := all[1].StopReply(u.ctx, u.id, running.Reply.ID); err != nil {
		t.Fatal(err)
	}
	if m := all[1].final(t, u, running.Reply.ID); m.Status != message.StatusSTOPPED || m.Content != "half " {
		t.Errorf("got %v, want it stopped with its text", m)
	}
	if m := all[2].final(t, u, third.Reply.ID); m.Status != message.StatusCOMPLETED || m.Content != "You said: three" {
		t.Errorf("got %v", m)
	}
	if n := len(all[0].upstream.Requests()); n != 2 {
		t.Errorf("the owner called the model %d times, want twice", n)
	}
	// And an interruption from elsewhere, waited for there.
	again := all[0].running(t, u, &id, "other half ")
	r := all[1].send(t, u, chat.SendInput{ConversationID: &id, Content: "instead", OnBusy: chat.Interrupt, Wait: true})
	if r.Reply.Status != message.StatusCOMPLETED || r.Reply.Content != "You said: instead" {
		t.Errorf("got %v, want the reply to what interrupted", r.Reply)
	}
	if m := all[2].row(t, u, again.Reply.ID); m.Status != message.StatusSTOPPED || m.Content != "other half " {
		t.Errorf("got %v, want the interrupted reply with its text", m)
	}
}

// The limit of running replies holds over all replicas.
func TestRunningLimitOverReplicas(t *testing.T) {
	t.Parallel()
	all := replicas(t, 3, chat.Config{MaxRunning: 3})
	u := all[0].user(t)
	for _, b := range all {
		b.upstream.Always(upstreamtest.Hang)
	}
	var wg sync.WaitGroup
	admitted := make(chan pid.ID, 10)
	for i := range cap(admitted) {
		wg.Go(func() {
			r, err := all[i%3].SendMessage(u.ctx, u.id, chat.SendInput{Content: fmt.Sprint("send ", i)})
			if err != nil {
				refused(t, err, refusal.CodeRateLimited)
				return
			}
			admitted <- r.Reply.ID
		})
	}
	wg.Wait()
	if len(admitted) != 3 {
		t.Errorf("%d replies run, want three", len(admitted))
	}
}
