package chat_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/chat"
	"parley/internal/refusal"
	"parley/internal/upstream/upstreamtest"
)

// A message that would make the prompt longer than it may be is refused, and nothing is
// stored; one that just fits is sent.
func TestContextTooLong(t *testing.T) {
	t.Parallel()
	const most = 40 << 10
	limits := chat.Config{MaxMessageBytes: 8 << 10, MaxSystemBytes: 32 << 10, MaxPromptBytes: most}
	each(t, limits, func(t *testing.T, b *bundle) {
		u := b.user(t)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{SystemPrompt: strings.Repeat("s", 32<<10)})
		if err != nil {
			t.Fatal(err)
		}
		b.upstream.Next(func(call *upstreamtest.Call) { call.Text(strings.Repeat("a", 1<<10)); call.End() })
		b.ask(t, u, &c.ID, strings.Repeat("q", 2<<10))
		const left = most - 35<<10
		in := chat.SendInput{ConversationID: &c.ID, Content: strings.Repeat("q", left+1)}
		got := b.unchanged(t, refusal.CodeContextTooLong, func() error {
			_, err := b.SendMessage(u.ctx, u.id, in)
			return err
		})
		want := map[string]any{"limitBytes": most, "neededBytes": most + 1,
			"limitTokens": most / 4, "neededTokens": most/4 + 1}
		delete(got, "code")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("extras (-want +got):\n%s", diff)
		}
		b.ask(t, u, &c.ID, strings.Repeat("q", left-10)) // Its reply is "ok", behind joints.
		if _, err := b.SendMessage(u.ctx, u.id, in); !refusal.Is(err, refusal.CodeContextTooLong) {
			t.Errorf("got %v for one more, want CONTEXT_TOO_LONG", err)
		}
		b.ask(t, u, nil, "a new conversation is as good as before")
	})
}

// A queued reply was asked for while nobody knew how long the one before it would become.
// When it is its turn that is known, and the next send knows it too.
func TestContextTooLongBehindAQueue(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{MaxMessageBytes: 8 << 10, MaxPromptBytes: 40 << 10}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		more := make(chan struct{})
		b.upstream.Next(func(call *upstreamtest.Call) {
			<-more
			call.Text(strings.Repeat("a", 39<<10))
			call.End()
		})
		first := b.send(t, u, chat.SendInput{Content: strings.Repeat("q", 1<<10)})
		in := chat.SendInput{ConversationID: &first.Conversation.ID, Content: "second", OnBusy: chat.Queue}
		second := b.send(t, u, in)
		close(more)
		if m := b.final(t, u, second.Reply.ID); deref(m.ErrorCode) != string(refusal.CodeContextTooLong) {
			t.Errorf("the second reply ended as %s, %v, want CONTEXT_TOO_LONG", m.Status, deref(m.ErrorCode))
		}
		if _, err := b.SendMessage(u.ctx, u.id, in); !refusal.Is(err, refusal.CodeContextTooLong) {
			t.Errorf("got %v for one more, want CONTEXT_TOO_LONG", err)
		}
	})
}
