package auth_test

import (
	"context"
	"encoding/base64"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/ent"
	"parley/internal/auth"
	"parley/internal/fact"
	"parley/internal/refusal"
	"parley/internal/viewer"
)

func (b *bundle) refresh(token string) *auth.Tokens {
	b.t.Helper()
	tokens, err := b.Refresh(b.t.Context(), token)
	if err != nil {
		b.t.Fatal(err)
	}
	return tokens
}

func (b *bundle) session() *ent.AuthSession {
	b.t.Helper()
	return b.store.Client().AuthSession.Query().OnlyX(viewer.AsSignIn(b.t.Context()))
}

// A10: what is stored is no credential.
func TestRefreshTokensAreNotStored(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		first := b.signUp(t.Context())
		second := b.refresh(first.RefreshToken)
		row := b.session()
		for _, token := range []string{first.RefreshToken, second.RefreshToken} {
			secret := strings.Split(token, ".")[3]
			if raw, err := base64.RawURLEncoding.DecodeString(secret); err != nil || len(raw) != 32 {
				t.Fatalf("the secret has %d bytes, %v; want 32", len(raw), err)
			}
			for _, stored := range []string{row.TokenHash, *row.PreviousHash, row.KeyID} {
				if strings.Contains(stored, secret) || len(stored) > 64 {
					t.Error("the database holds a token")
				}
			}
		}
		if first.RefreshToken == second.RefreshToken || first.AccessToken == second.AccessToken {
			t.Error("refreshing gave the same tokens")
		}
		if row.Generation != 1 {
			t.Errorf("generation %d, want 1", row.Generation)
		}
		b.principal(t.Context(), second)
	})
}

func TestRefreshExpires(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		tokens := b.signUp(t.Context())
		start := b.clock.Now()
		// Used every six days, the family lives until its absolute end.
		for range 4 {
			b.clock.Advance(6 * 24 * time.Hour)
			tokens = b.refresh(tokens.RefreshToken)
		}
		b.clock.Advance(start.Add(30 * 24 * time.Hour).Add(-time.Minute).Sub(b.clock.Now()))
		tokens = b.refresh(tokens.RefreshToken)
		if got := tokens.ExpiresAt.Sub(b.clock.Now()); got != time.Minute {
			t.Errorf("the access token outlives the family: %v", got)
		}
		b.clock.Advance(time.Minute)
		_, err := b.Refresh(t.Context(), tokens.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)

		idle, err := b.SignIn(t.Context(), email, goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(7 * 24 * time.Hour)
		_, err = b.Refresh(t.Context(), idle.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
	})
}

// A11: R1 → R2, R2 → R3, then R1 again.
func TestReuseEndsTheFamily(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		r1 := b.signUp(t.Context())
		r2 := b.refresh(r1.RefreshToken)
		r3 := b.refresh(r2.RefreshToken)
		other := b.newReplica(nil)
		p, err := other.Authenticate(t.Context(), r3.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		socket, cancel := other.Bind(t.Context(), p)
		defer cancel()
		facts := b.bus.Subscribe(fact.Control)
		defer facts.Close()

		// Within the grace, but not the direct predecessor.
		_, err = b.Refresh(t.Context(), r1.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		wantEnd(t, socket, auth.ErrRevoked)
		want := fact.Fact{Kind: fact.AccessRevoked, UserID: p.UserID, SessionID: p.SessionID}
		if got := <-facts.Facts(); *got != want {
			t.Errorf("published %+v, want %+v", got, want)
		}
		_, err = b.Refresh(t.Context(), r3.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		for _, s := range []*auth.Service{b.Service, other} {
			_, err = s.Authenticate(t.Context(), r3.AccessToken)
			wantCode(t, err, refusal.CodeUnauthenticated)
		}
		if !strings.Contains(b.log.String(), "refresh token reused") {
			t.Error("the reuse was not logged")
		}
		if got := *b.session().RevokedReason; got != "refresh-token-reused" {
			t.Errorf("reason %q", got)
		}
	})
}

// A12.
func TestGrace(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		r1 := b.signUp(t.Context())
		r2 := b.refresh(r1.RefreshToken)
		b.clock.Advance(10 * time.Second)
		again := b.refresh(r1.RefreshToken)
		if again.RefreshToken != r2.RefreshToken {
			t.Error("a repeat within the grace gave another successor")
		}
		if again.AccessToken == r2.AccessToken {
			t.Error("a repeat gave an old access token")
		}
		if got := b.session().Generation; got != 1 {
			t.Errorf("generation %d, want 1", got)
		}
		b.principal(t.Context(), again)
		b.clock.Advance(time.Second)
		_, err := b.Refresh(t.Context(), r1.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		_, err = b.Refresh(t.Context(), r2.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
	})
}

// An answer that never arrived costs no session, however late the token comes that it was for.
func TestLostAnswer(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		r1 := b.signUp(t.Context())
		b.principal(t.Context(), r1)
		b.clock.Advance(time.Hour)
		lost := b.refresh(r1.RefreshToken)
		for range 3 { // And these are lost too.
			b.clock.Advance(24 * time.Hour)
			for _, ask := range []func(context.Context, string) (*auth.Tokens, error){b.Refresh, b.Resume} {
				again, err := ask(t.Context(), r1.RefreshToken)
				if err != nil || again.RefreshToken != lost.RefreshToken {
					t.Fatalf("got %v, %v; want the successor that was lost", again, err)
				}
			}
		}
		// Two tabs asked, and one of them has its answer already.
		b.principal(t.Context(), b.refresh(r1.RefreshToken))
		b.clock.Advance(10 * time.Second)
		if got := b.refresh(r1.RefreshToken); got.RefreshToken != lost.RefreshToken {
			t.Error("the second of two tabs got another successor")
		}
		if got := b.session().Generation; got != 1 {
			t.Errorf("generation %d, want 1", got)
		}
		b.refresh(lost.RefreshToken)
	})
}

// Nobody has used the session for too long: an answer that was lost makes it no longer.
func TestLostAnswerIsBounded(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		r1 := b.signUp(t.Context())
		b.refresh(r1.RefreshToken)
		b.clock.Advance(6 * 24 * time.Hour)
		b.refresh(r1.RefreshToken)
		b.clock.Advance(24 * time.Hour)
		_, err := b.Refresh(t.Context(), r1.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		if row := b.session(); row.RevokedAt != nil {
			t.Errorf("it ended as %q, want by its time", *row.RevokedReason)
		}
	})
}

// Whatever of an answer is used proves that it has arrived. From then on the token before it is
// in wrong hands.
func TestUseProvesArrival(t *testing.T) {
	uses := map[string]func(t *testing.T, b *bundle, before, after *auth.Tokens){
		"the access token": func(t *testing.T, b *bundle, before, after *auth.Tokens) {
			b.principal(t.Context(), before) // What is cached of it hides nothing.
			b.principal(t.Context(), after)
		},
		"the access token, elsewhere": func(t *testing.T, b *bundle, _, after *auth.Tokens) {
			if _, err := b.newReplica(nil).Authenticate(t.Context(), after.AccessToken); err != nil {
				t.Fatal(err)
			}
		},
		"the access token of a repeat": func(t *testing.T, b *bundle, before, _ *auth.Tokens) {
			b.clock.Advance(time.Hour)
			b.principal(t.Context(), b.refresh(before.RefreshToken))
		},
		"the refresh token": func(t *testing.T, b *bundle, _, after *auth.Tokens) {
			b.refresh(after.RefreshToken)
		},
		"the refresh token, shared": func(t *testing.T, b *bundle, _, after *auth.Tokens) {
			tokens, err := b.Resume(t.Context(), after.RefreshToken)
			if err != nil || tokens.RefreshToken != after.RefreshToken {
				t.Fatalf("got %v, %v; want the young token again", tokens, err)
			}
		},
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			each(t, nil, func(t *testing.T, b *bundle) {
				r1 := b.signUp(t.Context())
				r2 := b.refresh(r1.RefreshToken)
				use(t, b, r1, r2)
				b.clock.Advance(11 * time.Second)
				_, err := b.Refresh(t.Context(), r1.RefreshToken)
				wantCode(t, err, refusal.CodeUnauthenticated)
				_, err = b.Refresh(t.Context(), r2.RefreshToken)
				wantCode(t, err, refusal.CodeUnauthenticated)
				if got := *b.session().RevokedReason; got != "refresh-token-reused" {
					t.Errorf("reason %q", got)
				}
			})
		})
	}
}

func TestParallelRefreshesGiveOneSuccessor(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		r1 := b.signUp(t.Context())
		other := b.newReplica(nil)
		var wg sync.WaitGroup
		got := make([]*auth.Tokens, 50)
		for i := range got {
			wg.Go(func() {
				var err error
				if got[i], err = []*auth.Service{b.Service, other}[i%2].Refresh(t.Context(),
					r1.RefreshToken); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, tokens := range got {
			if tokens == nil || tokens.RefreshToken != got[0].RefreshToken {
				t.Fatal("not all got the same successor")
			}
		}
		if row := b.session(); row.Generation != 1 || row.RevokedAt != nil {
			t.Fatalf("generation %d, revoked %v; want one rotation", row.Generation, row.RevokedAt)
		}
		r3 := b.refresh(got[0].RefreshToken)
		_, err := b.Refresh(t.Context(), r1.RefreshToken) // The grandparent.
		wantCode(t, err, refusal.CodeUnauthenticated)
		_, err = b.Refresh(t.Context(), r3.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
	})
}

// What we did not make must not end a family whose id it names.
func TestGarbageEndsNothing(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		tokens := b.signUp(t.Context())
		parts := strings.Split(tokens.RefreshToken, ".")
		change := func(i int, to string) string {
			p := append([]string(nil), parts...)
			p[i] = to
			return strings.Join(p, ".")
		}
		secret := []byte(parts[3])
		// The last character of 32 bytes has two spare bits: another spelling.
		last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", secret[42])
		secret[42] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last^1]
		foreign := auth.GenerateKeyring()
		strangers := b.replicaWithKeys(b.cfg, foreign)
		alien, err := strangers.SignIn(t.Context(), email, goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		alienParts := strings.Split(alien.RefreshToken, ".")
		for name, garbage := range map[string]string{
			"empty":            "",
			"random secret":    change(3, base64.RawURLEncoding.EncodeToString(make([]byte, 32))),
			"other spelling":   change(3, string(secret)),
			"random tag":       change(4, base64.RawURLEncoding.EncodeToString(make([]byte, 16))),
			"earlier":          change(2, "-1"),
			"later":            change(2, "7"),
			"zeros in front":   change(2, "00"),
			"other prefix":     change(0, "prx"),
			"more":             tokens.RefreshToken + ".x",
			"space":            tokens.RefreshToken + " ",
			"another key":      change(4, alienParts[4]),
			"foreign family":   alien.RefreshToken,
			"our access token": tokens.AccessToken,
			"huge":             strings.Repeat("x.", 1<<20),
		} {
			_, err := b.Refresh(t.Context(), garbage)
			if e := wantCode(t, err, refusal.CodeUnauthenticated); e.Message == "" {
				t.Errorf("%s: no message", name)
			}
		}
		b.refresh(tokens.RefreshToken)
	})
}

func TestRefreshIsLimited(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		tokens := b.signUp(t.Context())
		for range 30 {
			tokens = b.refresh(tokens.RefreshToken)
		}
		_, err := b.Refresh(t.Context(), tokens.RefreshToken)
		e := wantCode(t, err, refusal.CodeRateLimited)
		if e.RetryAfter != 2*time.Minute {
			t.Errorf("retry after %v, want 2m", e.RetryAfter)
		}
		b.clock.Advance(e.RetryAfter)
		b.refresh(tokens.RefreshToken)
	})
}

// Tokens that live for seconds can be replaced before they end, for as long as one likes.
func TestRefreshesFollowTheLifeOfTokens(t *testing.T) {
	each(t, func(c *auth.Config) { c.AccessTTL = 10 * time.Second }, func(t *testing.T, b *bundle) {
		tokens := b.signUp(t.Context())
		for range 200 {
			b.clock.Advance(8 * time.Second)
			tokens = b.refresh(tokens.RefreshToken)
		}
	})
}

// A new key signs, the old one keeps families alive, a removed one ends them.
func TestKeyRotation(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		ring := func(text string) *auth.Keyring {
			t.Helper()
			k, err := auth.ParseKeyring(text)
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		a, c := "a:"+goodKey, "c:"+strings.ToLower(goodKey)
		old := b.replicaWithKeys(b.cfg, ring(a))
		both := b.replicaWithKeys(b.cfg, ring(c+","+a))
		rolling := b.replicaWithKeys(b.cfg, ring(a+","+c))
		gone := b.replicaWithKeys(b.cfg, ring(c))

		r1, err := old.SignUp(t.Context(), auth.SignUpInput{Email: email, Password: goodPassword})
		if err != nil {
			t.Fatal(err)
		}
		_, err = gone.Refresh(t.Context(), r1.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		_, err = gone.Authenticate(t.Context(), r1.AccessToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		if _, err := both.Authenticate(t.Context(), r1.AccessToken); err != nil {
			t.Fatal(err)
		}
		r2, err := both.Refresh(t.Context(), r1.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.session().KeyID; got != "c" {
			t.Errorf("the live token was made with key %q, want c", got)
		}
		// A repeat at a replica that signs with another key still gives the same.
		again, err := rolling.Refresh(t.Context(), r1.RefreshToken)
		if err != nil || again.RefreshToken != r2.RefreshToken {
			t.Fatalf("the repeat gave %v, %v; want the same successor", again, err)
		}
		if _, err := gone.Refresh(t.Context(), r2.RefreshToken); err != nil {
			t.Fatalf("the family was not carried over to the new key: %v", err)
		}
	})
}

func TestDisabledUserCannotRefresh(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		tokens := b.signUp(t.Context())
		// Straight in the row, without ending the auth sessions.
		b.store.Client().User.Update().SetDisabledAt(b.clock.Now()).ExecX(admin(t.Context()))
		_, err := b.Refresh(t.Context(), tokens.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		_, err = b.Authenticate(t.Context(), tokens.AccessToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
	})
}

// A token that became the current one a moment ago is given again to who shares it: an answer
// that comes late holds no token that was replaced twice.
func TestResumeSparesYoungTokens(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		resume := func(text string) string {
			t.Helper()
			tokens, err := b.Resume(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			b.principal(t.Context(), tokens)
			if tokens.ExpiresIn != 15*time.Minute {
				t.Errorf("expires in %v, want 15m", tokens.ExpiresIn)
			}
			return tokens.RefreshToken
		}
		r1 := b.signUp(t.Context()).RefreshToken
		if got := resume(r1); got != r1 {
			t.Error("a token of this moment was replaced")
		}
		b.clock.Advance(21 * time.Second)
		r2 := resume(r1)
		b.clock.Advance(10 * time.Second)
		for _, shown := range []string{r1, r2, r1} {
			if got := resume(shown); got != r2 {
				t.Error("within the grace of the successor somebody got another token")
			}
		}
		b.clock.Advance(10 * time.Second) // An answer to the last of them may be on its way.
		if got := resume(r2); got != r2 {
			t.Error("a token was replaced that somebody may just have heard of")
		}
		if got := b.session().Generation; got != 1 {
			t.Errorf("generation %d, want 1", got)
		}
		b.clock.Advance(2 * time.Second)
		if got := resume(r2); got == r2 {
			t.Error("a token beyond the grace was not replaced")
		}
		// What was replaced longer ago is still a copy in wrong hands.
		_, err := b.Resume(t.Context(), r1)
		wantCode(t, err, refusal.CodeUnauthenticated)
		if got := *b.session().RevokedReason; got != "refresh-token-reused" {
			t.Errorf("reason %q", got)
		}
	})
}

// Who signs in where somebody was signed in ends that session, and never the one that begins.
func TestSupersede(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		first := b.signUp(t.Context())
		second, err := b.SignIn(t.Context(), email, goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		last := b.refresh(first.RefreshToken)
		for _, held := range []string{last.RefreshToken, second.AccessToken, "", "prt.x"} {
			if err := b.Supersede(t.Context(), held, first.RefreshToken); err != nil {
				t.Fatal(err)
			}
		}
		b.principal(t.Context(), last)
		b.principal(t.Context(), second)
		for range 2 { // Again is nothing.
			if err := b.Supersede(t.Context(), first.RefreshToken, second.RefreshToken); err != nil {
				t.Fatal(err)
			}
		}
		_, err = b.Authenticate(t.Context(), last.AccessToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		b.principal(t.Context(), b.refresh(second.RefreshToken))
	})
}

// Any token of a family that is ours ends it, also one that was replaced long ago.
func TestSignOutHolder(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		first := b.signUp(t.Context())
		last := b.refresh(b.refresh(first.RefreshToken).RefreshToken)
		forged := first.RefreshToken[:len(first.RefreshToken)-2] + "AA"
		if !b.Owns(first.RefreshToken) || b.Owns(forged) || b.Owns("") || b.Owns(first.AccessToken) {
			t.Error("Owns takes what is not ours for ours, or the other way round")
		}
		if err := b.SignOutHolder(t.Context(), forged); err != nil {
			t.Fatal(err)
		}
		b.principal(t.Context(), last)
		for range 2 { // Again is nothing.
			if err := b.SignOutHolder(t.Context(), first.RefreshToken); err != nil {
				t.Fatal(err)
			}
		}
		_, err := b.Authenticate(t.Context(), last.AccessToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		_, err = b.Resume(t.Context(), last.RefreshToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		if got := *b.session().RevokedReason; got != "signed-out" {
			t.Errorf("reason %q", got)
		}
	})
}
