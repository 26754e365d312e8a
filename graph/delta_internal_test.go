package graph

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"

	"parley/ent"
	"parley/ent/message"
	"parley/graph/generated"
	"parley/graph/model"
	"parley/internal/pid"
	"parley/internal/reply"
)

// oneEvent is a schema of which each subscription tells one update.
type oneEvent struct {
	*Resolver
	update reply.Update
}

func (o oneEvent) Subscription() generated.SubscriptionResolver { return o }

func (o oneEvent) MessageEvents(context.Context, pid.ID, *string) (<-chan model.MessageEvent, error) {
	events := make(chan model.MessageEvent, 1)
	events <- messageEvent(o.update)
	return events, nil
}

func (o oneEvent) ConversationEvents(context.Context, pid.ID) (<-chan model.ConversationEvent, error) {
	events := make(chan model.ConversationEvent, 1)
	events <- messageEvent(o.update).(model.ConversationEvent)
	return events, nil
}

func (o oneEvent) ViewerEvents(context.Context) (<-chan model.ViewerEvent, error) { return nil, nil }

// both answers with an update twice: as it is written at once, "" when it is not, and by the
// executor.
func both(t testing.TB, document string, u reply.Update) (written, executed string) {
	t.Helper()
	exec := executor.New(generated.NewExecutableSchema(generated.Config{Schema: served(),
		Resolvers: oneEvent{&Resolver{}, u}}))
	ctx := graphql.StartOperationTrace(t.Context())
	op, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: document,
		Variables: map[string]any{"yes": true, "no": false}})
	if len(errs) > 0 {
		t.Fatalf("%s: %v", document, errs)
	}
	d := deltas{op: op}
	for range 2 { // The second is written by the form of the first.
		if r := d.write(&u); r != nil {
			written = string(r.Data)
		}
	}
	respond, ctx := exec.DispatchOperation(ctx, op)
	r := respond(ctx)
	if len(r.Errors) > 0 && written != "" {
		t.Fatalf("%s: %v", document, r.Errors)
	}
	return written, string(r.Data)
}

func delta(channel reply.Channel, text string) reply.Update {
	row := &ent.Message{ID: "msg_a", ConversationID: "conv_a", Role: message.RoleASSISTANT,
		Status: message.StatusSTREAMING, Index: 7, Attempt: 2}
	u := reply.Update{Kind: reply.Delta, Channel: channel, Row: row, Text: text, Units: 12,
		Cursor: reply.Cursor{MessageID: row.ID, Attempt: 2, At: reply.Position{3, 4}}}
	u.Texts[channel] = "before it: " + text
	return u
}

// What is written at once is what the executor answers, byte for byte, whatever is selected
// and whatever the model says.
func TestDeltasAreWrittenAsExecuted(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for c := range 256 {
		all.WriteRune(rune(c))
	}
	texts := []string{" some words", all.String(), "\u2028\U0001f600é日</script>\\\"", "\xff half \xc3",
		strings.Repeat("x", maxDelta)}
	documents := []string{
		`subscription { conversationEvents(conversationId: "conv_a") { __typename ... on MessageDelta { offset text } } }`,
		`subscription { a: conversationEvents(conversationId: "conv_a") { t: __typename ... on MessageEvent {
			message { id } message { attempt } } ... on MessageReasoningDelta { x: text y: text } } }`,
		`subscription { messageEvents(messageId: "msg_a") { message { __typename id index role status attempt }
			... on MessageDelta { cursor text offset } ... on MessageReasoningDelta { cursor } } }`,
		`subscription { conversationEvents(conversationId: "conv_a") { ... on MessageFinished { message { id } } } }`,
	}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		documents = append(documents, `subscription ($yes: Boolean!, $no: Boolean!) {
			e: messageEvents(messageId: "msg_a") @include(if: $yes) @skip(if: $no) {`+someFields(r, 3)+`} }`)
	}
	for i, document := range documents {
		for _, channel := range []reply.Channel{reply.Content, reply.Reasoning} {
			written, executed := both(t, document, delta(channel, texts[i%len(texts)]))
			if written != executed {
				t.Fatalf("%s\nwritten  %s\nexecuted %s", document, written, executed)
			}
		}
	}
}

// someFields are random fields of an event, in fragments, under other names, and left out
// by directives.
func someFields(r *rand.Rand, depth int) string {
	out := "__typename "
	for range 1 + r.IntN(4) {
		directive := []string{"", "", "", " @skip(if: $no)", " @include(if: $no)", " @skip(if: true)",
			" @include(if: $yes)"}[r.IntN(7)]
		alias := ""
		if r.IntN(3) == 0 {
			alias = fmt.Sprintf("a%d: ", r.Int64())
		}
		switch r.IntN(5) {
		case 0, 1:
			fields := []string{"id", "attempt", "index", "role", "status", "__typename", "... on Node { id }"}
			r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
			out += alias + "message" + directive + " { " + strings.Join(fields[:1+r.IntN(len(fields))], " ") + " } "
		case 2, 3:
			on := []string{"MessageDelta", "MessageReasoningDelta"}[r.IntN(2)]
			field := []string{"offset", "text", "cursor", "__typename"}[r.IntN(4)]
			out += "... on " + on + " { " + alias + field + directive + " } "
		case 4:
			if depth > 0 {
				out += "..." + directive + " { " + someFields(r, depth-1) + " } "
			}
		}
	}
	return out
}

// What changes while a reply is written, what has to be read, and what may be long is left to
// the executor.
func TestDeltasLeftToTheExecutor(t *testing.T) {
	t.Parallel()
	short := delta(reply.Content, "text")
	for _, selected := range []string{
		"message { content }", "message { id conversation { id } }", "message { createdAt }",
		"... on MessageDelta { text } message { id parent { id } }",
	} {
		document := `subscription { messageEvents(messageId: "msg_a") { ` + selected + ` } }`
		if written, executed := both(t, document, short); written != "" {
			t.Errorf("%s was written: %s, and executed: %s", selected, written, executed)
		}
	}
	text := func(n int) string {
		out := ""
		for i := range n {
			out += fmt.Sprintf(" a%d: text", i)
		}
		return `subscription { messageEvents(messageId: "msg_a") { ... on MessageDelta {` + out + ` } } }`
	}
	for _, c := range []struct {
		what, document string
		update         reply.Update
	}{
		{"a long text", text(1), delta(reply.Content, strings.Repeat("x", maxDelta+1))},
		{"a text many times", text(20), delta(reply.Content, strings.Repeat("x", maxDelta))},
		{"a snapshot", text(1), reply.SnapshotOf(short.Row)},
	} {
		if written, _ := both(t, c.document, c.update); written != "" {
			t.Errorf("%s was written: %d bytes", c.what, len(written))
		}
	}
}

// A token makes next to nothing. The executor takes seventy allocations for it.
func TestDeltasAllocateNothing(t *testing.T) {
	exec := executor.New(generated.NewExecutableSchema(generated.Config{Schema: served(), Resolvers: &Resolver{}}))
	ctx := graphql.StartOperationTrace(t.Context())
	op, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: `subscription {
		conversationEvents(conversationId: "conv_a") { __typename ... on MessageDelta { offset text message { id } } } }`})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	d, u := deltas{op: op}, delta(reply.Content, " some words")
	if n := testing.AllocsPerRun(100, func() { d.write(&u) }); n > 0 {
		t.Errorf("a delta takes %v allocations, want none", n)
	}
}

// endless is a schema of which a subscription tells what is put into its channel.
type endless struct {
	oneEvent
	events chan model.ConversationEvent
}

func (e endless) Subscription() generated.SubscriptionResolver { return e }

func (e endless) ConversationEvents(context.Context, pid.ID) (<-chan model.ConversationEvent, error) {
	return e.events, nil
}

// BenchmarkDelta encodes a delta as it is written, and as gqlgen's executor alone would.
func BenchmarkDelta(b *testing.B) {
	s := endless{oneEvent{Resolver: &Resolver{}}, make(chan model.ConversationEvent, 1)}
	exec := executor.New(generated.NewExecutableSchema(generated.Config{Schema: served(), Resolvers: s}))
	ctx := graphql.StartOperationTrace(b.Context())
	op, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: `subscription {
		conversationEvents(conversationId: "conv_a") { __typename ... on MessageDelta { offset text message { id } } } }`})
	if len(errs) > 0 {
		b.Fatal(errs)
	}
	u := delta(reply.Content, " some words")
	b.Run("written", func(b *testing.B) {
		d := deltas{op: op}
		b.ReportAllocs()
		for b.Loop() {
			if d.write(&u) == nil {
				b.Fatal("not written")
			}
		}
	})
	b.Run("executed", func(b *testing.B) {
		respond, ctx := exec.DispatchOperation(ctx, op)
		b.ReportAllocs()
		for b.Loop() {
			s.events <- messageEvent(u).(model.ConversationEvent)
			if r := respond(ctx); len(r.Data) == 0 || len(r.Errors) > 0 {
				b.Fatal(r.Errors)
			}
		}
	})
}
