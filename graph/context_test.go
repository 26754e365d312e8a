package graph_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/catalog"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/store/storetest"
)

const madeOf = `context { policy fromIndex messageCount droppedCount limitTokens cutByServer
	summary { id content writer: model createdAt reachesTo { id index } } }`

// talk is a conversation of several turns.
type talk struct {
	conversation pid.ID
	turns        []sent
}

func (b *bundle) talk(p person, turns int) talk {
	b.t.Helper()
	c := talk{conversation: b.conversation(p, vars{})}
	for range turns {
		c.turns = append(c.turns, b.send(p, c.conversation, "hello", vars{"wait": true}))
	}
	return c
}

// edit changes a stored message.
func (b *bundle) edit(p person, id pid.ID, change func(*ent.MessageUpdateOne)) {
	b.t.Helper()
	u := b.store.Client().Message.UpdateOneID(id).Where(message.UserID(p.id))
	change(u)
	u.ExecX(b.as(p))
}

func (b *bundle) summary(p person, conversation, reachesTo pid.ID) *ent.Summary {
	b.t.Helper()
	return b.store.Client().Summary.Create().SetUserID(p.id).SetConversationID(conversation).SetMessageID(reachesTo).
		SetContent("canary of " + p.email).SetModel(modelServer).SaveX(b.as(p))
}

func TestMessageContext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		c := b.talk(ada, 3)
		s := b.summary(ada, c.conversation, c.turns[0].reply)
		gone := pid.New(pid.Summary)
		for i, of := range []*pid.ID{nil, &s.ID, &gone} {
			b.edit(ada, c.turns[i].reply, func(u *ent.MessageUpdateOne) {
				if of == nil {
					u.ClearContextPolicy()
					return
				}
				u.SetContextPolicy(message.ContextPolicySUMMARIZE).SetContextFromIndex(3).SetContextCount(2).
					SetContextDropped(2).SetContextLimit(4096).SetContextSummaryID(*of).SetCutByServer(i == 2)
			})
		}
		read := func() map[string]any {
			a := b.ask(ada, `query($id: ID!) { conversation(id: $id) { messages { nodes { id `+madeOf+` } } } }`,
				vars{"id": c.conversation})
			got := make(map[string]any)
			for _, n := range a.at("conversation.messages.nodes").([]any) {
				got[at(n, "id").(string)] = at(n, "context")
			}
			return got
		}
		told := func(summary any, cut bool) map[string]any {
			return map[string]any{"policy": "SUMMARIZE", "fromIndex": 3.0, "messageCount": 2.0, "droppedCount": 2.0,
				"limitTokens": 4096.0, "cutByServer": cut, "summary": summary}
		}
		whole := map[string]any{"id": string(s.ID), "content": s.Content, "writer": modelServer,
			"createdAt": s.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
			"reachesTo": map[string]any{"id": string(c.turns[0].reply), "index": 2.0}}
		want := map[string]any{
			string(c.turns[0].user): nil, string(c.turns[1].user): nil, string(c.turns[2].user): nil,
			string(c.turns[0].reply): nil,
			string(c.turns[1].reply): told(whole, false), string(c.turns[2].reply): told(nil, true),
		}
		if diff := cmp.Diff(want, read()); diff != "" {
			t.Errorf("contexts (-want +got):\n%s", diff)
		}
		a := b.ask(ada, `query($id: ID!) { node(id: $id) { id ... on Summary { reachesTo { conversation { id } } } } }`,
			vars{"id": s.ID})
		if a.at("node.id") != string(s.ID) || a.id("node.reachesTo.conversation.id") != c.conversation {
			t.Errorf("a summary as a node: got %s", a.raw)
		}
		b.store.Client().Summary.DeleteOne(s).ExecX(b.as(ada))
		want[string(c.turns[1].reply)] = told(nil, false)
		if diff := cmp.Diff(want, read()); diff != "" {
			t.Errorf("contexts without the summary (-want +got):\n%s", diff)
		}
	})
}

// A context that leaves out nothing, and has no limit, says so.
func TestWholeContext(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	c := b.talk(ada, 1)
	b.edit(ada, c.turns[0].reply, func(u *ent.MessageUpdateOne) {
		u.SetContextPolicy(message.ContextPolicyFULL).SetContextFromIndex(1).SetContextCount(1).SetContextDropped(0).
			ClearContextLimit()
	})
	a := b.ask(ada, `query($id: ID!) { node(id: $id) { ... on Message { `+madeOf+` } } }`, vars{"id": c.turns[0].reply})
	want := map[string]any{"policy": "FULL", "fromIndex": 1.0, "messageCount": 1.0, "droppedCount": 0.0,
		"limitTokens": nil, "cutByServer": false, "summary": nil}
	if diff := cmp.Diff(want, a.at("node.context")); diff != "" {
		t.Errorf("context (-want +got):\n%s", diff)
	}
}

// What no later prompt holds is marked: a question by the reply below it.
func TestSentToModel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		type row struct {
			status  message.Status
			code    reply.Code
			content string
		}
		cases := []struct {
			reply              row
			question, answered bool
		}{
			{row{message.StatusCOMPLETED, "", "text"}, true, true},
			{row{message.StatusCOMPLETED, "", " \n"}, true, false},
			{row{message.StatusCOMPLETED, "", "a filter left this"}, true, true},
			{row{message.StatusCOMPLETED, "", ""}, false, false},
			{row{message.StatusCOMPLETED, "", "\n\u2003"}, false, false},
			{row{message.StatusSTOPPED, "", "half"}, true, true},
			{row{message.StatusINTERRUPTED, "", "half"}, true, true},
			{row{message.StatusFAILED, reply.CodeUnavailable, ""}, true, false},
			{row{message.StatusFAILED, reply.CodeContextTooLong, ""}, false, false},
			{row{message.StatusFAILED, reply.CodeContentFilter, "half"}, false, false},
			{row{message.StatusFAILED, reply.CodeRejected, ""}, false, false},
		}
		c := b.talk(ada, len(cases))
		want := make(map[string]any)
		for i, test := range cases {
			b.edit(ada, c.turns[i].reply, func(u *ent.MessageUpdateOne) {
				u.SetStatus(test.reply.status).SetContent(test.reply.content)
				if test.reply.code != "" {
					u.SetErrorCode(string(test.reply.code))
				}
				if i >= 2 && i <= 4 {
					u.SetFinishReason(message.FinishReasonCONTENT_FILTER)
				}
			})
			want[string(c.turns[i].user)], want[string(c.turns[i].reply)] = test.question, test.answered
		}
		cancelled := b.send(ada, c.conversation, "cancelled", vars{"wait": true})
		b.edit(ada, cancelled.user, func(u *ent.MessageUpdateOne) { u.SetStatus(message.StatusSTOPPED) })
		b.edit(ada, cancelled.reply, func(u *ent.MessageUpdateOne) {
			u.SetStatus(message.StatusSTOPPED).SetContent("")
		})
		want[string(cancelled.user)], want[string(cancelled.reply)] = false, false
		running, model := b.start(ada, c.conversation)
		want[string(running.user)], want[string(running.reply)] = true, false
		model.say(t, "so far")

		page := func(more string) map[string]any {
			a := b.ask(ada, `query($id: ID!) { conversation(id: $id) { messages(last: 100) { nodes { id sentToModel `+
				more+` } } } }`, vars{"id": c.conversation})
			got := make(map[string]any)
			for _, n := range a.at("conversation.messages.nodes").([]any) {
				got[at(n, "id").(string)] = at(n, "sentToModel")
			}
			return got
		}
		for _, more := range []string{"", "content"} { // With and without the texts beside it.
			if diff := cmp.Diff(want, page(more)); diff != "" {
				t.Errorf("sentToModel, with %q (-want +got):\n%s", more, diff)
			}
		}
		for id, sent := range want {
			a := b.ask(ada, `query($id: ID!) { node(id: $id) { ... on Message { sentToModel } } }`, vars{"id": id})
			if a.at("node.sentToModel") != sent {
				t.Errorf("%s alone: got %s, want %t", id, a.raw, sent)
			}
		}
		model.finish(t, nil)
	})
}

// A system prompt is sent, if there is one.
func TestSystemPromptIsSentToModel(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	for content, want := range map[string]bool{"Be brief.": true, "  ": false} {
		id := b.conversation(ada, vars{"systemPrompt": content})
		a := b.ask(ada, `query($id: ID!) { conversation(id: $id) { messages { nodes { role sentToModel } } } }`,
			vars{"id": id})
		if a.at("conversation.messages.nodes.0.role") != "SYSTEM" ||
			a.at("conversation.messages.nodes.0.sentToModel") != want {
			t.Errorf("%q: got %s, want %t", content, a.raw, want)
		}
	}
}

// Lists load what is new in them with one query a field, not one a message.
func TestStatementsPerContext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		var few, many talk
		for _, c := range []*talk{&few, &many} {
			*c = b.talk(ada, map[*talk]int{&few: 2, &many: 8}[c])
			for _, turn := range c.turns {
				s := b.summary(ada, c.conversation, turn.reply)
				b.edit(ada, turn.reply, func(u *ent.MessageUpdateOne) {
					u.SetContextPolicy(message.ContextPolicySUMMARIZE).SetContextSummaryID(s.ID)
				})
			}
		}
		for selection, want := range map[string]int{
			`context { policy }`: 2,
			`citations { url } parameters { seed } usage { cacheWriteTokens }`: 2,
			`sentToModel`:                     3,
			`context { summary { content } }`: 3,
			`sentToModel context { summary { content } } parent { id }`:                    5,
			`context { summary { reachesTo { id } } }`:                                     4,
			`context { summary { reachesTo { sentToModel context { summary { id } } } } }`: 5,
			`parent { sentToModel context { summary { id } } }`:                            5,
		} {
			for _, c := range []talk{few, many} {
				before := b.faults.count(ada.id)
				a := b.ask(ada, `query($id: ID!) { conversation(id: $id) { messages(last: 100) { nodes { id `+selection+
					` } } } }`, vars{"id": c.conversation})
				if got := b.faults.count(ada.id) - before; got != want {
					t.Errorf("{ %s } of %d messages: %d statements, want %d: %.500s", selection, 2*len(c.turns), got,
						want, a.raw)
				}
			}
		}
	})
}

// What a model gives beside its text reaches the client that asks, and every other one with
// the event.
func TestWhatAModelGivesBesideText(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		const fields = `citations { url title start end } omittedOutput droppedParameters
			parameters { temperature reasoningEffort verbosity } usage { cachedTokens cacheWriteTokens reasoningTokens }`
		c := b.conversation(ada, vars{"parameters": vars{"temperature": 0.5, "verbosity": "HIGH"}})
		sub := b.subscribe(ada, `subscription($id: ID!) { conversationEvents(conversationId: $id) { __typename
			... on MessageFinished { message { `+fields+` parent { sentToModel } } } } }`, vars{"id": c})
		s := b.send(ada, c, "Tell me.", vars{"model": modelPieces,
			"parameters": vars{"reasoningEffort": "MINIMAL", "verbosity": "LOW"}})
		model := b.pieces.call(t)
		p := model.request.Parameters
		if p.ReasoningEffort != reply.EffortMinimal || p.Verbosity != reply.VerbosityLow || *p.Temperature != 0.5 {
			t.Errorf("the model is called with %+v, want those of the conversation below those of the send", p)
		}
		model.say(t, "See there.")
		written, from, to := 3, 0, 3
		model.give(t, reply.Result{FinishReason: reply.FinishStop,
			Citations: []reply.Citation{{URL: "https://example.org/", Title: "A page", Start: &from, End: &to},
				{URL: "javascript:alert(1)"}},
			Omitted: []reply.OmittedOutput{reply.OmittedImage, reply.OmittedAudio},
			Dropped: []string{"temperature", "verbosity"},
			Usage:   &reply.Usage{PromptTokens: 7, CompletionTokens: 5, CacheWriteTokens: &written}})
		want := map[string]any{
			"citations": []any{
				map[string]any{"url": "https://example.org/", "title": "A page", "start": 0.0, "end": 3.0},
				map[string]any{"url": "javascript:alert(1)", "title": nil, "start": nil, "end": nil}},
			"omittedOutput":     []any{"IMAGE", "AUDIO"},
			"droppedParameters": []any{"temperature", "verbosity"},
			"parameters":        map[string]any{"temperature": 0.5, "reasoningEffort": "MINIMAL", "verbosity": "LOW"},
			"usage":             map[string]any{"cachedTokens": nil, "cacheWriteTokens": 3.0, "reasoningTokens": nil},
		}
		var finished answer
		for finished.at("conversationEvents.__typename") != "MessageFinished" {
			finished = sub.event(t)
		}
		told := finished.at("conversationEvents.message").(map[string]any)
		if at(told, "parent.sentToModel") != true {
			t.Errorf("the event says of the question %v", at(told, "parent"))
		}
		delete(told, "parent")
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("the event (-want +got):\n%s", diff)
		}
		read := `query($id: ID!) { node(id: $id) { ... on Message { ` + fields + ` reasoningMs firstTokenMs } } }`
		b.edit(ada, s.reply, func(u *ent.MessageUpdateOne) { u.SetReasoningMs(1500).SetFirstTokenMs(250) })
		want["reasoningMs"], want["firstTokenMs"] = 1500.0, 250.0
		if diff := cmp.Diff(want, b.ask(ada, read, vars{"id": s.reply}).at("node")); diff != "" {
			t.Errorf("the reply (-want +got):\n%s", diff)
		}
		none := map[string]any{"citations": []any{}, "omittedOutput": []any{}, "droppedParameters": []any{},
			"parameters": nil, "usage": nil, "reasoningMs": nil, "firstTokenMs": nil}
		if diff := cmp.Diff(none, b.ask(ada, read, vars{"id": s.user}).at("node")); diff != "" {
			t.Errorf("the question (-want +got):\n%s", diff)
		}
	})
}

const contextDocument = `mutation($input: UpdateConversationInput!) { updateConversation(input: $input) {
	conversation { contextSettings { policy turns limitTokens } } } }`

// What is said about the context is kept, stays when it is left out, is taken back by null,
// and other devices hear of it.
func TestContextSettings(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		set := func(policy string, turns, limit any) map[string]any {
			return map[string]any{"policy": policy, "turns": turns, "limitTokens": limit}
		}
		made := b.ask(ada, `mutation($input: CreateConversationInput!) { createConversation(input: $input) {
			conversation { id contextSettings { policy turns limitTokens } } } }`,
			vars{"input": vars{"context": vars{"policy": "LAST_N", "turns": 1000, "limitTokens": 256}}})
		id := made.id("createConversation.conversation.id")
		if diff := cmp.Diff(set("LAST_N", 1000.0, 256.0),
			made.at("createConversation.conversation.contextSettings")); diff != "" {
			t.Errorf("a new conversation (-want +got):\n%s", diff)
		}
		sub := b.subscribe(ada, `subscription($id: ID!) { conversationEvents(conversationId: $id) {
			... on ConversationUpdated { conversation { contextSettings { policy turns limitTokens } } } } }`,
			vars{"id": id})
		sub.event(t)
		for _, c := range []struct {
			name  string
			input vars
			want  any
		}{
			{"left out", vars{"pinned": true}, set("LAST_N", 1000.0, 256.0)},
			{"another", vars{"context": vars{"policy": "SUMMARIZE"}}, set("SUMMARIZE", nil, nil)},
			{"with nulls", vars{"context": vars{"policy": "TRUNCATE", "turns": nil, "limitTokens": nil}},
				set("TRUNCATE", nil, nil)},
			{"a limit", vars{"context": vars{"policy": "TRUNCATE", "limitTokens": 8000}}, set("TRUNCATE", nil, 8000.0)},
			{"all", vars{"context": vars{"policy": "FULL"}}, set("FULL", nil, nil)},
			{"null", vars{"context": nil}, nil},
			{"null again", vars{"context": nil}, nil},
			{"one turn", vars{"context": vars{"policy": "LAST_N", "turns": 1}}, set("LAST_N", 1.0, nil)},
		} {
			c.input["conversationId"] = id
			answered := b.ask(ada, contextDocument, vars{"input": c.input}).
				at("updateConversation.conversation.contextSettings")
			read := b.ask(ada, `query($id: ID!) { conversation(id: $id) { contextSettings { policy turns limitTokens } } }`,
				vars{"id": id}).at("conversation.contextSettings")
			told := sub.event(t).at("conversationEvents.conversation.contextSettings")
			for from, got := range map[string]any{"the answer": answered, "a query": read, "the event": told} {
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s, %s (-want +got):\n%s", c.name, from, diff)
				}
			}
		}
		bob := b.signUp("bob")
		b.wantCode(bob, "NOT_FOUND", contextDocument,
			vars{"input": vars{"conversationId": id, "context": vars{"policy": "FULL"}}})
	})
}

// A conversation that a send begins has no settings.
func TestNoContextSettings(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	s := b.send(ada, "", "hello", vars{"wait": true})
	a := b.ask(ada, `query($id: ID!) { conversation(id: $id) { contextSettings { policy } } }`, vars{"id": s.conversation})
	if a.at("conversation.contextSettings") != nil {
		t.Errorf("got %s, want null", a.raw)
	}
}

func TestContextSettingsRefused(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	id := b.conversation(ada, vars{"context": vars{"policy": "SUMMARIZE"}})
	const limits = "must be between 256 and 1073741824"
	for _, c := range []struct {
		input  vars
		fields vars
	}{
		{vars{"policy": "LAST_N"}, vars{"context.turns": "is required with the policy LAST_N"}},
		{vars{"policy": "LAST_N", "turns": nil}, vars{"context.turns": "is required with the policy LAST_N"}},
		{vars{"policy": "LAST_N", "turns": 0}, vars{"context.turns": "must be between 1 and 1000"}},
		{vars{"policy": "LAST_N", "turns": -1}, vars{"context.turns": "must be between 1 and 1000"}},
		{vars{"policy": "LAST_N", "turns": 1001}, vars{"context.turns": "must be between 1 and 1000"}},
		{vars{"policy": "TRUNCATE", "turns": 3}, vars{"context.turns": "is for the policy LAST_N only"}},
		{vars{"policy": "FULL", "turns": 0}, vars{"context.turns": "is for the policy LAST_N only"}},
		{vars{"policy": "FULL", "limitTokens": 4096},
			vars{"context.limitTokens": "is not for the policy FULL, which keeps to no limit"}},
		{vars{"policy": "TRUNCATE", "limitTokens": 255}, vars{"context.limitTokens": limits}},
		{vars{"policy": "TRUNCATE", "limitTokens": 0}, vars{"context.limitTokens": limits}},
		{vars{"policy": "SUMMARIZE", "limitTokens": -4096, "turns": 1},
			vars{"context.limitTokens": limits, "context.turns": "is for the policy LAST_N only"}},
	} {
		for document, input := range map[string]vars{
			contextDocument: {"conversationId": id, "context": c.input},
			`mutation($input: CreateConversationInput!) { createConversation(input: $input) { conversation { id } } }`: {
				"context": c.input},
		} {
			a := b.wantCode(ada, "BAD_USER_INPUT", document, vars{"input": input})
			if diff := cmp.Diff(any(c.fields), a.Errors[0].Extensions["fields"]); diff != "" {
				t.Errorf("%v (-want +got):\n%s", c.input, diff)
			}
		}
	}
	for _, bad := range []vars{{}, {"policy": nil}, {"policy": "SOME"}, {"policy": 1},
		{"policy": "LAST_N", "turns": "many"}, {"policy": "TRUNCATE", "limitTokens": 1 << 40}} {
		a := b.post(ada, contextDocument, vars{"input": vars{"conversationId": id, "context": bad}})
		if code := a.code(); code != "GRAPHQL_VALIDATION_FAILED" && code != "BAD_USER_INPUT" {
			t.Errorf("%v: got %s, want it refused", bad, a.raw)
		}
	}
	a := b.ask(ada, `query($id: ID!) { conversation(id: $id) { contextSettings { policy } } }`, vars{"id": id})
	if a.at("conversation.contextSettings.policy") != "SUMMARIZE" {
		t.Errorf("got %s, want the settings as they were", a.raw)
	}
	if n := b.ask(ada, `{ conversations { totalCount } }`, nil).at("conversations.totalCount"); n != 1.0 {
		t.Errorf("there are %v conversations, want that one", n)
	}
}

// A parameter of a later version is refused by its name, before anything is written.
func TestNewParametersRefused(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	for _, bad := range []vars{{"reasoningEffort": "SOME"}, {"verbosity": "NONE"}, {"verbosity": 1}} {
		a := b.post(ada, sendDocument, vars{"input": vars{"content": "x", "parameters": bad}})
		if code := a.code(); code != "GRAPHQL_VALIDATION_FAILED" && code != "BAD_USER_INPUT" {
			t.Errorf("%v: got %s, want it refused", bad, a.raw)
		}
	}
}

// A model says how much it can read, where that is known.
func TestContextTokensOfModels(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), options{catalog: catalog.Config{
		Always: []catalog.Model{{ID: "small", Upstream: modelPieces, ContextTokens: 4096},
			{ID: "unknown", Upstream: modelPieces}}}})
	a := b.ask(b.signUp("ada"), `{ models { name contextTokens } }`, nil)
	want := []any{map[string]any{"name": "small", "contextTokens": 4096.0},
		map[string]any{"name": "unknown", "contextTokens": nil}}
	if diff := cmp.Diff(any(want), a.at("models")); diff != "" {
		t.Errorf("models (-want +got):\n%s", diff)
	}
}

// Another user's summary is like one that does not exist, for whoever asks and whatever
// points to it.
func TestSummariesAreTheirOwners(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada, bob := b.signUp("ada"), b.signUp("bob")
		hers, his := b.talk(ada, 1), b.talk(bob, 1)
		s := b.summary(ada, hers.conversation, hers.turns[0].reply)
		const find = `query($id: ID!) { node(id: $id) { ... on Summary { content } } }`
		if a := b.ask(bob, find, vars{"id": s.ID}); a.at("node") != nil {
			t.Errorf("another user's summary: got %s", a.raw)
		}
		const drop = `mutation($id: ID!) { deleteSummary(input: {summaryId: $id}) { summaryId } }`
		for _, id := range []pid.ID{s.ID, pid.New(pid.Summary), hers.conversation, his.turns[0].reply} {
			b.wantCode(bob, "NOT_FOUND", drop, vars{"id": id})
		}
		// Nothing writes such a row.
		b.edit(bob, his.turns[0].reply, func(u *ent.MessageUpdateOne) {
			u.SetContextPolicy(message.ContextPolicySUMMARIZE).SetContextSummaryID(s.ID)
		})
		a := b.ask(bob, `query($id: ID!) { conversation(id: $id) { messages { nodes { context { policy summary { content } } } } } }`,
			vars{"id": his.conversation})
		if a.at("conversation.messages.nodes.1.context.policy") != "SUMMARIZE" ||
			a.at("conversation.messages.nodes.1.context.summary") != nil {
			t.Errorf("a context with another user's summary: got %s, want null for it", a.raw)
		}
		if a := b.ask(ada, find, vars{"id": s.ID}); a.at("node.content") != s.Content {
			t.Errorf("her own summary: got %s", a.raw)
		}
		for name, document := range map[string]string{
			"regenerateName": `mutation($id: ID!) {
				regenerateName(input: {conversationId: $id}) { conversation { id } } }`,
			"summarizeConversation": `mutation($id: ID!) {
				summarizeConversation(input: {conversationId: $id}) { summary { id } } }`,
		} {
			for _, id := range []pid.ID{hers.conversation, pid.New(pid.Conversation), s.ID} {
				if a := b.post(bob, document, vars{"id": id}); a.code() != "NOT_FOUND" {
					t.Errorf("%s of %s: got %s, want NOT_FOUND", name, id, a.raw)
				}
			}
		}
	})
}
