package chat_test

import (
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
)

// Text that has been published is in every query, and in the feed, from then on.
func TestOverlayNeverGoesBack(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		r := b.running(t, u, nil, "published ")
		for _, read := range []func() (*ent.Message, error){
			func() (*ent.Message, error) {
				list, err := b.Messages(u.ctx, u.id, []pid.ID{r.Reply.ID})
				return list[0], err
			},
			func() (*ent.Message, error) {
				p, err := b.ListMessages(u.ctx, u.id, []pid.ID{r.Conversation.ID}, chat.PageArgs{Last: ptr(1)})
				return p[r.Conversation.ID].Items[0], err
			},
			func() (*ent.Message, error) {
				p, err := b.RunningReplies(u.ctx, u.id, []pid.ID{r.Conversation.ID})
				return p[r.Conversation.ID], err
			},
		} {
			got, err := read()
			if err != nil || got.Content != "published " || got.Status != message.StatusSTREAMING {
				t.Errorf("got %v, %v, want the live text", got, err)
			}
			// What a caller does with it does not reach the engine's own state.
			got.Content = "changed"
		}
	})
}
