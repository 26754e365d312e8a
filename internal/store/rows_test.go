package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/budget"
	"parley/internal/refusal"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// Rows that are read for an answer are counted one by one: a read ends with the row that
// is one too many, and frees its connection.
func TestRowsAreCounted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ada := makeUser(t, s, "ada@example.org")
		l := makeLine(t, s, ada)
		for range 20 {
			l.add(message.RoleUSER, message.StatusCOMPLETED, strings.Repeat("x", 10_000))
		}
		read := func(limit int) (*budget.Budget, int, error) {
			b := budget.New(limit, nil)
			items, err := budget.Reading(budget.With(ada.ctx, b), func(ctx context.Context) ([]*ent.Message, error) {
				return s.Client().Message.Query().Where(message.UserID(ada.id)).All(ctx)
			})
			return b, len(items), err
		}
		if b, n, err := read(1 << 20); err != nil || n != 20 || b.Rows() < 200_000 || b.Rows() > 220_000 {
			t.Errorf("got %d rows of %d bytes, %v", n, b.Rows(), err)
		}
		for range 50 { // More often than there are connections.
			if b, _, err := read(40_000); !refusal.Is(err, refusal.CodeTooComplex) || b.Rows() > 70_000 {
				t.Fatalf("got %d bytes and %v, want the read ended", b.Rows(), err)
			}
		}
		full := budget.New(1<<20, func(context.Context, bool) error { return budget.ErrNoRoom })
		_, err := budget.Reading(budget.With(ada.ctx, full), func(ctx context.Context) ([]*ent.Message, error) {
			return s.Client().Message.Query().Where(message.UserID(ada.id)).All(ctx)
		})
		if !errors.Is(err, budget.ErrNoRoom) || full.Rows() > budget.Free+20_000 {
			t.Errorf("without room: got %d bytes and %v", full.Rows(), err)
		}
	})
}
