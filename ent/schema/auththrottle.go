package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"parley/internal/viewer"
)

// AuthThrottle counts failed attempts of one account or one network address, for
// all replicas together. Its id is what is counted, as a kind and a hash.
type AuthThrottle struct{ ent.Schema }

// Fields of the AuthThrottle.
func (AuthThrottle) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").NotEmpty().Immutable(),
		field.Float("level").Default(0).
			Comment("Failures in a row, or the fill of a leaking bucket as of updated_at."),
		field.Time("blocked_until").Optional().Nillable(),
		field.Time("updated_at"),
	}
}

// Indexes of the AuthThrottle.
func (AuthThrottle) Indexes() []ent.Index {
	return []ent.Index{index.Fields("updated_at")}
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
