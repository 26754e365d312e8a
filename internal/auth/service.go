package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"parley/ent"
	"parley/ent/authsession"
	"parley/internal/complaint"
	"parley/internal/fact"
	"parley/internal/pid"
	counts "parley/internal/tally" // This package has a tally of its own.
	"parley/internal/viewer"
)

const (
	// boundCheckEvery is how often contexts from Bind are compared with the database,
	// in case the bus lost a fact or there was nobody to publish it.
	boundCheckEvery = 10 * time.Second
	// sweepEvery is how often rows that mean nothing any more are removed.
	sweepEvery = time.Hour
	// sweepTime bounds one round of the tasks in the background.
	sweepTime = 30 * time.Second
)

// Store is what this package needs of the database.
type Store interface {
	// Client returns the Ent client.
	Client() *ent.Client
	// InTx runs fn in one transaction and commits it when fn returns nil.
	InTx(ctx context.Context, fn func(tx *ent.Tx) error) error
	// Lock makes transactions that lock the same key run one after the other.
	Lock(ctx context.Context, tx *ent.Tx, key string) error
	// Now returns the clock that all replicas share.
	Now(ctx context.Context) (time.Time, error)
	// Clock returns what Now would, as well as it is known without asking.
	Clock() time.Time
}

// Service signs users up, in and out and says who an access token speaks for. It
// is safe for concurrent use. All its errors are *refusal.Error.
type Service struct {
	cfg      Config
	store    Store
	bus      fact.Bus
	keys     *Keyring
	log      *slog.Logger
	hasher   *hasher
	throttle *throttle
	access   *accessTokens
	external map[string]*externalIssuer
	live     *liveCache
	bound    *bindings
	limits   *counts.Counters

	mu sync.Mutex
	// stop ends the goroutines of Start; nil when there are none. Guarded by mu.
	stop    context.CancelFunc
	running sync.WaitGroup
}

// New returns a service that works at once; Start makes it hear of revocations on
// other replicas.
func New(cfg Config, store Store, bus fact.Bus, keys *Keyring, log *slog.Logger) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if keys == nil || keys.keys == nil {
		return nil, errors.New("auth: no keys")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	s := &Service{
		cfg:      cfg,
		store:    store,
		bus:      bus,
		keys:     keys,
		log:      log,
		throttle: &throttle{store: store, limits: cfg.Limits, accessTTL: cfg.AccessTTL},
		access:   newAccessTokens(keys, cfg.Issuer, cfg.Audience, store.Clock),
		external: make(map[string]*externalIssuer),
		live:     newLiveCache(),
		bound:    newBindings(),
		limits:   counts.NewCounters("sign_in", "sign_up", "refresh", "password_change", "password_hashing"),
	}
	s.hasher = newHasher(cfg.Hash, s.logHashTime)
	for _, e := range cfg.External {
		s.external[e.Issuer] = newExternalIssuer(e, cfg.Transport, store.Clock, cfg.Clock)
	}
	return s, nil
}

// Start listens for revocations and begins to check bound contexts, to remove
// expired rows and to keep the key sets of external issuers fresh. It returns when
// it listens. The goroutines end with ctx or with Stop. A second call does nothing.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		return nil
	}
	ctx, s.stop = context.WithCancel(ctx)
	recheck := make(chan struct{}, 1)
	sub := s.bus.Subscribe(fact.Control)
	s.running.Go(func() { s.listen(ctx, sub, recheck) })
	s.running.Go(func() { s.maintain(ctx, recheck) })
	for _, e := range s.external {
		s.running.Go(func() { e.keys.keepFresh(ctx, s.log) })
	}
	return nil
}

// logHashTime notes what the first password cost.
func (s *Service) logHashTime(ctx context.Context, took time.Duration) {
	level := slog.LevelInfo
	if took < 10*time.Millisecond || took > time.Second {
		level = slog.LevelWarn // Too cheap to slow guessing, or too slow to sign in with.
	}
	s.log.Log(ctx, level, "password hashing measured", slog.Duration("hash_time", took),
		slog.Int("at_once", cap(s.hasher.slots)))
}

// Stop ends what Start began and waits for it. Contexts from Bind live on. It may
// be called more than once, and before Start.
func (s *Service) Stop() {
	s.mu.Lock()
	stop := s.stop
	s.stop = nil
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
	s.running.Wait()
}

// listen ends what other replicas revoke.
func (s *Service) listen(ctx context.Context, sub fact.Subscription, recheck chan<- struct{}) {
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-sub.Facts():
			s.hear(*f)
		case <-sub.Missed():
			s.live.clear()
			select {
			case recheck <- struct{}{}:
			default: // One is waiting already.
			}
		}
	}
}

func (s *Service) maintain(ctx context.Context, recheck <-chan struct{}) {
	bound := time.NewTicker(boundCheckEvery)
	defer bound.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	checking, sweeping := complaint.About("checking bound contexts"), complaint.About("removing expired auth sessions")
	for {
		task, undone := s.checkBound, checking
		select {
		case <-ctx.Done():
			return
		case <-recheck:
		case <-bound.C:
		case <-sweep.C:
			task, undone = s.Sweep, sweeping
		}
		taskCtx, cancel := context.WithTimeout(ctx, sweepTime)
		undone.Report(ctx, s.log, task(taskCtx))
		cancel()
	}
}

// Sweep removes AuthSessions that have expired and throttle rows that count
// nothing any more. Start calls it every hour. It returns UNAVAILABLE.
func (s *Service) Sweep(ctx context.Context) error {
	ctx = viewer.AsSignIn(ctx)
	now, err := s.store.Now(ctx)
	if err != nil {
		return unavailable("sweep", err)
	}
	if _, err := s.store.Client().AuthSession.Delete().Where(authsession.ExpiresAtLT(now)).Exec(ctx); err != nil {
		return unavailable("sweep auth sessions", err)
	}
	if _, err := s.throttle.sweep(ctx, now); err != nil {
		return unavailable("sweep", err)
	}
	return nil
}

// audit adds the client's address to the attributes of an audit line. Such lines
// name users by id only.
func (s *Service) audit(ctx context.Context, attrs ...slog.Attr) []any {
	out := make([]any, 0, len(attrs)+1)
	for _, a := range attrs {
		out = append(out, a)
	}
	if addr := ClientAddr(ctx); addr.IsValid() {
		out = append(out, slog.String("address", addr.String()))
	}
	return out
}

// Limits counts what was refused because of too many attempts, by what.
func (s *Service) Limits() *counts.Counters { return s.limits }

// logLimit notes that a limit refused something. userID may be empty.
func (s *Service) logLimit(ctx context.Context, what string, wait time.Duration, userID pid.ID) {
	kind, _, _ := strings.Cut(what, " by ")
	s.limits.Of(strings.NewReplacer(" ", "_", "-", "_").Replace(kind)).Inc()
	attrs := []slog.Attr{slog.String("limit", what), slog.Duration("retry_after", wait)}
	if userID != "" {
		attrs = append(attrs, slog.String("user_id", string(userID)))
	}
	s.log.WarnContext(ctx, "rate limited", s.audit(ctx, attrs...)...)
}

// limited turns what a throttle said into an error, and notes it.
func (s *Service) limited(ctx context.Context, what string, wait time.Duration, kind string, err error) error {
	if err != nil {
		return unavailable("count "+what, err)
	}
	if wait <= 0 {
		return nil
	}
	s.logLimit(ctx, fmt.Sprintf("%s by %s", what, kind), wait, "")
	return errRateLimited(wait, what+" by "+kind)
}
