package chat_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/chat"
	"parley/internal/refusal"
)

// source is a list of models, or an error.
type source struct {
	names []string
	err   error
}

func (s source) Models(context.Context) ([]string, error) { return s.names, s.err }

func TestCatalog(t *testing.T) {
	t.Parallel()
	errDead := errors.New("connection refused")
	eliza := chat.Model{ID: "eliza", Description: "built in"}
	is := func(id string) chat.Model { return chat.Model{ID: id} }
	def := func(id string) chat.Model { return chat.Model{ID: id, Default: true} }
	elizaDefault := chat.Model{ID: "eliza", Description: "built in", Default: true}
	for name, c := range map[string]struct {
		catalog chat.Catalog
		list    []chat.Model
		listErr refusal.Code
		// wanted names to what comes out: a model or a code.
		resolve map[string]string
	}{
		"allow-list": {
			chat.Catalog{Allowed: []string{"a", "b"}, Source: source{err: errDead}},
			[]chat.Model{def("a"), is("b")}, "",
			map[string]string{"": "a", "a": "a", "b": "b", "c": "BAD_USER_INPUT", "A": "BAD_USER_INPUT"},
		},
		"allow-list with a default": {
			chat.Catalog{Allowed: []string{"a", "b"}, Default: "b"},
			[]chat.Model{is("a"), def("b")}, "",
			map[string]string{"": "b", "a": "a"},
		},
		"source with one": {
			chat.Catalog{Source: source{names: []string{"only"}}},
			[]chat.Model{def("only")}, "",
			map[string]string{"": "only", "only": "only", "x": "BAD_USER_INPUT"},
		},
		"source with many": {
			chat.Catalog{Source: source{names: []string{"a", "b"}}},
			[]chat.Model{is("a"), is("b")}, "",
			map[string]string{"": "MODEL_REQUIRED", "b": "b"},
		},
		"source with a default": {
			chat.Catalog{Source: source{names: []string{"a", "b"}}, Default: "b"},
			[]chat.Model{is("a"), def("b")}, "",
			map[string]string{"": "b", "a": "a"},
		},
		"empty source": {
			chat.Catalog{Source: source{}},
			nil, "",
			map[string]string{"": "MODEL_REQUIRED", "a": "BAD_USER_INPUT"},
		},
		"dead source": {
			chat.Catalog{Source: source{err: errDead}},
			nil, refusal.CodeModelUnavailable,
			map[string]string{"": "MODEL_UNAVAILABLE", "a": "MODEL_UNAVAILABLE"},
		},
		"dead source with a default": {
			chat.Catalog{Source: source{err: errDead}, Default: "b"},
			nil, refusal.CodeModelUnavailable,
			map[string]string{"": "b", "a": "MODEL_UNAVAILABLE"},
		},
		"built-in only": {
			chat.Catalog{Always: []chat.Model{eliza}},
			[]chat.Model{elizaDefault}, "",
			map[string]string{"": "eliza", "eliza": "eliza", "a": "BAD_USER_INPUT"},
		},
		"two built in": {
			chat.Catalog{Always: []chat.Model{eliza, is("echo")}},
			[]chat.Model{elizaDefault, is("echo")}, "",
			map[string]string{"": "eliza", "echo": "echo"},
		},
		"built-in beside a source": {
			chat.Catalog{Source: source{names: []string{"a"}}, Always: []chat.Model{eliza}},
			[]chat.Model{is("a"), eliza}, "",
			map[string]string{"": "MODEL_REQUIRED", "a": "a", "eliza": "eliza"},
		},
		"built-in in the allow-list": {
			chat.Catalog{Allowed: []string{"a", "eliza"}, Always: []chat.Model{eliza}},
			[]chat.Model{def("a"), eliza}, "",
			map[string]string{"": "a", "eliza": "eliza"},
		},
		// An outage of the model server is no reason to answer with ELIZA, nor to
		// call a model's name wrong.
		"built-in beside a dead source": {
			chat.Catalog{Source: source{err: errDead}, Always: []chat.Model{eliza}},
			[]chat.Model{eliza}, "",
			map[string]string{"": "MODEL_UNAVAILABLE", "a": "MODEL_UNAVAILABLE", "eliza": "eliza"},
		},
		"nothing": {
			chat.Catalog{}, nil, "",
			map[string]string{"": "MODEL_REQUIRED", "a": "BAD_USER_INPUT"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := c.catalog.List(t.Context())
			if c.listErr != "" {
				refused(t, err, c.listErr)
			} else if diff := cmp.Diff(c.list, list); err != nil || diff != "" {
				t.Errorf("list: %v (-want +got):\n%s", err, diff)
			}
			for want, outcome := range c.resolve {
				got, err := c.catalog.Resolve(t.Context(), nil, ptr(""), ptr(want), ptr("later"))
				if want == "" {
					got, err = c.catalog.Resolve(t.Context(), nil, ptr(""))
				}
				if got == outcome && err == nil {
					continue
				}
				extras := refused(t, err, refusal.Code(outcome))
				if got != "" {
					t.Errorf("resolve %q: got model %q beside an error", want, got)
				}
				if outcome != "MODEL_REQUIRED" {
					continue
				}
				names := make([]string, 0)
				for _, m := range c.list {
					names = append(names, m.ID)
				}
				if diff := cmp.Diff(names, extras["models"]); diff != "" {
					t.Errorf("models to choose from (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestSendNeedsAModel(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		b.catalog.Allowed, b.catalog.Source = nil, source{names: []string{"a", "b"}}
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
		// A model that is not offered any more has to be changed.
		b.catalog.Source = source{names: []string{"a"}}
		b.unchanged(t, refusal.CodeBadUserInput, func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &r.Conversation.ID, Content: "hello"})
			return err
		})
		b.catalog.Source = source{err: errors.New("dead")}
		b.unchanged(t, refusal.CodeModelUnavailable, func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &r.Conversation.ID, Content: "hello"})
			return err
		})
	})
}
