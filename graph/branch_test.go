package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/catalog"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// change is the document of a mutation, whose input is the variable of that name.
func change(mutation, payload string) string {
	input := strings.ToUpper(mutation[:1]) + mutation[1:] + "Input!"
	return fmt.Sprintf(`mutation($input: %s) { %s(input: $input) { %s } }`, input, mutation, payload)
}

// do runs a mutation that has to succeed, and returns its payload.
func (b *bundle) do(p person, mutation, payload string, input vars) any {
	b.t.Helper()
	return b.ask(p, change(mutation, payload), vars{"input": input}).at(mutation)
}

func idAt(v any, path string) pid.ID { return pid.ID(fmt.Sprint(at(v, path))) }

// again has a question answered again.
func (b *bundle) again(p person, id pid.ID) pid.ID {
	b.t.Helper()
	return idAt(b.do(p, "regenerateReply", "reply { id }", vars{"messageId": id, "wait": true}), "reply.id")
}

// cut makes a reply one that was cut off.
func (b *bundle) cut(p person, id pid.ID, text string) {
	b.t.Helper()
	b.edit(p, id, func(u *ent.MessageUpdateOne) { u.SetStatus(message.StatusSTOPPED).SetContent(text) })
}

// tree is a conversation with versions of a reply and of a question.
type tree struct {
	conversation, system     pid.ID
	question, edited         pid.ID // of index 1
	first, second, continued pid.ID // replies to question
	answer                   pid.ID // to edited, on the visible line
}

func (b *bundle) tree(p person) tree {
	b.t.Helper()
	r := tree{conversation: b.conversation(p, vars{"systemPrompt": "Be brief."})}
	s := b.send(p, r.conversation, "first", vars{"wait": true})
	r.question, r.first = s.user, s.reply
	r.second = b.again(p, r.first)
	b.cut(p, r.second, "half")
	r.continued = idAt(b.do(p, "continueReply", "reply { id }", vars{"messageId": r.second, "wait": true}), "reply.id")
	e := b.do(p, "editMessage", "userMessage { id parent { id } } reply { id }",
		vars{"messageId": r.question, "content": "edited", "wait": true})
	r.edited, r.answer, r.system = idAt(e, "userMessage.id"), idAt(e, "reply.id"), idAt(e, "userMessage.parent.id")
	return r
}

func (r tree) names() map[string]string {
	return map[string]string{string(r.system): "system", string(r.question): "question", string(r.edited): "edited",
		string(r.first): "first", string(r.second): "second", string(r.continued): "continued",
		string(r.answer): "answer"}
}

// named renames ids in an answer, so that it can be compared.
func named(names map[string]string, v any) any {
	switch v := v.(type) {
	case string:
		if name, ok := names[v]; ok {
			return name
		}
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = named(names, e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = named(names, e)
		}
		return out
	}
	return v
}

func TestBranchFields(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		r := b.tree(ada)
		type m = map[string]any
		list := func(ids ...any) m {
			nodes := make([]any, len(ids))
			for i, id := range ids {
				nodes[i] = m{"id": id}
			}
			return m{"totalCount": float64(len(ids)), "nodes": nodes}
		}
		of := func(id string, index float64, active bool, position float64, beside, below m, continues any) any {
			return m{"id": id, "index": index, "active": active, "siblingCount": beside["totalCount"],
				"siblingPosition": position, "siblings": beside, "children": below, "continues": continues,
				"editedAt": nil}
		}
		none, replies := list(), list("first", "second", "continued")
		questions := list("question", "edited")
		want := []any{
			of("system", 0, true, 1, list("system"), questions, nil),
			of("question", 1, false, 1, questions, replies, nil),
			of("edited", 1, true, 2, questions, list("answer"), nil),
			of("first", 2, false, 1, replies, none, nil),
			of("second", 2, false, 2, replies, none, nil),
			of("continued", 2, false, 3, replies, none, m{"id": "second"}),
			of("answer", 2, true, 1, list("answer"), none, nil),
		}
		const fields = `id index active editedAt siblingCount siblingPosition continues { id }
			siblings { totalCount nodes { id } } children { totalCount nodes { id } }`
		a := b.ask(ada, `query($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { `+fields+` } } }`,
			vars{"ids": []any{r.system, r.question, r.edited, r.first, r.second, r.continued, r.answer}})
		if diff := cmp.Diff(any(want), named(r.names(), a.at("nodes"))); diff != "" {
			t.Errorf("fields (-want +got):\n%s", diff)
		}
		// One message asked for alone, as an event or a payload brings it.
		for i, id := range []pid.ID{r.system, r.question, r.continued} {
			got := b.ask(ada, `query($id: ID!) { node(id: $id) { ... on Message { `+fields+` } } }`, vars{"id": id})
			if diff := cmp.Diff(want[[]int{0, 1, 5}[i]], named(r.names(), got.at("node"))); diff != "" {
				t.Errorf("alone (-want +got):\n%s", diff)
			}
		}
		// What was gone on with may be gone.
		b.do(ada, "deleteMessage", "deletedCount", vars{"messageId": r.second})
		a = b.ask(ada, `query($id: ID!) { node(id: $id) { ... on Message { siblingCount siblingPosition continues { id } } } }`,
			vars{"id": r.continued})
		if diff := cmp.Diff(any(m{"siblingCount": 2.0, "siblingPosition": 2.0, "continues": nil}),
			a.at("node")); diff != "" {
			t.Errorf("after a deletion (-want +got):\n%s", diff)
		}
	})
}

// What each mutation answers, with edges whose cursors are places in the lists.
func TestBranchPayloads(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		r := b.tree(ada)
		behind := func(cursor any) []string {
			a := b.ask(ada, `query($id: ID!, $after: String) { conversation(id: $id) { messages(after: $after) { nodes { id } } } }`,
				vars{"id": r.conversation, "after": cursor})
			return texts(a.at("conversation.messages.nodes"), "id")
		}
		const edges = `conversation { headId } userMessage { id active } reply { id index active status parent { id } }
			replyEdge { cursor node { id siblingPosition } } deduplicated`
		key := "key-of-a-version"
		one := b.do(ada, "regenerateReply", edges, vars{"messageId": r.answer, "wait": true, "clientKey": key})
		two := b.do(ada, "regenerateReply", edges, vars{"messageId": r.answer, "wait": true, "clientKey": key})
		if at(one, "deduplicated") != false || at(two, "deduplicated") != true ||
			at(one, "reply.id") != at(two, "reply.id") {
			t.Errorf("the same key gives %v and %v", one, two)
		}
		if at(one, "replyEdge.node.id") != at(one, "reply.id") || at(one, "replyEdge.node.siblingPosition") != 2.0 ||
			at(one, "conversation.headId") != at(one, "reply.id") || at(one, "userMessage.id") != string(r.edited) ||
			at(one, "reply.status") != "COMPLETED" || len(behind(at(one, "replyEdge.cursor"))) != 0 {
			t.Errorf("regenerateReply: got %v", one)
		}
		e := b.do(ada, "editMessage", edges+` userMessageEdge { cursor node { id content } }`,
			vars{"messageId": r.question, "content": "third", "wait": true})
		if at(e, "userMessageEdge.node.content") != "third" || at(e, "replyEdge.node.id") != at(e, "reply.id") ||
			at(e, "reply.parent.id") != at(e, "userMessage.id") ||
			!slices.Equal(behind(at(e, "userMessageEdge.cursor")), []string{fmt.Sprint(at(e, "reply.id"))}) {
			t.Errorf("editMessage: got %v", e)
		}
		sel := vars{"messageId": r.continued, "expectedHeadId": at(e, "reply.id")}
		s := b.do(ada, "selectBranch", `fromIndex conversation { headId messages { nodes { id } } }`, sel)
		want := []string{string(r.system), string(r.question), string(r.continued)}
		if got := texts(at(s, "conversation.messages.nodes"), "id"); at(s, "fromIndex") != 1.0 ||
			at(s, "conversation.headId") != string(r.continued) || !slices.Equal(got, want) {
			t.Errorf("selectBranch: got %v, want the line %v", s, want)
		}
		s = b.do(ada, "selectBranch", `fromIndex conversation { headId }`, vars{"messageId": r.question})
		if at(s, "fromIndex") != nil || at(s, "conversation.headId") != string(r.continued) {
			t.Errorf("selectBranch of what is shown: got %v, want fromIndex null", s)
		}
		f := b.do(ada, "forkConversation", `conversation { id name forkedFrom { id } messages { nodes { content } } }
			conversationEdge { cursor node { id } } deduplicated`, vars{"messageId": r.question, "name": "a copy"})
		if at(f, "conversation.forkedFrom.id") != string(r.question) || at(f, "conversation.name") != "a copy" ||
			at(f, "conversationEdge.node.id") != at(f, "conversation.id") || at(f, "deduplicated") != false ||
			!slices.Equal(texts(at(f, "conversation.messages.nodes"), "content"), []string{"Be brief.", "first"}) {
			t.Errorf("forkConversation: got %v", f)
		}
		add := b.do(ada, "addMessages", `conversation { headId } messages { id role content reasoning model } deduplicated
			messageEdges { cursor node { id index } }`, vars{"conversationId": r.conversation, "messages": []any{
			vars{"role": "USER", "content": "by hand"},
			vars{"role": "ASSISTANT", "content": "so", "reasoning": "hm", "model": modelPieces}}})
		last := fmt.Sprint(at(add, "messages.1.id"))
		if at(add, "conversation.headId") != last || at(add, "messages.1.reasoning") != "hm" ||
			at(add, "messages.1.model") != modelPieces || at(add, "messageEdges.1.node.index") != 4.0 ||
			!slices.Equal(behind(at(add, "messageEdges.0.cursor")), []string{last}) {
			t.Errorf("addMessages: got %v", add)
		}
		u := b.do(ada, "updateMessage", `message { id content editedAt attempt }`,
			vars{"messageId": last, "content": "corrected"})
		edited, err := time.Parse(time.RFC3339Nano, fmt.Sprint(at(u, "message.editedAt")))
		if err != nil || time.Since(edited).Abs() > time.Minute || at(u, "message.content") != "corrected" {
			t.Errorf("updateMessage: got %v, %v", u, err)
		}
		d := b.do(ada, "deleteMessage", `messageId deletedCount fromIndex conversation { headId }`,
			vars{"messageId": r.question})
		if at(d, "messageId") != string(r.question) || at(d, "deletedCount") != 6.0 || at(d, "fromIndex") != 1.0 ||
			at(d, "conversation.headId") != at(e, "reply.id") {
			t.Errorf("deleteMessage: got %v", d)
		}
		if a := b.ask(ada, `query($id: ID!) { conversation(id: $id) { forkedFrom { id } } }`,
			vars{"id": at(f, "conversation.id")}); a.at("conversation.forkedFrom") != nil {
			t.Errorf("the message of a fork is gone: got %s", a.raw)
		}
		pair := b.ask(ada, change("sendMessage", `userMessageEdge { cursor node { content } } replyEdge { node { id } } reply { id }`),
			vars{"input": vars{"conversationId": r.conversation, "content": "on", "wait": true}}).at("sendMessage")
		if at(pair, "userMessageEdge.node.content") != "on" || at(pair, "replyEdge.node.id") != at(pair, "reply.id") {
			t.Errorf("sendMessage: got %v", pair)
		}
		made := b.do(ada, "createConversation", `conversation { id } conversationEdge { cursor node { id } }`, vars{})
		if at(made, "conversationEdge.node.id") != at(made, "conversation.id") {
			t.Errorf("createConversation: got %v", made)
		}
	})
}

// Null is as good as nothing wherever there may be nothing.
func TestBranchNulls(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	r := b.tree(ada)
	with := func(keys ...string) vars {
		in := vars{}
		for _, k := range keys {
			in[k] = nil
		}
		return in
	}
	again := with("clientKey", "expectedHeadId", "onBusy", "model", "parameters")
	again["wait"] = true
	again["messageId"] = r.answer
	b.do(ada, "regenerateReply", "reply { id }", again)
	again["messageId"], again["content"] = r.question, "text"
	reply := idAt(b.do(ada, "editMessage", "reply { id }", again), "reply.id")
	b.cut(ada, reply, "half")
	in := with("clientKey", "expectedHeadId", "wait", "model", "parameters")
	in["messageId"] = reply
	b.do(ada, "continueReply", "reply { id }", in)
	in = with("scope", "name", "clientKey")
	in["messageId"] = r.first
	f := b.do(ada, "forkConversation", "conversation { messages { totalCount } }", in)
	if n := at(f, "conversation.messages.totalCount"); n != 3.0 {
		t.Errorf("a fork with scope null has %v messages, want the line of 3", n)
	}
	in = with("conversationId", "afterMessageId", "clientKey", "expectedHeadId")
	in["messages"] = []any{vars{"role": "USER", "content": "x", "reasoning": nil, "model": nil}}
	b.do(ada, "addMessages", "conversation { id }", in)
	in = with("expectedHeadId")
	in["messageId"] = f
	in["messageId"] = r.edited
	eventually(t, "the reply that goes on has ended", func() bool {
		return b.post(ada, change("selectBranch", "fromIndex"), vars{"input": in}).code() == ""
	})
}

// Every refusal of the eight, with what comes beside the code.
func TestBranchRefusals(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		r := b.tree(ada)
		long := strings.Repeat("x", 300<<10)
		one := []any{vars{"role": "USER", "content": "x"}}
		key := func(more vars) vars {
			more["clientKey"] = "one-key-for-all"
			return more
		}
		b.do(ada, "selectBranch", "fromIndex", vars{"messageId": r.answer})
		b.do(ada, "addMessages", "deduplicated", key(vars{"messages": one}))
		for _, c := range []struct {
			mutation string
			input    vars
			code     string
			field    string // Of BAD_USER_INPUT.
		}{
			{"regenerateReply", vars{"messageId": r.system}, "BAD_USER_INPUT", "messageId"},
			{"regenerateReply", vars{"messageId": r.first, "onBusy": "QUEUE"}, "BAD_USER_INPUT", "onBusy"},
			{"regenerateReply", vars{"messageId": r.first, "clientKey": "short"}, "BAD_USER_INPUT", "clientKey"},
			{"regenerateReply", vars{"messageId": r.first, "model": "no-such"}, "BAD_USER_INPUT", "model"},
			{"regenerateReply", vars{"messageId": r.first, "parameters": vars{"temperature": 9}}, "BAD_USER_INPUT",
				"parameters.temperature"},
			{"regenerateReply", vars{"messageId": r.conversation}, "NOT_FOUND", ""},
			{"regenerateReply", vars{"messageId": r.first, "expectedHeadId": r.first}, "STALE_HEAD", ""},
			{"regenerateReply", key(vars{"messageId": r.first}), "IDEMPOTENCY_CONFLICT", ""},
			{"editMessage", vars{"messageId": r.first, "content": "x"}, "BAD_USER_INPUT", "messageId"},
			{"editMessage", vars{"messageId": r.system, "content": "x"}, "BAD_USER_INPUT", "messageId"},
			{"editMessage", vars{"messageId": r.question, "content": ""}, "BAD_USER_INPUT", "content"},
			{"editMessage", vars{"messageId": r.question, "content": long}, "BAD_USER_INPUT", "content"},
			{"editMessage", vars{"messageId": r.question, "content": "x", "onBusy": "QUEUE"}, "BAD_USER_INPUT",
				"onBusy"},
			{"editMessage", vars{"messageId": r.question, "content": "x", "expectedHeadId": r.first}, "STALE_HEAD", ""},
			{"editMessage", key(vars{"messageId": r.question, "content": "x"}), "IDEMPOTENCY_CONFLICT", ""},
			{"continueReply", vars{"messageId": r.answer}, "BAD_USER_INPUT", "messageId"}, // It came to its end.
			{"continueReply", vars{"messageId": r.second}, "STALE_HEAD", ""},
			{"continueReply", vars{"messageId": r.answer, "expectedHeadId": r.first}, "STALE_HEAD", ""},
			{"continueReply", key(vars{"messageId": r.answer}), "IDEMPOTENCY_CONFLICT", ""},
			{"selectBranch", vars{"messageId": pid.New(pid.Message)}, "NOT_FOUND", ""},
			{"selectBranch", vars{"messageId": r.first, "expectedHeadId": r.first}, "STALE_HEAD", ""},
			{"forkConversation", vars{"messageId": r.conversation}, "NOT_FOUND", ""},
			{"forkConversation", vars{"messageId": r.first, "name": strings.Repeat("x", 201)}, "BAD_USER_INPUT",
				"name"},
			{"forkConversation", key(vars{"messageId": r.first}), "IDEMPOTENCY_CONFLICT", ""},
			{"addMessages", vars{"messages": []any{}}, "BAD_USER_INPUT", "messages"},
			{"addMessages", vars{"messages": []any{vars{"role": "USER", "content": " "}}}, "BAD_USER_INPUT",
				"messages.0.content"},
			{"addMessages", vars{"messages": []any{vars{"role": "USER", "content": long}}}, "BAD_USER_INPUT",
				"messages.0.content"},
			{"addMessages", vars{"messages": []any{vars{"role": "USER", "content": "x", "reasoning": "y"}}},
				"BAD_USER_INPUT", "messages.0"},
			{"addMessages", vars{"messages": slices.Repeat(one, 101)}, "BAD_USER_INPUT", "messages"},
			{"addMessages", vars{"messages": one, "afterMessageId": r.first}, "BAD_USER_INPUT", "afterMessageId"},
			{"addMessages", vars{"messages": one, "expectedHeadId": r.first}, "BAD_USER_INPUT", "expectedHeadId"},
			{"addMessages", vars{"messages": one, "conversationId": r.first}, "NOT_FOUND", ""},
			{"addMessages", vars{"messages": one, "conversationId": r.conversation, "afterMessageId": r.conversation},
				"NOT_FOUND", ""},
			{"addMessages", vars{"messages": one, "conversationId": r.conversation, "expectedHeadId": r.first},
				"STALE_HEAD", ""},
			{"addMessages", key(vars{"messages": slices.Repeat(one, 2)}), "IDEMPOTENCY_CONFLICT", ""},
			{"updateMessage", vars{"messageId": r.system, "content": "x"}, "BAD_USER_INPUT", "messageId"},
			{"updateMessage", vars{"messageId": r.first, "content": "\n"}, "BAD_USER_INPUT", "content"},
			{"updateMessage", vars{"messageId": r.first, "content": long}, "BAD_USER_INPUT", "content"},
			{"updateMessage", vars{"messageId": r.conversation, "content": "x"}, "NOT_FOUND", ""},
			{"deleteMessage", vars{"messageId": r.system}, "BAD_USER_INPUT", "messageId"},
			{"deleteMessage", vars{"messageId": r.conversation}, "NOT_FOUND", ""},
		} {
			a := b.post(ada, change(c.mutation, "__typename"), vars{"input": c.input})
			fields, _ := at(a.extras(), "fields").(map[string]any)
			switch {
			case a.code() != c.code || a.Data != nil:
				t.Errorf("%s %.150v: got %.400s, want %s", c.mutation, c.input, a.raw, c.code)
			case c.field != "" && (len(fields) != 1 || fields[c.field] == nil):
				t.Errorf("%s %.150v: got the fields %v, want %q", c.mutation, c.input, fields, c.field)
			case c.code == "STALE_HEAD" && at(a.extras(), "headId") != string(r.answer):
				t.Errorf("%s: got %s, want the head %s", c.mutation, a.raw, r.answer)
			}
		}
	})
}

// extras is what comes with the first error.
func (a answer) extras() any {
	if len(a.Errors) == 0 {
		return nil
	}
	return a.Errors[0].Extensions
}

// While a reply is written, what would pull the line away under it says which one it is.
func TestBranchesWhileAReplyIsWritten(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		first := b.send(ada, "", "first", vars{"wait": true})
		old := b.again(ada, first.reply)
		running, model := b.start(ada, first.conversation)
		model.say(t, "so far")
		for mutation, input := range map[string]vars{
			"regenerateReply":  {"messageId": old},
			"editMessage":      {"messageId": first.user, "content": "x", "onBusy": "REJECT"},
			"continueReply":    {"messageId": running.reply},
			"selectBranch":     {"messageId": first.reply},
			"forkConversation": {"messageId": running.reply},
			"addMessages": {"conversationId": first.conversation,
				"messages": []any{vars{"role": "USER", "content": "x"}}},
		} {
			a := b.wantCode(ada, "CONVERSATION_BUSY", change(mutation, "__typename"), vars{"input": input})
			_, err := time.Parse(time.RFC3339Nano, fmt.Sprint(at(a.extras(), "startedAt")))
			if at(a.extras(), "messageId") != string(running.reply) || err != nil {
				t.Errorf("%s: got %s, want the running reply and its start", mutation, a.raw)
			}
		}
		a := b.wantCode(ada, "BAD_USER_INPUT", change("updateMessage", "__typename"),
			vars{"input": vars{"messageId": running.reply, "content": "x"}})
		if !strings.Contains(a.raw, "final") {
			t.Errorf("updateMessage of a running reply: got %s", a.raw)
		}
		// Versions can be read meanwhile, and what is not of the running reply copied and corrected.
		a = b.ask(ada, `query($id: ID!) { node(id: $id) { ... on Message { siblings { nodes { id } } children { nodes { content } } } } }`,
			vars{"id": running.user})
		if got := a.at("node.children.nodes.0.content"); got != "so far" {
			t.Errorf("got %s, want the reply as far as it has come among the versions", a.raw)
		}
		b.do(ada, "forkConversation", "deduplicated", vars{"messageId": old})
		b.do(ada, "updateMessage", "message { id }", vars{"messageId": old, "content": "corrected"})
		got := b.do(ada, "editMessage", "reply { id status }", vars{"messageId": first.user, "content": "instead",
			"onBusy": "INTERRUPT", "wait": true})
		if content, _, status := b.stored(ada, running.reply); content != "so far" || status != "STOPPED" ||
			at(got, "reply.status") != "COMPLETED" {
			t.Errorf("interrupted: the old reply is %q, %s, the new one %v", content, status, got)
		}
	})
}

// fillVersions makes 105 versions of a reply, and returns the lists in which they are.
func fillVersions(b *bundle, p person) []list {
	b.t.Helper()
	s := b.send(p, "", "hello", vars{"wait": true})
	ids := []string{string(s.reply)}
	row := b.store.Client().Message.GetX(b.as(p), s.reply)
	for i := range 104 {
		m := b.store.Client().Message.Create().SetConversationID(s.conversation).SetUserID(p.id).
			SetParentID(s.user).SetIndex(row.Index).SetRole(message.RoleASSISTANT).SetContent("text").SetActive(false).
			SetCreatedAt(row.CreatedAt.Add(time.Duration(i/2+1) * time.Millisecond)).SaveX(b.as(p))
		ids = append(ids, string(m.ID))
	}
	rows := b.store.Client().Message.Query().Where(message.ParentID(s.user), message.UserID(p.id)).
		Order(message.ByCreatedAt(), message.ByID()).IDsX(b.as(p))
	for i, id := range rows { // Two of one moment sort by id.
		ids[i] = string(id)
	}
	other := b.send(p, "", "other", vars{"wait": true})
	const document = `query($id: ID!, $first: Int, $after: String, $last: Int, $before: String) { node(id: $id) {
		... on Message { list: %s(first: $first, after: $after, last: $last, before: $before) {
		totalCount nodes { id } edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } } }`
	foreign := []string{chat.VersionCursor(other.reply), chat.VersionCursor(s.user), chat.MessageCursor(row.Index),
		chat.VersionCursor(pid.New(pid.Message)), chat.VersionCursor("")}
	return []list{
		{name: "children", document: fmt.Sprintf(document, "children"), fixed: vars{"id": s.user}, path: "node.list",
			ids: ids, foreign: foreign},
		{name: "siblings", document: fmt.Sprintf(document, "siblings"), fixed: vars{"id": ids[7]}, path: "node.list",
			ids: ids, foreign: foreign},
	}
}

func TestPagesOfVersions(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		for _, l := range fillVersions(b, ada) {
			testSizes(t, b, ada, l)
			testWalk(t, b, ada, l, "first", "after", "endCursor", "hasNextPage", "hasPreviousPage")
			testWalk(t, b, ada, l, "last", "before", "startCursor", "hasPreviousPage", "hasNextPage")
			testCursors(t, b, ada, l)
		}
		// Message 0 has itself beside it, in pages like all others.
		c := b.conversation(ada, vars{"systemPrompt": "Be brief."})
		system := b.ask(ada, `query($id: ID!) { conversation(id: $id) { messages { nodes { id } } } }`,
			vars{"id": c}).at("conversation.messages.nodes.0.id")
		l := fillVersions(b, ada)[1]
		l.fixed = vars{"id": system}
		for _, c := range []struct {
			args vars
			want int // -1: refused
		}{{vars{}, 1}, {vars{"first": 0}, 0}, {vars{"last": 1}, 1}, {vars{"first": 101}, -1},
			{vars{"after": chat.VersionCursor(pid.ID(fmt.Sprint(system)))}, 0}, {vars{"after": l.foreign[0]}, -1}} {
			a := l.page(b, ada, c.args)
			if c.want < 0 && a.code() != "BAD_USER_INPUT" ||
				c.want >= 0 && (len(a.Errors) > 0 || len(texts(a.at("node.list.nodes"), "id")) != c.want) {
				t.Errorf("siblings(%v) of message 0: got %s", c.args, a.raw)
			}
		}
	})
}

// Versions cost statements by the depth of what is selected, not by messages, versions or
// sets of arguments.
func TestStatementsPerVersions(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		few, many := b.talk(ada, 2), b.talk(ada, 8)
		for _, c := range []talk{few, many} {
			for _, s := range c.turns {
				b.do(ada, "addMessages", "deduplicated", vars{"conversationId": c.conversation,
					"afterMessageId": s.user, "messages": []any{vars{"role": "ASSISTANT", "content": "another"}}})
			}
			b.do(ada, "selectBranch", "fromIndex", vars{"messageId": c.turns[len(c.turns)-1].reply})
		}
		cursor := chat.VersionCursor(few.turns[0].reply)
		for selection, want := range map[string]int{
			`active editedAt`:              2,
			`siblingCount siblingPosition`: 3,
			`siblings { nodes { id } }`:    4,
			`siblings(first: 1) { totalCount edges { node { content } } } siblingCount`:                             5,
			`children(last: 1) { totalCount nodes { id } } a: children { nodes { id } }`:                            4,
			`a: children { totalCount nodes { content } } siblings { totalCount nodes { id } }`:                     5,
			`siblings { nodes { siblingCount children { nodes { siblingPosition continues { id } } } } }`:           8,
			`siblings { nodes { parent { children { totalCount nodes { conversation { id } } } } } }`:               8,
			`children { nodes { siblings(first: 1) { nodes { children(first: 1) { nodes { siblingCount } } } } } }`: 9,
		} {
			for _, c := range []talk{few, many} {
				before := b.faults.count(ada.id)
				a := b.ask(ada, `query($id: ID!) { conversation(id: $id) { messages(last: 16) { nodes { id `+selection+
					` } } } }`, vars{"id": c.conversation})
				if got := b.faults.count(ada.id) - before; got != want {
					t.Errorf("{ %s } of %d messages: %d statements, want %d: %.300s", selection, 2*len(c.turns), got,
						want, a.raw)
				}
			}
		}
		// A cursor is right in one place, and refused in all others by one statement.
		for _, c := range []talk{few, many} {
			before := b.faults.count(ada.id)
			b.post(ada, `query($id: ID!, $after: String) { conversation(id: $id) { messages(last: 16) { nodes {
				children(after: $after) { nodes { id } } } } } }`, vars{"id": c.conversation, "after": cursor})
			if got := b.faults.count(ada.id) - before; got > 4 {
				t.Errorf("a cursor for the children of %d messages: %d statements", 2*len(c.turns), got)
			}
		}
		// What a payload lists is a list.
		for _, n := range []int{2, 16} {
			messages := slices.Repeat([]any{vars{"role": "USER", "content": "x"}}, n)
			const fields = `siblingCount parent { id } conversation { id } children { nodes { id } }`
			before := b.faults.count(ada.id)
			b.subscribe(ada, change("addMessages", `deduplicated`), vars{"input": vars{"messages": messages}}).event(t)
			bare := b.faults.count(ada.id) - before
			before = b.faults.count(ada.id)
			b.subscribe(ada, change("addMessages", `messages { `+fields+` } messageEdges { node { `+fields+` } }`),
				vars{"input": vars{"messages": messages}}).event(t)
			if got := b.faults.count(ada.id) - before - bare; got > 10 {
				t.Errorf("what is selected of %d added messages takes %d statements", n, got)
			}
		}
	})
}

// Versions of versions multiply, and count so.
func TestVersionsHaveACost(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	s := b.send(ada, "", "hello", vars{"wait": true})
	for selection, ok := range map[string]bool{
		`siblings { nodes { children { nodes { siblings { nodes { id } } } } } }`:                                  true,
		`siblings { nodes { children { nodes { siblings { nodes { children { nodes { id } } } } } } } }`:           false,
		`siblings(first: 100) { nodes { children(last: 100) { nodes { siblings(first: 9) { nodes { id } } } } } }`: false,
	} {
		a := b.post(ada, `query($id: ID!) { node(id: $id) { ... on Message { `+selection+` } } }`, vars{"id": s.reply})
		if ok != (a.code() == "") || !ok && a.code() != "OPERATION_TOO_COMPLEX" {
			t.Errorf("{ %s }: got %.300s, want it to pass: %t", selection, a.raw, ok)
		}
	}
}

// The texts of versions count as what an answer is made of, and are read when selected.
func TestVersionsHaveASize(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		b := setup(t, db, options{})
		ada := b.signUp("ada")
		s := b.send(ada, "", "hello", vars{"wait": true})
		rows := make([]*ent.MessageCreate, 45)
		for i := range rows { // 8.8 MB of JSON.
			rows[i] = b.store.Client().Message.Create().SetConversationID(s.conversation).SetUserID(ada.id).
				SetParentID(s.user).SetIndex(2).SetRole(message.RoleASSISTANT).SetContent(controls).SetActive(false)
		}
		b.store.Client().Message.CreateBulk(rows...).ExecX(b.as(ada))
		const document = `query($id: ID!) { node(id: $id) { ... on Message { %s } } }`
		ctx := budgetOf(b.as(ada), 1<<30)
		a := b.pull(ctx, fmt.Sprintf(document, `siblings(first: 100) { nodes { id siblingPosition } }`),
			vars{"id": s.reply})
		if n := rowsOf(ctx); len(a.Errors) > 0 || n > 200<<10 {
			t.Errorf("versions without texts: %d bytes are read, %.300s", n, a.raw)
		}
		a = b.post(ada, fmt.Sprintf(document, `siblings(first: 100) { nodes { content } }`), vars{"id": s.reply})
		if a.code() != "OPERATION_TOO_COMPLEX" || a.Errors[0].Message != tooLong || a.Data != nil {
			t.Errorf("versions with texts: got %.300s, want %q", a.raw, tooLong)
		}
	})
}

// The limits of a send are those of its brothers, and the models too.
func TestBranchRefusalsOfConfiguration(t *testing.T) {
	t.Parallel()
	one := []any{vars{"role": "USER", "content": "x"}}
	type row struct {
		mutation string
		input    vars
	}
	refused := func(b *bundle, p person, code string, extras []string, rows ...row) {
		t.Helper()
		for _, r := range rows {
			a := b.wantCode(p, code, change(r.mutation, "__typename"), vars{"input": r.input})
			for _, extra := range extras {
				if at(a.extras(), extra) == nil {
					t.Errorf("%s: got %s, want %s", r.mutation, a.raw, extra)
				}
			}
		}
	}
	fresh := func(o options) (*bundle, person, sent) {
		b := setup(t, storetest.SQLite(t), o)
		ada := b.signUp("ada")
		return b, ada, b.send(ada, "", "hello", vars{"wait": true, "model": modelServer})
	}

	b, ada, s := fresh(options{chat: chat.Config{SendsPerMinute: 1}})
	b.cut(ada, s.reply, "half")
	refused(b, ada, "RATE_LIMITED", []string{"retryAfter"},
		row{"regenerateReply", vars{"messageId": s.reply}},
		row{"editMessage", vars{"messageId": s.user, "content": "x"}},
		row{"continueReply", vars{"messageId": s.reply}},
		row{"forkConversation", vars{"messageId": s.reply}},
		row{"addMessages", vars{"messages": one}},
		row{"addMessages", vars{"messages": one, "conversationId": s.conversation}})
	b.do(ada, "selectBranch", "fromIndex", vars{"messageId": s.reply})
	b.do(ada, "updateMessage", "message { id }", vars{"messageId": s.reply, "content": "x"})

	b, ada, s = fresh(options{chat: chat.Config{ConversationsPerDay: 1}})
	refused(b, ada, "QUOTA_EXCEEDED", []string{"quota", "resetsOn", "retryAfter"},
		row{"forkConversation", vars{"messageId": s.reply}}, row{"addMessages", vars{"messages": one}})
	b.do(ada, "addMessages", "deduplicated", vars{"messages": one, "conversationId": s.conversation})

	b, ada, s = fresh(options{chat: chat.Config{MaxPromptBytes: 1000, MaxMessageBytes: 900, MaxSystemBytes: 100}})
	b.do(ada, "addMessages", "deduplicated", vars{"conversationId": s.conversation,
		"messages": []any{vars{"role": "USER", "content": strings.Repeat("x", 800)}}})
	s = b.send(ada, s.conversation, "short", vars{"wait": true})
	refused(b, ada, "CONTEXT_TOO_LONG", []string{"limitBytes", "neededBytes", "limitTokens", "neededTokens"},
		row{"editMessage", vars{"messageId": s.user, "content": strings.Repeat("x", 800)}})

	b, ada, s = fresh(options{catalog: catalog.Config{Source: models{modelServer, modelPieces}}})
	byHand := idAt(b.do(ada, "addMessages", "messages { id }", vars{"messages": one}), "messages.0.id")
	refused(b, ada, "MODEL_REQUIRED", []string{"models"}, row{"regenerateReply", vars{"messageId": byHand}},
		row{"editMessage", vars{"messageId": byHand, "content": "x"}})
	b.cut(ada, s.reply, "half")
	r := b.do(ada, "continueReply", "reply { model }", vars{"messageId": s.reply, "wait": true})
	if got := at(r, "reply.model"); got != modelServer {
		t.Errorf("the model %v goes on, want the one that had begun", got)
	}
}
