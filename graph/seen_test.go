package graph_test

import (
	"context"
	"testing"

	"github.com/99designs/gqlgen/graphql"
)

// The reply grows, and the conversation gets another name, between the fields of an answer.
func TestAnAnswerTellsOneState(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	var grown bool
	b.exec.AroundFields(func(ctx context.Context, next graphql.Resolver) (any, error) {
		if f := graphql.GetFieldContext(ctx); f.Object == "Conversation" && f.Field.Name == "messages" && !grown {
			grown = true
			b.pieces.call(t).say(t, "Grown.")
			id := b.ask(ada, `{ conversations { nodes { id } } }`, nil).id("conversations.nodes.0.id")
			b.ask(ada, `mutation($id: ID!) { updateConversation(input: {conversationId: $id, name: "Another"}) {
				conversation { id } } }`, vars{"id": id})
		}
		return next(ctx)
	})
	a := b.subscribe(ada, `mutation { sendMessage(input: {content: "Tell me.", model: "pieces"}) {
		reply { id status content conversation { name } }
		conversation { name messages {
			nodes { content conversation { name } } edges { node { content siblings { nodes { content } } } } } } } }`,
		nil).event(t)
	if !grown {
		t.Fatal("nothing has grown")
	}
	for path, want := range map[string]any{
		"sendMessage.reply.content":                                               "",
		"sendMessage.conversation.messages.nodes.1.content":                       "",
		"sendMessage.conversation.messages.edges.1.node.content":                  "",
		"sendMessage.conversation.messages.edges.1.node.siblings.nodes.0.content": "",
		"sendMessage.conversation.name":                                           "Tell me.",
		"sendMessage.reply.conversation.name":                                     "Tell me.",
		"sendMessage.conversation.messages.nodes.0.conversation.name":             "Tell me.",
	} {
		if got := a.at(path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
