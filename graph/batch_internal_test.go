package graph

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/pid"
)

// Whoever waits for a level that another field loads goes when its time is over.
func TestCancellationEndsTheWait(t *testing.T) {
	t.Parallel()
	r := &Resolver{}
	l := newLevel(r)
	id := pid.New(pid.Conversation)
	l.counts.ask(id, nil)
	l.begun.Store(true) // Another field has begun, and will not end.
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), scopeKey{}, &scope{own: l}))
	ended := make(chan error)
	go func() {
		_, _, err := get(ctx, r, countsOf, id)
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	cancel(stop)
	if err := <-ended; !errors.Is(err, stop) {
		t.Errorf("got %v, want the cause", err)
	}
}

// A fragment on an interface that is missing here would be loaded key by key.
func TestTypesOf(t *testing.T) {
	t.Parallel()
	schema := NewSchema(&Resolver{}).Schema()
	for name, got := range typesOf {
		want := []string{name}
		for _, i := range schema.GetImplements(schema.Types[name]) {
			want = append(want, i.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
