package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/privacy"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// What is read before a send is found by indexes also in a database that was never
// analysed, as SQLite's never is: of a long conversation its head and what is unfinished.
func TestBeforeASendInALongLine(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, bare *store.Store) {
		u := makeUser(t, bare, "a@example.com")
		l := makeLine(t, bare, u)
		l.fill(5000)
		head := l.add(message.RoleASSISTANT, message.StatusSTREAMING, "half")
		bare.Client().Conversation.UpdateOneID(l.id).SetHeadID(head.ID).ExecX(u.ctx)
		j := &journal{}
		s := bare.Recording(j.record)
		q := chat.SendQuery{UserID: u.id, ConversationID: l.id, ClientKey: ptr("key-00001"),
			Since: time.Now(), Limit: 5}
		var state chat.SendState
		err := s.InTx(u.ctx, func(tx *ent.Tx) (err error) {
			state, err = s.BeforeSend(u.ctx, tx, q)
			return err
		})
		if err != nil || state.HeadIndex != 5000 || state.Running != 1 || len(state.Unfinished) != 1 {
			t.Fatalf("got %+v, %v, want the head and the reply that runs", state, err)
		}
		plan := explain(t, s, j.take()[0])
		if fullScan.MatchString(plan) || strings.Contains(plan, "message_conversation_id") ||
			// Once for message 0, and once for the sum that is made where the head does not say it: see
			// TestLineBytes.
			strings.Count(plan, "message_visible_line") > 2 {
			t.Errorf("more than the head and what is unfinished is read of the messages:\n%s", plan)
		}
	})
}

// How long a line is follows from its head alone, where that is a reply that says what it
// was made from; else it is summed up.
func TestLineBytes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		for name, test := range map[string]struct {
			status message.Status
			prompt *int
			want   int
		}{
			"says it":             {message.StatusCOMPLETED, ptr(1000), 1000 + 6},
			"says it and runs":    {message.StatusSTREAMING, ptr(1000), 1000 + 6},
			"says it and failed":  {message.StatusFAILED, ptr(1000), 1000 + 6},
			"does not":            {message.StatusCOMPLETED, nil, 9 + 4 + 6 + 3 + 6},
			"does not and runs":   {message.StatusSTREAMING, nil, 9 + 4 + 6 + 3 + 6},
			"does not and failed": {message.StatusFAILED, nil, 9 + 4 + 6 + 3 + 6},
		} {
			l := makeLine(t, s, u)
			l.add(message.RoleSYSTEM, message.StatusCOMPLETED, "Be brief.")
			l.add(message.RoleUSER, message.StatusCOMPLETED, "öne")
			l.add(message.RoleASSISTANT, message.StatusFAILED, "failed")
			l.add(message.RoleUSER, message.StatusSTOPPED, "cancelled")
			l.add(message.RoleUSER, message.StatusCOMPLETED, "two")
			head := l.add(message.RoleASSISTANT, test.status, "thrée")
			if test.prompt != nil {
				s.Client().Message.UpdateOneID(head.ID).SetPromptBytes(*test.prompt).ExecX(u.ctx)
			}
			s.Client().Conversation.UpdateOneID(l.id).SetHeadID(head.ID).ExecX(u.ctx)
			err := s.InTx(u.ctx, func(tx *ent.Tx) error {
				state, err := s.BeforeSend(u.ctx, tx, chat.SendQuery{UserID: u.id, ConversationID: l.id})
				if state.LineBytes != test.want {
					t.Errorf("%s: the line has %d bytes, want %d", name, state.LineBytes, test.want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The second lock: statements written by hand serve only the user who is asking.
func TestSendStatementsHaveTwoLocks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u, other := makeUser(t, s, "a@example.com"), makeUser(t, s, "b@example.com")
		l := makeLine(t, s, u)
		l.fill(3)
		rows := func(owner pid.ID) chat.SendRows {
			c := s.Client().Conversation.GetX(u.ctx, l.id)
			m := func(role message.Role, index int, parent pid.ID) *ent.Message {
				return &ent.Message{ID: pid.New(pid.Message), ConversationID: l.id, UserID: owner, ParentID: &parent,
					Index: index, Role: role, Status: message.StatusCOMPLETED, CreatedAt: c.CreatedAt}
			}
			question := m(message.RoleUSER, 3, *l.last)
			c.UserID = owner
			return chat.SendRows{Conversation: c, Question: question, PayloadHash: "h",
				Reply: m(message.RoleASSISTANT, 4, question.ID)}
		}
		for name, ctx := range map[string]person{
			"nobody": {ctx: t.Context()}, "another": other, "sweep": {ctx: viewer.AsSweep(t.Context())},
		} {
			err := s.InTx(u.ctx, func(tx *ent.Tx) error {
				_, err := s.BeforeSend(ctx.ctx, tx, chat.SendQuery{UserID: u.id, ConversationID: l.id})
				return err
			})
			if !errors.Is(err, privacy.Deny) {
				t.Errorf("%s reads: got %v, want it denied", name, err)
			}
			err = s.InTx(u.ctx, func(tx *ent.Tx) error { return s.StoreSend(ctx.ctx, tx, rows(u.id)) })
			if !errors.Is(err, privacy.Deny) {
				t.Errorf("%s writes: got %v, want it denied", name, err)
			}
		}
		// The first lock: the owner in the statement.
		err := s.InTx(other.ctx, func(tx *ent.Tx) error {
			state, err := s.BeforeSend(other.ctx, tx, chat.SendQuery{UserID: other.id, ConversationID: l.id})
			if state.Conversation != nil || state.HeadIndex >= 0 {
				t.Errorf("another user reads %v", state.Conversation)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		stolen := rows(other.id)
		if err := s.InTx(other.ctx, func(tx *ent.Tx) error { return s.StoreSend(other.ctx, tx, stolen) }); err == nil {
			t.Error("another user has written to the conversation")
		}
		if n := l.count(other.ctx); n != 0 {
			t.Errorf("%d messages of another user are in the conversation", n)
		}
		if err := s.InTx(u.ctx, func(tx *ent.Tx) error { return s.StoreSend(u.ctx, tx, rows(u.id)) }); err != nil {
			t.Errorf("the user writes: %v", err)
		}
	})
}

// The clock is read when both locks are held, the user's first.
func TestLocksOfASend(t *testing.T) {
	t.Parallel()
	s := storetest.Postgres(t)
	user, conversation := pid.New(pid.User), pid.New(pid.Conversation)
	ctx := deadline(t, t.Context())
	ask := func(tx *ent.Tx, query string, args ...any) (answer bool) {
		t.Helper()
		rows, err := tx.QueryContext(ctx, query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		if !rows.Next() {
			t.Fatal("no answer")
		}
		if err := rows.Scan(&answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	var let time.Time
	got := make(chan time.Time, 1)
	err := s.InTx(ctx, func(tx *ent.Tx) error {
		if err := s.Lock(ctx, tx, string(conversation)); err != nil {
			return err
		}
		go func() {
			var at time.Time
			err := s.InTx(ctx, func(tx *ent.Tx) (err error) {
				at, err = s.LockSend(ctx, tx, user, conversation)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			got <- at
		}()
		for !ask(tx, `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if ask(tx, "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", string(user)) {
			t.Error("a send that waits for its conversation does not hold its user's lock")
		}
		var err error
		let, err = s.NowTx(ctx, tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if at := <-got; !at.After(let) {
		t.Errorf("got the time %v, want one after the lock was let go, %v", at, let)
	}
}
