package auth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/auth"
	"parley/internal/bus"
	"parley/internal/refusal"
	"parley/internal/refusal/refusaltest"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
	"parley/internal/waittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	goodPassword  = "correct horse 7 battery"
	otherPassword = "staple of another 9 kind"
	email         = "ada@example.org"
)

// clock is a clock that moves when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// clockedStore is a real store whose clock is the test's.
type clockedStore struct {
	*store.Store
	clock *clock
}

func (s clockedStore) Now(context.Context) (time.Time, error) { return s.clock.Now(), nil }
func (s clockedStore) Clock() time.Time                       { return s.clock.Now() }

// logBuffer keeps what was logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

type bundle struct {
	*auth.Service
	store clockedStore
	clock *clock
	bus   *bus.Local
	keys  *auth.Keyring
	cfg   auth.Config
	log   *logBuffer
	t     *testing.T
}

// newReplica returns one more service on the same database and bus.
func (b *bundle) newReplica(change func(*auth.Config)) *auth.Service {
	b.t.Helper()
	cfg := b.cfg
	if change != nil {
		change(&cfg)
	}
	return b.replicaWithKeys(cfg, b.keys)
}

func (b *bundle) replicaWithKeys(cfg auth.Config, keys *auth.Keyring) *auth.Service {
	b.t.Helper()
	s, err := auth.New(cfg, b.store, b.bus, keys, slog.New(slog.NewJSONHandler(b.log, nil)))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := s.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(s.Stop)
	return s
}

// config is what the tests start from: the limits of cmd/parley, and hashes that cost
// nothing.
func config() auth.Config {
	return auth.Config{
		Issuer:          "https://parley.test",
		Audience:        "parley",
		SignUpOpen:      true,
		AccessTTL:       15 * time.Minute,
		RefreshIdle:     7 * 24 * time.Hour,
		RefreshAbsolute: 30 * 24 * time.Hour,
		Grace:           10 * time.Second,
		Limits: auth.Limits{
			SignInBurst: 30, SignInEvery: 3 * time.Second, SignUpsPerHour: 10, RefreshesPerHour: 30,
			FreeFailures: 5, FirstDelay: time.Second, MaxDelay: 15 * time.Minute, FailuresPerHour: 100,
		},
		Hash: auth.HashCost{MemoryKiB: 8, Passes: 1, Lanes: 1},
	}
}

func setup(t *testing.T, s *store.Store, change func(*auth.Config)) *bundle {
	t.Helper()
	b := &bundle{
		// Ahead of the wall clock or behind it: nothing may read the latter.
		clock: &clock{now: time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC)},
		bus:   bus.NewLocal(),
		keys:  auth.GenerateKeyring(),
		log:   &logBuffer{},
		t:     t,
	}
	b.store = clockedStore{s, b.clock}
	b.cfg = config()
	b.cfg.Clock = b.clock.Now
	if change != nil {
		change(&b.cfg)
	}
	b.Service = b.replicaWithKeys(b.cfg, b.keys)
	t.Cleanup(func() {
		for _, secret := range []string{goodPassword, otherPassword, "prt.", "eyJ"} {
			if strings.Contains(b.log.String(), secret) {
				t.Errorf("the log contains %q", secret)
			}
		}
	})
	return b
}

// each runs the test on both databases.
func each(t *testing.T, change func(*auth.Config), test func(t *testing.T, b *bundle)) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) { test(t, setup(t, s, change)) })
}

func (b *bundle) signUp(ctx context.Context) *auth.Tokens {
	b.t.Helper()
	tokens, err := b.SignUp(ctx, auth.SignUpInput{Email: email, Password: goodPassword, Name: "Ada"})
	if err != nil {
		b.t.Fatal(err)
	}
	return tokens
}

func (b *bundle) principal(ctx context.Context, tokens *auth.Tokens) auth.Principal {
	b.t.Helper()
	p, err := b.Authenticate(ctx, tokens.AccessToken)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func from(ctx context.Context, addr string) context.Context {
	return auth.WithClientAddr(ctx, netip.MustParseAddr(addr))
}

func admin(ctx context.Context) context.Context { return viewer.AsAdmin(ctx) }

func wantCode(t *testing.T, err error, code refusal.Code) *refusal.Error {
	t.Helper()
	var e *refusal.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want code %s", err, code)
	}
	if e.Code != code {
		t.Fatalf("got %v, want code %s", err, code)
	}
	for _, bad := range refusaltest.Voice(e.Code, e.Message, e.Fields) {
		t.Errorf("%s: %s", e.Code, bad)
	}
	return e
}

// wantEnd waits for a context to end and compares its cause.
func wantEnd(t *testing.T, ctx context.Context, cause error) {
	t.Helper()
	select {
	case <-ctx.Done():
		if got := context.Cause(ctx); !errors.Is(got, cause) {
			t.Fatalf("the context ended because of %v, want %v", got, cause)
		}
	case <-time.After(waittest.Limit):
		t.Fatalf("the context has not ended, want %v", cause)
	}
}
