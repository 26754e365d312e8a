package store_test

import (
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

func wantConstraint(t *testing.T, what string, err error) {
	t.Helper()
	if !ent.IsConstraintError(err) {
		t.Errorf("%s: got error %v, want a constraint error", what, err)
	}
}

func TestVisibleLineIsUnique(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		l := makeLine(t, s, u)
		first := l.add(message.RoleSYSTEM, message.StatusCOMPLETED, "")
		l.add(message.RoleUSER, message.StatusCOMPLETED, "one")
		sibling := func(active bool) *ent.MessageCreate {
			return s.Client().Message.Create().SetConversationID(l.id).SetUserID(u.id).
				SetParentID(first.ID).SetIndex(1).SetRole(message.RoleUSER).SetActive(active)
		}
		wantConstraint(t, "a second active message at an index", sibling(true).Exec(u.ctx))
		for range 3 {
			if err := sibling(false).Exec(u.ctx); err != nil {
				t.Errorf("inactive sibling: %v, want none refused", err)
			}
		}
		// Branches switch in one transaction, in two statements.
		err := s.InTx(u.ctx, func(tx *ent.Tx) error {
			if err := tx.Message.Update().Where(message.ConversationID(l.id), message.Index(1)).SetActive(false).
				Exec(u.ctx); err != nil {
				return err
			}
			return tx.Message.Create().SetConversationID(l.id).SetUserID(u.id).SetIndex(1).SetRole(message.RoleUSER).
				Exec(u.ctx)
		})
		if err != nil {
			t.Errorf("switch the visible sibling: %v", err)
		}
		err = s.Client().Message.Create().SetConversationID(l.id).SetUserID(u.id).SetIndex(-1).
			SetRole(message.RoleUSER).Exec(u.ctx)
		if !ent.IsValidationError(err) {
			t.Errorf("index -1: got %v, want a validation error", err)
		}
	})
}

func TestOneStreamingReply(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		l := makeLine(t, s, u)
		l.add(message.RoleSYSTEM, message.StatusCOMPLETED, "")
		l.add(message.RoleUSER, message.StatusCOMPLETED, "one")
		running := l.add(message.RoleASSISTANT, message.StatusSTREAMING, "")
		for _, active := range []bool{true, false} {
			err := l.builder(message.RoleASSISTANT, "").SetParentID(running.ID).SetStatus(message.StatusSTREAMING).
				SetActive(active).Exec(u.ctx)
			wantConstraint(t, "a second streaming reply", err)
		}
		queued := s.Client().Message.Create().SetConversationID(l.id).SetUserID(u.id).SetIndex(9).
			SetRole(message.RoleASSISTANT).SetStatus(message.StatusQUEUED).SaveX(u.ctx)
		start := s.Client().Message.UpdateOne(queued).SetStatus(message.StatusSTREAMING)
		wantConstraint(t, "a queued reply started too early", start.Exec(u.ctx))
		s.Client().Message.UpdateOne(running).SetStatus(message.StatusFAILED).ExecX(u.ctx)
		if err := start.Exec(u.ctx); err != nil {
			t.Errorf("start the queued reply after the end of the other: %v", err)
		}
		other := makeLine(t, s, u)
		other.add(message.RoleASSISTANT, message.StatusSTREAMING, "")
	})
}

func TestUniqueKeys(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a, b := makeUser(t, s, "a@example.com"), makeUser(t, s, "b@example.com")
		key := "key-00001"
		put := func(u person, key *string) error {
			return s.Client().Send.Create().SetUserID(u.id).SetNillableClientKey(key).SetPayloadHash("h").
				SetConversationID("c").SetUserMessageID("u").SetReplyID("r").Exec(u.ctx)
		}
		if err := put(a, &key); err != nil {
			t.Fatal(err)
		}
		wantConstraint(t, "the same client key", put(a, &key))
		if err := put(b, &key); err != nil {
			t.Errorf("the same key of another user: %v, want it taken", err)
		}
		for range 50 {
			if err := put(a, nil); err != nil {
				t.Fatalf("send without a key: %v, want any number", err)
			}
		}
		admin := viewer.AsAdmin(t.Context())
		wantConstraint(t, "the same e-mail address", s.Client().User.Create().SetEmail("a@example.com").Exec(admin))
		external := func(issuer, subject string) error {
			return s.Client().User.Create().SetIssuer(issuer).SetSubject(subject).Exec(admin)
		}
		for _, id := range [][2]string{{"i", "s"}, {"i", "t"}, {"j", "s"}} {
			if err := external(id[0], id[1]); err != nil {
				t.Errorf("external user %v: %v", id, err)
			}
		}
		wantConstraint(t, "the same external identity", external("i", "s"))
		for range 3 {
			if err := s.Client().User.Create().Exec(admin); err != nil {
				t.Errorf("user without e-mail and issuer: %v, want any number", err)
			}
		}
	})
}

func TestForeignKeysHold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		wantConstraint(t, "a message of no conversation", s.Client().Message.Create().
			SetConversationID(pid.New(pid.Conversation)).SetUserID(u.id).SetIndex(0).SetRole(message.RoleUSER).
			Exec(u.ctx))
		l := makeLine(t, s, u)
		parent := l.add(message.RoleSYSTEM, message.StatusCOMPLETED, "")
		child := l.add(message.RoleUSER, message.StatusCOMPLETED, "x")
		wantConstraint(t, "a parent that does not exist", l.builder(message.RoleUSER, "").
			SetParentID(pid.New(pid.Message)).Exec(u.ctx))
		wantConstraint(t, "deletion of a parent", s.Client().Message.DeleteOne(parent).Exec(u.ctx))
		if err := s.Client().Message.DeleteOne(child).Exec(u.ctx); err != nil {
			t.Errorf("deletion of a leaf: %v", err)
		}
		// All of a line in one statement: the parent's rule is checked at its end.
		l2 := makeLine(t, s, u)
		l2.fill(50)
		if _, err := s.Client().Message.Delete().Where(message.ConversationID(l2.id)).Exec(u.ctx); err != nil {
			t.Errorf("deletion of a whole line: %v", err)
		}
	})
}

// SQLite ends a cascade at a depth of 1,000; lines are longer.
func TestDeletionOfLongLines(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u, other := makeUser(t, s, "a@example.com"), makeUser(t, s, "b@example.com")
		gone, kept, foreign := makeLine(t, s, u), makeLine(t, s, u), makeLine(t, s, other)
		gone.fill(3000)
		kept.fill(3000)
		foreign.fill(3)
		if err := s.Client().Conversation.DeleteOneID(gone.id).Exec(u.ctx); err != nil {
			t.Fatalf("delete a conversation of 3,000 messages: %v", err)
		}
		if n := gone.count(u.ctx); n != 0 {
			t.Errorf("got %d messages of a deleted conversation, want none", n)
		}
		if n := kept.count(u.ctx); n != 3000 {
			t.Errorf("got %d messages of another conversation, want 3000", n)
		}
		s.Client().Send.Create().SetUserID(u.id).SetPayloadHash("h").SetConversationID("c").SetUserMessageID("u").
			SetReplyID("r").ExecX(u.ctx)
		if err := s.Client().User.DeleteOneID(u.id).Exec(viewer.AsAdmin(t.Context())); err != nil {
			t.Fatalf("delete a user with 3,000 messages: %v", err)
		}
		sweep := viewer.AsSweep(t.Context())
		if n := kept.count(sweep) + s.Client().Send.Query().CountX(sweep); n != 0 {
			t.Errorf("got %d rows of a deleted user, want none", n)
		}
		if n := foreign.count(sweep); n != 3 {
			t.Errorf("got %d messages of another user, want 3", n)
		}
	})
}
