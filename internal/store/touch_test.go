package store_test

import (
	"testing"
	"time"

	"parley/ent"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// A version grows though the clock goes back, what is returned is what is stored, and nobody
// else's row is touched.
func TestTouch(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		e := newEnding(t, s)
		other := makeUser(t, s, "other@example.com")
		id := e.end.Final.ConversationID
		archived := time.UnixMicro(1_700_000_000_000_001)
		before := s.Client().Conversation.UpdateOneID(id).SetPinned(true).SetArchivedAt(archived).SetModel("m").
			SaveX(e.u.ctx)
		for range 3 {
			var c *ent.Conversation
			err := s.InTx(e.u.ctx, func(tx *ent.Tx) (err error) {
				if none, err := s.Touch(other.ctx, tx, other.id, id, time.Now()); err != nil || none != nil {
					t.Errorf("touched another user's: %v, %v", none, err)
				}
				c, err = s.Touch(e.u.ctx, tx, e.u.id, id, before.UpdatedAt.Add(-time.Hour))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			stored := s.Client().Conversation.GetX(e.u.ctx, id)
			if !c.UpdatedAt.After(before.UpdatedAt) || !c.UpdatedAt.Equal(stored.UpdatedAt) ||
				!c.CreatedAt.Equal(before.CreatedAt) || !c.ArchivedAt.Equal(archived) || c.String() != stored.String() {
				t.Errorf("got %v, stored is %v, before it was %v", c, stored, before)
			}
			before = c
		}
	})
}
