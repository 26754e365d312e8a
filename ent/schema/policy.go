package schema

import (
	"context"
	"slices"

	"entgo.io/ent"

	"parley/ent/privacy"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// policy is the second lock on every row, behind the owner predicate of each
// query. It denies what it does not grant: without a viewer nothing is found and
// nothing changes. It does not reach into Has…-edge predicates and raw SQL; those
// are kept out of the rooms, and name the owner themselves, respectively.
type policy struct {
	// readers may read every row.
	readers []viewer.Purpose
	// writers may do these operations on every row.
	writers map[viewer.Purpose]ent.Op
	// own is what users may do with their own rows. Zero: nothing.
	own own
}

// own narrows what a user does to that user's own rows; owned makes it. Its functions
// return false for what a user may not do at all.
type own struct {
	query    func(q ent.Query, id pid.ID) bool
	mutation func(m ent.Mutation, id pid.ID) bool
}

// owned lets users read their own rows and do the operations ops on them. mine is the
// predicate that compares the owner. A new row must name the user as its owner.
func owned[Q interface{ Where(...P) Q }, M interface {
	ent.Mutation
	Where(...P)
}, P any](mine func(pid.ID) P, ops ent.Op) own {
	return own{
		query: func(q ent.Query, id pid.ID) bool {
			of, ok := q.(Q)
			if ok {
				of.Where(mine(id))
			}
			return ok
		},
		mutation: func(m ent.Mutation, id pid.ID) bool {
			of, ok := m.(M)
			if !ok || !m.Op().Is(ops) {
				return false
			}
			if m.Op().Is(ent.OpCreate) {
				row, ok := m.(interface{ UserID() (pid.ID, bool) })
				if !ok {
					return false
				}
				owner, ok := row.UserID()
				return ok && owner == id
			}
			of.Where(mine(id))
			return true
		},
	}
}

const (
	anyUpdate = ent.OpUpdate | ent.OpUpdateOne
	anyDelete = ent.OpDelete | ent.OpDeleteOne
	anyChange = ent.OpCreate | anyUpdate | anyDelete
)

// EvalQuery implements ent.Policy.
func (p policy) EvalQuery(ctx context.Context, q ent.Query) error {
	v, ok := viewer.From(ctx)
	if !ok {
		return privacy.Denyf("query without a viewer")
	}
	if id, ok := v.User(); ok {
		if p.own.query != nil && p.own.query(q, id) {
			return nil
		}
		return privacy.Denyf("a user may not query %T", q)
	}
	if slices.ContainsFunc(p.readers, v.Is) {
		return nil
	}
	return privacy.Denyf("this purpose may not query %T", q)
}

// EvalMutation implements ent.Policy.
func (p policy) EvalMutation(ctx context.Context, m ent.Mutation) error {
	v, ok := viewer.From(ctx)
	if !ok {
		return privacy.Denyf("change without a viewer")
	}
	if id, ok := v.User(); ok {
		if p.own.mutation != nil && p.own.mutation(m, id) {
			return nil
		}
		return privacy.Denyf("a user may not do this to %s", m.Type())
	}
	for purpose, ops := range p.writers {
		if v.Is(purpose) && m.Op().Is(ops) {
			return nil
		}
	}
	return privacy.Denyf("this purpose may not do this to %s", m.Type())
}
