package reply

import (
	"context"
	"errors"
	"time"

	"parley/ent"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/usage"
)

// Store is what this package needs of the database beside Ent.
type Store interface {
	// Client returns the Ent client.
	Client() *ent.Client
	// InTx runs fn in one transaction.
	InTx(ctx context.Context, fn func(tx *ent.Tx) error) error
	// Urgent returns a context in which writes go before those of others.
	Urgent(ctx context.Context) context.Context
	// Lock makes transactions that lock the same key run one after the other.
	Lock(ctx context.Context, tx *ent.Tx, key string) error
	// Now returns the database's clock.
	Now(ctx context.Context) (time.Time, error)
	// NowTx is Now within a transaction, without a second connection beside tx.
	NowTx(ctx context.Context, tx *ent.Tx) (time.Time, error)
	// IsUnavailable reports whether an error says that the database cannot answer now, and
	// may when it is asked again.
	IsUnavailable(err error) bool
	// Line returns the visible line before an index, in index order, without the texts that
	// no model is sent. Rows of other users are not read, and none of a user who is disabled.
	// It reads no further, and returns ErrLineTooLong, when its texts have more than maxBytes.
	Line(ctx context.Context, userID, conversationID pid.ID, before, maxBytes int) ([]prompt.Row, error)
	// ReadLine is Line for what a prompt is chosen from: it adds to a line what is before the
	// rows that it has, message 0 included.
	ReadLine(ctx context.Context, q LineQuery, line *prompt.Line) error
	// NewestSummary returns the summary that reaches furthest among those whose last message
	// is on the visible line before an index; nil when there is none. Rows of other users are
	// not read.
	NewestSummary(ctx context.Context, userID, conversationID pid.ID, before int) (*Summary, error)
	// Owned returns the running replies of an owner.
	Owned(ctx context.Context, owner pid.ID) ([]Owned, error)
	// End makes a reply final in tx, under its conversation's lock: its row, if the fence
	// holds, and only then what it has used, and the conversation's version. It looks for the
	// reply that waits behind it.
	End(ctx context.Context, tx *ent.Tx, end End) (Ended, error)
	// Touch moves the version of a conversation, whose lock tx holds, and returns the row as it
	// becomes; nil when it is gone.
	Touch(ctx context.Context, tx *ent.Tx, userID, id pid.ID, now time.Time) (*ent.Conversation, error)
	// AddUsage adds a call of a model to the usage of its day.
	AddUsage(ctx context.Context, tx *ent.Tx, call usage.Call) error
	// KeepLease has the lease of a replica end so long after now, by the database's clock,
	// and enters the replica, with its address and its keys, where it has no row. It waits for
	// no connection that other statements use, as far as the database has others.
	KeepLease(ctx context.Context, replica pid.ID, address, keys string, length time.Duration) error
	// Checkpoint stores the text of running replies of one owner in one
	// transaction, each fenced by its attempt, and returns those that are no longer
	// the owner's.
	Checkpoint(ctx context.Context, owner pid.ID, due []Checkpoint) (lost []pid.ID, err error)
}

// ErrLineTooLong is returned by Store.Line, and by Store.ReadLine for a whole line.
var ErrLineTooLong = errors.New("the line is too long for a prompt")

// LineQuery is which rows of a visible line are read.
type LineQuery struct {
	UserID, ConversationID pid.ID
	// Before bounds the indexes of a line of which nothing has been read.
	Before int
	// Newest is how many of the newest rows are read, LineBatch or ManyRows; WholeLine: all.
	Newest int
	// MaxBytes is how long the texts of these rows may be. Of the newest ones no more are read
	// than that, and one.
	MaxBytes int
}

// How many rows of a line are read at a time. The first read has no more than LineBatch.
const (
	WholeLine = prompt.All
	LineBatch = prompt.Few
	ManyRows  = prompt.Many
)

// Owned is a running reply as its owner looks at it, each second and without its texts.
type Owned struct {
	ID pid.ID
	// StopRequested says that somebody has asked for its end, and Disabled that its user is.
	StopRequested, Disabled bool
}

// Checkpoint is the text of a running reply to be stored.
type Checkpoint struct {
	MessageID pid.ID
	UserID    pid.ID
	Attempt   int
	Texts     Texts
}

// End is the last write of a reply by its owner.
type End struct {
	// Final is the row as it is stored, but for FinishedAt, which is the database's.
	Final *ent.Message
	// Owner and Attempt are the fence: they must be those of the running reply.
	Owner   pid.ID
	Attempt int
	// Used is what is counted; nil: nothing.
	Used *usage.Call
}

// Ended is what came of an End.
type Ended struct {
	// At is when the reply ended; zero: the fence did not hold, and nothing was written.
	At time.Time
	// Conversation is what the end has made of it; nil when it is gone.
	Conversation *ent.Conversation
	// Next is the first queued reply of the conversation; nil when none waits.
	Next *Waiting
}

// Waiting is what makes a queued reply differ from any other one.
type Waiting struct {
	ID         pid.ID
	ParentID   *pid.ID
	Index      int
	Active     bool
	Model      *string
	Parameters string
	CreatedAt  time.Time
}
