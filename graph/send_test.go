package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/store/storetest"
)

func TestSendMessage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		a := b.ask(ada, `mutation($input: SendMessageInput!) { sendMessage(input: $input) { deduplicated
			conversation { id name nameSource headId user { id } messages { totalCount } }
			userMessage { id index role content status model usage { totalTokens } finishedAt parent { id } }
			reply { id index role status content finishReason model attempt error { code } usage { promptTokens completionTokens totalTokens cachedTokens reasoningTokens estimated } finishedAt parent { id } } } }`,
			vars{"input": vars{"content": "Hello 😀", "wait": true, "clientKey": "one-key-of-many"}})
		var got struct {
			SendMessage struct{ Conversation, UserMessage, Reply map[string]any }
		}
		text, _ := json.Marshal(a.Data) // It has been JSON before.
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		s := got.SendMessage
		for _, m := range []map[string]any{s.Conversation, s.UserMessage, s.Reply} {
			delete(m, "finishedAt")
		}
		user, reply := s.UserMessage["id"], s.Reply["id"]
		if diff := cmp.Diff(map[string]any{
			"id": s.Conversation["id"], "name": "Hello 😀", "nameSource": "PLACEHOLDER", "headId": reply,
			"user": map[string]any{"id": string(ada.id)}, "messages": map[string]any{"totalCount": 2.0},
		}, s.Conversation); diff != "" {
			t.Errorf("conversation (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]any{
			"id": user, "index": 1.0, "role": "USER", "content": "Hello 😀", "status": "COMPLETED", "model": nil,
			"usage": nil, "parent": nil,
		}, s.UserMessage); diff != "" {
			t.Errorf("user message (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]any{
			"id": reply, "index": 2.0, "role": "ASSISTANT", "content": "You said: Hello 😀", "status": "COMPLETED",
			"finishReason": "STOP",
			"model":        modelServer, "attempt": 1.0, "error": nil, "parent": map[string]any{"id": user},
			"usage": map[string]any{"promptTokens": 10.0, "completionTokens": 5.0, "totalTokens": 15.0,
				"cachedTokens": nil, "reasoningTokens": nil, "estimated": false},
		}, s.Reply); diff != "" {
			t.Errorf("reply (-want +got):\n%s", diff)
		}
		// The same key, the same pair.
		again := b.ask(ada, sendDocument, vars{"input": vars{"content": "Hello 😀", "clientKey": "one-key-of-many"}})
		if again.at("sendMessage.reply.id") != reply || again.at("sendMessage.deduplicated") != true {
			t.Errorf("a repeat: got %s, want the same pair", again.raw)
		}
		// The model got the whole line.
		b.send(ada, pid.ID(fmt.Sprint(s.Conversation["id"])), "More", vars{"wait": true, "expectedHeadId": reply})
		requests := b.model.Requests()
		var line []string
		for _, m := range requests[len(requests)-1].Messages {
			line = append(line, m.Role+": "+m.Content)
		}
		if want := []string{"user: Hello 😀", "assistant: You said: Hello 😀", "user: More"}; !slices.Equal(line, want) {
			t.Errorf("the model was sent %q, want %q", line, want)
		}
	})
}

// The three ways to meet a reply that is being written, as a client sees them.
func TestOnBusy(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		running, s := b.start(ada, "")
		s.say(t, "half ")
		queue := vars{"onBusy": "QUEUE"}
		first, second := b.send(ada, running.conversation, "one", queue),
			b.send(ada, running.conversation, "two", queue)
		line := func() []string {
			a := b.ask(ada, `query($id: ID!) { conversation(id: $id) { headId runningReply { id } messages(first: 50) { nodes { role status attempt } } } }`,
				vars{"id": running.conversation})
			nodes, _ := a.at("conversation.messages.nodes").([]any)
			var list []string
			for _, n := range nodes {
				list = append(list, fmt.Sprint(at(n, "role"), " ", at(n, "status"), " ", at(n, "attempt")))
			}
			return list
		}
		want := []string{"USER COMPLETED 0", "ASSISTANT STREAMING 1", "USER COMPLETED 0", "ASSISTANT QUEUED 0",
			"USER COMPLETED 0", "ASSISTANT QUEUED 0"}
		if diff := cmp.Diff(want, line()); diff != "" {
			t.Errorf("with a queue (-want +got):\n%s", diff)
		}
		cancelled := b.ask(ada, `mutation($id: ID!) { stopReply(input: {messageId: $id}) { message { status finishedAt parent { status } } } }`, vars{"id": first.reply})
		if cancelled.at("stopReply.message.status") != "STOPPED" ||
			cancelled.at("stopReply.message.parent.status") != "STOPPED" ||
			cancelled.at("stopReply.message.finishedAt") == nil {
			t.Errorf("a queued reply was stopped: got %s", cancelled.raw)
		}
		follower := b.subscribe(ada,
			`subscription($id: ID!) { messageEvents(messageId: $id) { __typename message { status } } }`,
			vars{"id": second.reply})
		if e := follower.event(t); e.at("messageEvents.message.status") != "QUEUED" {
			t.Errorf("a follower of a queued reply begins with %s", e.raw)
		}
		a := b.ask(ada, sendDocument,
			vars{"input": vars{"conversationId": running.conversation, "content": "instead", "onBusy": "INTERRUPT",
				"wait": true, "model": modelServer}})
		if a.at("sendMessage.reply.status") != "COMPLETED" || a.at("sendMessage.reply.content") != "You said: instead" {
			t.Errorf("got %s, want the reply to what interrupted", a.raw)
		}
		if e := follower.event(t); e.at("messageEvents.__typename") != "MessageFinished" ||
			e.at("messageEvents.message.status") != "STOPPED" {
			t.Errorf("the follower of the cancelled reply got %s", e.raw)
		}
		follower.wantCompleted(t)
		want = []string{"USER COMPLETED 0", "ASSISTANT STOPPED 1", "USER STOPPED 0", "ASSISTANT STOPPED 0",
			"USER STOPPED 0", "ASSISTANT STOPPED 0",
			"USER COMPLETED 0", "ASSISTANT COMPLETED 1"}
		if diff := cmp.Diff(want, line()); diff != "" {
			t.Errorf("after the interruption (-want +got):\n%s", diff)
		}
	})
}

// A client that hangs up while it waits ends its wait, never the reply.
func TestHangUpWhileWaiting(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		ctx, hangUp := context.WithCancel(t.Context())
		answered := make(chan error, 1)
		go func() {
			_, err := b.tryPost(ctx, ada, sendDocument,
				vars{"input": vars{"content": "Tell me.", "model": modelPieces, "wait": true}})
			answered <- err
		}()
		model := b.pieces.call(t)
		model.say(t, "first ")
		hangUp()
		if err := <-answered; err == nil {
			t.Error("the send was answered, want it to hang up")
		}
		model.say(t, "and second")
		model.finish(t, nil)
		find := func() answer {
			return b.ask(ada, `{ conversations { nodes { runningReply { id } messages(last: 1) { nodes { content status } } } } }`, nil)
		}
		eventually(t, "the reply is final", func() bool {
			return find().at("conversations.nodes.0.messages.nodes.0.status") == "COMPLETED"
		})
		if got := find().at("conversations.nodes.0.messages.nodes.0.content"); got != "first and second" {
			t.Errorf("the reply is %q", got)
		}
	})
}

func TestWaitLimit(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), options{chat: chat.Config{WaitLimit: 1}})
	ada := b.signUp("ada")
	a := b.ask(ada, sendDocument, vars{"input": vars{"content": "Tell me.", "model": modelPieces, "wait": true}})
	if a.at("sendMessage.reply.status") != "STREAMING" {
		t.Errorf("got %s, want the pair as it stands", a.raw)
	}
	b.pieces.call(t).finish(t, nil)
}

// Left out stays, null clears, a value sets: for every field.
func TestUpdateConversation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		full := vars{
			"name": "mine", "model": modelPieces, "systemPrompt": "Be brief.",
			"parameters": vars{"temperature": 0, "stop": []string{"END"},
				"responseFormat": vars{"type": "JSON_SCHEMA", "name": "n", "schema": "{}", "strict": true}},
		}
		fullParameters := map[string]any{
			"temperature": 0.0, "maxTokens": nil, "stop": []any{"END"}, "seed": nil,
			"responseFormat": map[string]any{"type": "JSON_SCHEMA", "name": "n", "schema": "{}", "strict": true},
		}
		type state = map[string]any
		base := state{
			"name": "mine", "nameSource": "USER", "model": modelPieces, "systemPrompt": "Be brief.",
			"parameters": fullParameters, "pinned": true, "archived": true,
		}
		with := func(changes state) state {
			s := state{}
			for k, v := range base {
				s[k] = v
			}
			for k, v := range changes {
				s[k] = v
			}
			return s
		}
		temperature := map[string]any{"temperature": 1.5, "maxTokens": nil, "stop": nil, "seed": nil,
			"responseFormat": nil}
		for _, c := range []struct {
			name  string
			input vars
			want  state
		}{
			{"nothing", vars{}, base},
			{"name", vars{"name": "other"}, with(state{"name": "other"})},
			{"name null", vars{"name": nil}, with(state{"name": "The first words", "nameSource": "PLACEHOLDER"})},
			{"name empty", vars{"name": ""}, with(state{"name": "The first words", "nameSource": "PLACEHOLDER"})},
			{"model", vars{"model": modelServer}, with(state{"model": modelServer})},
			{"model null", vars{"model": nil}, with(state{"model": nil})},
			{"prompt", vars{"systemPrompt": "Be long."}, with(state{"systemPrompt": "Be long."})},
			{"prompt null", vars{"systemPrompt": nil}, with(state{"systemPrompt": nil})},
			{"prompt empty", vars{"systemPrompt": ""}, with(state{"systemPrompt": nil})},
			{"parameters", vars{"parameters": vars{"temperature": 1.5}}, with(state{"parameters": temperature})},
			{"parameters null", vars{"parameters": nil}, with(state{"parameters": nil})},
			{"parameters empty", vars{"parameters": vars{}}, with(state{"parameters": nil})},
			{"parameters with nulls", vars{"parameters": vars{"temperature": nil, "stop": nil, "responseFormat": nil}},
				with(state{"parameters": nil})},
			{"pinned", vars{"pinned": false}, with(state{"pinned": false})},
			{"pinned null", vars{"pinned": nil}, base},
			{"archived", vars{"archived": false}, with(state{"archived": false})},
			{"archived null", vars{"archived": nil}, base},
			{"all at once", vars{"name": nil, "model": nil, "systemPrompt": nil, "parameters": nil, "pinned": false,
				"archived": false},
				state{"name": "The first words", "nameSource": "PLACEHOLDER", "model": nil, "systemPrompt": nil,
					"parameters": nil, "pinned": false, "archived": false}},
		} {
			id := b.conversation(ada, full)
			b.send(ada, id, "The first words", vars{"model": modelServer, "wait": true})
			b.ask(ada, updateDocument, vars{"input": vars{"conversationId": id, "pinned": true, "archived": true}})
			input := vars{"conversationId": id}
			for k, v := range c.input {
				input[k] = v
			}
			answered := b.ask(ada, updateDocument, vars{"input": input}).
				at("updateConversation.conversation").(map[string]any)
			read := b.ask(ada, `query($id: ID!) { conversation(id: $id) { id name nameSource model systemPrompt pinned archivedAt
				parameters { temperature maxTokens stop seed responseFormat { type name schema strict } } } }`, vars{"id": id}).at("conversation").(map[string]any)
			for from, got := range map[string]map[string]any{"the answer": answered, "a query": read} {
				got["archived"] = got["archivedAt"] != nil
				delete(got, "archivedAt")
				delete(got, "id")
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s, %s (-want +got):\n%s", c.name, from, diff)
				}
			}
		}
	})
}
