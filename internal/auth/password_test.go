package auth_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/auth"
	"parley/internal/bus"
	"parley/internal/refusal"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
	"parley/internal/waittest"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// A3.
func TestPasswordRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, password string
		good           bool
	}{
		{"7 characters", "x7!kqzw", false},
		{"8 characters", "x7!kqzwv", true},
		{"64 characters", strings.Repeat("x7!kqzwv", 8)[:63] + "ä", true},
		{"128 characters", strings.Repeat("abcdefghijklmnopqrst7!", 6)[:128], true},
		{"129 characters", strings.Repeat("abcdefghijklmnopqrst7!", 6)[:129], false},
		{"128 emoji", strings.Repeat("🦊🐻🐼🐨🐯🦁🐮🐷", 16), true},
		{"129 emoji", strings.Repeat("🦊🐻🐼🐨🐯🦁🐮🐷", 16) + "🦊", false},
		{"a leading space counts", " x7!kqzw", true},
		{"common", "password1", false},
		{"common in capitals", "PASSWORD1", false},
		{"common with digits for letters", "P@ssw0rd1", false},
		{"common with a year", "Summer2024!", false},
		{"keyboard", "1q2w3e4r5t", false},
		{"a run", "23456789", false},
		{"a run down", "98765432", false},
		{"repeated", "xyxyxyxyxy", false},
		{"the address", "Ada@Example.org", false},
		{"the local part", "Adalovelace", false},
		{"not text", "x7!kqz\xff\xfe", false},
	} {
		address := "ada@example.org"
		if c.name == "the local part" {
			address = "adalovelace@example.org"
		}
		if got := auth.PasswordProblem(c.password, address); (got == "") != c.good {
			t.Errorf("%s: got %q, want accepted: %t", c.name, got, c.good)
		}
	}
}

func TestBlocklistIsLongEnough(t *testing.T) {
	t.Parallel()
	long := make(map[string]bool)
	checked := 0
	for p := range auth.CommonPasswords() {
		if len(p) < 8 {
			continue
		}
		if !long[p] && len(long)%97 == 0 {
			checked++
			if auth.PasswordProblem(p, "") == "" {
				t.Errorf("%q is on the list and accepted", p)
			}
		}
		long[p] = true
	}
	if len(long) < 3000 || checked < 30 {
		t.Fatalf("%d entries of at least 8 characters, want 3000", len(long))
	}
	t.Logf("%d entries of at least 8 characters", len(long))
}

// Passwords are compared as they are: no trimming, no change of case.
func TestPasswordsAreExact(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		const password = " Spaced Out 71 "
		if _, err := b.SignUp(t.Context(), auth.SignUpInput{Email: email, Password: password}); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range []string{strings.TrimSpace(password), strings.ToLower(password), password + "\x00"} {
			_, err := b.SignIn(t.Context(), email, wrong)
			wantCode(t, err, refusal.CodeUnauthenticated)
		}
		if _, err := b.SignIn(t.Context(), email, password); err != nil {
			t.Fatal(err)
		}
	})
}

// A2: who gets no turn to hash is told to come back, and is not counted as having
// guessed.
func TestHashingIsBounded(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		b.signUp(t.Context())
		release := b.FillHasher()
		before := b.HashesDone()
		start := time.Now()
		done := make(chan error, 6)
		for range cap(done) - 1 { // More would be let in by no limit: five are free.
			go func() {
				_, err := b.SignIn(t.Context(), email, goodPassword)
				done <- err
			}()
		}
		for range cap(done) - 1 {
			e := wantCode(t, <-done, refusal.CodeRateLimited)
			if e.RetryAfter < time.Second {
				t.Errorf("retry after %v, want at least a second", e.RetryAfter)
			}
		}
		if waited := time.Since(start); waited > waittest.Limit {
			t.Errorf("waited %v, want about 2 s", waited)
		}
		if got := b.HashesDone(); got != before {
			t.Errorf("%d hashes were made with no slot free", got-before)
		}
		release()
		for range 4 {
			if _, err := b.SignIn(t.Context(), email, otherPassword); err == nil {
				t.Fatal("a wrong password was accepted")
			}
		}
		if _, err := b.SignIn(t.Context(), email, goodPassword); err != nil {
			t.Fatalf("attempts without a comparison were counted: %v", err)
		}
	})
}

func TestStartIsRepeatable(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	b := setup(t, s, nil)
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.bus.Listeners(); got != 1 {
		t.Fatalf("%d listeners, want 1", got)
	}
	b.Stop()
	b.Stop()
	if got := b.bus.Listeners(); got != 0 {
		t.Fatalf("%d listeners after Stop, want none", got)
	}
	never, err := auth.New(b.cfg, b.store, b.bus, b.keys, discard())
	if err != nil {
		t.Fatal(err)
	}
	never.Stop()
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.bus.Listeners(); got != 1 {
		t.Fatalf("%d listeners after another Start, want 1", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := config()
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, lift := range map[string]func(*auth.Limits){
		"sign-ins":  func(l *auth.Limits) { l.SignInBurst = auth.NoLimit },
		"sign-ups":  func(l *auth.Limits) { l.SignUpsPerHour = auth.NoLimit },
		"refreshes": func(l *auth.Limits) { l.RefreshesPerHour = auth.NoLimit },
		"failures":  func(l *auth.Limits) { l.FreeFailures, l.FailuresPerHour = auth.NoLimit, auth.NoLimit },
	} {
		c := good
		lift(&c.Limits)
		if err := c.Validate(); err != nil {
			t.Errorf("no limit on %s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*auth.Config){
		"issuer":         func(c *auth.Config) { c.Issuer = "" },
		"audience":       func(c *auth.Config) { c.Audience = "" },
		"negative":       func(c *auth.Config) { c.AccessTTL = -1 },
		"order":          func(c *auth.Config) { c.RefreshIdle = time.Minute },
		"grace":          func(c *auth.Config) { c.Grace = time.Hour },
		"hash":           func(c *auth.Config) { c.Hash.MemoryKiB = 1 },
		"no lifetime":    func(c *auth.Config) { c.AccessTTL = 0 },
		"no grace":       func(c *auth.Config) { c.Grace = 0 },
		"no hash":        func(c *auth.Config) { c.Hash = auth.HashCost{} },
		"no limits":      func(c *auth.Config) { c.Limits = auth.Limits{} },
		"zero limit":     func(c *auth.Config) { c.Limits.FreeFailures = 0 },
		"negative limit": func(c *auth.Config) { c.Limits.SignUpsPerHour = -2 },
		"no interval":    func(c *auth.Config) { c.Limits.SignInEvery = 0 },
		"delays":         func(c *auth.Config) { c.Limits.FirstDelay, c.Limits.MaxDelay = time.Minute, time.Second },
		"our own issuer": func(c *auth.Config) {
			c.External = []auth.ExternalIssuer{{Issuer: c.Issuer, Audience: "x", JWKSURL: "https://x/"}}
		},
		"plain http": func(c *auth.Config) {
			c.External = []auth.ExternalIssuer{{Issuer: "e", Audience: "x", JWKSURL: "http://x/"}}
		},
		"symmetric": func(c *auth.Config) {
			c.External = []auth.ExternalIssuer{{Issuer: "e", Audience: "x", JWKSURL: "https://x/",
				Algorithms: []string{"HS256"}}}
		},
		"none": func(c *auth.Config) {
			c.External = []auth.ExternalIssuer{{Issuer: "e", Audience: "x", JWKSURL: "https://x/",
				Algorithms: []string{"none"}}}
		},
		"external w/o aud": func(
			c *auth.Config) {
			c.External = []auth.ExternalIssuer{{Issuer: "e", JWKSURL: "https://x/"}}
		},
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := auth.New(c, nil, bus.NewLocal(), auth.GenerateKeyring(), discard()); err == nil {
			t.Errorf("%s: New accepted it", name)
		}
	}
	if _, err := auth.New(good, nil, bus.NewLocal(), nil, discard()); err == nil {
		t.Error("New accepted no keys")
	}
}

func TestSweep(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		ctx := from(t.Context(), "192.0.2.1")
		tokens := b.signUp(ctx)
		if _, err := b.SignIn(ctx, email, goodPassword); err != nil { // Makes a known address.
			t.Fatal(err)
		}
		asSignIn := viewer.AsSignIn(ctx)
		b.clock.Advance(25 * time.Hour)
		if err := b.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		if got := b.store.Client().AuthThrottle.Query().CountX(asSignIn); got != 1 {
			t.Errorf("%d throttle rows are left, want only the known address", got)
		}
		if _, err := b.Refresh(ctx, tokens.RefreshToken); err != nil {
			t.Errorf("a live auth session was swept: %v", err)
		}
		b.clock.Advance(31 * 24 * time.Hour)
		if err := b.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		if n, m := b.store.Client().AuthThrottle.Query().CountX(asSignIn), b.store.Client().AuthSession.Query().
			CountX(asSignIn); n+m != 0 {
			t.Errorf("%d throttles and %d auth sessions are left, want none", n, m)
		}
	})
}

// The bound on waiting, without a database: in a bubble two seconds pass at once.
func TestHashWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		wantCode(t, auth.WaitForSlot(t.Context()), refusal.CodeRateLimited)
		if waited := time.Since(start); waited != 2*time.Second {
			t.Errorf("waited %v, want 2s", waited)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	for b.Loop() {
		auth.HashTime(auth.HashCost{MemoryKiB: 19456, Passes: 2, Lanes: 1})
	}
}
