package auth_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"parley/internal/auth"
	"parley/internal/refusal"
)

// wrongly is the store of a replica that is wrong about the database's clock, as one is for
// a moment when that was set.
type wrongly struct {
	clockedStore
	by time.Duration
}

func (s wrongly) Clock() time.Time { return s.clock.Now().Add(s.by) }

// replicaWithClocks returns a replica whose machine's clock is wrong, and which is wrong
// about the database's.
func (b *bundle) replicaWithClocks(machine, database time.Duration) *auth.Service {
	b.t.Helper()
	cfg := b.cfg
	cfg.Clock = func() time.Time { return b.clock.Now().Add(machine) }
	s, err := auth.New(cfg, wrongly{b.store, database}, b.bus, b.keys, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// Replicas take each other's tokens and count together, whatever the clocks of their
// machines say.
func TestClocksOfReplicas(t *testing.T) {
	for _, wrong := range []time.Duration{20 * time.Second, -20 * time.Second, 5 * time.Hour, -5 * time.Hour} {
		t.Run(wrong.String(), func(t *testing.T) {
			each(t, func(c *auth.Config) {
				c.Limits.RefreshesPerHour, c.AccessTTL = 2, 2*time.Hour
			}, func(t *testing.T, b *bundle) {
				other := b.replicaWithClocks(wrong, 0)
				tokens := b.signUp(t.Context())
				if _, err := other.Authenticate(t.Context(), tokens.AccessToken); err != nil {
					t.Fatalf("a fresh token: %v", err)
				}
				theirs, err := other.Refresh(t.Context(), tokens.RefreshToken)
				if err != nil {
					t.Fatalf("refresh: %v", err)
				}
				b.principal(t.Context(), theirs)
				if ttl := theirs.ExpiresAt.Sub(b.clock.Now()); ttl != b.cfg.AccessTTL {
					t.Errorf("a token of the other is good for %v, want %v", ttl, b.cfg.AccessTTL)
				}
				// Within the grace here is within it there, and costs nothing.
				b.clock.Advance(b.cfg.Grace)
				for range 3 {
					again, err := other.Refresh(t.Context(), tokens.RefreshToken)
					if err != nil || again.RefreshToken != theirs.RefreshToken {
						t.Fatalf("a repeat within the grace: %v, want the same successor", err)
					}
				}
				last := b.refresh(theirs.RefreshToken)
				_, err = other.Refresh(t.Context(), last.RefreshToken)
				if wait := wantCode(t, err, refusal.CodeRateLimited).RetryAfter; wait > 30*time.Minute {
					t.Errorf("wait for %v, want half an hour at most", wait)
				}
				b.clock.Advance(30 * time.Minute)
				if _, err = other.Refresh(t.Context(), last.RefreshToken); err != nil {
					t.Errorf("after that wait: %v", err)
				}
				b.clock.Advance(b.cfg.AccessTTL)
				if _, err := other.Authenticate(t.Context(), last.AccessToken); !errors.Is(err, auth.ErrExpired) {
					t.Errorf("an old token: %v, want ErrExpired", err)
				}
			})
		})
	}
}

// What is known of the database's clock may be wrong by two minutes in either direction.
func TestLeewayOfTokens(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		tokens := b.signUp(t.Context())
		for _, tt := range []struct {
			wrong time.Duration
			taken bool
		}{
			{-121 * time.Second, false}, {-119 * time.Second, true},
			{b.cfg.AccessTTL + 119*time.Second, true}, {b.cfg.AccessTTL + 121*time.Second, false},
		} {
			_, err := b.replicaWithClocks(0, tt.wrong).Authenticate(t.Context(), tokens.AccessToken)
			if tt.taken != (err == nil) || err != nil && !refusal.Is(err, refusal.CodeUnauthenticated) {
				t.Errorf("wrong by %v: %v, want it taken: %v", tt.wrong, err, tt.taken)
			}
		}
	})
}

// A socket ends when its token says, by the clock that all share. One whose token was
// still taken after that ends when it no longer is.
func TestSocketEndsWithItsToken(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		p := b.principal(t.Context(), b.signUp(t.Context()))
		for _, tt := range []struct{ now, left time.Duration }{
			{0, b.cfg.AccessTTL}, {b.cfg.AccessTTL - time.Minute, time.Minute},
			{b.cfg.AccessTTL, 2 * time.Minute}, {b.cfg.AccessTTL + time.Minute, time.Minute},
		} {
			s := b.replicaWithClocks(5*time.Hour, tt.now)
			began := time.Now()
			ctx, cancel := s.Bind(t.Context(), p)
			ends, _ := ctx.Deadline()
			if left := ends.Sub(began); left < tt.left || ends.After(time.Now().Add(tt.left)) {
				t.Errorf("after %v a socket lives for %v, want %v", tt.now, left, tt.left)
			}
			if err := ctx.Err(); err != nil {
				t.Errorf("after %v it is ended: %v", tt.now, err)
			}
			cancel()
			wantEnd(t, ctx, ctx.Err())
		}
		late := b.replicaWithClocks(0, b.cfg.AccessTTL+2*time.Minute)
		ctx, cancel := late.Bind(t.Context(), p)
		defer cancel()
		wantEnd(t, ctx, auth.ErrExpired)
	})
}

// No token outlives its AuthSession, leeway or not.
func TestLeewayEndsWithTheSession(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		tokens := b.signUp(t.Context())
		b.clock.Advance(b.cfg.RefreshIdle - time.Minute)
		for range 3 {
			tokens = b.refresh(tokens.RefreshToken)
			b.clock.Advance(b.cfg.RefreshIdle - time.Minute)
		}
		tokens = b.refresh(tokens.RefreshToken)
		b.clock.Advance(b.session().ExpiresAt.Sub(b.clock.Now()) - 5*time.Minute)
		tokens = b.refresh(tokens.RefreshToken)
		b.principal(t.Context(), tokens)
		b.clock.Advance(5 * time.Minute)
		_, err := b.Authenticate(t.Context(), tokens.AccessToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
	})
}
