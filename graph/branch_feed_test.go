package graph_test

import (
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
		if got := texts(e[0].at(field+".message.siblings.nodes"), "id"); len(got) != 2 || got[0] != string(first.reply) {
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
