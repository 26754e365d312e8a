package budget_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"parley/internal/budget"
	"parley/internal/refusal"
)

// Text counts what the executor writes.
func TestText(t *testing.T) {
	t.Parallel()
	all := make([]rune, 0x180)
	for i := range all {
		all[i] = rune(i)
	}
	for _, s := range []string{
		"", "plain", "äö 𝄞", `"\` + "\n\r\t", strings.Repeat("\x01", 9), string(all), "\xff\xfe",
	} {
		var out bytes.Buffer
		graphql.MarshalString(s).MarshalGQL(&out)
		if got := budget.Text(s); got != out.Len() {
			t.Errorf("%q: got %d, want %d", s, got, out.Len())
		}
		if !json.Valid(out.Bytes()) {
			t.Errorf("%q is written as %s", s, out.Bytes())
		}
	}
}

// The limit passes and one more does not, once and for all until the next answer.
func TestLimit(t *testing.T) {
	t.Parallel()
	b := budget.New(100, nil)
	ctx := t.Context()
	if err := errors.Join(b.Count(ctx, 60), b.Count(ctx, 40), b.CountRow(ctx, 125)); err != nil {
		t.Errorf("got %v within the limit", err)
	}
	if err := b.Count(ctx, 1); !refusal.Is(err, refusal.CodeTooComplex) || !strings.Contains(err.Error(), "100 bytes") {
		t.Errorf("got %v beyond the limit, want it refused with the number", err)
	}
	if b.Count(ctx, 0) == nil || b.CountRow(ctx, 0) == nil || b.Refused() == nil {
		t.Error("an answer that was refused goes on")
	}
	b.Reset()
	if err := b.CountRow(ctx, 126); !refusal.Is(err, refusal.CodeTooComplex) {
		t.Errorf("got %v for rows beyond the limit", err)
	}
	b.Reset()
	if err := b.Count(ctx, 100); err != nil || b.Weight() != 100 {
		t.Errorf("the next answer: got %v and %d", err, b.Weight())
	}
	var none *budget.Budget
	if none.CountRow(ctx, 1<<40) != nil || none.Refused() != nil {
		t.Error("no budget refuses")
	}
}

// What is small needs no room, what grows needs it once, and a reader of rows never waits
// for it: it is called again when there is some.
func TestRoom(t *testing.T) {
	t.Parallel()
	asked, waited := 0, 0
	full := true
	b := budget.New(1<<20, func(_ context.Context, wait bool) error {
		asked++
		switch {
		case wait:
			waited++
			full = false
		case full:
			return budget.ErrNoRoom
		}
		return nil
	})
	ctx := budget.With(t.Context(), b)
	if budget.OfRows(ctx) != nil {
		t.Error("rows count that nobody would read again")
	}
	reads := 0
	read := func(n int) error {
		_, err := budget.Reading(ctx, func(ctx context.Context) (int, error) {
			reads++
			return 0, budget.OfRows(ctx).CountRow(ctx, n)
		})
		return err
	}
	if err := read(budget.Free); err != nil || asked != 0 || reads != 1 {
		t.Errorf("what is small: got %v, asked %d times, read %d times", err, asked, reads)
	}
	if err := read(1); err != nil || asked != 2 || waited != 1 || reads != 3 {
		t.Errorf("what grows: got %v, asked %d times, waited %d times, read %d times", err, asked, waited, reads)
	}
	if err := errors.Join(read(1000), b.Count(ctx, 1000)); err != nil || asked != 2 {
		t.Errorf("what has room: got %v, asked %d times", err, asked)
	}
	got, err := budget.Reading(t.Context(), func(context.Context) (int, error) { return 7, nil })
	if got != 7 || err != nil {
		t.Errorf("without a budget: got %d, %v", got, err)
	}
}

// Who is refused room is refused for good.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	asked := 0
	b := budget.New(1<<20, func(_ context.Context, wait bool) error {
		asked++
		if !wait {
			return budget.ErrNoRoom
		}
		return refusal.Overloaded(time.Second)
	})
	ctx := budget.With(t.Context(), b)
	_, err := budget.Reading(ctx, func(ctx context.Context) (int, error) {
		return 0, budget.OfRows(ctx).CountRow(ctx, budget.Free+1)
	})
	if !refusal.Is(err, refusal.CodeOverloaded) || !refusal.Is(b.Count(ctx, 1), refusal.CodeOverloaded) || asked != 2 {
		t.Errorf("got %v after asking %d times", err, asked)
	}
}
