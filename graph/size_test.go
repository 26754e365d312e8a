package graph_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"parley/internal/budget"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// controls has as many bytes as a message may have, each of which is six bytes of JSON.
var controls = "x" + strings.Repeat("\x01", 32<<10-1)

// aliases selects a text as often as a document may give a field another name.
func aliases(field string) string {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, " a%d: %s", i, field)
	}
	return b.String()
}

func repeated(id pid.ID, n int) []any {
	ids := make([]any, n)
	for i := range ids {
		ids[i] = id
	}
	return ids
}

// allocated returns how many bytes something allocates, in the whole process.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

const tooLong = "The answer would have more than 8388608 bytes. Ask for fewer entries at once, and for each text once."

// A small document cannot ask for an answer of any length: it is refused by its weight
// before it is encoded, and leaves nothing.
func TestAnswersHaveASize(t *testing.T) { // Not parallel: it counts what is allocated.
	b := onSQLite(t)
	ada := b.signUp("ada")
	s := b.send(ada, "", controls, vars{"wait": true})
	const nodes = `query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Message { %s } } }`
	attack := fmt.Sprintf(nodes, aliases("content"))
	ids := vars{"ids": repeated(s.user, 100)}
	var a answer
	if n := allocated(func() { a = b.post(ada, attack, ids) }); n > 32<<20 {
		t.Errorf("the refusal of a long answer takes %d MiB", n>>20)
	}
	if a.code() != "OPERATION_TOO_COMPLEX" || a.Errors[0].Message != tooLong || a.Data != nil {
		t.Errorf("got %.300s, want it refused with the number, and nothing else", a.raw)
	}
	// 40 of them are 7.8 MB.
	a = b.ask(ada, fmt.Sprintf(nodes, "content"), vars{"ids": repeated(s.user, 40)})
	if got := a.at("nodes.39.content"); got != controls || len(a.raw) < 40*6*len(controls) {
		t.Errorf("a long answer that may be has %d bytes", len(a.raw))
	}
	if a := b.post(ada, fmt.Sprintf(nodes, "content"), vars{"ids": repeated(s.user, 43)}); a.code() !=
		"OPERATION_TOO_COMPLEX" {
		t.Errorf("got %.300s, want three more refused", a.raw)
	}
}

// Lists of long messages are read without their texts when these are not selected, and
// equal ids are read once.
func TestRowsHaveASize(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		b := setup(t, db, options{})
		ada := b.signUp("ada")
		var s sent
		for range 45 { // 8.8 MB of JSON.
			s = b.send(ada, s.conversation, controls, vars{"wait": true})
		}
		id := vars{"id": s.conversation}
		const page = `messages(last: 100) { nodes { %s } }`
		read := func(selection string) (a answer, rows int) {
			ctx := budgetOf(b.as(ada), 1<<30)
			return b.pull(ctx, `query($id: ID!) { conversation(id: $id) { `+fmt.Sprintf(page, selection)+` } }`, id),
				rowsOf(ctx)
		}
		if a, rows := read("id index model parent { index }"); len(a.Errors) > 0 || rows > 200<<10 ||
			len(texts(a.at("conversation.messages.nodes"), "id")) != 90 {
			t.Errorf("a page without texts: %d bytes are read, %.300s", rows, a.raw)
		}
		if _, rows := read("content"); rows < 45*len(controls) {
			t.Errorf("a page with texts: %d bytes are counted", rows)
		}
		before := b.faults.count(ada.id)
		b.subscribe(ada, `query($ids: [ID!]!) { nodes(ids: $ids) { id } same: nodes(ids: $ids) { ... on Message { index } } }`,
			vars{"ids": repeated(s.reply, 100)}).event(t)
		if n := b.faults.count(ada.id) - before; n != 1 {
			t.Errorf("a hundred times the same id takes %d statements", n)
		}

		content := fmt.Sprintf(page, "content")
		for _, c := range []struct{ document, message string }{
			{`query($id: ID!) { conversation(id: $id) { ` + content + ` } }`, tooLong},
			{`subscription($id: ID!) { conversationEvents(conversationId: $id) {
				... on ConversationSnapshot { conversation { ` + content + ` } } } }`, tooLong},
			{`mutation($id: ID!) { one: updateConversation(input: {conversationId: $id, name: "new"}) { conversation { ` +
				content + ` } } two: updateConversation(input: {conversationId: $id, name: "newer"}) { conversation { id } } }`,
				"What was asked for has been done as far as the answer went. " + tooLong},
		} {
			a := b.post(ada, c.document, id)
			if a.code() != "OPERATION_TOO_COMPLEX" || a.Errors[0].Message != c.message || a.Data != nil {
				t.Errorf("%s: got %.300s", c.document, a.raw)
			}
		}
		a := b.ask(ada, `query($id: ID!) { conversation(id: $id) { name } }`, id)
		if a.at("conversation.name") != "new" {
			t.Errorf("got %s, want the first field of the mutation done and the second not", a.raw)
		}
	})
}

// budgetOf returns the context of one answer of at most so many bytes.
func budgetOf(ctx context.Context, limit int) context.Context {
	b := budget.New(limit, nil)
	return context.WithValue(budget.With(ctx, b), budgetKey{}, b)
}

type budgetKey struct{}

func rowsOf(ctx context.Context) int { return ctx.Value(budgetKey{}).(*budget.Budget).Rows() }

// pull runs an operation on the executor, under a context of its own.
func (b *bundle) pull(ctx context.Context, document string, v vars) answer {
	b.t.Helper()
	ctx = graphql.StartOperationTrace(ctx)
	plain := make(map[string]any)
	for name, value := range v {
		plain[name] = fmt.Sprint(value)
	}
	op, errs := b.exec.CreateOperationContext(ctx, &graphql.RawParams{Query: document, Variables: plain})
	if errs != nil {
		b.t.Fatalf("%s: %v", document, errs)
	}
	s := &subscriber{cancel: func() {}}
	s.pull, s.ctx = b.exec.DispatchOperation(ctx, op)
	a, _ := s.next(b.t)
	return a
}
