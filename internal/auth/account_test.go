package auth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/user"
	"parley/internal/auth"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/viewer"
)

func TestSignUpSignInSignOut(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		up, err := b.SignUp(ctx, auth.SignUpInput{Email: "  Ada@Example.ORG ", Password: goodPassword, Name: " Ada "})
		if err != nil {
			t.Fatal(err)
		}
		if *up.User.Email != email || up.User.Name != "Ada" || !up.User.ID.Is(pid.User) {
			t.Fatalf("got user %v, want a folded address and a trimmed name", up.User)
		}
		if got, want := up.ExpiresAt, b.clock.Now().Add(15*time.Minute); !got.Equal(want) {
			t.Fatalf("the access token ends at %v, want %v", got, want)
		}
		if stored := *up.User.PasswordHash; !strings.HasPrefix(stored, "$argon2id$v=19$m=8,t=1,p=1$") {
			t.Fatalf("stored %q, want argon2id in PHC form", stored)
		}
		in, err := b.SignIn(ctx, "ADA@example.org", goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		p := b.principal(ctx, in)
		if p.UserID != up.User.ID || !p.SessionID.Is(pid.AuthSession) || !p.ExpiresAt.Equal(in.ExpiresAt) {
			t.Fatalf("got %+v, want the user's principal", p)
		}
		// A13: on this replica and on another that had it cached.
		other := b.newReplica(nil)
		if _, err := other.Authenticate(ctx, in.AccessToken); err != nil {
			t.Fatal(err)
		}
		if err := b.SignOut(ctx, p); err != nil {
			t.Fatal(err)
		}
		if err := b.SignOut(ctx, p); err != nil {
			t.Fatalf("signing out again: %v", err)
		}
		_, err = b.Authenticate(ctx, in.AccessToken)
		if wantCode(t, err, refusal.CodeUnauthenticated); !errors.Is(err, auth.ErrRevoked) {
			t.Fatalf("got %v, want ErrRevoked", err)
		}
		b.clock.Advance(5 * time.Second)
		_, err = other.Authenticate(ctx, in.AccessToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		_, err = b.Refresh(ctx, in.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		if _, err := b.Authenticate(ctx, up.AccessToken); err != nil {
			t.Fatalf("the user's other auth session has ended too: %v", err)
		}
	})
}

func TestSignOutRefusesSomebodyElsesSession(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		ada := b.signUp(t.Context())
		p := b.principal(t.Context(), ada)
		if err := b.SignOut(t.Context(),
			auth.Principal{UserID: pid.New(pid.User), SessionID: p.SessionID}); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(time.Minute)
		b.principal(t.Context(), ada)
	})
}

func TestSignUpRefuses(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		_, err := b.SignUp(t.Context(), auth.SignUpInput{Email: "nonsense", Password: "short",
			Name: strings.Repeat("x", 101)})
		e := wantCode(t, err, refusal.CodeBadUserInput)
		for _, field := range []string{"email", "password", "name"} {
			if e.Fields[field] == "" || !strings.Contains(e.Message, " "+e.Fields[field]+".") {
				t.Errorf("got %v, %q: want the problem with %s in both", e.Fields, e.Message, field)
			}
		}
		b.signUp(t.Context())
		_, err = b.SignUp(t.Context(), auth.SignUpInput{Email: strings.ToUpper(email), Password: goodPassword})
		if e := wantCode(t, err, refusal.CodeBadUserInput); e.Fields["email"] == "" {
			t.Errorf("got %v, want a problem with email", e.Fields)
		}
	})
}

func TestSignUpRacesForOneAddress(t *testing.T) {
	each(t, func(c *auth.Config) { c.Limits.SignUpsPerHour = auth.NoLimit }, func(t *testing.T, b *bundle) {
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = b.SignUp(t.Context(), auth.SignUpInput{Email: email, Password: goodPassword})
			})
		}
		wg.Wait()
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
				continue
			}
			wantCode(t, err, refusal.CodeBadUserInput)
		}
		if made != 1 {
			t.Fatalf("%d accounts were made, want 1", made)
		}
	})
}

func TestSignUpClosed(t *testing.T) {
	each(t, func(c *auth.Config) { c.SignUpOpen = false }, func(t *testing.T, b *bundle) {
		_, err := b.SignUp(t.Context(), auth.SignUpInput{Email: email, Password: goodPassword})
		wantCode(t, err, refusal.CodeForbidden)
		if _, err := b.AddUser(admin(t.Context()), email, "Ada", goodPassword); err != nil {
			t.Fatal(err)
		}
		if _, err := b.SignIn(t.Context(), email, goodPassword); err != nil {
			t.Fatal(err)
		}
	})
}

func TestEmailAddresses(t *testing.T) {
	each(t, func(c *auth.Config) { c.Limits.SignUpsPerHour = auth.NoLimit }, func(t *testing.T, b *bundle) {
		long := strings.Repeat("a", 64) + "@" + strings.Repeat("b", 186) + ".org"
		for address, good := range map[string]bool{
			"a@b": true, "a+tag@b.org": true, "o'neill@b.org": true, "jürgen@münchen.de": true,
			"": false, "a": false, "a@": false, "@b": false, "a b@c.org": false, "Ada <a@b.org>": false,
			"a@b.org, c@d.org": false, "a@b.org\x00": false, "(x)a@b.org": false, long: false, "\xff@b.org": false,
		} {
			_, err := b.SignUp(t.Context(), auth.SignUpInput{Email: address, Password: goodPassword})
			if (err == nil) != good {
				t.Errorf("sign-up with %q: %v, want accepted: %t", address, err, good)
			}
			if _, err = b.SignIn(t.Context(), address, goodPassword); (err == nil) != good {
				t.Errorf("sign-in with %q: %v, want accepted: %t", address, err, good)
			}
		}
	})
}

// A4: whatever the reason, a failed sign-in says the same and costs the same.
func TestFailedSignInsAreAlike(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		b.signUp(t.Context())
		if _, err := b.AddUser(admin(t.Context()), "disabled@example.org", "", goodPassword); err != nil {
			t.Fatal(err)
		}
		if err := b.SetDisabled(admin(t.Context()), "disabled@example.org", true); err != nil {
			t.Fatal(err)
		}
		asSignIn := viewer.AsSignIn(t.Context())
		b.store.Client().User.Create().SetEmail("external@example.org").SetIssuer("i").SetSubject("s").SaveX(asSignIn)
		var first *refusal.Error
		for _, c := range []struct{ email, password string }{
			{email, otherPassword}, {"unknown@example.org", goodPassword}, {"disabled@example.org", goodPassword},
			{"external@example.org", ""}, {"external@example.org", goodPassword}, {"not an address", goodPassword},
			{email, strings.Repeat("x", 100_000)},
		} {
			before, rows := b.HashesDone(), b.store.Client().AuthThrottle.Query().CountX(asSignIn)
			_, err := b.SignIn(t.Context(), c.email, c.password)
			e := wantCode(t, err, refusal.CodeUnauthenticated)
			if first == nil {
				first = e
			}
			if e.Message != first.Message || e.Err != nil || e.Fields != nil || e.RetryAfter != 0 {
				t.Errorf("%s: got %+v, want the same as for a wrong password", c.email, e)
			}
			if got := b.HashesDone() - before; got != 1 {
				t.Errorf("%s: %d hashes, want 1", c.email, got)
			}
			if c.email == "unknown@example.org" && b.store.Client().AuthThrottle.Query().CountX(asSignIn) != rows+2 {
				t.Errorf("%s: attempts at an unknown account are not counted like the others", c.email)
			}
		}
		if strings.Contains(b.log.String(), "unknown@") {
			t.Error("the log names an unknown account")
		}
	})
}

// A1: a stored hash with another cost is replaced at the next sign-in.
func TestSignInRehashes(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		b.signUp(t.Context())
		costly := b.newReplica(func(c *auth.Config) { c.Hash = auth.HashCost{MemoryKiB: 16, Passes: 2, Lanes: 1} })
		if _, err := costly.SignIn(t.Context(), email, otherPassword); err == nil {
			t.Fatal("a wrong password was accepted")
		}
		for range 2 {
			tokens, err := costly.SignIn(t.Context(), email, goodPassword)
			if err != nil {
				t.Fatal(err)
			}
			u := b.store.Client().User.GetX(viewer.AsSignIn(t.Context()), tokens.User.ID)
			if !strings.HasPrefix(*u.PasswordHash, "$argon2id$v=19$m=16,t=2,p=1$") {
				t.Fatalf("stored %q, want the new cost", *u.PasswordHash)
			}
		}
		if _, err := b.SignIn(t.Context(), email, goodPassword); err != nil {
			t.Fatalf("the older cost: %v", err)
		}
	})
}

// A14.
func TestChangePassword(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		own := b.signUp(ctx)
		p := b.principal(ctx, own)
		second, err := b.SignIn(ctx, email, goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		socket, cancel := b.Bind(ctx, b.principal(ctx, second))
		defer cancel()
		ownSocket, cancelOwn := b.Bind(ctx, p)
		defer cancelOwn()

		e := wantCode(t, b.ChangePassword(ctx, p, otherPassword, "a wholly new 1 here"), refusal.CodeBadUserInput)
		if e.Fields["currentPassword"] == "" {
			t.Fatalf("got %v, want a problem with currentPassword", e.Fields)
		}
		e = wantCode(t, b.ChangePassword(ctx, p, goodPassword, "short"), refusal.CodeBadUserInput)
		if e.Fields["newPassword"] == "" {
			t.Fatalf("got %v, want a problem with newPassword", e.Fields)
		}
		wantCode(t, b.ChangePassword(ctx, p, goodPassword, goodPassword), refusal.CodeBadUserInput)
		if err := b.ChangePassword(ctx, p, goodPassword, otherPassword); err != nil {
			t.Fatal(err)
		}
		wantEnd(t, socket, auth.ErrRevoked)
		if ownSocket.Err() != nil {
			t.Fatal("the principal's own session has ended")
		}
		_, err = b.Authenticate(ctx, second.AccessToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		_, err = b.Refresh(ctx, second.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		if _, err := b.Refresh(ctx, own.RefreshToken); err != nil {
			t.Fatal(err)
		}
		_, err = b.SignIn(ctx, email, goodPassword)
		wantCode(t, err, refusal.CodeUnauthenticated)
		if _, err := b.SignIn(ctx, email, otherPassword); err != nil {
			t.Fatal(err)
		}
		wantCode(t, b.ChangePassword(ctx, auth.Principal{UserID: p.UserID}, otherPassword, goodPassword),
			refusal.CodeForbidden)
	})
}

func TestChangePasswordIsThrottled(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		p := b.principal(t.Context(), b.signUp(t.Context()))
		for range 5 {
			wantCode(t, b.ChangePassword(t.Context(), p, "wrong guess 77 x", otherPassword), refusal.CodeBadUserInput)
		}
		e := wantCode(t, b.ChangePassword(t.Context(), p, goodPassword, otherPassword), refusal.CodeRateLimited)
		if _, err := b.SignIn(t.Context(), email, goodPassword); err != nil {
			t.Fatalf("the owner has to wait at sign-in: %v", err)
		}
		b.clock.Advance(e.RetryAfter)
		if err := b.ChangePassword(t.Context(), p, goodPassword, otherPassword); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOperator(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		ctx := admin(t.Context())
		for name, err := range map[string]error{
			"no viewer": b.SetDisabled(t.Context(), email, true),
			"a user":    b.SetDisabled(viewer.AsUser(t.Context(), pid.New(pid.User)), email, true),
			"sign-in":   b.SetPassword(viewer.AsSignIn(t.Context()), email, goodPassword),
		} {
			if e := (*refusal.Error)(nil); !errors.As(err, &e) || e.Code != refusal.CodeForbidden {
				t.Errorf("%s: got %v, want FORBIDDEN", name, err)
			}
		}
		_, err := b.ListUsers(t.Context(), "", 10)
		wantCode(t, err, refusal.CodeForbidden)
		_, err = b.AddUser(t.Context(), email, "", goodPassword)
		wantCode(t, err, refusal.CodeForbidden)
		wantCode(t, b.SetDisabled(ctx, email, true), refusal.CodeNotFound)
		wantCode(t, b.SetPassword(ctx, email, goodPassword), refusal.CodeNotFound)

		for i := range 5 {
			if _, err := b.AddUser(ctx, fmt.Sprintf("user%d@example.org", i), "", goodPassword); err != nil {
				t.Fatal(err)
			}
		}
		_, err = b.AddUser(ctx, "user1@example.org", "", goodPassword)
		wantCode(t, err, refusal.CodeBadUserInput)
		var all []*ent.User
		var after pid.ID
		for {
			page, err := b.ListUsers(ctx, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			all = append(all, page...)
			after = page[len(page)-1].ID
		}
		if len(all) != 5 {
			t.Fatalf("listed %d users, want 5", len(all))
		}

		tokens, err := b.SignIn(t.Context(), "user1@example.org", goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		socket, cancel := b.Bind(t.Context(), b.principal(t.Context(), tokens))
		defer cancel()
		if err := b.SetDisabled(ctx, "user1@example.org", true); err != nil {
			t.Fatal(err)
		}
		wantEnd(t, socket, auth.ErrRevoked)
		_, err = b.Authenticate(t.Context(), tokens.AccessToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		_, err = b.SignIn(t.Context(), "user1@example.org", goodPassword)
		wantCode(t, err, refusal.CodeUnauthenticated)
		if err := b.SetDisabled(ctx, string(tokens.User.ID), false); err != nil {
			t.Fatal(err)
		}
		// The old tokens stay ended; a new sign-in works.
		_, err = b.Refresh(t.Context(), tokens.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		tokens, err = b.SignIn(t.Context(), "user1@example.org", goodPassword)
		if err != nil {
			t.Fatal(err)
		}

		if err := b.SetPassword(ctx, "user1@example.org", otherPassword); err != nil {
			t.Fatal(err)
		}
		_, err = b.Authenticate(t.Context(), tokens.AccessToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		if _, err = b.SignIn(t.Context(), "user1@example.org", otherPassword); err != nil {
			t.Fatal(err)
		}
	})
}

// hookedStore calls a function before each transaction.
type hookedStore struct {
	clockedStore
	before func()
}

func (s hookedStore) InTx(ctx context.Context, fn func(tx *ent.Tx) error) error {
	s.before()
	return s.clockedStore.InTx(ctx, fn)
}

// A password that is changed, or a user that is disabled, while a sign-in is under
// way, leaves no auth session behind.
func TestSignInMeetsChange(t *testing.T) {
	for name, change := range map[string]func(b *bundle, ctx context.Context) error{
		"password": func(b *bundle, ctx context.Context) error { return b.SetPassword(ctx, email, otherPassword) },
		"disabled": func(b *bundle, ctx context.Context) error { return b.SetDisabled(ctx, email, true) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, nil, func(t *testing.T, b *bundle) {
				up := b.signUp(t.Context())
				inTx := 0
				hooked := hookedStore{b.store, func() {
					// The first transaction counts the attempt, the second opens the session.
					if inTx++; inTx == 2 {
						b.clock.Advance(time.Microsecond)
						if err := change(b, admin(t.Context())); err != nil {
							t.Error(err)
						}
					}
				}}
				s, err := auth.New(b.cfg, hooked, b.bus, b.keys, discard())
				if err != nil {
					t.Fatal(err)
				}
				_, err = s.SignIn(t.Context(), email, goodPassword)
				wantCode(t, err, refusal.CodeUnauthenticated)
				if inTx != 2 {
					t.Fatalf("%d transactions, want 2", inTx)
				}
				asSignIn := viewer.AsSignIn(t.Context())
				u := b.store.Client().User.Query().Where(user.ID(up.User.ID)).WithAuthSessions().OnlyX(asSignIn)
				for _, row := range u.Edges.AuthSessions {
					if row.RevokedAt == nil {
						t.Error("an auth session is left")
					}
				}
			})
		})
	}
}

// Users names the owner by itself: it gives the same answer to a viewer who may see
// everybody.
func TestUsersAreOnesOwn(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		ada := b.signUp(t.Context()).User
		bob, err := b.SignUp(t.Context(), auth.SignUpInput{Email: "bob@example.org", Password: goodPassword})
		if err != nil {
			t.Fatal(err)
		}
		for name, ctx := range map[string]context.Context{
			"the user": viewer.AsUser(t.Context(), ada.ID), "the operator": admin(t.Context()),
		} {
			users, err := b.Users(ctx, ada.ID, []pid.ID{bob.User.ID, ada.ID})
			if err != nil || len(users) != 1 || users[0].ID != ada.ID {
				t.Errorf("%s: got %v, %v, want Ada alone", name, users, err)
			}
			if users, err := b.Users(ctx, ada.ID, []pid.ID{bob.User.ID}); err != nil || len(users) != 0 {
				t.Errorf("%s: got %v, %v, want nobody", name, users, err)
			}
		}
	})
}
