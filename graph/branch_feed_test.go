package graph_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"parley/internal/pid"
)

const turnedDocument = `subscription($id: ID!) { conversationEvents(conversationId: $id) { __typename
	... on ConversationSnapshot { fromIndex conversation { id headId } runningReply { id } }
	... on ConversationUpdated { conversation { id headId } }
	... on ConversationDeleted { conversationId }
	... on MessageAdded { message { id index active } edge { cursor node { siblingCount } } }
	... on MessageSnapshot { message { id content attempt editedAt } cursor }
	... on MessageDelta { message { id } text }
	... on MessageFinished { message { id status continues { id } siblings { nodes { id } } } } } }`

// What one device does with branches, another one is told in the order in which it can show
// it: from which index on there is another line, and then what happens there.
func TestBranchesOnAnotherDevice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		first := b.send(ada, "", "first", vars{"wait": true})
		last := b.send(ada, first.conversation, "last", vars{"wait": true})
		names := map[pid.ID]string{first.conversation: "c", first.user: "q1", first.reply: "r1", last.user: "q2",
			last.reply: "r2"}
		const field = "conversationEvents"
		sub := b.subscribe(ada, turnedDocument, vars{"id": first.conversation})
		list := b.subscribe(ada, viewerDocument, nil)
		list.event(t)
		e := wantEvents(t, sub, field, names, "ConversationSnapshot c")
		if e[0].at(field+".fromIndex") != nil {
			t.Errorf("the first event is of the whole conversation: got %s", e[0].raw)
		}
		// turned takes the events of another line, up to the head it has.
		turned := func(what string, from float64, head pid.ID, rest ...string) []answer {
			t.Helper()
			e := wantEvents(t, sub, field, names, append([]string{"ConversationSnapshot c"}, rest...)...)
			if e[0].at(field+".fromIndex") != from || e[0].id(field+".conversation.headId") != head {
				t.Errorf("%s: got %s, want the line from %v to %s", what, e[0].raw, from, names[head])
			}
			wantEvents(t, list, "viewerEvents", names, "ConversationUpdated c")
			return e
		}

		r := b.do(ada, "regenerateReply", "reply { id }", vars{"messageId": first.reply, "model": modelPieces})
		again := idAt(r, "reply.id")
		names[again] = "r1'"
		model := b.pieces.call(t)
		e = turned("regenerateReply", 2, again, "MessageSnapshot r1'")
		if e[0].id(field+".runningReply.id") != again {
			t.Errorf("regenerateReply: got %s, want the reply that runs", e[0].raw)
		}
		model.say(t, "other")
		wantEvents(t, sub, field, names, "MessageDelta r1'")
		model.finish(t, nil)
		e = wantEvents(t, sub, field, names, "MessageFinished r1'", "ConversationUpdated c")
		beside := texts(e[0].at(field+".message.siblings.nodes"), "id")
		if len(beside) != 2 || beside[0] != string(first.reply) {
			t.Errorf("the end of a version: got %s, want both versions", e[0].raw)
		}
		wantEvents(t, list, "viewerEvents", names, "ConversationUpdated c")

		r = b.do(ada, "editMessage", "userMessage { id } reply { id }",
			vars{"messageId": first.user, "content": "edited", "model": modelPieces})
		names[idAt(r, "userMessage.id")], names[idAt(r, "reply.id")] = "q1'", "r1''"
		model = b.pieces.call(t)
		turned("editMessage", 1, idAt(r, "reply.id"), "MessageSnapshot r1''")
		model.finish(t, nil)
		wantEvents(t, sub, field, names, "MessageFinished r1''", "ConversationUpdated c")
		wantEvents(t, list, "viewerEvents", names, "ConversationUpdated c")

		b.do(ada, "selectBranch", "fromIndex", vars{"messageId": last.reply})
		turned("selectBranch", 1, last.reply)
		b.do(ada, "selectBranch", "fromIndex", vars{"messageId": last.user}) // It is shown: nothing to tell.

		b.do(ada, "updateMessage", "message { id }", vars{"messageId": first.reply, "content": "corrected"})
		e = wantEvents(t, sub, field, names, "MessageSnapshot r1", "ConversationUpdated c")
		if e[0].at(field+".message.content") != "corrected" || e[0].at(field+".message.editedAt") == nil {
			t.Errorf("updateMessage: got %s", e[0].raw)
		}
		wantEvents(t, list, "viewerEvents", names, "ConversationUpdated c")

		added := b.do(ada, "addMessages", "messages { id }", vars{"conversationId": first.conversation,
			"messages": []any{vars{"role": "USER", "content": "by hand"}}})
		names[idAt(added, "messages.0.id")] = "q3"
		e = wantEvents(t, sub, field, names, "ConversationUpdated c", "MessageAdded q3")
		if e[1].at(field+".edge.node.siblingCount") != 1.0 {
			t.Errorf("addMessages: got %s", e[1].raw)
		}
		wantEvents(t, list, "viewerEvents", names, "ConversationUpdated c")

		b.do(ada, "deleteMessage", "deletedCount", vars{"messageId": last.user})
		turned("deleteMessage", 3, first.reply)
		b.do(ada, "deleteMessage", "deletedCount", vars{"messageId": again}) // Not shown, but among the versions.
		turned("deleteMessage beside the line", 2, first.reply)

		f := b.do(ada, "forkConversation", "conversation { id }", vars{"messageId": first.reply})
		names[idAt(f, "conversation.id")] = "fork"
		wantEvents(t, list, "viewerEvents", names, "ConversationCreated fork")
		b.ask(ada, deleteDocument, vars{"id": first.conversation})
		wantEvents(t, sub, field, names, "ConversationDeleted c")
		sub.wantCompleted(t)
	})
}

// Who follows a reply that is deleted with its question is told, once.
func TestDeletedWithItsQuestion(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		s, model := b.start(ada, "")
		names := map[pid.ID]string{s.conversation: "c", s.reply: "r"}
		model.say(t, "so far")
		sub, own := b.subscribe(ada, turnedDocument, vars{"id": s.conversation}), b.follow(ada, s.reply, "")
		wantEvents(t, sub, "conversationEvents", names, "ConversationSnapshot c", "MessageSnapshot r")
		d := b.do(ada, "deleteMessage", "deletedCount fromIndex conversation { runningReply { id } }",
			vars{"messageId": s.user})
		if at(d, "deletedCount") != 2.0 || at(d, "fromIndex") != 1.0 || at(d, "conversation.runningReply") != nil {
			t.Errorf("got %v, want two rows gone and nothing running", d)
		}
		var now screen
		now.toEnd(t, own)
		if now.status != "STOPPED" || now.text() != "so far" {
			t.Errorf("the reply ends %s with %q, want STOPPED with its text", now.status, now.text())
		}
		e := wantEvents(t, sub, "conversationEvents", names, "ConversationSnapshot c")
		if e[0].at("conversationEvents.fromIndex") == nil || e[0].at("conversationEvents.runningReply") != nil {
			t.Errorf("got %s, want the line without the reply", e[0].raw)
		}
	})
}

// The table of docs/protocol.md says what the mutations do to the tree of its picture.
func TestTreeOfTheProtocol(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `(\\w+)` of (\\w+)[^|]*?(?:after (\\w+) )?\\| [^|]* \\| ([^|]*) \\| (\\d*) ?\\|$")
	rows := row.FindAllStringSubmatch(string(page), -1)
	if len(rows) != 11 {
		t.Fatalf("the table has %d rows, want 11", len(rows))
	}
	b := onSQLite(t)
	ada := b.signUp("ada")
	for _, r := range rows {
		mutation, of, after, want, from := r[1], r[2], r[3], r[4], r[5]
		conversation, ids := b.picture(ada)
		in := vars{"messageId": ids[of]}
		selection := "conversation { id }"
		switch mutation {
		case "regenerateReply", "continueReply":
			in["wait"] = true
		case "editMessage":
			in["wait"], in["content"] = true, "Q1c"
		case "updateMessage":
			in["content"], selection = "corrected", "message { id }"
		case "selectBranch", "deleteMessage":
			selection += " fromIndex"
		case "addMessages":
			in = vars{"conversationId": conversation, "messages": []any{vars{"role": "USER", "content": "A"}}}
			if after != "" {
				in["afterMessageId"] = ids[after]
			} else {
				in["messages"] = append(in["messages"].([]any), vars{"role": "ASSISTANT", "content": "B"})
			}
		}
		var line []string
		v := b.do(ada, mutation, selection, in)
		if got := at(v, "fromIndex"); got != nil && fmt.Sprint(got) != from {
			t.Errorf("%s of %s: fromIndex is %v, want %s", mutation, of, got, from)
		}
		names := make(map[string]string)
		for name, id := range ids {
			names[string(id)] = name
		}
		a := b.ask(ada, `query($id: ID!) { conversation(id: $id) { messages { nodes { id } } } }`, vars{"id": conversation})
		for _, id := range texts(a.at("conversation.messages.nodes"), "id") {
			line = append(line, names[id])
		}
		if want == "as it was" {
			want = "S Q1 R1b Q3 R3"
		}
		known := slices.Collect(maps.Values(names))
		expected := strings.Fields(want)
		for i, name := range expected {
			if !slices.Contains(known, name) {
				expected[i] = "" // It is new.
			}
		}
		if !slices.Equal(line, expected) {
			t.Errorf("%s of %s: the line is %q, want %q", mutation, of, line, want)
		}
	}
}

// picture makes the tree of docs/branches.svg.
func (b *bundle) picture(p person) (conversation pid.ID, ids map[string]pid.ID) {
	b.t.Helper()
	ids = make(map[string]pid.ID)
	conversation = b.conversation(p, vars{"systemPrompt": "S"})
	send := func(question, reply string) {
		s := b.send(p, conversation, question, vars{"wait": true})
		ids[question], ids[reply] = s.user, s.reply
	}
	send("Q1", "R1")
	send("Q2", "R2")
	e := b.do(p, "editMessage", "userMessage { id parent { id } } reply { id }",
		vars{"messageId": ids["Q1"], "content": "Q1b", "wait": true})
	ids["S"], ids["Q1b"], ids["R4"] = idAt(e, "userMessage.parent.id"), idAt(e, "userMessage.id"), idAt(e, "reply.id")
	ids["R1b"] = b.again(p, ids["R1"])
	send("Q3", "R3")
	b.cut(p, ids["R3"], "half")
	return conversation, ids
}
