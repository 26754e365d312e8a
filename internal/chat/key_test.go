package chat_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/ent/message"
	"parley/ent/send"
	"parley/internal/catalog"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/store/storetest"
	"parley/internal/upstream/upstreamtest"
)

func samePair(t *testing.T, first, again chat.SendResult) {
	t.Helper()
	if !again.Deduplicated {
		t.Error("got a new pair, want it deduplicated")
	}
	got := []pid.ID{again.Conversation.ID, again.UserMessage.ID, again.Reply.ID}
	want := []pid.ID{first.Conversation.ID, first.UserMessage.ID, first.Reply.ID}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("another pair (-first +again):\n%s", diff)
	}
}

func TestClientKey(t *testing.T) {
	t.Parallel()
	// One running reply and one send a minute: a repeat comes before both limits,
	// and before the conversation is busy.
	each(t, chat.Config{MaxRunning: 1, SendsPerMinute: 1, TokensPerDay: 1}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		pieces := make(chan string)
		b.upstream.Next(upstreamtest.Pieces(pieces))
		in := chat.SendInput{
			Content: "hello", ClientKey: ptr("key_-0001"), Model: ptr("other"),
			Parameters: &reply.Parameters{Temperature: ptr(0.0)},
		}
		first := b.send(t, u, in)
		before := b.counts(t)
		samePair(t, first, b.send(t, u, in))
		pieces <- "text"
		close(pieces)
		waiting := in
		waiting.Wait = true
		again := b.send(t, u, waiting)
		samePair(t, first, again)
		if again.Reply.Status != message.StatusCOMPLETED || again.Reply.Content != "text" {
			t.Errorf("got %s, %q, want the complete reply of a repeat that waits", again.Reply.Status,
				again.Reply.Content)
		}
		for name, change := range map[string]func(in *chat.SendInput){
			"content":      func(in *chat.SendInput) { in.Content = "hello " },
			"conversation": func(in *chat.SendInput) { in.ConversationID = &first.Conversation.ID },
			"model":        func(in *chat.SendInput) { in.Model = ptr("test") },
			"no model":     func(in *chat.SendInput) { in.Model = nil },
			"parameters":   func(in *chat.SendInput) { in.Parameters = &reply.Parameters{Temperature: ptr(0.1)} },
		} {
			changed := in
			change(&changed)
			t.Run(name, func(t *testing.T) {
				b.unchanged(t, refusal.CodeIdempotencyConflict, func() error {
					_, err := b.SendMessage(u.ctx, u.id, changed)
					return err
				})
			})
		}
		if diff := cmp.Diff(before, b.counts(t)); diff != "" {
			t.Errorf("repeats wrote rows (-before +after):\n%s", diff)
		}
		if n := len(b.upstream.Requests()); n != 1 {
			t.Errorf("the model was called %d times, want once", n)
		}
		// The key is the user's own.
		theirs := b.send(t, other, in)
		if theirs.Deduplicated || theirs.Conversation.ID == first.Conversation.ID {
			t.Errorf("got %v for another user's send with the same key, want a pair of its own", theirs)
		}
	})
}

// A repeat needs nothing but the database: its model may be gone meanwhile.
func TestClientKeyOutlivesTheModel(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		in := chat.SendInput{Content: "hello", ClientKey: ptr("key-00001"), Model: ptr("other"), Wait: true}
		first := b.send(t, u, in)
		b.offer(catalog.Config{Allowed: []string{"test"}})
		samePair(t, first, b.send(t, u, in))
	})
}

func TestParallelRepeats(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"new conversation", "existing conversation"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, chat.Config{}, func(t *testing.T, b *bundle) {
				u := b.user(t)
				in := chat.SendInput{Content: "hello", ClientKey: ptr("key-00001"), Wait: true}
				conversations, messages := 1, 3
				if name == "existing conversation" {
					in.ConversationID = &b.ask(t, u, nil, "before").Conversation.ID
					messages = 5
				}
				calls := len(b.upstream.Requests())
				var wg sync.WaitGroup
				results := make(chan chat.SendResult, 100)
				for range 100 {
					wg.Go(func() {
						r, err := b.SendMessage(u.ctx, u.id, in)
						if err != nil {
							t.Errorf("parallel repeat: %v", err)
							return
						}
						results <- r
					})
				}
				wg.Wait()
				close(results)
				fresh := 0
				ids := make(map[string]int)
				for r := range results {
					ids[fmt.Sprint(r.Conversation.ID, r.UserMessage.ID, r.Reply.ID)]++
					if !r.Deduplicated {
						fresh++
					}
					if r.Reply.Status != message.StatusCOMPLETED {
						t.Errorf("got %s, want every repeat to see the end", r.Reply.Status)
					}
				}
				if fresh != 1 || len(ids) != 1 {
					t.Errorf("got %d new pairs and %d different ones, want one", fresh, len(ids))
				}
				got := b.counts(t)
				if got["conversations"] != conversations || got["messages"] != messages {
					t.Errorf("got %d conversations, %d messages, want %d, %d", got["conversations"], got["messages"],
						conversations, messages)
				}
				if n := len(b.upstream.Requests()) - calls; n != 1 {
					t.Errorf("the model was called %d times, want once", n)
				}
			})
		})
	}
}

func TestClientKeyAfterDeletion(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		in := chat.SendInput{Content: "hello", ClientKey: ptr("key-00001"), Wait: true}
		r := b.send(t, u, in)
		inOld := chat.SendInput{ConversationID: &r.Conversation.ID, Content: "two", ClientKey: ptr("key-00002"),
			Wait: true}
		b.send(t, u, inOld)
		if err := b.DeleteConversation(u.ctx, u.id, r.Conversation.ID); err != nil {
			t.Fatal(err)
		}
		for _, in := range []chat.SendInput{in, inOld} {
			b.unchanged(t, refusal.CodeNotFound, func() error {
				_, err := b.SendMessage(u.ctx, u.id, in)
				return err
			})
		}
		if got := b.counts(t); got["messages"] != 0 || got["conversations"] != 0 || got["sends"] != 2 {
			t.Errorf("got %v, want only the records of both sends", got)
		}
	})
}

// A repeat makes no reply, so it is answered also while the process takes no more of them.
func TestKnownKeyUnderOverload(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{MaxReplies: 1}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		b.upstream.Next(upstreamtest.Hang)
		in := chat.SendInput{Content: "hello", ClientKey: ptr("key-00001")}
		first := b.send(t, u, in)
		again, err := b.SendMessage(u.ctx, u.id, in)
		if err != nil || !again.Deduplicated || again.Reply.ID != first.Reply.ID {
			t.Errorf("got %v, %v, want the known pair", again, err)
		}
		in.ClientKey = ptr("key-00002")
		_, err = b.SendMessage(u.ctx, u.id, in)
		refused(t, err, refusal.CodeOverloaded)
	})
}

// What a send of before is recorded with is what it is recorded with today: a client that
// repeats it over an upgrade gets its pair.
func TestHashesStay(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), chat.Config{})
	u := b.user(t)
	for i, c := range []struct {
		in   chat.SendInput
		text string
	}{
		{chat.SendInput{Content: "hello"}, `[null,"hello",null,null]`},
		{chat.SendInput{Content: "hello", Model: ptr("other"), Parameters: &reply.Parameters{}},
			`[null,"hello","other",{}]`},
		{chat.SendInput{Content: "hello", Parameters: &reply.Parameters{Temperature: ptr(0.5), TopP: ptr(1.0),
			MaxTokens: ptr(9), Stop: []string{"END"}, Seed: ptr(7), PresencePenalty: ptr(1.0),
			FrequencyPenalty: ptr(-1.0), ResponseFormat: &reply.ResponseFormat{Type: reply.FormatText}}},
			`[null,"hello",null,{"temperature":0.5,"topP":1,"maxTokens":9,"stop":["END"],"seed":7,` +
				`"presencePenalty":1,"frequencyPenalty":-1,"responseFormat":{"type":"TEXT"}}]`},
		{chat.SendInput{Content: "hello", Parameters: &reply.Parameters{ReasoningEffort: reply.EffortLow,
			Verbosity: reply.VerbosityHigh}},
			`[null,"hello",null,{"reasoningEffort":"LOW","verbosity":"HIGH"}]`},
	} {
		key := fmt.Sprintf("key-number-%d", i)
		c.in.ClientKey = &key
		if _, err := b.SendMessage(u.ctx, u.id, c.in); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(c.text))
		got := b.store.Client().Send.Query().Where(send.ClientKey(key), send.UserID(u.id)).OnlyX(u.ctx).PayloadHash
		if want := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s: got the hash %s, want %s", c.text, got, want)
		}
	}
}
