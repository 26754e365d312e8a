package auth_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"parley/ent"
	"parley/internal/auth"
	"parley/internal/bus"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/viewer"
	"parley/internal/waittest"
)

func TestContextValues(t *testing.T) {
	t.Parallel()
	if _, ok := auth.PrincipalFrom(t.Context()); ok {
		t.Error("a principal out of nowhere")
	}
	if auth.ClientAddr(t.Context()).IsValid() {
		t.Error("an address out of nowhere")
	}
	p := auth.Principal{UserID: pid.New(pid.User)}
	addr := netip.MustParseAddr("192.0.2.1")
	ctx := auth.WithClientAddr(auth.WithPrincipal(t.Context(), p), addr)
	if got, ok := auth.PrincipalFrom(ctx); !ok || got != p {
		t.Errorf("got %v, want %v", got, p)
	}
	if got := auth.ClientAddr(ctx); got != addr {
		t.Errorf("got %v, want %v", got, addr)
	}
}

// A13: without any word from the bus a revocation counts within five seconds.
func TestRevocationIsSeenWithoutTheBus(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		tokens := b.signUp(t.Context())
		p := b.principal(t.Context(), tokens)
		socket, cancel := b.Bind(t.Context(), p)
		defer cancel()
		deaf, err := auth.New(b.cfg, b.store, bus.NewLocal(), b.keys, discard())
		if err != nil {
			t.Fatal(err)
		}
		if err := deaf.SignOut(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		b.principal(t.Context(), tokens) // Still believed.
		b.clock.Advance(5 * time.Second)
		_, err = b.Authenticate(t.Context(), tokens.AccessToken)
		wantCode(t, err, refusal.CodeUnauthenticated)
		if socket.Err() != nil {
			t.Fatal("the socket heard what nobody said")
		}
		if err := b.CheckBound(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantEnd(t, socket, auth.ErrRevoked)
	})
}

func TestCheckBoundKeepsTheLiving(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		p := b.principal(t.Context(), b.signUp(t.Context()))
		socket, cancel := b.Bind(t.Context(), p)
		defer cancel()
		if err := b.CheckBound(t.Context()); err != nil {
			t.Fatal(err)
		}
		if socket.Err() != nil {
			t.Fatalf("a living session was ended: %v", context.Cause(socket))
		}
		b.store.Client().User.Update().SetDisabledAt(b.clock.Now()).ExecX(admin(t.Context()))
		if err := b.CheckBound(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantEnd(t, socket, auth.ErrRevoked)
	})
}

// When the bus has lost something, the database is asked at once.
func TestMissedFacts(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		lossy := &lossyBus{Local: b.bus, missed: make(chan struct{}, 1)}
		s, err := auth.New(b.cfg, b.store, lossy, b.keys, discard())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		p := b.principal(t.Context(), b.signUp(t.Context()))
		socket, cancel := s.Bind(t.Context(), p)
		defer cancel()
		if err := b.SignOut(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if socket.Err() != nil {
			t.Fatal("the fact was not lost")
		}
		lossy.missed <- struct{}{}
		wantEnd(t, socket, auth.ErrRevoked)
	})
}

// lossyBus delivers nothing and says so.
type lossyBus struct {
	*bus.Local
	missed chan struct{}
}

func (b *lossyBus) Subscribe(fact.Topic) fact.Subscription { return b }
func (b *lossyBus) Facts() <-chan *fact.Fact               { return nil }
func (b *lossyBus) Missed() <-chan struct{}                { return b.missed }
func (b *lossyBus) Close()                                 {}

func TestBind(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		p := b.principal(t.Context(), b.signUp(t.Context()))

		late := p
		late.ExpiresAt = b.clock.Now().Add(50 * time.Millisecond)
		ctx, cancel := b.Bind(t.Context(), late)
		defer cancel()
		wantEnd(t, ctx, auth.ErrExpired)

		graceful := b.newReplica(func(c *auth.Config) { c.BindGrace = time.Hour })
		ctx, cancelGrace := graceful.Bind(t.Context(), late)
		defer cancelGrace()
		if ctx.Err() != nil {
			t.Fatal("the grace was not granted")
		}

		ctx, cancel = b.Bind(t.Context(), p)
		if d, ok := ctx.Deadline(); !ok || time.Until(d) > 15*time.Minute {
			t.Errorf("deadline %v, want within 15 minutes", d)
		}
		cancel()
		wantEnd(t, ctx, context.Canceled)
		if errors.Is(context.Cause(ctx), auth.ErrRevoked) {
			t.Error("the caller's own cancel looks like a revocation")
		}

		// A fact about somebody else, or another session, ends nothing.
		ctx, cancel = b.Bind(t.Context(), p)
		defer cancel()
		b.bus.Publish(fact.Fact{Kind: fact.AccessRevoked, UserID: pid.New(pid.User), SessionID: p.SessionID})
		b.bus.Publish(fact.Fact{Kind: fact.AccessRevoked, UserID: p.UserID, SessionID: pid.New(pid.AuthSession)})
		b.bus.Publish(fact.Fact{Kind: fact.AccessRevoked})
		// A principal that was revoked before it was bound, and is cached as alive.
		if err := b.SignOut(t.Context(),
			auth.Principal{UserID: p.UserID, SessionID: pid.New(pid.AuthSession)}); err != nil {
			t.Fatal(err)
		}
		if ctx.Err() != nil {
			t.Fatal("somebody else's revocation ended the context")
		}
		if err := b.SignOut(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		wantEnd(t, ctx, auth.ErrRevoked)
		ctx, cancelDead := b.Bind(t.Context(), p)
		defer cancelDead()
		wantEnd(t, ctx, auth.ErrRevoked)
		waittest.Until(t, "the last contexts leave", func() bool { return b.Bound() == 0 })
	})
}

// brokenStore fails every transaction and every look at the clock.
type brokenStore struct{ clockedStore }

var errBroken = errors.New("broken on purpose")

func (brokenStore) InTx(context.Context, func(*ent.Tx) error) error { return errBroken }
func (brokenStore) Now(context.Context) (time.Time, error)          { return time.Time{}, errBroken }

// What cannot be counted or checked is refused.
func TestFailsClosed(t *testing.T) {
	each(t, nil, func(t *testing.T, b *bundle) {
		tokens := b.signUp(t.Context())
		p := b.principal(t.Context(), tokens)
		s, err := auth.New(b.cfg, brokenStore{b.store}, b.bus, b.keys, discard())
		if err != nil {
			t.Fatal(err)
		}
		ctx := from(t.Context(), "192.0.2.1")
		_, err = s.SignIn(ctx, email, goodPassword)
		if e := wantCode(t, err, refusal.CodeUnavailable); !errors.Is(e, errBroken) {
			t.Errorf("got %v, want the cause in the chain", e)
		}
		_, err = s.SignUp(ctx, auth.SignUpInput{Email: "b@example.org", Password: goodPassword})
		wantCode(t, err, refusal.CodeUnavailable)
		_, err = s.Refresh(ctx, tokens.RefreshToken)
		wantCode(t, err, refusal.CodeUnavailable)
		wantCode(t, s.SignOut(ctx, p), refusal.CodeUnavailable)
		wantCode(t, s.ChangePassword(ctx, p, goodPassword, otherPassword), refusal.CodeUnavailable)
		wantCode(t, s.Sweep(ctx), refusal.CodeUnavailable)
		wantCode(t, s.SetDisabled(viewer.AsAdmin(ctx), email, true), refusal.CodeUnavailable)

		gone, cancel := context.WithCancel(ctx)
		cancel()
		_, err = s.Authenticate(gone, tokens.AccessToken)
		wantCode(t, err, refusal.CodeUnavailable)
	})
}
