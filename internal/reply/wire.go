package reply

import (
	"context"
	"errors"

	"parley/internal/pid"
)

// Piece is some text of one attempt of a running reply, with its place in it.
// Positions are bytes on rune boundaries.
type Piece struct {
	MessageID pid.ID
	Attempt   int
	// Texts go to From; each of them may be empty.
	From  Position
	Texts Texts
	// End is how much the owner has. A listener that has less behind this piece asks for
	// the rest.
	End Position
}

// end is the position behind the piece.
func (p Piece) end() Position {
	for c, text := range p.Texts {
		p.From[c] += len(text)
	}
	return p.From
}

// Question asks the owner of a running reply for what the asker has not got. It
// says how much of which attempt the asker holds.
type Question struct {
	MessageID pid.ID
	Attempt   int
	Held      Position
}

// MaxAnswerBytes bounds the texts of one answer together, so that
// it fits into a message of the bus. Whoever needs more asks again.
const MaxAnswerBytes = 256 << 10

// ErrNoAnswer is returned by Ask when the owner does not answer in time, or cannot
// be reached. ErrNotRunning is its answer when it does not run the reply.
var (
	ErrNoAnswer   = errors.New("no answer from the replica that owns the reply")
	ErrNotRunning = errors.New("the replica does not run this reply")
)

// Wire carries the text of running replies from the replica that owns them to
// those whose watchers watch. Like the Bus it delivers at most once: pieces may be
// lost, repeated or come in any order, and their places say what is missing. It is
// safe for concurrent use.
type Wire interface {
	// Serve answers the questions that are put to a replica, until stop is called;
	// stop returns when no call of answer is under way. answer is called from
	// several goroutines and must not block; its error can only be ErrNotRunning.
	Serve(replica pid.ID, answer func(Question) (Piece, error)) (stop func())
	// Ask puts a question to a replica and waits for the answer until ctx ends.
	// Errors: ErrNotRunning, ErrNoAnswer.
	Ask(ctx context.Context, owner pid.ID, q Question) (Piece, error)
	// Send hands a piece to everyone who follows its reply on other replicas. It
	// never blocks and never fails: what cannot be delivered is lost.
	Send(p Piece)
	// Follow starts listening to the pieces of one reply. The caller closes it.
	Follow(messageID pid.ID) Pieces
}

// Pieces is one listener to the pieces of one reply. It is safe for concurrent use.
type Pieces interface {
	// Arrived gives the pieces as they arrive. It is never closed: wait on it
	// together with your own context. Pieces are lost when it is not read.
	Arrived() <-chan Piece
	// Close stops listening. It may be called more than once.
	Close()
}
