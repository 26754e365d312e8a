package auth_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/auth"
	"parley/internal/refusal"
)

// A6: the delays after the fifth failure, and that they end.
func TestDelaysGrowAndEnd(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		b.signUp(t.Context())
		guess := func() error {
			_, err := b.SignIn(t.Context(), email, otherPassword)
			return err
		}
		for range 5 {
			wantCode(t, guess(), refusal.CodeUnauthenticated)
		}
		for n := range 14 {
			want := min(time.Duration(math.Pow(2, float64(n)))*time.Second, 15*time.Minute)
			if got := wantCode(t, guess(), refusal.CodeRateLimited).RetryAfter; got != want {
				t.Fatalf("after %d failures the delay is %v, want %v", 5+n, got, want)
			}
			// The right password has to wait too: else the answer would tell.
			_, err := b.SignIn(t.Context(), email, goodPassword)
			wantCode(t, err, refusal.CodeRateLimited)
			b.clock.Advance(want - time.Millisecond)
			wantCode(t, guess(), refusal.CodeRateLimited)
			b.clock.Advance(time.Millisecond)
			wantCode(t, guess(), refusal.CodeUnauthenticated)
		}
		b.clock.Advance(15 * time.Minute)
		if _, err := b.SignIn(t.Context(), email, goodPassword); err != nil {
			t.Fatalf("the right password after the delay: %v", err)
		}
		for range 5 {
			wantCode(t, guess(), refusal.CodeUnauthenticated)
		}
	})
}

// A6: 200 guesses side by side, on three replicas, get no more tries than one
// after the other.
func TestParallelGuesses(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		b.signUp(t.Context())
		replicas := []*auth.Service{b.Service, b.newReplica(nil), b.newReplica(nil)}
		before := b.HashesDone()
		var tried, limited atomic.Int64
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				// Each from its own address, so that only the account's limit applies.
				ctx := from(t.Context(), fmt.Sprintf("192.0.2.%d", i))
				_, err := replicas[i%3].SignIn(ctx, email, fmt.Sprintf("guess number %d", i))
				var e *refusal.Error
				switch {
				case errors.As(err, &e) && e.Code == refusal.CodeUnauthenticated:
					tried.Add(1)
				case errors.As(err, &e) && e.Code == refusal.CodeRateLimited:
					limited.Add(1)
				default:
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if tried.Load() != 5 || limited.Load() != 195 {
			t.Fatalf("%d guesses were tried and %d refused, want 5 and 195", tried.Load(), limited.Load())
		}
		if got := b.HashesDone() - before; got > 5 {
			t.Errorf("%d hashes, want at most 5", got)
		}
	})
}

// A6: somebody who guesses from elsewhere does not keep the owner out where the
// owner has signed in before.
func TestKnownAddressIsCountedByItself(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		b.signUp(t.Context())
		home := from(t.Context(), "2001:db8:1:2::3")
		if _, err := b.SignIn(home, email, goodPassword); err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			_, err := b.SignIn(from(t.Context(), "198.51.100.7"), email, fmt.Sprintf("guess number %d", i))
			if err == nil {
				t.Fatal("a guess was right")
			}
		}
		_, err := b.SignIn(from(t.Context(), "198.51.100.8"), email, goodPassword)
		wantCode(t, err, refusal.CodeRateLimited)
		// The same household, another machine.
		if _, err := b.SignIn(from(t.Context(), "2001:db8:1:2:ffff::1"), email, goodPassword); err != nil {
			t.Fatalf("the owner at home: %v", err)
		}
		// And guesses from there count as well.
		for range 5 {
			_, err := b.SignIn(home, email, otherPassword)
			wantCode(t, err, refusal.CodeUnauthenticated)
		}
		_, err = b.SignIn(home, email, goodPassword)
		wantCode(t, err, refusal.CodeRateLimited)
	})
}

// Who is unlimited is not counted, neither by the address nor by the account, and makes nobody
// else wait; everybody else is counted as ever.
func TestUnlimited(t *testing.T) {
	each(t, func(c *auth.Config) { c.Limits.SignUpsPerHour, c.Limits.SignInBurst = 1, 3 }, func(t *testing.T,
		b *bundle) {
		home := from(t.Context(), "127.0.0.1")
		unlimited := auth.Unlimited(home)
		for n := range 4 {
			in := auth.SignUpInput{Email: fmt.Sprintf("user%d@example.org", n), Password: goodPassword}
			if _, err := b.SignUp(unlimited, in); err != nil {
				t.Fatalf("sign-up %d: %v", n, err)
			}
		}
		const one = "user0@example.org"
		for range 120 { // More than the failures of an hour.
			_, err := b.SignIn(unlimited, one, otherPassword)
			wantCode(t, err, refusal.CodeUnauthenticated)
		}
		for _, ctx := range []context.Context{unlimited, home} {
			if _, err := b.SignIn(ctx, one, goodPassword); err != nil {
				t.Fatalf("the right password: %v", err)
			}
		}
		// Two of the burst are left to the address.
		for range 2 {
			_, err := b.SignIn(home, one, otherPassword)
			wantCode(t, err, refusal.CodeUnauthenticated)
		}
		_, err := b.SignIn(home, one, goodPassword)
		wantCode(t, err, refusal.CodeRateLimited)
	})
}

// The address of a sign-up is one that the owner has used.
func TestAddressOfSignUpIsKnown(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		home := from(t.Context(), "2001:db8:1:2::3")
		b.signUp(home)
		for i := range 6 {
			_, err := b.SignIn(from(t.Context(), "198.51.100.7"), email, fmt.Sprintf("guess number %d", i))
			if err == nil {
				t.Fatal("a guess was right")
			}
		}
		_, err := b.SignIn(from(t.Context(), "198.51.100.8"), email, goodPassword)
		wantCode(t, err, refusal.CodeRateLimited)
		if _, err := b.SignIn(home, email, goodPassword); err != nil {
			t.Fatalf("the owner where the account was made: %v", err)
		}
	})
}

// A6: even an attacker who profits from the owner's successes gets at most 100
// guesses an hour.
func TestFailuresPerHour(t *testing.T) {
	each(t, func(c *auth.Config) { c.Limits.FailuresPerHour = 20 }, func(t *testing.T, b *bundle) {
		b.signUp(t.Context())
		guesses := 0
		for range 180 { // One hour in steps of 20 seconds.
			_, err := b.SignIn(t.Context(), email, otherPassword)
			var e *refusal.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if e.Code == refusal.CodeUnauthenticated {
				guesses++
			}
			// Resets the delay whenever it is let in.
			_, _ = b.SignIn(t.Context(), email, goodPassword) // It may be refused.
			b.clock.Advance(20 * time.Second)
		}
		if guesses < 10 || guesses > 20 {
			t.Errorf("%d guesses in an hour, want 10 to 20", guesses)
		}
		b.clock.Advance(15 * time.Minute)
		if _, err := b.SignIn(t.Context(), email, goodPassword); err != nil {
			t.Errorf("locked for good: %v", err)
		}
	})
}

func TestSignInsPerAddress(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		b.signUp(t.Context())
		try := func(addr string, n int) error {
			_, err := b.SignIn(from(t.Context(), addr), fmt.Sprintf("nobody%d@example.org", n), goodPassword)
			return err
		}
		for n := range 30 {
			wantCode(t, try("192.0.2.1", n), refusal.CodeUnauthenticated)
		}
		if got := wantCode(t, try("192.0.2.1", 30), refusal.CodeRateLimited).RetryAfter; got != 3*time.Second {
			t.Errorf("retry after %v, want 3s", got)
		}
		wantCode(t, try("::ffff:192.0.2.1", 30), refusal.CodeRateLimited)
		wantCode(t, try("192.0.2.2", 31), refusal.CodeUnauthenticated)
		b.clock.Advance(3 * time.Second)
		wantCode(t, try("192.0.2.1", 32), refusal.CodeUnauthenticated)
		wantCode(t, try("192.0.2.1", 33), refusal.CodeRateLimited)
		// Without an address there is no limit by address.
		for n := range 40 {
			_, err := b.SignIn(t.Context(), fmt.Sprintf("other%d@example.org", n), goodPassword)
			wantCode(t, err, refusal.CodeUnauthenticated)
		}
	})
}

func TestSignUpsPerAddress(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		try := func(addr string, n int) error {
			_, err := b.SignUp(from(t.Context(), addr),
				auth.SignUpInput{Email: fmt.Sprintf("user%d@example.org", n), Password: goodPassword})
			return err
		}
		for n := range 9 {
			if err := try("2001:db8::1", n); err != nil {
				t.Fatal(err)
			}
		}
		// Asking who has an account counts (A5), from the whole /64.
		wantCode(t, try("2001:db8::2", 3), refusal.CodeBadUserInput)
		e := wantCode(t, try("2001:db8::3", 3), refusal.CodeRateLimited)
		if err := try("2001:db8:0:1::1", 20); err != nil {
			t.Fatalf("another network: %v", err)
		}
		b.clock.Advance(e.RetryAfter)
		if err := try("2001:db8::1", 21); err != nil {
			t.Fatal(err)
		}
	})
}
