package chat

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"parley/ent"
	"parley/internal/fact"
	"parley/internal/reply"
)

// Store is what this package needs of the database beside Ent.
type Store interface {
	// Client returns the Ent client.
	Client() *ent.Client
	// InTx runs fn in one transaction.
	InTx(ctx context.Context, fn func(tx *ent.Tx) error) error
	// Lock makes transactions that lock the same key run one after the other.
	Lock(ctx context.Context, tx *ent.Tx, key string) error
	// Now returns the database's clock.
	Now(ctx context.Context) (time.Time, error)
	// NowTx is Now within a transaction, without a second connection beside tx.
	NowTx(ctx context.Context, tx *ent.Tx) (time.Time, error)
}

// Config holds the limits of one user. Zero fields take the default, except
// TokensPerDay, where zero means no limit.
type Config struct {
	// WaitLimit is how long a send with wait holds its caller.
	WaitLimit time.Duration
	// MaxRunning is how many replies of one user may run at once.
	MaxRunning int
	// SendsPerMinute is how many messages one user may send in a minute. Negative:
	// as many as they like.
	SendsPerMinute int
	// TokensPerDay is how many tokens, asked and answered, one user may use in a
	// day (UTC).
	TokensPerDay int
}

// The defaults of Config.
const (
	DefaultWaitLimit      = 50 * time.Second
	DefaultMaxRunning     = 3
	DefaultSendsPerMinute = 20
)

// Service is the domain. It is safe for concurrent use and starts no goroutine of
// its own.
type Service struct {
	cfg     Config
	store   Store
	replies *reply.Engine
	models  *Catalog
	bus     fact.Bus
	log     *slog.Logger
}

// New returns the service.
func New(cfg Config, store Store, replies *reply.Engine, models *Catalog, bus fact.Bus, log *slog.Logger) *Service {
	if cfg.WaitLimit == 0 {
		cfg.WaitLimit = DefaultWaitLimit
	}
	if cfg.MaxRunning == 0 {
		cfg.MaxRunning = DefaultMaxRunning
	}
	if cfg.SendsPerMinute == 0 {
		cfg.SendsPerMinute = DefaultSendsPerMinute
	}
	return &Service{cfg: cfg, store: store, replies: replies, models: models, bus: bus, log: log}
}

// publish hands on what a transaction has changed, and returns its error. It also
// publishes when the transaction failed otherwise than by a refusal: the answer to its
// commit may have been lost. Whoever hears a fact reads the rows, and finds nothing
// where nothing was stored.
func (s *Service) publish(err error, facts ...fact.Fact) error {
	var refusal *Error
	if !errors.As(err, &refusal) {
		for _, f := range facts {
			s.bus.Publish(f)
		}
	}
	return err
}
