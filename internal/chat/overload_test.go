package chat_test

import (
	"sync"
	"testing"
	"time"

	"parley/ent"
	"parley/internal/chat"
	"parley/internal/refusal"
	"parley/internal/store/storetest"
)

// A process that runs as many replies as it may takes no more, until one has ended.
func TestOverloadedByReplies(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{MaxReplies: 1}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		running := b.running(t, u, nil, "half ")
		send := func() error {
			_, err := b.SendMessage(other.ctx, other.id, chat.SendInput{Content: "x", ClientKey: ptr("overload-1")})
			return err
		}
		b.unchanged(t, refusal.CodeOverloaded, send)
		refused, _ := refusal.As(send())
		if refused.RetryAfter < time.Second || refused.RetryAfter > 3*time.Second {
			t.Errorf("got retryAfter %v, want a moment", refused.RetryAfter)
		}
		if _, err := b.StopReply(u.ctx, u.id, running.Reply.ID); err != nil {
			t.Fatal(err)
		}
		b.final(t, u, running.Reply.ID)
		if err := send(); err != nil {
			t.Errorf("afterwards, with the same key: %v", err)
		}
	})
}

// A process that is behind with what it has to write takes no more.
func TestOverloadedByBacklog(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), chat.Config{})
	u := b.user(t)
	entered, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { // Holds the only writer.
		_ = b.store.InTx(u.ctx, func(*ent.Tx) error { close(entered); <-release; return nil })
	})
	<-entered
	all.Go(func() {
		if _, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: "waits"}); err != nil {
			t.Errorf("the one that waits: %v", err)
		}
	})
	for b.store.Backlog() == 0 {
		if t.Context().Err() != nil {
			t.Fatal("nothing waits")
		}
	}
	busy := b.service(t, chat.Config{MaxBacklog: 1}, b.store)
	_, err := busy.SendMessage(u.ctx, u.id, chat.SendInput{Content: "refused"})
	if !refusal.Is(err, refusal.CodeOverloaded) {
		t.Errorf("got %v, want OVERLOADED", err)
	}
	close(release)
	all.Wait()
	if _, err := busy.SendMessage(u.ctx, u.id, chat.SendInput{Content: "taken"}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
