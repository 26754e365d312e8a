package schema

import (
	"context"
	"slices"

	"entgo.io/ent"

	gen "parley/ent"
	"parley/ent/authsession"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/ent/privacy"
	"parley/ent/send"
	"parley/ent/user"
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
	// ownQuery narrows a query to the rows of a user. Nil: users read nothing.
	ownQuery func(q ent.Query, id pid.ID) bool
	// ownMutation narrows a change to the rows of a user, and refuses new rows for
	// somebody else. Nil: users change nothing.
	ownMutation func(m ent.Mutation, id pid.ID) bool
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
		if p.ownQuery != nil && p.ownQuery(q, id) {
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
		if p.ownMutation != nil && p.ownMutation(m, id) {
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

// Policy of the User: users see and change themselves; accounts are made at
// sign-up and by the operator.
func (User) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.SignIn, viewer.Admin},
		writers: map[viewer.Purpose]ent.Op{
			viewer.SignIn: ent.OpCreate | anyUpdate,
			viewer.Admin:  anyChange,
		},
		ownQuery: func(q ent.Query, id pid.ID) bool {
			uq, ok := q.(*gen.UserQuery)
			if ok {
				uq.Where(user.ID(id))
			}
			return ok
		},
		ownMutation: func(m ent.Mutation, id pid.ID) bool {
			um, ok := m.(*gen.UserMutation)
			if !ok || !m.Op().Is(anyUpdate) {
				return false
			}
			um.Where(user.ID(id))
			return true
		},
	}
}

// Policy of the AuthSession: users see and end their own.
func (AuthSession) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.SignIn, viewer.Admin},
		writers: map[viewer.Purpose]ent.Op{
			viewer.SignIn: anyChange,
			viewer.Admin:  anyUpdate,
			viewer.Sweep:  anyDelete,
		},
		ownQuery: func(q ent.Query, id pid.ID) bool {
			aq, ok := q.(*gen.AuthSessionQuery)
			if ok {
				aq.Where(authsession.UserID(id))
			}
			return ok
		},
		ownMutation: func(m ent.Mutation, id pid.ID) bool {
			am, ok := m.(*gen.AuthSessionMutation)
			if !ok || !m.Op().Is(anyUpdate) {
				return false
			}
			am.Where(authsession.UserID(id))
			return true
		},
	}
}

// Policy of the AuthThrottle: only signing in counts attempts.
func (AuthThrottle) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.SignIn},
		writers: map[viewer.Purpose]ent.Op{
			viewer.SignIn: anyChange,
			viewer.Sweep:  anyDelete,
		},
	}
}

// Policy of the Conversation: its owner may do everything with it; the sweeper
// removes expired ones.
func (Conversation) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.Sweep},
		writers: map[viewer.Purpose]ent.Op{viewer.Sweep: anyDelete},
		ownQuery: func(q ent.Query, id pid.ID) bool {
			cq, ok := q.(*gen.ConversationQuery)
			if ok {
				cq.Where(conversation.UserID(id))
			}
			return ok
		},
		ownMutation: func(m ent.Mutation, id pid.ID) bool {
			cm, ok := m.(*gen.ConversationMutation)
			if !ok {
				return false
			}
			if m.Op().Is(ent.OpCreate) {
				owner, ok := cm.UserID()
				return ok && owner == id
			}
			cm.Where(conversation.UserID(id))
			return true
		},
	}
}

// Policy of the Message: its owner may do everything with it; the sweeper finds
// and claims replies whose replica is gone.
func (Message) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.Sweep},
		writers: map[viewer.Purpose]ent.Op{viewer.Sweep: anyUpdate},
		ownQuery: func(q ent.Query, id pid.ID) bool {
			mq, ok := q.(*gen.MessageQuery)
			if ok {
				mq.Where(message.UserID(id))
			}
			return ok
		},
		ownMutation: func(m ent.Mutation, id pid.ID) bool {
			mm, ok := m.(*gen.MessageMutation)
			if !ok {
				return false
			}
			if m.Op().Is(ent.OpCreate) {
				owner, ok := mm.UserID()
				return ok && owner == id
			}
			mm.Where(message.UserID(id))
			return true
		},
	}
}

// Policy of the Send: users add and read their own; nobody changes one; the
// sweeper removes old ones that carry no client key.
func (Send) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.Sweep},
		writers: map[viewer.Purpose]ent.Op{viewer.Sweep: anyDelete},
		ownQuery: func(q ent.Query, id pid.ID) bool {
			sq, ok := q.(*gen.SendQuery)
			if ok {
				sq.Where(send.UserID(id))
			}
			return ok
		},
		ownMutation: func(m ent.Mutation, id pid.ID) bool {
			sm, ok := m.(*gen.SendMutation)
			if !ok || !m.Op().Is(ent.OpCreate) {
				return false
			}
			owner, ok := sm.UserID()
			return ok && owner == id
		},
	}
}

// Policy of the Replica: only the sweeper keeps leases.
func (Replica) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.Sweep},
		writers: map[viewer.Purpose]ent.Op{viewer.Sweep: anyChange},
	}
}
