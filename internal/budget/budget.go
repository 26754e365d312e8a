// Package budget bounds the bytes that one answer makes the server hold: the rows that are
// read for it, and the answer itself. It owns the count of one answer and what is refused
// when it is too long. It does not know who reads, who writes, and how much there is for
// all of them together: whoever makes a Budget says that by a function.
//
// Its one invariant: nobody holds more for an answer than was counted, but for the row
// and the field that were one too many.
//
// Rows are counted while they are read, by the database's driver, and fields when they are
// resolved, which is before any of them is encoded. What is small needs nobody's leave. An
// answer that grows beyond that needs room for the longest one there may be, all at once,
// so that no two wait for each other's. A reader of rows must not wait for it, since it
// holds a connection to the database: it is told to come again, see Reading.
package budget

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"parley/internal/refusal"
)

// Free is how many bytes need no room of their own.
const Free = 64 << 10

// ErrNoRoom is returned to a reader of rows when there is no room at the moment. Reading
// waits and has it read again.
var ErrNoRoom = errors.New("no room for the rows of this answer at the moment")

// Room gives an answer its room, once. It waits for it, or else returns ErrNoRoom. Other
// errors are refusals.
type Room func(ctx context.Context, wait bool) error

// Budget counts one answer at a time. It is safe for concurrent use, apart from Reset.
type Budget struct {
	limit int64
	room  Room

	rows, answer atomic.Int64
	refused      atomic.Pointer[refusal.Error]

	// roomy is set with mu held, which whoever waits for room has.
	roomy atomic.Bool
	mu    sync.Mutex
}

// New returns the budget of answers of at most so many bytes. A nil room has always some.
func New(limit int, room Room) *Budget { return &Budget{limit: int64(limit), room: room} }

// Reset begins the next answer. Nobody counts at that moment.
func (b *Budget) Reset() {
	b.rows.Store(0)
	b.answer.Store(0)
	b.refused.Store(nil)
	b.roomy.Store(false)
}

// Refused returns why the answer was refused, nil when it was not.
func (b *Budget) Refused() *refusal.Error {
	if b == nil {
		return nil
	}
	return b.refused.Load()
}

// Weight is how many bytes of the answer were counted.
func (b *Budget) Weight() int { return int(b.answer.Load()) }

// Rows is how many bytes of rows were counted.
func (b *Budget) Rows() int { return int(b.rows.Load()) }

// CountRow counts bytes of a row that was read. It never waits. Errors: ErrNoRoom;
// OPERATION_TOO_COMPLEX, for good. A nil budget counts nothing.
func (b *Budget) CountRow(ctx context.Context, n int) error {
	if b == nil {
		return nil
	}
	if err := b.Refused(); err != nil {
		return err
	}
	total := b.rows.Add(int64(n))
	// Beside its texts a row has columns that may not be selected.
	if total > b.limit+b.limit/4 {
		return b.refuse(refusal.TooLong(int(b.limit)))
	}
	return b.need(ctx, false)
}

// Count counts bytes of the answer. It waits when there is no room. Errors, for good:
// OPERATION_TOO_COMPLEX; whatever room refuses with.
func (b *Budget) Count(ctx context.Context, n int) error {
	if err := b.Refused(); err != nil {
		return err
	}
	if b.answer.Add(int64(n)) > b.limit {
		return b.refuse(refusal.TooLong(int(b.limit)))
	}
	return b.need(ctx, true)
}

// need sees to it that what is not small has room.
func (b *Budget) need(ctx context.Context, wait bool) error {
	if b.room == nil || b.rows.Load()+b.answer.Load() <= Free || b.roomy.Load() {
		return nil
	}
	return b.take(ctx, wait)
}

func (b *Budget) take(ctx context.Context, wait bool) error {
	if wait {
		b.mu.Lock()
	} else if !b.mu.TryLock() {
		return ErrNoRoom // Somebody waits for it.
	}
	defer b.mu.Unlock()
	if b.roomy.Load() {
		return nil
	}
	err := b.room(ctx, wait)
	switch refused, ok := refusal.As(err); {
	case err == nil:
		b.roomy.Store(true)
	case ok:
		return b.refuse(refused)
	}
	return err
}

// refuse keeps the first refusal.
func (b *Budget) refuse(why *refusal.Error) error {
	b.refused.CompareAndSwap(nil, why)
	return b.refused.Load()
}

type (
	answerKey struct{}
	rowsKey   struct{}
)

// With returns a context for the fields of answers.
func With(ctx context.Context, b *Budget) context.Context {
	return context.WithValue(ctx, answerKey{}, b)
}

// OfRows returns the budget that rows count for which are read under a context. Nil: they
// do not count.
func OfRows(ctx context.Context) *Budget {
	b, _ := ctx.Value(rowsKey{}).(*Budget)
	return b
}

// Reading calls read with a context under which rows count for the answer. When there is
// no room for them, it waits for some and calls read again, which therefore only reads.
func Reading[T any](ctx context.Context, read func(context.Context) (T, error)) (T, error) {
	b, _ := ctx.Value(answerKey{}).(*Budget)
	if b == nil {
		return read(ctx)
	}
	counted := context.WithValue(ctx, rowsKey{}, b)
	value, err := read(counted)
	if !errors.Is(err, ErrNoRoom) {
		return value, err
	}
	if err := b.take(ctx, true); err != nil {
		var none T
		return none, fmt.Errorf("wait for room: %w", err)
	}
	return read(counted)
}

// Text is how many bytes a text has in JSON, quotes included.
func Text(s string) int {
	n := len(s) + len(`""`)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\', c == '\n', c == '\r', c == '\t':
			n += len(`\n`) - 1
		case c < 0x20:
			n += len(`\u0001`) - 1
		}
	}
	return n
}
