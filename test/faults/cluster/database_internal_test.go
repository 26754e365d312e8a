package cluster

import "testing"

// TestPostgresIsNeeded makes sure that a run without Postgres fails: one that is
// quietly left out proves nothing.
func TestPostgresIsNeeded(t *testing.T) {
	t.Parallel()
	if _, err := newPostgres(t.Context(), ""); err == nil {
		t.Error("a cluster without Postgres was made, want an error that names the variable")
	}
}
