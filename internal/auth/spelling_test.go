package auth_test

import (
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/unicode/norm"

	"parley/ent/user"
	"parley/internal/auth"
	"parley/internal/refusal"
	"parley/internal/viewer"
)

// One password and one address, composed and decomposed, as a Mac and a PC type them.
const (
	composedPassword   = "Schöne Größe 7é"
	decomposedPassword = "Scho\u0308ne Gro\u0308ße 7e\u0301"
	composedEmail      = "zoé@exämple.org"
	decomposedEmail    = "zoe\u0301@exa\u0308mple.org"
)

func unlimited(c *auth.Config) {
	c.Limits.SignUpsPerHour, c.Limits.SignInBurst = auth.NoLimit, auth.NoLimit
	c.Limits.FreeFailures, c.Limits.FailuresPerHour = auth.NoLimit, auth.NoLimit
}

func TestBothSpellingsOfAPasswordSignIn(t *testing.T) {
	each(t, unlimited, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		both := []string{composedPassword, decomposedPassword, strings.ReplaceAll(composedPassword, " ", "\u00a0")}
		for i, made := range both {
			address := string(rune('a'+i)) + "@example.org"
			tokens, err := b.SignUp(ctx, auth.SignUpInput{Email: address, Password: made})
			if err != nil {
				t.Fatal(err)
			}
			for _, typed := range both {
				if _, err := b.SignIn(ctx, address, typed); err != nil {
					t.Errorf("made as %+q, typed as %+q: %v", made, typed, err)
				}
			}
			_, err = b.SignIn(ctx, address, norm.NFKD.String(strings.ToUpper(composedPassword)))
			wantCode(t, err, refusal.CodeUnauthenticated)

			p := b.principal(ctx, tokens)
			err = b.ChangePassword(ctx, p, made, both[(i+1)%len(both)])
			if e := wantCode(t, err, refusal.CodeBadUserInput); e.Fields["newPassword"] == "" {
				t.Errorf("the same password in another spelling: got %v, want a problem with newPassword", e.Fields)
			}
			if err := b.ChangePassword(ctx, p, both[(i+1)%len(both)], otherPassword); err != nil {
				t.Errorf("the current password in another spelling: %v", err)
			}
			if err := b.SetPassword(admin(ctx), address, made); err != nil {
				t.Fatal(err)
			}
			for _, typed := range both {
				if _, err := b.SignIn(ctx, address, typed); err != nil {
					t.Errorf("set by the operator as %+q, typed as %+q: %v", made, typed, err)
				}
			}
		}
	})
}

// A hash from before passwords had one form is of what was typed. It stays good, and is made
// anew when it was used.
func TestHashesOfPasswordsAsTypedStayGood(t *testing.T) {
	each(t, unlimited, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		in := b.signUp(ctx)
		store := func(password string) {
			b.store.Client().User.Update().Where(user.ID(in.User.ID)).SetPasswordHash(b.HashAsTyped(password)).
				ExecX(viewer.AsSignIn(ctx))
		}
		store(decomposedPassword)
		_, err := b.SignIn(ctx, email, composedPassword)
		wantCode(t, err, refusal.CodeUnauthenticated) // What was typed then is not known yet.
		for _, typed := range []string{decomposedPassword, composedPassword, decomposedPassword} {
			if _, err := b.SignIn(ctx, email, typed); err != nil {
				t.Fatalf("%+q: %v", typed, err)
			}
		}
		store(composedPassword)
		for _, typed := range []string{decomposedPassword, composedPassword} {
			if _, err := b.SignIn(ctx, email, typed); err != nil {
				t.Fatalf("%+q: %v", typed, err)
			}
		}
		// One that the present rules would not take: its form is shorter than eight.
		short := "e\u0301e\u0301e\u0301e\u0301"
		store(short)
		if _, err := b.SignIn(ctx, email, short); err != nil {
			t.Fatal(err)
		}
	})
}

// How many hashes an attempt takes depends on what was typed alone: not on whether there is an
// account, whether it is enabled, and of which form its hash is.
func TestHashesOfAnAttempt(t *testing.T) {
	each(t, unlimited, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		for address, disabled := range map[string]bool{"on@example.org": false, "off@example.org": true} {
			if _, err := b.AddUser(admin(ctx), address, "", decomposedPassword); err != nil {
				t.Fatal(err)
			}
			if err := b.SetDisabled(admin(ctx), address, disabled); err != nil {
				t.Fatal(err)
			}
		}
		for _, address := range []string{"on@example.org", "off@example.org", "nobody@example.org", "nonsense"} {
			for typed, want := range map[string]int64{
				composedPassword: 1, otherPassword: 1, strings.Repeat("x", 1<<16): 1,
				decomposedPassword: 2, decomposedPassword + "!": 2,
			} {
				before := b.HashesDone()
				_, _ = b.SignIn(ctx, address, typed)
				if got := b.HashesDone() - before; got != want {
					t.Errorf("%s, %.20q: %d hashes, want %d", address, typed, got, want)
				}
			}
		}
	})
}

func TestPasswordsAreCountedAsCompared(t *testing.T) {
	t.Parallel()
	jamo := norm.NFD.String("각낙닥락막박삭악")
	for _, c := range []struct {
		name, password string
		good           bool
	}{
		{"8 syllables as 24 jamo", jamo, true},
		{"7 letters with marks", norm.NFD.String("äöüÄÖÜé"), false},
		{"128 decomposed", norm.NFD.String(strings.Repeat("ǘắệṻ", 32)), true},
		{"129 decomposed", norm.NFD.String(strings.Repeat("ǘắệṻ", 32) + "ä"), false},
		{"the address in another spelling", decomposedEmail, false},
		{"the address in capitals", strings.ToUpper(decomposedEmail), false},
		{"a face newer than the tables", "\U0001fae9\U0001fac8 long enough", true},
	} {
		if got := auth.PasswordProblem(c.password, composedEmail); (got == "") != c.good {
			t.Errorf("%s: got %q, want accepted: %t", c.name, got, c.good)
		}
	}
}

func TestBothSpellingsOfAnAddressAreOneAccount(t *testing.T) {
	each(t, unlimited, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		forms := []string{decomposedEmail, composedEmail, strings.ToUpper(decomposedEmail), " " + composedEmail}
		made, err := b.SignUp(ctx, auth.SignUpInput{Email: decomposedEmail, Password: goodPassword})
		if err != nil {
			t.Fatal(err)
		}
		if got := *made.User.Email; got != composedEmail {
			t.Errorf("stored %+q, want it composed", got)
		}
		b.isOneAccount(made, forms)

		// One from before addresses were composed.
		b.store.Client().User.Update().Where(user.ID(made.User.ID)).SetEmail(decomposedEmail).
			ExecX(viewer.AsSignIn(ctx))
		b.isOneAccount(made, forms)

		// Two from before: each is found by what was typed.
		b.store.Client().User.Create().SetEmail(composedEmail).SetPasswordHash(b.HashAsTyped(otherPassword)).
			ExecX(viewer.AsSignIn(ctx))
		for typed, passwords := range map[string][2]string{
			decomposedEmail:                {goodPassword, otherPassword},
			composedEmail:                  {otherPassword, goodPassword},
			strings.ToUpper(composedEmail): {otherPassword, goodPassword},
		} {
			if _, err := b.SignIn(ctx, typed, passwords[0]); err != nil {
				t.Errorf("%+q with its own password: %v", typed, err)
			}
			_, err := b.SignIn(ctx, typed, passwords[1])
			wantCode(t, err, refusal.CodeUnauthenticated)
		}
	})
}

// isOneAccount asserts that the address is the account's in every form, and nobody else's.
func (b *bundle) isOneAccount(want *auth.Tokens, forms []string) {
	b.t.Helper()
	ctx := b.t.Context()
	for _, form := range forms {
		in, err := b.SignIn(ctx, form, goodPassword)
		if err != nil || in.User.ID != want.User.ID {
			b.t.Errorf("sign in as %+q: %v, want the same account", form, err)
		}
		_, err = b.SignUp(ctx, auth.SignUpInput{Email: form, Password: goodPassword})
		if e := wantCode(b.t, err, refusal.CodeBadUserInput); e.Fields["email"] == "" {
			b.t.Errorf("sign up as %+q: %v, want that it is taken", form, e.Fields)
		}
		_, err = b.AddUser(admin(ctx), form, "", goodPassword)
		wantCode(b.t, err, refusal.CodeBadUserInput)
		if err := b.SetDisabled(admin(ctx), form, true); err != nil {
			b.t.Errorf("disable %+q: %v", form, err)
		}
		if err := b.SetDisabled(admin(ctx), form, false); err != nil {
			b.t.Errorf("enable %+q: %v", form, err)
		}
	}
}

func TestSpellingsOfAnAddressAreCountedTogether(t *testing.T) {
	each(t, func(c *auth.Config) { c.Limits.SignInBurst = auth.NoLimit }, func(t *testing.T, b *bundle) {
		forms := []string{decomposedEmail, composedEmail}
		limited := false
		for i := range 2 * config().Limits.FreeFailures {
			_, err := b.SignIn(t.Context(), forms[i%2], goodPassword)
			e, _ := refusal.As(err)
			limited = limited || e != nil && e.Code == refusal.CodeRateLimited
		}
		if !limited {
			t.Error("a guesser who changes the spelling has twice the attempts")
		}
	})
}

func TestSignUpsRaceForOneAddressInTwoSpellings(t *testing.T) {
	each(t, unlimited, func(t *testing.T, b *bundle) {
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			address := []string{composedEmail, decomposedEmail}[i%2]
			wg.Go(func() {
				_, errs[i] = b.SignUp(t.Context(), auth.SignUpInput{Email: address, Password: goodPassword})
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

func TestNamesOfAccounts(t *testing.T) {
	each(t, unlimited, func(t *testing.T, b *bundle) {
		for i, c := range []struct{ name, email, want string }{
			{name: " Ada\n\tLovelace\u200b", want: "Ada Lovelace"},
			{name: "\u200b\u202e", want: ""},
			{name: "evil\u202egpj.exe", want: "evilgpj.exe"},
			{name: "\x01Ada\x1b[0m", want: "Ada[0m"},
			{name: strings.Repeat("क्षि", 25), want: strings.Repeat("क्षि", 25)},
		} {
			address := string(rune('a'+i)) + "@example.org"
			in, err := b.SignUp(t.Context(), auth.SignUpInput{Email: address, Password: goodPassword, Name: c.name})
			if err != nil {
				t.Errorf("%+q: %v", c.name, err)
			} else if in.User.Name != c.want {
				t.Errorf("%+q: got %+q, want %+q", c.name, in.User.Name, c.want)
			}
		}
		for _, address := range []string{"a\u200bda@example.org", "ada\u202e@example.org", "ada@exam\u00adple.org"} {
			_, err := b.SignUp(t.Context(), auth.SignUpInput{Email: address, Password: goodPassword})
			if e := wantCode(t, err, refusal.CodeBadUserInput); e.Fields["email"] == "" {
				t.Errorf("%+q: got %v, want a problem with email", address, e.Fields)
			}
		}
	})
}
