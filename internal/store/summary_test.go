package store_test

import (
	"testing"

	"parley/ent"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

func TestNewestSummary(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u, other := makeUser(t, s, "a@example.com"), makeUser(t, s, "b@example.com")
		l, elsewhere := makeLine(t, s, u), makeLine(t, s, u)
		var rows []*ent.Message
		for range 6 {
			rows = append(rows, l.add(answered, completed, "text"))
		}
		hidden := s.Client().Message.Create().SetConversationID(l.id).SetUserID(u.id).SetIndex(4).
			SetRole(answered).SetActive(false).SaveX(u.ctx)
		sum := func(c pid.ID, m *ent.Message, content string) *ent.Summary {
			return s.Client().Summary.Create().SetUserID(u.id).SetConversationID(c).SetMessageID(m.ID).
				SetContent(content).SetModel("test").SaveX(u.ctx)
		}
		want := func(before int, reaches int, row *ent.Summary) {
			t.Helper()
			got, err := s.NewestSummary(u.ctx, u.id, l.id, before)
			switch {
			case err != nil:
				t.Errorf("before %d: %v", before, err)
			case row == nil && got != nil:
				t.Errorf("before %d: got %v, want none", before, got)
			case row != nil && (got == nil || got.ID != row.ID || got.Reaches != reaches ||
				got.MessageID != row.MessageID || got.Content != row.Content):
				t.Errorf("before %d: got %v, want %q, which reaches %d", before, got, row.Content, reaches)
			}
		}
		want(100, 0, nil)
		// The later one is made first: which is newest is said by the line.
		second, first := sum(l.id, rows[3], "both"), sum(l.id, rows[1], "the beginning")
		sum(l.id, hidden, "of another branch")
		sum(elsewhere.id, elsewhere.add(answered, completed, "text"), "of another conversation")
		want(100, 3, second)
		want(4, 3, second)
		want(3, 1, first)
		want(2, 1, first)
		want(1, 0, nil)

		if got, err := s.NewestSummary(other.ctx, other.id, l.id, 100); err != nil || got != nil {
			t.Errorf("for another user: got %v, %v, want none", got, err)
		}
		// A summary is gone with its message, and with the branch.
		third := sum(l.id, rows[5], "all")
		want(6, 5, third)
		s.Client().Message.DeleteOne(rows[5]).ExecX(u.ctx)
		want(100, 3, second)
		s.Client().Message.UpdateOne(rows[3]).SetActive(false).ExecX(u.ctx)
		want(100, 1, first)
	})
}
