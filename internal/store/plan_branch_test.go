package store_test

import (
	"slices"
	"strings"
	"testing"

	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// What branches ask of the database goes by index: a branch of a long conversation is climbed
// by ids, a line measured and left along itself, and versions found by what they follow.
func TestQueryPlansOfBranches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, bare *store.Store) {
		u, _ := seeded(t, bare)
		long := makeLine(t, bare, u) // Not most of the table, which one would rather read whole.
		long.fill(599)
		head := long.add(message.RoleASSISTANT, message.StatusCOMPLETED, "last")
		bare.Client().Conversation.UpdateOneID(long.id).SetHeadID(head.ID).ExecX(u.ctx)
		j := &journal{}
		s := bare.Recording(j.record)
		service := startChat(t, s, bare)
		at := func(index int) pid.ID {
			return bare.Client().Message.Query().Where(message.ConversationID(long.id), message.UserID(u.id),
				message.Index(index), message.Active(true)).OnlyIDX(u.ctx)
		}
		check := func(what string, list []store.Statement, match string, sorted bool, indexes ...string) {
			t.Helper()
			i := slices.IndexFunc(list, func(st store.Statement) bool { return strings.Contains(plain(st), match) })
			if i < 0 {
				t.Errorf("%s: no statement contains %q", what, match)
				return
			}
			plan := explain(t, s, list[i])
			named := slices.ContainsFunc(indexes, func(index string) bool { return strings.Contains(plan, index) })
			// SQLite tells a table that is joined by its other name.
			scan := fullScan.MatchString(plan) || strings.Contains(plan, "SCAN m\n") ||
				strings.Contains(plan, "SCAN b\n")
			if !named || scan || sorted && sorting.MatchString(plan) {
				t.Errorf("%s: want index %q without scan or sorting\n%s\n%s", what, indexes, list[i].Query, plan)
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		byID := []string{"autoindex_messages_1", "messages_pkey"}
		line := []string{"message_visible_line", "message_conversation_id"}
		question, left, leaf := at(301), at(302), at(599)

		_, err := service.RegenerateReply(u.ctx, u.id, chat.Again{MessageID: question, Wait: true})
		must(err)
		again := j.take()
		check("the way to the line", again, "WHERE NOT up.active", false, byID...)
		check("the length of a line", again, "FROM messages AS b", false, "message_visible_line")
		check("leaving a branch", again, "SET active = ", false, line...)

		_, err = service.AddMessages(u.ctx, u.id, chat.AddInput{ConversationID: &long.id, AfterID: &leaf,
			Messages: []chat.NewMessage{{Role: message.RoleUSER, Content: "x"}}})
		must(err)
		climbed := j.take()
		check("the way from far below", climbed, "WHERE NOT up.active", false, byID...)

		_, _, err = service.SelectBranch(u.ctx, u.id, at(100), nil) // It is shown already.
		must(err)
		_, err = service.RegenerateReply(u.ctx, u.id, chat.Again{MessageID: question, Wait: true})
		must(err)
		j.take()
		_, from, err := service.SelectBranch(u.ctx, u.id, left, nil)
		must(err)
		selected := j.take()
		if from != 302 {
			t.Errorf("the branch begins at %d, want 302", from)
		}
		check("what lies behind", selected, "messages.index >", true, line...)
		check("entering a branch", selected, "activated_at = ", false, byID...)
		if n := len(selected); n > 20 {
			t.Errorf("a branch of 300 messages takes %d statements", n)
		}

		_, _, err = service.ForkConversation(u.ctx, u.id, chat.ForkInput{MessageID: at(200)})
		must(err)
		check("what a fork copies", j.take(), "messages.index <=", false, line...)
		hidden := bare.Client().Message.Query().Where(message.ConversationID(long.id), message.UserID(u.id),
			message.ParentID(question), message.Active(false)).FirstIDX(u.ctx)
		_, _, err = service.ForkConversation(u.ctx, u.id, chat.ForkInput{MessageID: hidden})
		must(err)
		forked := j.take()
		check("the way to the beginning", forked, "ON m.id = up.parent_id\n  WHERE m.user_id", false, byID...)
		check("what a fork copies of another line", forked, "messages.id IN (", false, byID...)

		_, err = service.Versions(u.ctx, u.id, []pid.ID{question, left, leaf})
		must(err)
		check("versions", j.take(), "messages.parent_id IN", false, "message_parent_id")
		_, err = service.DeleteMessage(u.ctx, u.id, left)
		must(err)
		deleted := j.take()
		check("deletion", deleted, "DELETE FROM messages", false, byID...)
		check("the versions beside", deleted, "messages.parent_id =", true, "message_parent_id")
		_, err = service.UpdateMessage(u.ctx, u.id, question, "corrected")
		must(err)
		updated := j.take()
		check("correction", updated, "edited_at = ", false, byID...)
		for _, list := range [][]store.Statement{again, climbed, selected, deleted, updated, forked} {
			for _, st := range list {
				if st.Query == store.CommitQuery || strings.HasPrefix(st.Query, "INSERT") ||
					strings.Contains(st.Query, "pg_advisory") {
					continue
				}
				if plan := explain(t, s, st); fullScan.MatchString(plan) {
					t.Errorf("a full scan\n%s\n%s", st.Query, plan)
				}
			}
		}
	})
}
