package graph_test

import (
	"errors"
	"fmt"
	"testing"
)

// Objects that are found by ids are loaded with one query a kind, whatever fields of the
// query find them, and their children too.
func TestStatementsPerIDs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		one, two := b.send(ada, "", "one", vars{"wait": true}), b.send(ada, "", "two", vars{"wait": true})
		v := vars{"one": one.conversation, "two": two.conversation, "reply": one.reply, "me": ada.id,
			"all": []any{one.user, one.reply, two.user, two.reply, two.conversation, ada.id}}
		const declare = `query($one: ID!, $two: ID!, $reply: ID!, $me: ID!, $all: [ID!]!)`
		const use = ` unused: nodes(ids: []) { id } x: node(id: $one) { id } y: node(id: $two) { id }
			z: node(id: $reply) { id } me: node(id: $me) { id } many: nodes(ids: $all) { id } `
		for _, c := range []struct {
			selection string
			want      int
		}{
			{``, 3},
			{`a: conversation(id: $one) { id } b: conversation(id: $two) { name }`, 3},
			{`a: conversation(id: $one) { systemPrompt } b: conversation(id: $two) { systemPrompt }`, 4},
			{`a: conversation(id: $one) { messages { nodes { parent { id } } } }
				b: conversation(id: $two) { messages { nodes { parent { id } conversation { id } } } }`, 6},
			{`all: nodes(ids: $all) { ... on Message { parent { id } } ... on Conversation { messages { nodes { id } } } }`, 5},
			{`all: nodes(ids: $all) { ... on Message { conversation { user { id } } } } a: node(id: $reply) { ... on Message { conversation { systemPrompt } } }`, 6},
		} {
			before := b.faults.count(ada.id)
			b.subscribe(ada, declare+` {`+use+c.selection+`}`, v).event(t)
			if got := b.faults.count(ada.id) - before; got != c.want {
				t.Errorf("{ %s }: %d statements, want %d", c.selection, got, c.want)
			}
		}
	})
}

// What an event or a mutation brings is one object, and what hangs on it a list.
func TestStatementsPerEvent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		short, long := b.conversation(ada, vars{}), b.conversation(ada, vars{})
		b.send(ada, short, "hello", vars{"wait": true})
		for range 5 {
			b.send(ada, long, "hello", vars{"wait": true})
		}
		const selection = `conversation { messages { totalCount nodes { parent { id } conversation { user { id } } } } }`
		count := func(document string, v vars) int {
			t.Helper()
			before := b.faults.count(ada.id)
			b.subscribe(ada, document, v).event(t)
			return b.faults.count(ada.id) - before
		}
		for _, document := range []string{
			`subscription($id: ID!) { conversationEvents(conversationId: $id) { ... on ConversationSnapshot { ` + selection + ` } } }`,
			`mutation($id: ID!) { updateConversation(input: {conversationId: $id, pinned: true}) { ` + selection + ` } }`,
		} {
			few, many := count(document, vars{"id": short}), count(document, vars{"id": long})
			if few != many {
				t.Errorf("%s: %d statements for 2 messages, %d for 10", document, few, many)
			}
		}
	})
}

// Batches keep nothing: what a mutation brings is read after it.
func TestBatchesReadAnew(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	id := b.conversation(ada, vars{})
	const set = `updateConversation(input: {conversationId: $id, systemPrompt: %q}) { conversation { systemPrompt messages { nodes { content } } } }`
	a := b.ask(ada, `mutation($id: ID!) { a: `+fmt.Sprintf(set, "one")+` b: `+fmt.Sprintf(set, "two")+` }`,
		vars{"id": id})
	for alias, want := range map[string]string{"a": "one", "b": "two"} {
		if got := a.at(alias + ".conversation.systemPrompt"); got != want {
			t.Errorf("%s: got the prompt %v, want %q", alias, got, want)
		}
		if got := texts(a.at(alias+".conversation.messages.nodes"), "content"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: got the messages %v, want the prompt %q", alias, got, want)
		}
	}
}

// A field whose arguments make no sense is refused by itself, whoever says so: the
// executor, before the resolver is called, or chat. Its neighbours go on.
func TestBatchesWithBadArguments(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	for range 3 {
		b.send(ada, "", "hello", vars{"wait": true})
	}
	const document = `query($n: Int) { conversations { nodes { id systemPrompt good: messages { nodes { parent { id } } }
		bad: messages(first: $n) { nodes { parent { id } } } } } }`
	for _, n := range []any{-1, 101, 1 << 40} {
		a := b.post(ada, document, vars{"n": n})
		if len(a.Errors) == 0 {
			t.Fatalf("first: %v gives no error: %s", n, a.raw)
		}
	}
	const nullable = `query($n: Int) { conversations { nodes { id } } a: node(id: 1) { id }
		c: conversation(id: "x") { messages(first: $n) { nodes { id } } } }`
	a := b.post(ada, nullable, vars{"n": -1})
	if len(a.Errors) > 0 || len(texts(a.at("conversations.nodes"), "id")) != 3 {
		t.Errorf("got %s, want the list, and null for what does not exist", a.raw)
	}
}

// A batch that cannot be loaded fails the fields that asked for it, and no others.
func TestFailedBatch(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	for range 3 {
		b.send(ada, "", "hello", vars{"wait": true})
	}
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("leak-canary") },
		"panic": func() error { panic("leak-canary") },
	} {
		t.Run(name, func(t *testing.T) {
			// The first statement gives the list.
			statements := 0
			b.faults.on(func() error {
				if statements++; statements == 1 {
					return nil
				}
				return fail()
			})
			defer b.faults.off()
			a := b.post(ada, `{ conversations { nodes { id systemPrompt } } }`, nil)
			if n := len(texts(a.at("conversations.nodes"), "id")); n != 3 || len(a.Errors) != 3 {
				t.Fatalf("got %s, want three conversations and three errors", a.raw)
			}
			paths := make(map[string]bool)
			for i, e := range a.Errors {
				paths[fmt.Sprint(e.Path)] = true
				if e.Extensions["code"] != "INTERNAL" {
					t.Errorf("error %d: got %v, want INTERNAL", i, e.Extensions)
				}
			}
			if len(paths) != 3 {
				t.Errorf("the errors have the paths %v, want each its own", paths)
			}
		})
	}
}
