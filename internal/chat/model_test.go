package chat_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/catalog"
	"parley/internal/chat"
	"parley/internal/refusal"
)

// source is a list of models, or an error.
type source struct {
	names []string
	err   error
}

func (s source) Models(context.Context) ([]string, error) { return s.names, s.err }

func TestSendNeedsAModel(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		b.offer(catalog.Config{Source: source{names: []string{"a", "b"}}})
		extras := b.unchanged(t, refusal.CodeModelRequired, func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: "hello"})
			return err
		})
		if diff := cmp.Diff([]string{"a", "b"}, extras["models"]); diff != "" {
			t.Errorf("models (-want +got):\n%s", diff)
		}
		r := b.send(t, u, chat.SendInput{Content: "hello", Model: ptr("b"), Wait: true})
		// The model of the first message is the conversation's.
		b.ask(t, u, &r.Conversation.ID, "again")
		if got := b.upstream.Requests()[1].Model; got != "b" {
			t.Errorf("got model %q, want the conversation's", got)
		}
		// A model that is not offered any more has to be changed. The field is wrong only for one
		// who has sent it.
		b.offer(catalog.Config{Source: source{names: []string{"a"}}})
		extras = b.unchanged(t, refusal.CodeModelUnavailable, func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &r.Conversation.ID, Content: "hello"})
			return err
		})
		if extras["model"] != "b" {
			t.Errorf("the refusal names %v, want the model that is gone", extras["model"])
		}
		b.unchanged(t, refusal.CodeBadUserInput, func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &r.Conversation.ID, Content: "hello",
				Model: ptr("b")})
			return err
		})
		b.send(t, u, chat.SendInput{ConversationID: &r.Conversation.ID, Content: "hello", Model: ptr("a"), Wait: true})
		b.offer(catalog.Config{Source: source{err: errors.New("dead")}})
		b.unchanged(t, refusal.CodeModelUnavailable, func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &r.Conversation.ID, Content: "hello"})
			return err
		})
	})
}

// The catalog decides; here it counts how its answers reach the user.
func TestModels(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		b.offer(catalog.Config{Source: source{names: []string{"only"}}})
		list, err := b.Models(u.ctx)
		if diff := cmp.Diff([]chat.Model{{ID: "only", Default: true}}, list); err != nil || diff != "" {
			t.Errorf("models: %v (-want +got):\n%s", err, diff)
		}
		// The model of the send comes first, then that of the conversation.
		b.offer(catalog.Config{Allowed: []string{"test", "other"}})
		for _, wanted := range []struct {
			send, conversation *string
			want               string
		}{{nil, nil, "test"}, {ptr(""), ptr("other"), "other"}, {ptr("test"), ptr("other"), "test"}} {
			c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{Model: wanted.conversation})
			if err != nil {
				t.Fatal(err)
			}
			b.send(t, u, chat.SendInput{ConversationID: &c.ID, Content: "hello", Model: wanted.send, Wait: true})
			requests := b.upstream.Requests()
			if got := requests[len(requests)-1].Model; got != wanted.want {
				t.Errorf("got model %q, want %q", got, wanted.want)
			}
		}
		b.offer(catalog.Config{Source: source{err: errors.New("dead")}})
		_, err = b.Models(u.ctx)
		refused(t, err, refusal.CodeModelUnavailable)
	})
}
