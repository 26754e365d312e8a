package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"parley/ent"
	"parley/internal/catalog"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/usage"
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
	// Within returns a context in which InTx gives up, with ErrBusy, when fn could not begin
	// after so long.
	Within(ctx context.Context, patience time.Duration) context.Context
	// Backlog returns how long it takes until the database comes to what a user asks for now.
	Backlog() time.Duration
	// Idle reports whether a read would not have to wait for a connection.
	Idle() bool
	// StoredBytes returns how long all texts of a user are together, who is the viewer.
	StoredBytes(ctx context.Context, userID pid.ID) (int, error)
	// Touch moves the version of a conversation, whose lock tx holds, and returns the row as it
	// becomes; nil when it is gone.
	Touch(ctx context.Context, tx *ent.Tx, userID, id pid.ID, now time.Time) (*ent.Conversation, error)
	// AddUsage adds a call of a model to the usage of its day.
	AddUsage(ctx context.Context, tx *ent.Tx, call usage.Call) error
	Sends
	Branches
}

// Config holds the limits of one user, and those of this process.
type Config struct {
	// WaitLimit is how long a send with wait holds its caller. It is required.
	WaitLimit time.Duration
	// MaxRunning is how many replies of one user may run at once. It is required.
	MaxRunning int
	// SendsPerMinute is how many messages one user may send in a minute; 0 means no
	// limit.
	SendsPerMinute int
	// TokensPerDay is how many tokens, asked and answered, one user may use in a
	// day (UTC); 0 means no limit.
	TokensPerDay int
	// ConversationsPerDay is how many conversations one user may begin in a day (UTC), those
	// that are deleted not counted; 0 means no limit.
	ConversationsPerDay int
	// BytesPerUser is about how long all texts of one user may be together; 0 means no limit.
	BytesPerUser int
	// MaxMessageBytes is how long one message of a user may be, MaxSystemBytes a system
	// prompt, and MaxPromptBytes all that a model is sent for one reply, all in UTF-8. They
	// are required.
	MaxMessageBytes, MaxSystemBytes, MaxPromptBytes int
	// MaxReplies is how many replies may run in this process, those of all users together,
	// before it takes no more. It is required.
	MaxReplies int
	// MaxBacklog is how long what users asked for may wait to be written before no more is
	// taken. It is required.
	MaxBacklog time.Duration
}

// Validate returns everything that is wrong with the configuration, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.WaitLimit <= 0 {
		errs = append(errs, fmt.Errorf("chat: the wait limit is %v, want more than zero", c.WaitLimit))
	}
	if c.MaxRunning < 1 {
		errs = append(errs, fmt.Errorf("chat: the limit on running replies is %d, want at least 1", c.MaxRunning))
	}
	if c.MaxReplies < 1 || c.MaxBacklog <= 0 {
		errs = append(errs, fmt.Errorf("chat: at most %d replies and a backlog of %v, want more than zero",
			c.MaxReplies, c.MaxBacklog))
	}
	if min(c.MaxMessageBytes, c.MaxSystemBytes) < 1 || c.MaxPromptBytes < c.MaxMessageBytes+c.MaxSystemBytes {
		errs = append(errs, fmt.Errorf("chat: messages of %d bytes and prompts of %d, want room for a message "+
			"and a system prompt of %d", c.MaxMessageBytes, c.MaxPromptBytes, c.MaxSystemBytes))
	}
	if min(c.SendsPerMinute, c.TokensPerDay, c.ConversationsPerDay, c.BytesPerUser) < 0 {
		errs = append(errs, errors.New("chat: a limit of a user is negative; 0 means no limit"))
	}
	return errors.Join(errs...)
}

// Service is the domain. It is safe for concurrent use and starts no goroutine of
// its own.
type Service struct {
	cfg     Config
	store   Store
	replies *reply.Engine
	catalog *catalog.Catalog
	bus     fact.Bus
	crowd   *crowd
	sizes   *sizes
	log     *slog.Logger
	meters  *Meters
	// names and summaries say how often users have them made.
	names, summaries *pace
	// pressure is felt by those that are refused.
	pressure pressure
}

// New returns the service, or what is wrong with the configuration.
func New(
	cfg Config, store Store, replies *reply.Engine, models *catalog.Catalog, bus fact.Bus, log *slog.Logger,
) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := newMeters()
	return &Service{cfg: cfg, store: store, replies: replies, catalog: models, bus: bus,
		crowd: newCrowd(store.AtOnce(), m.Limits.Of(limitCrowd)),
		sizes: newSizes(store.StoredBytes), log: log, meters: m, names: &pace{}, summaries: &pace{}}, nil
}

// inTurn runs fn in one transaction when it is the user's turn.
func (s *Service) inTurn(ctx context.Context, userID pid.ID, fn func(tx *ent.Tx) error) error {
	leave, err := s.crowd.enter(ctx, userID, crowdPatience)
	if err != nil {
		return err
	}
	defer leave()
	return s.store.InTx(ctx, fn)
}

// publish hands on what a transaction has changed, and returns its error. It also
// publishes when the transaction failed otherwise than by a refusal: the answer to its
// commit may have been lost. Such facts carry no rows: whoever hears one looks, and
// finds nothing where nothing was stored.
func (s *Service) publish(err error, facts ...fact.Fact) error {
	if _, refused := refusal.As(err); refused {
		return err
	}
	for _, f := range facts {
		if err != nil {
			f = f.Hint()
		}
		s.bus.Publish(f)
	}
	return err
}

// conversationFact is a fact with a copy of the row, which is bound to no transaction: the
// caller's own may still change. Without a row it is a hint.
func conversationFact(kind fact.Kind, userID, id pid.ID, c *ent.Conversation) fact.Fact {
	f := fact.Fact{Kind: kind, UserID: userID, ConversationID: id}
	if c != nil {
		row := *c
		f.Conversation = &row
	}
	return f
}

// messageFact is conversationFact for a message.
func messageFact(kind fact.Kind, m *ent.Message) fact.Fact {
	row := *m
	f := messageHint(kind, m)
	f.Message = &row
	return f
}

// messageHint is a fact about a message of which not all is known.
func messageHint(kind fact.Kind, m *ent.Message) fact.Fact {
	return fact.Fact{Kind: kind, UserID: m.UserID, ConversationID: m.ConversationID, MessageID: m.ID}
}
