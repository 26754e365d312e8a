package chat_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/upstream/upstreamtest"
)

// queue sends behind what is being written.
func (b *bundle) queue(t testing.TB, u person, id pid.ID, content string) chat.SendResult {
	t.Helper()
	return b.send(t, u, chat.SendInput{ConversationID: &id, Content: content, OnBusy: chat.Queue})
}

func statuses(rows []*ent.Message) []string {
	var list []string
	for _, m := range rows {
		list = append(list, fmt.Sprint(m.Role, " ", m.Status))
	}
	return list
}

// Queued replies are written in their order, each with all that was said before it.
func TestQueue(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{MaxRunning: 1}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		pieces := make(chan string)
		b.upstream.Next(upstreamtest.Pieces(pieces))
		first := b.send(t, u, chat.SendInput{Content: "one"})
		eventually(t, "the call of the model", func() bool { return len(b.upstream.Requests()) == 1 })
		id := first.Conversation.ID
		var queued []chat.SendResult
		for i := range chat.MaxQueued {
			r := b.queue(t, u, id, fmt.Sprint("queued ", i))
			if r.Reply.Status != message.StatusQUEUED || r.Reply.Attempt != 0 || r.Reply.StartedAt != nil ||
				r.Reply.Owner != nil {
				t.Errorf("got %v, want a reply that waits", r.Reply)
			}
			if r.UserMessage.Status != message.StatusCOMPLETED || r.Reply.Index != 2*i+4 {
				t.Errorf("got %v and %v, want their place in the line", r.UserMessage, r.Reply)
			}
			queued = append(queued, r)
		}
		b.unchanged(t, refusal.CodeQueueFull, func() error {
			_, err := b.SendMessage(u.ctx, u.id,
				chat.SendInput{ConversationID: &id, Content: "one too many", OnBusy: chat.Queue})
			return err
		})
		// The running one is named, not one that waits.
		extras := b.unchanged(t, refusal.CodeConversationBusy, func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &id, Content: "refused"})
			return err
		})
		if extras["messageId"] != first.Reply.ID {
			t.Errorf("got %v, want the running reply %s named", extras, first.Reply.ID)
		}
		head := queued[len(queued)-1].Reply.ID
		refused := b.unchanged(t, refusal.CodeStaleHead, func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &id, Content: "stale",
				OnBusy: chat.Queue, ExpectedHeadID: &first.Reply.ID})
			return err
		})
		if refused["headId"] != head {
			t.Errorf("got %v, want the last queued reply as the head", refused)
		}
		b.wantLine(t, u, id, 3+2*chat.MaxQueued)
		pieces <- "text" // The first call has come by then.
		if n := len(b.upstream.Requests()); n != 1 {
			t.Errorf("%d calls of the model while the first runs, want one", n)
		}
		close(pieces)
		for i, r := range queued {
			m := b.final(t, u, r.Reply.ID)
			if m.Status != message.StatusCOMPLETED || m.Content != fmt.Sprint("You said: queued ", i) ||
				m.Attempt != 1 {
				t.Errorf("queued reply %d ended as %v", i, m)
			}
		}
		requests := b.upstream.Requests()
		if len(requests) != 1+chat.MaxQueued {
			t.Fatalf("%d calls of the model, want %d", len(requests), 1+chat.MaxQueued)
		}
		for i, r := range requests[1:] {
			if r.LastUser() != fmt.Sprint("queued ", i) || len(r.Messages) != 2*i+3 {
				t.Errorf("call %d: got %d messages, the last %q", i+1, len(r.Messages), r.LastUser())
			}
		}
		b.wantLine(t, u, id, 3+2*chat.MaxQueued)
	})
}

// On an idle conversation both ways are an ordinary send.
func TestQueueWhenIdle(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		id := b.ask(t, u, nil, "one").Conversation.ID
		for _, way := range []chat.OnBusy{chat.Queue, chat.Interrupt} {
			r := b.send(t, u, chat.SendInput{ConversationID: &id, Content: "more", OnBusy: way})
			if r.Reply.Status != message.StatusSTREAMING || r.Reply.Attempt != 1 {
				t.Errorf("%s: got %v, want a reply that runs", way, r.Reply)
			}
			b.final(t, u, r.Reply.ID)
		}
		r := b.send(t, u, chat.SendInput{Content: "new", OnBusy: chat.Queue})
		b.final(t, u, r.Reply.ID)
	})
}

// However a reply ends, the next one starts.
func TestQueueGoesOn(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		running := b.running(t, u, nil, "half ")
		id := running.Conversation.ID
		failing, last := b.queue(t, u, id, "two"), b.queue(t, u, id, "three")
		b.upstream.Next(upstreamtest.Fail(400, "bad"))
		if _, err := b.StopReply(u.ctx, u.id, running.Reply.ID); err != nil {
			t.Fatal(err)
		}
		b.final(t, u, last.Reply.ID)
		got := statuses(b.line(t, u, id))
		want := []string{"SYSTEM COMPLETED", "USER COMPLETED", "ASSISTANT STOPPED", "USER COMPLETED",
			"ASSISTANT FAILED", "USER COMPLETED", "ASSISTANT COMPLETED"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the line (-want +got):\n%s", diff)
		}
		if m := b.row(t, u, failing.Reply.ID); m.Attempt != 1 {
			t.Errorf("got %v", m)
		}
	})
}

// A cancelled pair stays on the line, and the model never sees it.
func TestCancelQueued(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		running := b.running(t, u, nil, "half ")
		id := running.Conversation.ID
		cancelled, kept := b.queue(t, u, id, "never mind"), b.queue(t, u, id, "three")
		if _, err := b.StopReply(other.ctx, other.id, cancelled.Reply.ID); err == nil {
			t.Error("somebody else's queued reply was cancelled")
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				m, err := b.StopReply(u.ctx, u.id, cancelled.Reply.ID)
				if err != nil || m.Status != message.StatusSTOPPED || m.FinishedAt == nil || m.Attempt != 0 {
					t.Errorf("got %v, %v, want it STOPPED at once", m, err)
				}
			})
		}
		wg.Wait()
		if m := b.row(t, u, running.Reply.ID); m.Status != message.StatusSTREAMING || m.StopRequestedAt != nil {
			t.Errorf("the running reply is %v, want it untouched", m)
		}
		if _, err := b.StopReply(u.ctx, u.id, running.Reply.ID); err != nil {
			t.Fatal(err)
		}
		b.final(t, u, kept.Reply.ID)
		got := statuses(b.line(t, u, id))
		want := []string{"SYSTEM COMPLETED", "USER COMPLETED", "ASSISTANT STOPPED", "USER STOPPED", "ASSISTANT STOPPED",
			"USER COMPLETED", "ASSISTANT COMPLETED"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the line (-want +got):\n%s", diff)
		}
		requests := b.upstream.Requests()
		wantMessages(t, requests[len(requests)-1], upstreamtest.Message{Role: "user", Content: "go on"},
			upstreamtest.Message{Role: "assistant", Content: "half "},
			upstreamtest.Message{Role: "user", Content: "three"})
		b.wantLine(t, u, id, 7)
	})
}

// INTERRUPT stops what is written, cancels what waits, and comes next.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{MaxRunning: 1}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		running := b.running(t, u, nil, "half ")
		id := running.Conversation.ID
		b.queue(t, u, id, "two")
		b.queue(t, u, id, "three")
		r := b.send(t, u, chat.SendInput{ConversationID: &id, Content: "instead", OnBusy: chat.Interrupt, Wait: true})
		if r.Reply.Status != message.StatusCOMPLETED || r.Reply.Content != "You said: instead" {
			t.Errorf("got %v, want the reply to what interrupted", r.Reply)
		}
		got := statuses(b.line(t, u, id))
		want := []string{"SYSTEM COMPLETED", "USER COMPLETED", "ASSISTANT STOPPED", "USER STOPPED", "ASSISTANT STOPPED",
			"USER STOPPED", "ASSISTANT STOPPED", "USER COMPLETED", "ASSISTANT COMPLETED"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the line (-want +got):\n%s", diff)
		}
		if m := b.row(t, u, running.Reply.ID); m.Content != "half " {
			t.Errorf("the interrupted reply is %q, want all its text", m.Content)
		}
		requests := b.upstream.Requests()
		wantMessages(t, requests[len(requests)-1], upstreamtest.Message{Role: "user", Content: "go on"},
			upstreamtest.Message{Role: "assistant", Content: "half "},
			upstreamtest.Message{Role: "user", Content: "instead"})
		b.wantLine(t, u, id, 9)
	})
}

// Sends of all kinds at once: the line stays whole, one reply runs at a time, and
// everything ends.
func TestBusyRulesAtOnce(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		first := b.ask(t, u, nil, "one")
		id := first.Conversation.ID
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				way := []chat.OnBusy{chat.Queue, chat.Interrupt, chat.Reject, chat.Queue}[i%4]
				r, err := b.SendMessage(u.ctx, u.id,
					chat.SendInput{ConversationID: &id, Content: fmt.Sprint("send ", i), OnBusy: way})
				if err != nil {
					if !refusal.Is(err, refusal.CodeConversationBusy) && !refusal.Is(err, refusal.CodeQueueFull) {
						t.Errorf("send %d: %v", i, err)
					}
					return
				}
				if i%3 == 0 {
					if _, err := b.StopReply(u.ctx, u.id, r.Reply.ID); err != nil {
						t.Errorf("stop %d: %v", i, err)
					}
				}
			})
		}
		wg.Wait()
		eventually(t, "all replies to end", func() bool {
			for _, m := range b.line(t, u, id) {
				if m.Status == message.StatusQUEUED || m.Status == message.StatusSTREAMING {
					return false
				}
			}
			return true
		})
		rows := b.line(t, u, id)
		b.wantLine(t, u, id, len(rows))
		for i := 1; i < len(rows); i += 2 {
			cancelled := rows[i].Status == message.StatusSTOPPED
			if cancelled != (rows[i+1].Status == message.StatusSTOPPED && rows[i+1].Attempt == 0) {
				t.Errorf("pair %d: %s and %s of attempt %d", i, rows[i].Status, rows[i+1].Status, rows[i+1].Attempt)
			}
		}
	})
}

// A client key answers for a queued pair as for any other, whatever becomes of it.
func TestQueuedClientKey(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		running := b.running(t, u, nil, "half ")
		in := chat.SendInput{ConversationID: &running.Conversation.ID, Content: "two", OnBusy: chat.Queue,
			ClientKey: ptr("queue-key-1")}
		first := b.send(t, u, in)
		samePair(t, first, b.send(t, u, in))
		in.OnBusy = chat.Reject // Another way to come to the same message.
		samePair(t, first, b.send(t, u, in))
		if _, err := b.StopReply(u.ctx, u.id, first.Reply.ID); err != nil {
			t.Fatal(err)
		}
		again := b.send(t, u, in)
		samePair(t, first, again)
		if again.Reply.Status != message.StatusSTOPPED {
			t.Errorf("got %v, want the cancelled reply", again.Reply)
		}
	})
}
