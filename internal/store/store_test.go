package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/privacy"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

func makeUser(t *testing.T, s *store.Store, email string) (pid.ID, context.Context) {
	t.Helper()
	u, err := s.Client().User.Create().SetEmail(email).Save(viewer.AsAdmin(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return u.ID, viewer.AsUser(t.Context(), u.ID)
}

func TestPolicyDeniesWithoutViewer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		_, ctx := makeUser(t, s, "a@example.com")
		if _, err := s.Client().User.Query().All(t.Context()); !errors.Is(err, privacy.Deny) {
			t.Errorf("query without a viewer: %v, want privacy.Deny", err)
		}
		if _, err := s.Client().User.Query().All(ctx); err != nil {
			t.Error(err)
		}
	})
}

var _ = cmp.Diff
var _ = message.FieldID
var _ *ent.Tx
