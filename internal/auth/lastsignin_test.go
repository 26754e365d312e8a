package auth_test

import (
	"testing"
	"time"

	"parley/internal/viewer"
)

// TestLastSignIn wants the time of the last password, whatever became of its session.
func TestLastSignIn(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		admin := viewer.AsAdmin(t.Context())
		want := func(what string, at *time.Time) {
			t.Helper()
			users, err := b.ListUsers(admin, "", 1)
			if err != nil || len(users) != 1 {
				t.Fatalf("%s: got %v, %v, want one user", what, users, err)
			}
			got := users[0].LastSignInAt
			if (got == nil) != (at == nil) || got != nil && !got.Equal(*at) {
				t.Errorf("%s: the last sign-in is %v, want %v", what, got, at)
			}
		}
		if _, err := b.AddUser(admin, email, "", goodPassword); err != nil {
			t.Fatal(err)
		}
		want("after the operator has made the account", nil)
		b.clock.Advance(time.Hour)
		tokens, err := b.SignIn(t.Context(), email, goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		first := b.clock.Now()
		want("after a sign-in", &first)

		b.clock.Advance(time.Hour)
		tokens = b.refresh(tokens.RefreshToken)
		if _, err := b.SignIn(t.Context(), email, otherPassword); err == nil {
			t.Fatal("a wrong password signs in")
		}
		want("after a refresh and a wrong password", &first)

		if err := b.SetDisabled(admin, email, true); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(31 * 24 * time.Hour)
		if err := b.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("after the end of the session and its row", &first)
		if _, err := b.Refresh(t.Context(), tokens.RefreshToken); err == nil {
			t.Error("the session is not over")
		}
	})
}

func TestSignUpIsASignIn(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		b.signUp(t.Context())
		users, err := b.ListUsers(viewer.AsAdmin(t.Context()), "", 1)
		if err != nil || len(users) != 1 || users[0].LastSignInAt == nil ||
			!users[0].LastSignInAt.Equal(b.clock.Now()) {
			t.Errorf("got %v, %v, want a user who has just signed in", users, err)
		}
	})
}
