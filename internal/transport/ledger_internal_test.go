package transport

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/internal/budget"
	"parley/internal/refusal"
)

// desk is a ledger with room for two answers of a user and three of all.
func desk() *ledger {
	return newLedger(Limits{AnswerBytes: 50, AnswersPerUser: 200, Answers: 300}, 5*time.Second)
}

func (l *ledger) account(user string, patient bool) *account {
	return &account{ledger: l, user: user, conn: new(int64), patient: patient}
}

func wantCode(t *testing.T, err error, code refusal.Code) {
	t.Helper()
	if !refusal.Is(err, code) {
		t.Errorf("got %v, want %s", err, code)
	}
}

// A query that finds no room waits for a while, and is refused then: for too much of its
// user's, or for too much of all.
func TestRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := desk()
		ctx := t.Context()
		one, two := l.account("ada", false), l.account("ada", false)
		for _, a := range []*account{one, two, l.account("bob", false)} {
			if err := a.take(ctx, true); err != nil {
				t.Fatalf("%s: %v", a.user, err)
			}
		}
		begun := time.Now()
		wantCode(t, l.account("ada", false).take(ctx, true), refusal.CodeRateLimited)
		if waited := time.Since(begun); waited != 5*time.Second || l.crowded(time.Now()) {
			t.Errorf("waited %v, want 5s; crowded: %t", waited, l.crowded(time.Now()))
		}
		wantCode(t, l.account("eve", false).take(ctx, true), refusal.CodeOverloaded)
		if !l.crowded(time.Now()) {
			t.Error("nobody knows that the process is full")
		}
		if err := l.account("eve", false).take(ctx, false); !errors.Is(err, budget.ErrNoRoom) {
			t.Errorf("got %v for one that does not wait", err)
		}

		// One that was made holds what it has; the others wait for that.
		late := l.account("eve", true)
		done := make(chan error, 1)
		go func() { done <- late.take(ctx, true) }()
		synctest.Wait()
		time.Sleep(time.Hour) // It must be told.
		one.keep(10)
		synctest.Wait()
		two.giveBack()
		two.giveBack()
		if err := <-done; err != nil || l.held != 10+100+100 || l.byUser["ada"] != 10 {
			t.Errorf("got %v, %d held, %v", err, l.held, l.byUser)
		}
		one.giveBack()
		late.giveBack()
	})
}

// A connection makes one large answer at a time, and who has gone does not wait.
func TestRoomOfAConnection(t *testing.T) {
	t.Parallel()
	l := desk()
	one, two := l.account("ada", true), l.account("ada", true)
	two.conn = one.conn
	if err := one.take(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	one.keep(1)
	gone, cancel := context.WithCancelCause(t.Context())
	left := errors.New("left")
	cancel(left)
	if err := two.take(gone, true); !errors.Is(err, left) {
		t.Errorf("got %v for the second of a connection", err)
	}
	one.giveBack()
	if err := two.take(t.Context(), true); err != nil {
		t.Errorf("got %v after the first was written", err)
	}
	two.giveBack()
	if l.held != 0 || len(l.byUser) != 0 {
		t.Errorf("%d and %v are left", l.held, l.byUser)
	}
}

func TestUnderway(t *testing.T) {
	t.Parallel()
	u := newUnderway(Limits{RequestsPerUser: 2, SubscriptionsPerUser: 3, Cost: 20}, newMeters().Limits)
	of := func(kind ast.Operation) *graphql.OperationContext {
		return &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: kind}}
	}
	query, subscription := of(ast.Query), of(ast.Subscription)
	var ends []func()
	begin := func(user string, op *graphql.OperationContext, cost int, want string) {
		t.Helper()
		end, full := u.begin(user, op, cost)
		got := ""
		if full != nil {
			got = full.Message
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		ends = append(ends, end)
	}
	for range 5 {
		begin("", query, 1, "")
	}
	begin("ada", query, 1, "")
	begin("ada", query, 1, "")
	begin("ada", query, 1, "A user may have 2 requests under way. Try again in 1 second.")
	begin("ada", subscription, 60, "")
	begin("ada", subscription, 50, "A user may have 100 fields in all subscriptions together. Try again in 5 seconds.")
	begin("ada", subscription, 10, "")
	begin("ada", subscription, 10, "")
	begin("ada", subscription, 10, "A user may have 3 subscriptions. Try again in 5 seconds.")
	begin("bob", subscription, 10, "")
	for _, end := range ends {
		end()
	}
	if len(u.byUser) != 0 {
		t.Errorf("%v is left", u.byUser)
	}
}
