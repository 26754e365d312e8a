package graph_test

import (
	"context"
	"sync"

	"parley/ent"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// faults counts the statements of users and makes them fail on demand.
type faults struct {
	mu sync.Mutex
	// fail is called for every statement of a user, if set. Guarded by mu, like
	// statements.
	fail       func() error
	statements map[pid.ID]int
}

func newFaults(client *ent.Client) *faults {
	f := &faults{statements: make(map[pid.ID]int)}
	client.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			if err := f.hit(ctx); err != nil {
				return nil, err
			}
			return next.Query(ctx, q)
		})
	}))
	client.Use(func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			if err := f.hit(ctx); err != nil {
				return nil, err
			}
			return next.Mutate(ctx, m)
		})
	})
	return f
}

func (f *faults) hit(ctx context.Context) error {
	v, ok := viewer.From(ctx)
	if !ok {
		return nil
	}
	user, ok := v.User()
	if !ok {
		return nil // The server's own work goes on.
	}
	f.mu.Lock()
	f.statements[user]++
	fail := f.fail
	f.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail()
}

// on makes every statement of a user do this first.
func (f *faults) on(fail func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *faults) off() { f.on(nil) }

// count returns how many statements the user has run so far.
func (f *faults) count(user pid.ID) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.statements[user]
}
