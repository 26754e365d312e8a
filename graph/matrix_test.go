package graph_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/ent"
	"parley/ent/message"
	"parley/graph"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// public is what anonymous callers get of a field.
type public int

const (
	refused  public = iota // UNAUTHENTICATED
	nullData               // null, no error
	open                   // a good answer
)

// matrixCase is one way to name somebody else's row.
type matrixCase struct {
	// field is the root field: "Query.node".
	field string
	// id is the argument or input field that takes the id, empty for a field
	// without: "Query.node(id)", "SendMessageInput.conversationId".
	id       string
	document string
	// variables puts the id, and what else has to be right, into place.
	variables func(w *world, id string) vars
	anonymous public
}

// messageFields and conversationFields select all that leads to other rows.
const (
	messageFields = `id index role content reasoning status finishReason attempt model createdAt finishedAt
		error { code } usage { totalTokens } context { summary { id content } } sentToModel citations { url }
		parent { id content conversation { id name user { email } } } active editedAt siblingCount siblingPosition
		siblings { totalCount edges { cursor node { id content } } } children { totalCount nodes { id content continues { id } } }
		continues { id content conversation { name } }
		conversation { id name systemPrompt user { id email } messages { totalCount nodes { id content } } }`
	conversationFields = `id name nameSource model systemPrompt headId pinned archivedAt createdAt updatedAt lastMessageAt
		parameters { temperature } runningReply { id content parent { id content } }
		forkedFrom { id content siblings { nodes { content } } conversation { id name } }
		user { id email name conversations { totalCount nodes { id name } } }
		messages { totalCount edges { cursor node { id content parent { id } conversation { id } } } nodes { id } pageInfo { endCursor } }`
	summaryFields = `id content writer: model createdAt reachesTo { id content conversation { id name } }`
	nodeFields    = `__typename ... on User { id email name } ... on Conversation { ` + conversationFields +
		` } ... on Message { ` + messageFields + ` } ... on Summary { ` + summaryFields + ` }`
)

// Documents that stand in more than one case.
const (
	regenerateMatrix = `mutation($input: RegenerateReplyInput!) { regenerateReply(input: $input) { conversation { ` +
		conversationFields + ` } reply { ` + messageFields + ` } replyEdge { cursor node { id } } } }`
	editMatrix = `mutation($input: EditMessageInput!) { editMessage(input: $input) { userMessage { ` +
		messageFields + ` } replyEdge { node { id content } } } }`
	continueMatrix = `mutation($input: ContinueReplyInput!) { continueReply(input: $input) { reply { ` +
		messageFields + ` } } }`
	selectMatrix = `mutation($input: SelectBranchInput!) { selectBranch(input: $input) { fromIndex conversation { ` +
		conversationFields + ` } } }`
	addMatrix = `mutation($input: AddMessagesInput!) { addMessages(input: $input) { conversation { ` +
		conversationFields + ` } messageEdges { cursor node { ` + messageFields + ` } } } }`
)

func stolen(*world) vars {
	return vars{"messages": []any{vars{"role": "USER", "content": "stolen"}}}
}

func byID(_ *world, id string) vars { return vars{"id": id} }

func input(field string, more func(w *world) vars) func(*world, string) vars {
	return func(w *world, id string) vars {
		in := vars{field: id}
		if more != nil {
			for k, v := range more(w) {
				in[k] = v
			}
		}
		return vars{"input": in}
	}
}

func none(*world, string) vars { return nil }

var matrix = []matrixCase{
	{"Query.node", "Query.node(id)", `query($id: ID!) { node(id: $id) { ` + nodeFields + ` } }`, byID, refused},
	{"Query.nodes", "Query.nodes(ids)", `query($ids: [ID!]!) { nodes(ids: $ids) { ` + nodeFields + ` } }`,
		func(w *world, id string) vars { return vars{"ids": []any{id, w.bConversation.conversation, id}} }, refused},
	{"Query.conversation", "Query.conversation(id)", `query($id: ID!) { conversation(id: $id) { ` + conversationFields +
		` } }`, byID, refused},
	{"Query.conversations", "", `{ conversations { totalCount nodes { ` + conversationFields + ` } } }`, none, refused},
	{"Query.viewer", "", `{ viewer { id email conversations { totalCount nodes { ` + conversationFields + ` } } } }`,
		none, nullData},
	{"Query.site", "", `{ site { name signUp issuers { name url } suggestions features version } }`, none, open},
	{"Query.models", "", `{ models { name isDefault description } }`, none, refused},

	{"Mutation.signUp", "", `mutation { signUp(input: {email: "new@example.org", password: "` + password +
		`"}) { user { email } } }`, none, open},
	{"Mutation.signIn", "", `mutation { signIn(input: {email: "b@example.org", password: "` + password +
		`"}) { user { email } } }`, none, open},
	{"Mutation.refreshSession", "",
		`mutation($input: RefreshSessionInput!) { refreshSession(input: $input) { user { email } } }`,
		func(w *world, _ string) vars { return vars{"input": vars{"refreshToken": w.b.refresh}} }, open},
	{"Mutation.signOut", "", `mutation { signOut { signedOut } }`, none, refused},
	{"Mutation.changePassword", "", `mutation { changePassword(input: {currentPassword: "` + password +
		`", newPassword: "another of my 9 words"}) { user { id } } }`, none, refused},
	{"Mutation.createConversation", "", `mutation { createConversation(input: {name: "mine"}) { conversation { ` +
		conversationFields + ` } } }`, none, refused},
	{"Mutation.updateConversation", "UpdateConversationInput.conversationId",
		`mutation($input: UpdateConversationInput!) { updateConversation(input: $input) { conversation { ` +
			conversationFields + ` } } }`,
		input("conversationId", func(*world) vars {
			return vars{"name": "stolen", "systemPrompt": "stolen", "pinned": true, "archived": true,
				"parameters": vars{"temperature": 1}}
		}), refused},
	{"Mutation.deleteConversation", "DeleteConversationInput.conversationId",
		`mutation($input: DeleteConversationInput!) { deleteConversation(input: $input) { conversationId } }`,
		input("conversationId", nil), refused},
	{"Mutation.sendMessage", "SendMessageInput.conversationId",
		`mutation($input: SendMessageInput!) { sendMessage(input: $input) { conversation { ` + conversationFields +
			` } userMessage { ` + messageFields + ` } reply { id } } }`,
		input("conversationId", func(*world) vars { return vars{"content": "hello", "clientKey": "key-of-a-send"} }),
		refused},
	{"Mutation.sendMessage", "SendMessageInput.expectedHeadId",
		`mutation($input: SendMessageInput!) { sendMessage(input: $input) { reply { ` + messageFields + ` } } }`,
		input("expectedHeadId", func(w *world) vars {
			return vars{"content": "hello", "conversationId": w.bConversation.conversation,
				"clientKey": "key-of-a-send"}
		}), refused},
	{"Mutation.stopReply", "StopReplyInput.messageId",
		`mutation($input: StopReplyInput!) { stopReply(input: $input) { message { ` + messageFields + ` } } }`,
		input("messageId", nil), refused},

	{"Mutation.regenerateReply", "RegenerateReplyInput.messageId", regenerateMatrix,
		input("messageId", func(*world) vars { return vars{"wait": true, "onBusy": "INTERRUPT"} }), refused},
	{"Mutation.regenerateReply", "RegenerateReplyInput.expectedHeadId", regenerateMatrix,
		input("expectedHeadId", func(w *world) vars { return vars{"messageId": w.bConversation.reply} }), refused},
	{"Mutation.editMessage", "EditMessageInput.messageId", editMatrix,
		input("messageId", func(*world) vars { return vars{"content": "stolen", "wait": true, "onBusy": "INTERRUPT"} }),
		refused},
	{"Mutation.editMessage", "EditMessageInput.expectedHeadId", editMatrix,
		input("expectedHeadId", func(w *world) vars { return vars{"messageId": w.bConversation.user, "content": "x"} }),
		refused},
	{"Mutation.continueReply", "ContinueReplyInput.messageId", continueMatrix, input("messageId", nil), refused},
	{"Mutation.continueReply", "ContinueReplyInput.expectedHeadId", continueMatrix,
		input("expectedHeadId", func(w *world) vars { return vars{"messageId": w.bConversation.reply} }), refused},
	{"Mutation.selectBranch", "SelectBranchInput.messageId", selectMatrix, input("messageId", nil), refused},
	{"Mutation.selectBranch", "SelectBranchInput.expectedHeadId", selectMatrix,
		input("expectedHeadId", func(w *world) vars { return vars{"messageId": w.bConversation.reply} }), refused},
	{"Mutation.forkConversation", "ForkConversationInput.messageId",
		`mutation($input: ForkConversationInput!) { forkConversation(input: $input) { conversation { ` +
			conversationFields + ` } conversationEdge { cursor node { id } } } }`,
		input("messageId", func(*world) vars { return vars{"scope": "TREE", "name": "stolen"} }), refused},
	{"Mutation.addMessages", "AddMessagesInput.conversationId", addMatrix, input("conversationId", stolen), refused},
	{"Mutation.addMessages", "AddMessagesInput.afterMessageId", addMatrix,
		input("afterMessageId", func(w *world) vars {
			in := stolen(w)
			in["conversationId"] = w.bConversation.conversation
			return in
		}), refused},
	{"Mutation.addMessages", "AddMessagesInput.expectedHeadId", addMatrix,
		input("expectedHeadId", func(w *world) vars {
			in := stolen(w)
			in["conversationId"] = w.bConversation.conversation
			return in
		}), refused},
	{"Mutation.updateMessage", "UpdateMessageInput.messageId",
		`mutation($input: UpdateMessageInput!) { updateMessage(input: $input) { message { ` + messageFields + ` } } }`,
		input("messageId", func(*world) vars { return vars{"content": "stolen"} }), refused},
	{"Mutation.deleteMessage", "DeleteMessageInput.messageId",
		`mutation($input: DeleteMessageInput!) { deleteMessage(input: $input) { messageId deletedCount conversation { ` +
			conversationFields + ` } } }`, input("messageId", nil), refused},

	{"Mutation.regenerateName", "RegenerateNameInput.conversationId",
		`mutation($input: RegenerateNameInput!) { regenerateName(input: $input) { conversation { ` +
			conversationFields + ` } } }`, input("conversationId", nil), refused},
	{"Mutation.summarizeConversation", "SummarizeConversationInput.conversationId",
		`mutation($input: SummarizeConversationInput!) { summarizeConversation(input: $input) { summary { ` +
			summaryFields + ` } } }`, input("conversationId", nil), refused},
	{"Mutation.deleteSummary", "DeleteSummaryInput.summaryId",
		`mutation($input: DeleteSummaryInput!) { deleteSummary(input: $input) { summaryId } }`,
		input("summaryId", nil), refused},

	{"Subscription.messageEvents", "Subscription.messageEvents(messageId)",
		`subscription($id: ID!) { messageEvents(messageId: $id) { __typename message { ` + messageFields + ` } } }`,
		byID, refused},
	{"Subscription.messageEvents", "Subscription.messageEvents(messageId)",
		`subscription($id: ID!, $after: String) { messageEvents(messageId: $id, after: $after) { __typename message { ` + messageFields + ` } } }`,
		func(w *world, id string) vars { return vars{"id": id, "after": w.aCursor} }, refused},
	{"Subscription.conversationEvents", "Subscription.conversationEvents(conversationId)",
		`subscription($id: ID!) { conversationEvents(conversationId: $id) { __typename ... on ConversationSnapshot { conversation { ` + conversationFields + ` } } } }`, byID, refused},
	{"Subscription.viewerEvents", "",
		`subscription { viewerEvents { __typename ... on ViewerReady { viewer { id email conversations { nodes { ` +
			conversationFields + ` } } } } } }`, none, refused},
}

// world is two users who each have everything, and know each other's ids.
type world struct {
	*bundle
	a, b person
	// Person a has a conversation with a finished reply, one with a running reply and a
	// system prompt, and an empty one.
	aDone, aRunning, bConversation sent
	aEmpty                         pid.ID
	aCursor                        string // of a's running reply
}

func newWorld(t *testing.T, b *bundle) *world {
	t.Helper()
	w := &world{bundle: b, a: b.signUp("a"), b: b.signUp("b")}
	w.aDone = b.send(w.a, "", "canary-a-user", vars{"wait": true})
	prompted := b.conversation(w.a, vars{"name": "canary-a-name", "systemPrompt": "canary-a-system"})
	var s *script
	w.aRunning, s = b.start(w.a, prompted)
	s.say(t, "canary-a-reply")
	w.aEmpty = b.conversation(w.a, vars{})
	w.store.Client().Summary.Create().SetUserID(w.a.id).SetConversationID(w.aDone.conversation).
		SetMessageID(w.aDone.reply).SetContent("canary-a-summary").SetModel(modelServer).SaveX(b.as(w.a))
	// Branches, a reply that goes on with another one, and a fork.
	const again = `mutation($input: RegenerateReplyInput!) { regenerateReply(input: $input) { reply { id } } }`
	cut := b.ask(w.a, again, vars{"input": vars{"messageId": w.aDone.reply, "wait": true}}).
		id("regenerateReply.reply.id")
	b.edit(w.a, cut, func(u *ent.MessageUpdateOne) {
		u.SetStatus(message.StatusSTOPPED).SetContent("canary-a-version")
	})
	b.ask(w.a, continueMatrix, vars{"input": vars{"messageId": cut, "wait": true}})
	b.ask(w.a, editMatrix, vars{"input": vars{"messageId": w.aDone.user, "content": "canary-a-edit", "wait": true}})
	b.ask(w.a, `mutation($id: ID!) { forkConversation(input: {messageId: $id, scope: TREE, name: "canary-a-fork"}) {
		conversation { id } } }`, vars{"id": w.aDone.reply})
	w.bConversation = b.send(w.b, "", "mine", vars{"wait": true})
	sub := b.subscribe(w.a, `subscription($id: ID!) { messageEvents(messageId: $id) { ... on MessageSnapshot { cursor } } }`, vars{"id": w.aRunning.reply})
	w.aCursor = fmt.Sprint(sub.event(t).at("messageEvents.cursor"))
	sub.cancel()
	return w
}

// ids lists the ids of all of a's rows.
func (w *world) ids() []pid.ID {
	w.t.Helper()
	ids := []pid.ID{w.a.id, w.aEmpty}
	ctx := viewer.AsSweep(w.t.Context())
	for _, m := range w.store.Client().Message.Query().AllX(ctx) {
		if m.UserID == w.a.id {
			ids = append(ids, m.ID)
		}
	}
	for _, s := range w.store.Client().Send.Query().AllX(ctx) {
		if s.UserID == w.a.id {
			ids = append(ids, s.ID, s.ConversationID)
		}
	}
	ids = append(ids, w.store.Client().Summary.Query().IDsX(viewer.AsUser(w.t.Context(), w.a.id))...)
	ids = append(ids, w.store.Client().UsageDay.Query().IDsX(viewer.AsUser(w.t.Context(), w.a.id))...)
	for _, s := range w.store.Client().AuthSession.Query().AllX(viewer.AsSignIn(w.t.Context())) {
		if s.UserID == w.a.id {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// rows is everything that is stored, without what the server keeps moving by
// itself.
func (w *world) rows() map[string]any {
	w.t.Helper()
	client, ctx := w.store.Client(), viewer.AsSweep(w.t.Context())
	messages := client.Message.Query().Order(ent.Asc("id")).AllX(ctx)
	for _, m := range messages {
		if m.ID == w.aRunning.reply {
			m.Content, m.Reasoning = "", "" // A checkpoint may come at any time.
		}
	}
	rows := map[string]any{
		"messages": messages,
		"sends":    client.Send.Query().Order(ent.Asc("id")).AllX(ctx),
		"sessions": client.AuthSession.Query().Order(ent.Asc("id")).AllX(viewer.AsSignIn(w.t.Context())),
		"users":    client.User.Query().Order(ent.Asc("id")).AllX(viewer.AsAdmin(w.t.Context())),
	}
	for _, u := range []pid.ID{w.a.id, w.b.id} { // Nobody else may read these.
		own := viewer.AsUser(w.t.Context(), u)
		rows["conversations of "+string(u)] = client.Conversation.Query().Order(ent.Asc("id")).AllX(own)
		rows["summaries of "+string(u)] = client.Summary.Query().Order(ent.Asc("id")).AllX(own)
		rows["usage of "+string(u)] = client.UsageDay.Query().Order(ent.Asc("id")).AllX(own)
	}
	text, err := json.Marshal(rows)
	if err != nil {
		w.t.Fatal(err)
	}
	var plain map[string]any
	if err := json.Unmarshal(text, &plain); err != nil {
		w.t.Fatal(err)
	}
	return plain
}

// malformed are texts that are no ids.
func malformed() []string {
	good := string(pid.New(pid.Conversation))
	return []string{
		"", "x", "cnv_", "_", good[:len(good)-1], good + "0", strings.ToUpper(good), " " + good, good + "\n",
		"msg_" + strings.Repeat("*", 26), "0", "-1", "null", "' OR '1'='1", `"; DROP TABLE messages; --`, "%",
		"../../etc/passwd",
		"usr_😀", "cnv_\x00", "\u202e", strings.Repeat("x", 5000),
	}
}

func TestAnotherUsersRowIsLikeNone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		w := newWorld(t, b)
		foreign := w.ids()
		before := w.rows()
		for _, c := range matrix {
			if c.id == "" {
				continue
			}
			var want string
			check := func(kind, id string) {
				t.Helper()
				got := b.post(w.b, c.document, c.variables(w, id)).raw
				switch {
				case want == "":
					want = got
				case got != want:
					t.Errorf("%s with %s %q: got %s, want the answer of a random id: %s", c.id, kind, id, got, want)
				}
			}
			for _, kind := range []pid.Kind{pid.Conversation, pid.Message, pid.User, pid.AuthSession, pid.Send,
				pid.Replica, pid.Summary} {
				check("a random id", string(pid.New(kind)))
			}
			for _, id := range foreign {
				check("another user's id", string(id))
			}
			for _, id := range malformed() {
				check("a malformed id", id)
			}
			if strings.Contains(want, "canary") || !strings.Contains(want, "null") &&
				!strings.Contains(want, `"errors"`) {
				t.Errorf("%s: the answer to a random id is %s, want null or an error", c.id, want)
			}
		}
		if diff := cmp.Diff(before, w.rows()); diff != "" {
			t.Errorf("what was refused has changed rows (-before +after):\n%s", diff)
		}
		if n := b.replies.Running(); n != 1 {
			t.Errorf("%d replies run, want a's alone", n)
		}
	})
}

func TestOwnRowsNeverShowOthers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		w := newWorld(t, b)
		theirs := w.ids()
		// What leads to other rows leads to the viewer's.
		got := b.ask(w.b, `query($id: ID!) { node(id: $id) { ... on Message { parent { id parent { id } } conversation { id user { id conversations { nodes { id } } } } } } }`,
			vars{"id": w.bConversation.reply})
		for path, want := range map[string]any{
			"node.parent.id":                                  string(w.bConversation.user),
			"node.parent.parent":                              nil, // The empty system prompt.
			"node.conversation.id":                            string(w.bConversation.conversation),
			"node.conversation.user.id":                       string(w.b.id),
			"node.conversation.user.conversations.nodes.0.id": string(w.bConversation.conversation),
		} {
			if v := got.at(path); v != want {
				t.Errorf("%s = %v, want %v", path, v, want)
			}
		}
		own := []string{string(w.b.id), string(w.bConversation.conversation), string(w.bConversation.user),
			string(w.bConversation.reply)}
		for _, c := range matrix {
			if slices.Contains([]string{"Mutation.signOut", "Mutation.changePassword", "Mutation.refreshSession",
				"Mutation.deleteConversation", "Mutation.deleteMessage"}, c.field) {
				continue // They would end the test's means; none shows a row of a conversation.
			}
			for _, id := range own {
				got := b.post(w.b, c.document, c.variables(w, id)).raw
				if strings.Contains(got, "canary") || strings.Contains(got, "a@example.org") ||
					slices.ContainsFunc(theirs, func(id pid.ID) bool { return strings.Contains(got, string(id)) }) {
					t.Errorf("%s with %s shows another user's data: %s", c.field, id, got)
				}
			}
		}
	})
}

// Rows that point to another user's, which nothing writes, still show nothing: the
// resolvers ask as the viewer, not as the row.
func TestForeignRowsBehindOwnOnes(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	w := newWorld(t, b)
	ctx := b.as(w.b)
	planted := b.store.Client().Message.Create().
		SetConversationID(w.bConversation.conversation).SetUserID(w.b.id).SetParentID(w.aDone.user).
		SetIndex(9).SetRole("USER").SetContent("planted").SaveX(ctx)
	a := b.post(w.b, `query($id: ID!) { node(id: $id) { ... on Message { parent { id content } } } }`,
		vars{"id": planted.ID})
	if a.at("node.parent") != nil || strings.Contains(a.raw, "canary") {
		t.Errorf("got %s, want no parent", a.raw)
	}
	continued := b.store.Client().Message.Create().
		SetConversationID(w.bConversation.conversation).SetUserID(w.b.id).SetContinuesID(w.aDone.reply).
		SetIndex(9).SetRole("ASSISTANT").SetActive(false).SaveX(ctx)
	forked := b.store.Client().Conversation.Create().SetUserID(w.b.id).SetHeadID("x").
		SetForkedFromID(w.aDone.reply).SaveX(ctx)
	a = b.post(w.b, `query($planted: ID!, $reply: ID!, $fork: ID!) { fork: conversation(id: $fork) { forkedFrom { content } }
		planted: node(id: $planted) { ... on Message { siblingCount siblingPosition siblings { totalCount nodes { content } } } }
		reply: node(id: $reply) { ... on Message { continues { content } } } }`,
		vars{"planted": planted.ID, "reply": continued.ID, "fork": forked.ID})
	want := map[string]any{
		"planted": map[string]any{"siblingCount": 1.0, "siblingPosition": 1.0, "siblings": map[string]any{
			"totalCount": 1.0, "nodes": []any{map[string]any{"content": "planted"}}}},
		"reply": map[string]any{"continues": nil},
		"fork":  map[string]any{"forkedFrom": nil},
	}
	if diff := cmp.Diff(want, a.Data); diff != "" {
		t.Errorf("what points to another user's rows (-want +got):\n%s", diff)
	}
	planted = b.store.Client().Message.Create().
		SetConversationID(w.aDone.conversation).SetUserID(w.b.id).
		SetIndex(9).SetRole("USER").SetContent("planted").SaveX(ctx)
	a = b.post(w.b, `query($id: ID!) { node(id: $id) { ... on Message { conversation { id name messages { nodes { content } } } } } }`, vars{"id": planted.ID})
	if strings.Contains(a.raw, "canary") || strings.Contains(a.raw, string(w.aDone.conversation)) {
		t.Errorf("got %s, want nothing of the other user's conversation", a.raw)
	}
}

func TestAnonymous(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	w := newWorld(t, b)
	before := w.rows()
	for _, c := range matrix {
		if c.anonymous == open {
			continue
		}
		for _, id := range []pid.ID{w.aRunning.reply, w.aRunning.conversation, w.a.id, pid.New(pid.Message)} {
			a := b.post(nobody, c.document, c.variables(w, string(id)))
			switch c.anonymous {
			case refused:
				if a.code() != "UNAUTHENTICATED" || strings.Contains(a.raw, string(id)) {
					t.Errorf("%s: got %s, want UNAUTHENTICATED", c.field, a.raw)
				}
			case nullData:
				if a.raw != `{"data":{"viewer":null}}` {
					t.Errorf("%s: got %s, want null", c.field, a.raw)
				}
			}
		}
	}
	if diff := cmp.Diff(before, w.rows()); diff != "" {
		t.Errorf("anonymous callers have changed rows (-before +after):\n%s", diff)
	}
	for _, c := range matrix {
		if c.anonymous == open {
			b.ask(nobody, c.document, c.variables(w, ""))
		}
	}
}

// A new field or id without a case fails here.
func TestMatrixIsComplete(t *testing.T) {
	t.Parallel()
	schema := graph.NewSchema(&graph.Resolver{}).Schema()
	var want []string
	var walk func(at string, typ *ast.Type, seen []string)
	walk = func(at string, typ *ast.Type, seen []string) {
		def := schema.Types[typ.Name()]
		switch {
		case typ.Name() == "ID":
			want = append(want, at)
		case def.Kind == ast.InputObject && !slices.Contains(seen, def.Name):
			for _, f := range def.Fields {
				walk(def.Name+"."+f.Name, f.Type, append(seen, def.Name))
			}
		}
	}
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation, schema.Subscription} {
		for _, f := range root.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			want = append(want, root.Name+"."+f.Name)
			for _, a := range f.Arguments {
				walk(fmt.Sprintf("%s.%s(%s)", root.Name, f.Name, a.Name), a.Type, nil)
			}
		}
	}
	// Arguments of other fields that take an id are walked too.
	for _, def := range schema.Types {
		if def == schema.Query || def == schema.Mutation || def == schema.Subscription || def.Kind != ast.Object {
			continue
		}
		for _, f := range def.Fields {
			for _, a := range f.Arguments {
				if strings.HasPrefix(def.Name, "__") {
					continue
				}
				walk(fmt.Sprintf("%s.%s(%s)", def.Name, f.Name, a.Name), a.Type, nil)
			}
		}
	}
	covered := make(map[string]bool)
	for _, c := range matrix {
		covered[c.field], covered[c.id] = true, true
	}
	for _, w := range want {
		if !covered[w] {
			t.Errorf("%s has no case in the cross-tenant matrix", w)
		}
		delete(covered, w)
	}
	delete(covered, "")
	for c := range covered {
		t.Errorf("the cross-tenant matrix has a case for %s, which does not exist", c)
	}
}
